// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::sdk {
class batch;
}

namespace shop {

/// What a scenario's main() is made of: its arguments, telemetry for as long as it lives, and acts that say in plain
/// words what they show, each with its trace as a tree. `--seed N`, `--fault NAME` (only that act), `--shape` (trees
/// without times).
///
/// Telemetry is set up in scenario.cpp: with no OTEL_* endpoint the terminal only, with one both.
class scenario {
 public:
  scenario(int argc, char** argv, std::string_view name);
  ~scenario();
  scenario(const scenario&) = delete;
  scenario& operator=(const scenario&) = delete;

  [[nodiscard]] std::uint64_t seed() const noexcept;

  /// Called at the end of each act, before its trees are printed: to wait for what the act left running.
  void after_each(std::function<void()> settle);

  /// Plays an act of the good path, unless one fault alone was asked for.
  void act(std::string_view title, const std::function<void()>& play);
  /// Plays a failure path.
  void fault(std::string_view name, std::string_view title, const std::function<void()>& play);

  /// The act shows something only if this holds.
  void expect(bool holds, std::string_view what);
  /// `request` must be refused for this reason (see shop::refuse).
  void expect_refused(std::string_view type, const std::function<void()>& request);
  /// `request` must fail with an E, by no decision of its own.
  template <class E>
  void expect_failure(const std::function<void()>& request) {
    try {
      request();
    } catch (const E& e) {
      return say(std::string{"failed: "} + e.what());
    }
    expect(false, "an error");
  }

  /// Prints a line of what happened.
  void say(const std::string& line) const;

  /// Spans that another process recorded: they are shown in the trees of this act.
  void join(std::shared_ptr<const otlpkit::sdk::batch> spans);

  /// Sends and prints what is left: traces, then metrics.
  /// \return main()'s exit status: 0 if every act did what it said; 2, with a message, for arguments that make no sense
  [[nodiscard]] int finish();

 private:
  void play(std::string_view title, const std::function<void()>& act);

  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace shop
