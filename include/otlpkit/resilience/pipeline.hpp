// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/execute.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace resilience {

/// What a pipeline is called, and where it takes the time from.
struct pipeline_options {
  std::string name = "pipeline";  ///< `pipeline.name` of events and metrics
  severity_provider severity = nullptr;
  time_source* time = nullptr;  ///< nullptr: the steady clock
};

/// Strategies around a call, the first one outermost.
///
///     otlpkit::pipeline payments{"payments", timeout{total}, retry_policy{...}, breaker, limiter, timeout{attempt}};
///     auto receipt = payments.execute("payment.gateway_call", [&] { return gateway.charge(order); });
///
/// The order recommended: total timeout, retry, circuit breaker, rate limiter or bulkhead, timeout of one attempt. A
/// handle: it holds copies of the strategies, which share their state with the originals. Usable from any thread and
/// coroutine.
template <strategy... S>
class pipeline : public strategy_base<pipeline<S...>> {
 public:
  explicit pipeline(pipeline_options options, S... strategies)
      : state_{std::make_shared<const state>(std::move(options), std::move(strategies)...)} {}
  explicit pipeline(std::string_view name, S... strategies)
      : pipeline{pipeline_options{.name = std::string{name}}, std::move(strategies)...} {}

  [[nodiscard]] std::string_view name() const noexcept { return state_->options.name; }
  [[nodiscard]] const pipeline_options& options() const noexcept { return state_->options; }

  /// The strategies in words, outermost first: `payments: retry(...) > circuit_breaker(...)`.
  [[nodiscard]] std::string describe() const {
    std::string text{name()};
    std::string_view between = ": ";
    const auto add = [&](const auto& one) {
      text.append(between).append(one.describe());
      between = " > ";
    };
    std::apply([&](const auto&... one) { (add(one), ...); }, state_->strategies);
    return text;
  }

  /// The same with one more strategy inside of the others.
  template <strategy Next>
  [[nodiscard]] pipeline<S..., Next> operator|(Next next) const {
    return std::apply(
        [&](const auto&... one) {
          return pipeline<S..., Next>{state_->options, one..., std::move(next)};
        },
        state_->strategies);
  }

  /// The blocking form.
  template <class F>
  decltype(auto) run(const call_info& outer, F& fn) const {
    const call_info call{outer.operation, name()};
    const time_point begun = now();
    begin(call);
    auto ended = detail::settled<std::invoke_result_t<F&>>::of([&]() -> decltype(auto) { return pass<0>(call, fn); });
    end(call, ended.view(), begun);
    return ended.take();
  }

  /// Calls `fn` under the strategies from the `i`-th on. For the forms of this class.
  template <std::size_t i, class F>
  decltype(auto) pass(const call_info& call, F& fn) const {
    if constexpr (i == sizeof...(S)) {
      return fn();
    } else {
      return detail::run_strategy(std::get<i>(state_->strategies), call, [this, &call, &fn]() -> decltype(auto) {
        return this->template pass<i + 1>(call, fn);
      });
    }
  }

  /// The time, if telemetry needs it.
  [[nodiscard]] time_point now() const noexcept {
    if (!detail::telemetry_on()) return {};
    return (state_->options.time != nullptr ? *state_->options.time : system_time()).now();
  }
  void begin(const call_info& call) const noexcept {
    tell({"pipeline_executing", event_severity::debug, name(), call}, {}, state_->options.severity);
  }
  void end([[maybe_unused]] const call_info& call, [[maybe_unused]] const outcome& o,
           [[maybe_unused]] time_point begun) const noexcept {
#ifndef OTLPKIT_DISABLE
    if (begun == time_point{} || !detail::telemetry_on()) return;
    const double seconds = std::chrono::duration<double>{now() - begun}.count();
    const detail::error_name error{o};
    detail::given_fields{{"pipeline.name", name()}, {"operation.key", call.operation}, {"error.type", error.text()}}
        .pass_to([seconds](fields labels) { detail::pipeline_duration.record(seconds, labels); });
    tell({"pipeline_executed", event_severity::information, name(), call, error.text()},
         {{"otlpkit.pipeline.duration_ms", seconds * 1000}}, state_->options.severity);
#endif
  }

 private:
  struct state {
    explicit state(pipeline_options o, S... s) : options{std::move(o)}, strategies{std::move(s)...} {}
    pipeline_options options;
    std::tuple<S...> strategies;
  };

  std::shared_ptr<const state> state_;
};

}  // namespace resilience

using resilience::pipeline;

}  // namespace otlpkit::inline OTLPKIT_ABI
