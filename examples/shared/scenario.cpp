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

[[noreturn]] void usage_error(const std::string& message, std::string_view name,
                              const std::vector<std::string>& faults) {
  std::fprintf(stderr, "%s\nusage: %.*s [--seed N] [--fault NAME] [--shape]\nfaults:", message.c_str(),
               static_cast<int>(name.size()), name.data());
  for (const std::string& fault : faults) std::fprintf(stderr, " %s", fault.c_str());
  std::fputs("\n", stderr);
  std::exit(2);
}

}  // namespace

scenario::scenario(int argc, char** argv, std::string_view name, std::initializer_list<std::string_view> faults)
    : state_{std::make_unique<state>()} {
  state& s = *state_;
  s.name = name;
  s.faults.assign(faults.begin(), faults.end());
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&]() -> std::string_view {
      if (i + 1 == argc) usage_error(std::string{argument} + " wants a value", name, s.faults);
      return argv[++i];
    };
    if (argument == "--seed") {
      const std::string_view text = value();
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), s.seed);
      if (error != std::errc{} || end != text.data() + text.size()) {
        usage_error("--seed \"" + std::string{text} + "\": expected a number from 0 to 18446744073709551615", name,
                    s.faults);
      }
    } else if (argument == "--fault") {
      s.fault = value();
      bool known = false;
      for (const std::string& fault : s.faults) known = known || fault == s.fault;
      if (!known) usage_error(s.name + " has no fault \"" + s.fault + "\"", name, s.faults);
    } else if (argument == "--shape") {
      s.shape = true;
    } else {
      usage_error("unknown argument \"" + std::string{argument} + "\"", name, s.faults);
    }
  }
  s.telemetry.emplace(s.settings());
}

scenario::~scenario() = default;

std::uint64_t scenario::seed() const noexcept { return state_->seed; }

void scenario::after_each(std::function<void()> settle) { state_->settle = std::move(settle); }

void scenario::act(std::string_view title, const std::function<void()>& act) {
  if (state_->fault.empty()) play(title, act);
}

void scenario::fault(std::string_view name, std::string_view title, const std::function<void()>& act) {
  if (state_->fault.empty() || state_->fault == name)
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
