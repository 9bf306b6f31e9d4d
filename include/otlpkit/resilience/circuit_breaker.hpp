// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/immortal.hpp>
#include <otlpkit/core/platform.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/circuit_machine.hpp>
#include <otlpkit/resilience/execute.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace resilience {

namespace detail {

inline constinit const counter<std::int64_t> circuit_calls{
    "otlpkit.circuit.calls", {.unit = "{call}", .description = "Calls through circuit breakers, by how they ended"}};

struct circuit_gauges {
  observable_gauge<std::int64_t> state{"otlpkit.circuit.state",
                                       {.description = "1 for the state a circuit is in, 0 for the others"}};
  observable_gauge<double> failure_ratio{"otlpkit.circuit.failure_ratio",
                                         {.unit = "1", .description = "Share of failures in the window of a circuit"}};
};

/// What all handles to one breaker share.
class circuit {
 public:
  explicit circuit(circuit_breaker_options o) : options{std::move(o)}, machine_{options, now()} {}

  [[nodiscard]] time_point now() const noexcept {
    return (options.time != nullptr ? *options.time : system_time()).now();
  }

  /// \return the ticket; throws broken_circuit_error and isolated_circuit_error
  [[nodiscard]] std::uint64_t enter(const call_info& call, time_point at) {
    circuit_machine::admission a;
    circuit_state state{};
    {
      const platform::lock_guard lock{mutex_};
      a = machine_.enter(at);
      state = machine_.state();
    }
    if (a.changed) told(*a.changed, call);
    if (a.admitted) return a.epoch;
    count("rejected");
    const bool isolated = state == circuit_state::isolated;
    tell({"on_circuit_rejected", event_severity::error, options.name, call,
          otlpkit::detail::text_of(isolated ? rejection::isolated_circuit : rejection::broken_circuit)},
         {{"otlpkit.circuit.state", to_string(state)}}, options.severity);
    if (isolated) throw isolated_circuit_error{options.name};
    throw broken_circuit_error{options.name, a.retry_after};
  }

  void leave(std::uint64_t ticket, circuit_verdict verdict, nanoseconds took, time_point at, const call_info& call) {
    std::optional<circuit_transition> changed;
    {
      const platform::lock_guard lock{mutex_};
      changed = machine_.leave(ticket, verdict, took, at);
    }
    const bool slow = options.slow_call_duration && took > *options.slow_call_duration;
    count(verdict == circuit_verdict::failure ? "failure"
          : verdict == circuit_verdict::none  ? "ignored"
          : slow                              ? "slow"
                                              : "success");
    if (changed) told(*changed, call);
  }

  void set(circuit_state to) {
    std::optional<circuit_transition> changed;
    {
      const platform::lock_guard lock{mutex_};
      changed = machine_.set(to);
    }
    if (changed) told(*changed, {});
  }

  [[nodiscard]] circuit_state state() const noexcept {
    const platform::lock_guard lock{mutex_};
    return machine_.state();
  }
  [[nodiscard]] circuit_counts counts() noexcept {
    const time_point at = now();
    const platform::lock_guard lock{mutex_};
    return machine_.counts(at);
  }

  [[nodiscard]] circuit_verdict judge(const outcome& o) const {
    if (o.cancelled()) return circuit_verdict::none;
    // A call that a strategy further in rejected says nothing of the far end, unless it took too long.
    bool not_made = false;
    if (o.failed()) {
      o.with_exception<rejected_error>([&](const rejected_error& e) { not_made = e.reason() != rejection::timed_out; });
    }
    const bool failed = options.should_handle ? options.should_handle(o) : o.failed() && !not_made;
    return failed ? circuit_verdict::failure : not_made ? circuit_verdict::none : circuit_verdict::success;
  }

  const circuit_breaker_options options;

 private:
  void count(std::string_view outcome) const noexcept {
    circuit_calls.add(1,
                      {{"otlpkit.circuit.name", std::string_view{options.name}}, {"otlpkit.circuit.outcome", outcome}});
  }

  void told(const circuit_transition& t, const call_info& call) const noexcept {
    const std::string_view from = to_string(t.from), why = to_string(t.reason);
    switch (t.to) {
      case circuit_state::open:
        tell({"on_circuit_opened", event_severity::error, options.name, call},
             {{"otlpkit.circuit.from", from},
              {"otlpkit.circuit.reason", why},
              {"otlpkit.circuit.break_duration_ms",
               std::chrono::duration<double, std::milli>{t.break_duration}.count()}},
             options.severity);
        break;
      case circuit_state::half_open: say("on_circuit_half_opened", event_severity::warning, from, why, call); break;
      case circuit_state::closed: say("on_circuit_closed", event_severity::information, from, why, call); break;
      case circuit_state::isolated: say("on_circuit_isolated", event_severity::error, from, why, call); break;
      case circuit_state::disabled: say("on_circuit_disabled", event_severity::warning, from, why, call); break;
      case circuit_state::metrics_only: say("on_circuit_metrics_only", event_severity::warning, from, why, call); break;
    }
    if (!options.on_transition) return;
    try {
      options.on_transition(t);
    } catch (...) {
      report(diagnostic_level::warning, "circuit_breaker_options.on_transition threw an exception");
    }
  }
  void say(std::string_view name, event_severity severity, std::string_view from, std::string_view why,
           const call_info& call) const noexcept {
    tell({name, severity, options.name, call}, {{"otlpkit.circuit.from", from}, {"otlpkit.circuit.reason", why}},
         options.severity);
  }

