// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/immortal.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/propagation/deadline.hpp>
#include <otlpkit/resilience/bulkhead_queue.hpp>
#include <otlpkit/resilience/describe.hpp>
#include <otlpkit/resilience/execute.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace resilience {

/// How many calls a bulkhead lets in at once.
struct bulkhead_options {
  std::string name = "bulkhead";  ///< in metrics and events; of low cardinality
  std::size_t max_concurrent_calls = 25;
  std::size_t queue_limit = 0;                ///< calls that may wait; others are rejected at once
  nanoseconds max_wait = nanoseconds::max();  ///< how long one waits, within its deadline
  bool fair = true;  ///< who waited longest goes first; otherwise who came last does, who is least likely to be late
  severity_provider severity = nullptr;
  time_source* time = nullptr;  ///< nullptr: the steady clock
};

namespace detail {

struct bulkhead_gauges {
  observable_gauge<std::int64_t> active{"otlpkit.bulkhead.active",
                                        {.unit = "{call}", .description = "Calls under way"}};
  observable_gauge<std::int64_t> queued{"otlpkit.bulkhead.queued",
                                        {.unit = "{call}", .description = "Calls that wait"}};
  observable_gauge<std::int64_t> limit{"otlpkit.bulkhead.limit",
                                       {.unit = "{call}", .description = "Calls that may be under way at once"}};
};

/// A call that waits. admitted() is called under the lock of the bulkhead.
struct bulkhead_waiter : bulkhead_place {
  virtual void admitted() noexcept = 0;

 protected:
  ~bulkhead_waiter() = default;
};

/// What all handles to one bulkhead share.
class bulkhead_state {
 public:
  explicit bulkhead_state(bulkhead_options o)
      : options{std::move(o)}, queue_{options.max_concurrent_calls, options.queue_limit, options.fair} {}

  [[nodiscard]] time_source& time() const noexcept { return options.time != nullptr ? *options.time : system_time(); }

  /// \return whether the call is in; otherwise it waits. Throws bulkhead_full_error.
  [[nodiscard]] bool enter(bulkhead_waiter& waiter, nanoseconds longest, const call_info& call) {
    bulkhead_queue::answer a{};
    {
      const std::lock_guard lock{mutex};
      a = queue_.enter(waiter, longest > nanoseconds{0});
    }
    if (a == bulkhead_queue::answer::full) reject("full", call);
    return a == bulkhead_queue::answer::admitted;
  }

  /// \return false when it was admitted meanwhile
  [[nodiscard]] bool give_up(bulkhead_waiter& waiter) noexcept {
    const std::lock_guard lock{mutex};
    return queue_.give_up(waiter);
  }

  void leave() noexcept {
    const std::lock_guard lock{mutex};
    if (bulkhead_place* const next = queue_.leave()) static_cast<bulkhead_waiter*>(next)->admitted();
  }

  [[noreturn]] void reject(std::string_view why, const call_info& call) const {
    tell({"on_bulkhead_rejected", event_severity::error, options.name, call,
          otlpkit::detail::text_of(rejection::bulkhead_full)},
         {{"otlpkit.bulkhead.reason", why}}, options.severity);
    throw bulkhead_full_error{options.name};
  }

  void waited(nanoseconds d, const call_info& call) const noexcept {
    tell({"on_bulkhead_waited", event_severity::information, options.name, call},
         {{"otlpkit.bulkhead.wait_ms", std::chrono::duration<double, std::milli>{d}.count()}}, options.severity);
  }

  [[nodiscard]] nanoseconds longest_wait() const noexcept { return within_deadline(options.max_wait); }

  [[nodiscard]] std::pair<std::size_t, std::size_t> active_and_queued() noexcept {
    const std::lock_guard lock{mutex};
    return {queue_.active(), queue_.queued()};
  }

  const bulkhead_options options;
  std::mutex mutex;

