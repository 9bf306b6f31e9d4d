// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/propagation/deadline.hpp>
#include <otlpkit/resilience/execute.hpp>
#include <otlpkit/resilience/retry_machine.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace resilience {

namespace detail {

inline constinit const counter<std::int64_t> retry_calls{
    "otlpkit.retry.calls", {.unit = "{call}", .description = "Calls under a retry policy, by how they ended"}};

/// One call under a retry policy: what the blocking and the awaitable form share. Refers to the policy's options.
class retry_run {
 public:
  retry_run(const retry_options& options, const call_info& call) noexcept
      : options_{options}, call_{call}, machine_{options, call.operation} {}

  [[nodiscard]] time_source& time() const noexcept { return options_.time != nullptr ? *options_.time : system_time(); }

  /// The span of the attempt that begins.
  [[nodiscard]] span_guard begin() {
    begun_ = telemetry_on() ? time().now() : time_point{};
    span_guard s{call_.operation.empty() ? std::string_view{options_.name} : call_.operation,
                 {{"otlpkit.retry.attempt", machine_.attempt()},
                  {"otlpkit.retry.max_attempts", std::int64_t{options_.max_retry_attempts} + 1}}};
    if (machine_.attempt() > 1) s.set("otlpkit.retry.delay_ms", milliseconds(machine_.waited()));
    return s;
  }

  /// The attempt is over: what comes next is decided, and told on its span and in the metrics.
  template <class T>
  void end(span& s, const settled<T>& ended) {
    const outcome result = ended.view();
    const int number = machine_.attempt();
    decision_ = machine_.ended(result, time_left());
    ended.record(s);
    if (decision_.stop != retry_stop::succeeded) {
      s.set("otlpkit.retry.handled", decision_.handled);
      if (!decision_.again()) s.set("otlpkit.retry.stopped_by", to_string(decision_.stop));
    }
    if (begun_ != time_point{}) tell_attempt(result, number);
  }

  /// Whether another attempt is to be made, after delay().
  [[nodiscard]] bool again() const noexcept { return decision_.again(); }
  [[nodiscard]] nanoseconds delay() const noexcept { return decision_.delay; }

  /// Tells that the call will be retried; under the span the attempts are children of.
  void tell_retry(const outcome& result) {
    const int number = machine_.attempt() - 1;
    const error_name error{result};
    tell({"on_retry", event_severity::warning, options_.name, call_, error.text()},
         {{"otlpkit.retry.attempt", number}, {"otlpkit.retry.delay_ms", milliseconds(delay())}}, options_.severity);
    if (options_.on_retry) options_.on_retry({number, result, delay(), call_.operation});
  }

 private:
  [[nodiscard]] static double milliseconds(nanoseconds d) noexcept {
    return std::chrono::duration<double, std::milli>{d}.count();
  }

  void tell_attempt([[maybe_unused]] const outcome& result, [[maybe_unused]] int number) noexcept {
#ifndef OTLPKIT_DISABLE
    const error_name error{result};
    const double seconds = std::chrono::duration<double>{time().now() - begun_}.count();
    given_fields{{"attempt.number", number},
                 {"attempt.handled", decision_.handled},
                 {"strategy.name", std::string_view{options_.name}},
                 {"pipeline.name", call_.pipeline},
                 {"operation.key", call_.operation},
                 {"error.type", error.text()}}
        .pass_to([seconds](fields labels) { attempt_duration.record(seconds, labels); });
    const auto severity = !result.failed() && !decision_.handled ? event_severity::information
                          : decision_.again()                    ? event_severity::warning
                                                                 : event_severity::error;
    event attempt{"execution_attempt", severity, options_.name, call_, error.text()};
    if (options_.severity != nullptr) attempt.severity = options_.severity(attempt);
    if (attempt.severity != event_severity::none) count_event(attempt);  // its span tells the rest
    if (decision_.again()) return;
    const bool well = decision_.stop == retry_stop::succeeded;
    given_fields{{"otlpkit.retry.outcome", number == 1 ? well ? "success_without_retry" : "failure_without_retry"
                                           : well      ? "success_with_retry"
                                                       : "failure_with_retry"},
                 {"strategy.name", std::string_view{options_.name}},
                 {"pipeline.name", call_.pipeline},
                 {"operation.key", call_.operation}}
        .pass_to([](fields labels) { retry_calls.add(1, labels); });
#endif
  }

  const retry_options& options_;
  call_info call_;
  retry_machine machine_;
  retry_decision decision_;
  time_point begun_{};
};

}  // namespace detail

/// Repeats calls that fail: `policy.execute("payment.gateway_call", [&] { return gateway.charge(o); })`.
///
/// Every attempt is a span of its own, a child of the span that is current, called as the operation is (or as the
/// policy, if there is none). When no attempt is left, the last one's result is returned or its exception thrown. No
/// retry begins after the task's deadline (propagation/deadline.hpp). A handle that may be shared by threads and
/// coroutines; copies share the options.
class retry_policy : public strategy_base<retry_policy> {
 public:
  /// Throws config_error.
  explicit retry_policy(retry_options options = {}) {
    detail::check(options);
    options_ = std::make_shared<const retry_options>(std::move(options));
  }

  [[nodiscard]] const retry_options& options() const noexcept { return *options_; }
  [[nodiscard]] std::string_view name() const noexcept { return options_->name; }
  [[nodiscard]] std::string describe() const {
    constexpr std::string_view growths[] = {"constant", "linear", "exponential"};
    std::string text{"retry(at most "};
    text.append(std::to_string(options_->max_retry_attempts)).append(" more, ");
    text.append(growths[static_cast<std::size_t>(options_->growth)]).append(" ");
    text.append(detail::text_of(options_->delay));
    if (options_->max_delay) text.append(" up to ").append(detail::text_of(*options_->max_delay));
    return text.append(")");
  }

  /// The blocking form.
  template <class F>
  decltype(auto) run(const call_info& call, F& fn) const {
    using result = detail::settled<std::invoke_result_t<F&>>;
    detail::retry_run run{*options_, call};
    const auto attempt = [&] {
      span_guard s = run.begin();
      result ended = result::of(fn);
      run.end(s, ended);
      return ended;
    };
    for (;;) {
      result ended = attempt();
      if (!run.again()) return ended.take();
      run.tell_retry(ended.view());
      run.time().sleep_for(run.delay());
    }
  }

 private:
  std::shared_ptr<const retry_options> options_;
};

}  // namespace resilience

using resilience::backoff;
using resilience::jitter;
using resilience::retry_budget;
using resilience::retry_options;
using resilience::retry_policy;

/// Calls `fn`, and again while it fails, as the policy says; returns what it returns. Each attempt is a span called
/// `name`. If `fn` returns an awaitable so does this: `co_await otlpkit::retry(policy, "payment.gateway_call", fn)`,
/// for which otlpkit/asio/retry.hpp is needed.
template <class F>
decltype(auto) retry(const resilience::retry_policy& policy, std::string_view name, F&& fn) {
  return policy.execute(name, std::forward<F>(fn));
}

}  // namespace otlpkit::inline OTLPKIT_ABI
