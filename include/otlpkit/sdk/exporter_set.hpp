// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// The exporters of one pipeline: what one of them throws keeps nothing from the others.
class exporter_set {
 public:
  using clock = exporter::clock;

  explicit exporter_set(std::vector<std::shared_ptr<exporter>> all) : all_{std::move(all)} {}

  [[nodiscard]] auto begin() const noexcept { return all_.begin(); }
  [[nodiscard]] auto end() const noexcept { return all_.end(); }

  void flush() noexcept {
    each([](exporter& e) { e.flush(); });
  }
  void shutdown(clock::time_point deadline) noexcept {
    each([deadline](exporter& e) { e.shutdown(deadline); });
  }
  void tick(clock::time_point now) noexcept {
    each([now](exporter& e) { e.tick(now); });
  }

  /// The shortest one that is asked for, at most `longest`.
  [[nodiscard]] std::chrono::milliseconds tick_interval(std::chrono::milliseconds longest) const noexcept {
    for (const auto& e : all_) {
      const auto wanted = e->tick_interval();
      if (wanted.count() > 0 && wanted < longest) longest = wanted;
    }
    return longest;
  }

 private:
  template <class Call>
  void each(Call call) noexcept {
    for (const auto& e : all_) {
      try {
        call(*e);
      } catch (const std::exception& x) {
        report(diagnostic_level::error, std::string{e->name()} + " threw: " + x.what());
      } catch (...) {
        report(diagnostic_level::error, std::string{e->name()} + " threw");
      }
    }
  }

  std::vector<std::shared_ptr<exporter>> all_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