 private:
  void observe([[maybe_unused]] observer& out) {
#ifndef OTLPKIT_DISABLE
    const auto [active, queued] = active_and_queued();
    const auto& all = otlpkit::detail::immortal<bulkhead_gauges>();
    const field name{"otlpkit.bulkhead.name", std::string_view{options.name}};
    out.observe(all.active, static_cast<std::int64_t>(active), {name});
    out.observe(all.queued, static_cast<std::int64_t>(queued), {name});
    out.observe(all.limit, static_cast<std::int64_t>(options.max_concurrent_calls), {name});
#endif
  }

  bulkhead_queue queue_;
  metric_callback gauges_{[this](observer& out) { observe(out); }};  // last: goes first
};

/// A call that is in; goes out with this.
class bulkhead_call {
 public:
  explicit bulkhead_call(bulkhead_state& s) noexcept : state_{s} {}
  bulkhead_call(const bulkhead_call&) = delete;
  bulkhead_call& operator=(const bulkhead_call&) = delete;
  ~bulkhead_call() { state_.leave(); }

 private:
  bulkhead_state& state_;
};

/// A thread that waits.
struct bulkhead_thread final : bulkhead_waiter {
  void admitted() noexcept override { in.notify_one(); }

  /// Waits to be admitted, for `longest` at most.
  void wait(bulkhead_state& s, nanoseconds longest) {
    std::unique_lock lock{s.mutex};
    if (longest == nanoseconds::max()) return in.wait(lock, [this] { return !queued; });
    static_cast<void>(in.wait_for(lock, s.time().timer_for(longest), [this] { return !queued; }));
  }

  std::condition_variable in;
};

}  // namespace detail

/// Lets so many calls run at once, so that one slow back end cannot take all threads and connections. Others wait in a
/// queue, or are rejected with bulkhead_full_error.
///
/// A handle: copies are the same bulkhead, to be shared by all who call the same back end. Usable from any thread and
/// coroutine, blocking and awaitable calls together.
class bulkhead : public strategy_base<bulkhead> {
 public:
  /// Throws config_error.
  explicit bulkhead(bulkhead_options options = {}) {
    detail::check_setting(options.max_concurrent_calls >= 1, "bulkhead_options.max_concurrent_calls",
                          static_cast<double>(options.max_concurrent_calls), "1 or more");
    state_ = std::make_shared<detail::bulkhead_state>(std::move(options));
  }

  [[nodiscard]] const bulkhead_options& options() const noexcept { return state_->options; }
  [[nodiscard]] std::string_view name() const noexcept { return options().name; }
  [[nodiscard]] std::string describe() const {
    const bulkhead_options& o = options();
    std::string text = "bulkhead(" + std::to_string(o.max_concurrent_calls) + " at once";
    if (o.queue_limit > 0) text += ", queue " + std::to_string(o.queue_limit);
    if (o.queue_limit > 0 && o.max_wait != nanoseconds::max()) text += " for " + detail::text_of(o.max_wait);
    return text + ")";
  }

  /// Calls under way.
  [[nodiscard]] std::size_t active() const { return state_->active_and_queued().first; }
  /// Calls that wait.
  [[nodiscard]] std::size_t queued() const { return state_->active_and_queued().second; }

  /// The blocking form.
  template <class F>
  decltype(auto) run(const call_info& call, F& fn) const {
    detail::bulkhead_thread waiter;
    const nanoseconds longest = state_->longest_wait();
    if (!state_->enter(waiter, longest, call)) {
      const time_point begun = state_->time().now();
      waiter.wait(*state_, longest);
      if (state_->give_up(waiter)) state_->reject("waited", call);
      const detail::bulkhead_call in{*state_};
      state_->waited(state_->time().now() - begun, call);
      return fn();
    }
    const detail::bulkhead_call in{*state_};
    return fn();
  }

 private:
  friend struct detail::awaitable_form<bulkhead>;

  std::shared_ptr<detail::bulkhead_state> state_;
};

}  // namespace resilience

using resilience::bulkhead;
using resilience::bulkhead_options;

}  // namespace otlpkit::inline OTLPKIT_ABI
