// SPDX-License-Identifier: MIT
#include "shared/scenario.hpp"

#include "shared/metric_lines.hpp"
#include "shared/shop.hpp"

#include <otlpkit/telemetry.hpp>

#ifndef OTLPKIT_DISABLE
#include "shared/joined_tree.hpp"
#endif

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace shop {

struct scenario::state {
  std::string name;
  std::vector<std::string> faults;
  std::string fault;
  std::string misuse;  ///< what is wrong with the arguments: then nothing is played
  std::uint64_t seed = 1;
  bool shape = false;
  bool failed = false;
  int acts = 0;
  std::function<void()> settle = [] {};
  std::shared_ptr<metric_lines> metrics = std::make_shared<metric_lines>();
#ifndef OTLPKIT_DISABLE
  std::shared_ptr<joined_tree> trees;
#endif
  std::optional<otlpkit::telemetry> telemetry;

  /// The terminal gets the traces as trees; an endpoint in the environment gets everything as well.
  [[nodiscard]] otlpkit::settings settings() {
    otlpkit::settings out{.service = name};
#ifndef OTLPKIT_DISABLE
    otlpkit::exporters::console_tree_options tree;
    if (shape) {
      tree.tree = otlpkit::exporters::tree_options::snapshot();
      tree.colour = false;
      tree.width = 0;
    }
    trees = std::make_shared<joined_tree>(std::move(tree));
    out.exporters = {trees, metrics};
#endif
    return out;
  }
};

namespace {

/// Says what is wrong with the arguments, and which there are.
int usage_error(const std::string& message, const std::string& name, const std::vector<std::string>& faults) {
  std::fprintf(stderr, "%s\nusage: %s [--seed N] [--fault NAME] [--shape]\nfaults:", message.c_str(), name.c_str());
  for (const std::string& fault : faults) std::fprintf(stderr, " %s", fault.c_str());
  std::fputs("\n", stderr);
  return 2;
}

}  // namespace

scenario::scenario(int argc, char** argv, std::string_view name) : state_{std::make_unique<state>()} {
  state& s = *state_;
  s.name = name;
  for (int i = 1; i < argc && s.misuse.empty(); ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--shape") {
      s.shape = true;
    } else if (argument != "--seed" && argument != "--fault") {
      s.misuse = "unknown argument \"" + argument + "\"";
    } else if (!has_value) {
      s.misuse = argument + " wants a value";
    } else if (argument == "--fault") {
      s.fault = argv[++i];
    } else {
      const std::string_view text = argv[++i];
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), s.seed);
      if (error != std::errc{} || end != text.data() + text.size())
        s.misuse = "--seed \"" + std::string{text} + "\": expected a number from 0 to 18446744073709551615";
    }
  }
  s.telemetry.emplace(s.settings());
}

scenario::~scenario() = default;

std::uint64_t scenario::seed() const noexcept { return state_->seed; }

void scenario::after_each(std::function<void()> settle) { state_->settle = std::move(settle); }

void scenario::act(std::string_view title, const std::function<void()>& act) {
  if (state_->fault.empty() && state_->misuse.empty()) play(title, act);
}

void scenario::fault(std::string_view name, std::string_view title, const std::function<void()>& act) {
  state& s = *state_;
  if (s.faults.empty() || s.faults.back() != name) s.faults.emplace_back(name);
  if (s.misuse.empty() && (s.fault.empty() || s.fault == name))
    play(std::string{title} + " (--fault " + std::string{name} + ")", act);
}

void scenario::play(std::string_view title, const std::function<void()>& act) {
  std::printf("\n%d. %.*s\n", ++state_->acts, static_cast<int>(title.size()), title.data());
  try {
    act();
    state_->settle();
  } catch (const std::exception& e) {
    expect(false, std::string{"no exception: "} + e.what());
  }
  std::fflush(stdout);
  if (!state_->telemetry->flush()) expect(false, "telemetry flushed in time");  // the trees appear below their act
}

void scenario::expect(bool holds, std::string_view what) {
  if (holds) return;
  state_->failed = true;
  std::printf("   FAILED: expected %.*s\n", static_cast<int>(what.size()), what.data());
}

void scenario::expect_refused(std::string_view type, const std::function<void()>& request) {
  try {
    request();
  } catch (const refused& no) {
    say("refused (" + std::string{no.type()} + "): " + no.what());
    expect(no.type() == type, "the refusal " + std::string{type});
    return;
  }
  expect(false, "the refusal " + std::string{type} + ", but the request was served");
}

void scenario::join(std::shared_ptr<const otlpkit::sdk::batch> spans) {
#ifndef OTLPKIT_DISABLE
  state_->trees->join(std::move(spans));
#else
  static_cast<void>(spans);
#endif
}

void scenario::say(const std::string& line) const { std::printf("   %s\n", line.c_str()); }

int scenario::finish() {
  state& s = *state_;
  s.telemetry->shutdown();
  if (s.misuse.empty() && s.acts == 0) s.misuse = s.name + " has no fault \"" + s.fault + "\"";
  if (!s.misuse.empty()) return usage_error(s.misuse, s.name, s.faults);
  if (const std::string metrics = s.metrics->text(); !metrics.empty()) std::printf("\nmetrics\n%s", metrics.c_str());
  std::printf("\n%s: %d acts, %s\n", s.name.c_str(), s.acts,
              s.failed ? "NOT as they should be" : "all as they should be");
  if (std::getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == nullptr) {
    std::printf(
        "see more: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 examples/run %s sends the same to a Collector, "
        "Jaeger or Tempo\n",
        s.name.c_str());
  }
  std::fflush(stdout);
  return s.failed ? 1 : 0;
}

}  // namespace shop