  void observe([[maybe_unused]] observer& out) noexcept {
#ifndef OTLPKIT_DISABLE
    const auto& all = otlpkit::detail::immortal<circuit_gauges>();
    const std::string_view name = options.name;
    const circuit_state now_in = state();
    for (std::size_t i = 0; i < circuit_states; ++i) {
      const auto s = static_cast<circuit_state>(i);
      out.observe(all.state, std::int64_t{s == now_in},
                  {{"otlpkit.circuit.name", name}, {"otlpkit.circuit.state", to_string(s)}});
    }
    out.observe(all.failure_ratio, counts().failure_ratio(), {{"otlpkit.circuit.name", name}});
#endif
  }

  mutable platform::mutex mutex_;
  circuit_machine machine_;
  metric_callback gauges_{[this](observer& out) { observe(out); }};  // last: goes first
};

/// A call that a breaker admitted; one that never comes to an end gives its place back and says nothing.
class circuit_call {
 public:
  /// Throws broken_circuit_error and isolated_circuit_error.
  circuit_call(circuit& c, const call_info& call)
      : circuit_{c}, call_{call}, begun_{c.now()}, ticket_{c.enter(call, begun_)} {}
  circuit_call(const circuit_call&) = delete;
  circuit_call& operator=(const circuit_call&) = delete;
  ~circuit_call() {
    if (!ended_) leave(circuit_verdict::none);
  }

  void end(const outcome& o) {
    const circuit_verdict verdict = circuit_.judge(o);
    ended_ = true;
    leave(verdict);
  }

 private:
  void leave(circuit_verdict verdict) {
    const time_point at = circuit_.now();
    circuit_.leave(ticket_, verdict, at - begun_, at, call_);
  }

  circuit& circuit_;
  call_info call_;
  time_point begun_;
  std::uint64_t ticket_;
  bool ended_ = false;
};

}  // namespace detail

/// Stops calling what does not answer: when too many calls fail it opens, and rejects calls for a while; then a few
/// trial calls decide whether it closes again.
///
/// A handle: copies are the same circuit, to be shared by all who call the same back end, and by nobody else. Usable
/// from any thread and coroutine. Calls are rejected with broken_circuit_error (retry_after() says for how long) or
/// isolated_circuit_error, or with their codes.
class circuit_breaker : public strategy_base<circuit_breaker> {
 public:
  /// Throws config_error.
  explicit circuit_breaker(circuit_breaker_options options = {}) {
    detail::check(options);
    circuit_ = std::make_shared<detail::circuit>(std::move(options));
  }

  [[nodiscard]] const circuit_breaker_options& options() const noexcept { return circuit_->options; }
  [[nodiscard]] std::string_view name() const noexcept { return options().name; }
  [[nodiscard]] std::string describe() const {
    using detail::text_of;
    const circuit_breaker_options& o = options();
    std::string text{"circuit_breaker(opens for "};
    text.append(text_of(o.break_duration)).append(" at ");
    if (o.consecutive_failures > 0) {
      text.append(std::to_string(o.consecutive_failures)).append(" failures in a row");
    } else {
      text.append(text_of(o.failure_ratio * 100)).append(" % failures of ");
      text.append(std::to_string(o.minimum_throughput)).append(" or more calls");
    }
    if (o.success_threshold > 1)
      text.append(", closes after ").append(std::to_string(o.success_threshold)).append(" successes");
    return text.append(")");
  }

  /// The state it is in. An open circuit whose break is over stays open until a call is made.
  [[nodiscard]] circuit_state state() const noexcept { return circuit_->state(); }
  /// What it counted and still remembers.
  [[nodiscard]] circuit_counts counts() const noexcept { return circuit_->counts(); }

  /// Rejects all calls until reset().
  void isolate() const { circuit_->set(circuit_state::isolated); }
  /// Closes the circuit and forgets what was counted.
  void reset() const { circuit_->set(circuit_state::closed); }
  /// Lets all calls through and counts nothing, until reset().
  void disable() const { circuit_->set(circuit_state::disabled); }
  /// Lets all calls through and counts them, until reset().
  void observe_only() const { circuit_->set(circuit_state::metrics_only); }

  /// The blocking form.
  template <class F>
  decltype(auto) run(const call_info& call, F& fn) const {
    detail::circuit_call admitted{*circuit_, call};
    auto ended = detail::settled<std::invoke_result_t<F&>>::of(fn);
    admitted.end(ended.view());
    return ended.take();
  }

 private:
  friend struct detail::awaitable_form<circuit_breaker>;

  std::shared_ptr<detail::circuit> circuit_;
};

}  // namespace resilience

using resilience::circuit_breaker;
using resilience::circuit_breaker_options;
using resilience::circuit_state;

}  // namespace otlpkit::inline OTLPKIT_ABI
