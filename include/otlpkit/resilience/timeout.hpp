// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/propagation/deadline.hpp>
#include <otlpkit/resilience/describe.hpp>
#include <otlpkit/resilience/execute.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace resilience {

/// How long a call may take.
struct timeout_options {
  std::string name = "timeout";                  ///< such as attempt_timeout, total_timeout; of low cardinality
  nanoseconds limit = std::chrono::seconds{30};  ///< the caller's deadline can only shorten it
  severity_provider severity = nullptr;
  time_source* time = nullptr;  ///< nullptr: the steady clock
};

/// Ends calls that take too long. Around a retry it limits all attempts together, within one it limits each.
///
/// Awaitable calls are cancelled through their cancellation slot, and awaited to their end; then timed_out_error is
/// thrown. A call that comes to a good end nevertheless has its result returned.
///
/// A blocking call cannot be cancelled: the call is given the deadline (otlpkit::time_left(), and what is injected into
/// requests), and if it ends too late this is told; what it ends with is passed on.
///
/// A call whose deadline is over already is not made: timed_out_error. A handle, usable from any thread and coroutine.
class timeout : public strategy_base<timeout> {
 public:
  /// Throws config_error.
  explicit timeout(timeout_options options) {
    detail::check_setting(options.limit > nanoseconds{0}, "timeout_options.limit", options.limit, "above zero");
    options_ = std::make_shared<const timeout_options>(std::move(options));
  }
  explicit timeout(nanoseconds limit) : timeout{timeout_options{.limit = limit}} {}

  [[nodiscard]] const timeout_options& options() const noexcept { return *options_; }
  [[nodiscard]] std::string_view name() const noexcept { return options_->name; }
  [[nodiscard]] std::string describe() const {
    return name() == "timeout" ? text() : std::string{name()} + ": " + text();
  }

  /// The blocking form.
  template <class F>
  decltype(auto) run(const call_info& call, F& fn) const {
    const nanoseconds limit = begin(call);
    const time_point begun = time().now();
    auto ended = [&] {
      const deadline_scope deadline{limit};
      return detail::settled<std::invoke_result_t<F&>>::of(fn);
    }();
    if (const nanoseconds took = time().now() - begun; took > limit) told(limit, took, true, call);
    return ended.take();
  }

 private:
  friend struct detail::awaitable_form<timeout>;

  [[nodiscard]] std::string text() const { return "timeout(" + detail::text_of(options_->limit) + ")"; }
  [[nodiscard]] time_source& time() const noexcept {
    return options_->time != nullptr ? *options_->time : system_time();
  }

  /// How long the call may take. Throws timed_out_error when there is no time left.
  [[nodiscard]] nanoseconds begin(const call_info& call) const {
    const nanoseconds limit = within_deadline(options_->limit);
    if (limit > nanoseconds{0}) return limit;
    told(limit, limit, false, call);
    throw timed_out_error{name()};
  }

  /// \param late the call's own end is passed on
  void told(nanoseconds limit, nanoseconds took, bool late, const call_info& call) const noexcept {
    const auto ms = [](nanoseconds d) { return std::chrono::duration<double, std::milli>{d}.count(); };
    tell({"on_timeout", event_severity::error, name(), call, otlpkit::detail::text_of(rejection::timed_out)},
         {{"otlpkit.timeout.limit_ms", ms(limit)},
          {"otlpkit.timeout.took_ms", ms(took)},
          {"otlpkit.timeout.late", late}},
         options_->severity);
  }

  std::shared_ptr<const timeout_options> options_;
};

}  // namespace resilience

using resilience::timeout;
using resilience::timeout_options;

}  // namespace otlpkit::inline OTLPKIT_ABI
