// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/immortal.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/propagation/deadline.hpp>
#include <otlpkit/resilience/describe.hpp>
#include <otlpkit/resilience/execute.hpp>
#include <otlpkit/resilience/keyed_table.hpp>
#include <otlpkit/resilience/sliding_window.hpp>
#include <otlpkit/resilience/token_bucket.hpp>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace otlpkit::inline OTLPKIT_ABI {

namespace resilience {

/// How permits come back. See token_bucket and sliding_window.
enum class rate_algorithm : std::uint8_t { token_bucket, sliding_window };

/// How many calls a rate_limiter lets through.
struct rate_limiter_options {
  std::string name = "rate_limiter";  ///< in metrics and events; of low cardinality
  double permits_per_second = 100;    ///< sustained
  double burst = 100;                 ///< at once after a quiet time; a whole number for sliding windows
  std::size_t queue_limit = 0;        ///< callers that may wait for a permit, of each key; others are rejected at once
  rate_algorithm algorithm = rate_algorithm::token_bucket;
  /// Whose permits a call takes (tenant, user, path); without it all calls share one limit. Called by each call.
  std::function<std::string()> key = nullptr;
  std::size_t max_keys = 10'000;  ///< beyond that, new keys share one limit until others are idle
  severity_provider severity = nullptr;
  time_source* time = nullptr;  ///< nullptr: the steady clock
};

namespace detail {

inline void check(const rate_limiter_options& o) {
  check_setting(o.permits_per_second > 0 && std::isfinite(o.permits_per_second),
                "rate_limiter_options.permits_per_second", o.permits_per_second, "above 0");
  check_setting(o.burst >= 1 && o.burst <= 1e9, "rate_limiter_options.burst", o.burst, "1 to 1000000000");
  check_setting(o.algorithm == rate_algorithm::token_bucket || (o.burst <= 1e6 && o.burst == std::floor(o.burst)),
                "rate_limiter_options.burst", o.burst, "for sliding windows a whole number, at most 1000000");
  check_setting(o.queue_limit <= 1'000'000, "rate_limiter_options.queue_limit", static_cast<double>(o.queue_limit),
                "at most 1000000");
  check_setting(o.max_keys >= 1, "rate_limiter_options.max_keys", static_cast<double>(o.max_keys), "1 or more");
}

struct rate_limiter_gauges {
  observable_gauge<double> available_permits{
      "otlpkit.rate_limiter.available_permits",
      {.unit = "{permit}", .description = "Permits that could go at once, of limiters without keys"}};
  observable_gauge<std::int64_t> keys{"otlpkit.rate_limiter.keys",
                                      {.unit = "{key}", .description = "Keys with a limit of their own"}};
};

/// A limit by either algorithm.
class any_limit {
 public:
  any_limit(const rate_limiter_options& o, time_point now) : limit_{make(o, now)} {}
  [[nodiscard]] permit acquire(time_point now) {
    return std::visit([now](auto& l) { return l.acquire(now); }, limit_);
  }
  void give_back(time_point due) noexcept {
    std::visit([due](auto& l) { l.give_back(due); }, limit_);
  }
  [[nodiscard]] double available(time_point now) noexcept {
    return std::visit([now](auto& l) { return l.available(now); }, limit_);
  }
  [[nodiscard]] bool idle(time_point now) noexcept {
    return std::visit([now](auto& l) { return l.idle(now); }, limit_);
  }

 private:
  using either = std::variant<token_bucket, sliding_window>;
  [[nodiscard]] static either make(const rate_limiter_options& o, time_point now) {
    const permit_rate rate{o.permits_per_second, o.burst, o.queue_limit};
    if (o.algorithm == rate_algorithm::sliding_window) return sliding_window{rate, now};
    return token_bucket{rate, now};
  }
  either limit_;
};

/// A permit taken: how long to wait for it, and where it is given back.
struct taken_permit {
  nanoseconds wait{};
  time_point due{};
  bool of_key = false;
};

/// What all handles to one limiter share.
class rate_limit {
 public:
  explicit rate_limit(rate_limiter_options o)
      : options{std::move(o)}, shared_{options, now()}, keys_{options.max_keys} {}

  [[nodiscard]] time_source& time() const noexcept { return options.time != nullptr ? *options.time : system_time(); }
  [[nodiscard]] time_point now() const noexcept { return time().now(); }

  /// \param longest who would have to wait longer is refused
  /// \return the answer, and the permit if one was granted
  [[nodiscard]] std::pair<permit, taken_permit> take(const std::optional<std::string>& key, nanoseconds longest) {
    const std::lock_guard lock{mutex_};
    const time_point at = now();  // never older than what the limits have seen, or `due` would miss
    any_limit* const own = key ? keys_.find(*key, at, [&] { return any_limit{options, at}; }) : nullptr;
    any_limit& limit = own != nullptr ? *own : shared_;
    permit p = limit.acquire(at);
    if (p.granted && p.wait > longest) {
      limit.give_back(at + p.wait);
      p.granted = false;
    }
    return {p, {p.wait, at + p.wait, own != nullptr}};
  }

  void give_back(const std::optional<std::string>& key, const taken_permit& taken) noexcept {
    const std::lock_guard lock{mutex_};
    any_limit* const own = taken.of_key ? keys_.find(*key) : nullptr;  // there: a key that is waited for is not idle
    (own != nullptr ? *own : shared_).give_back(taken.due);
  }

  /// Takes a permit for a call, perhaps one to be waited for. Throws rate_limited_error.
  [[nodiscard]] taken_permit enter(const std::optional<std::string>& key, const call_info& call) {
    const auto [answer, taken] = take(key, within_deadline(nanoseconds::max()));
    if (answer.granted) return taken;
    tell({"on_rate_limiter_rejected", event_severity::error, options.name, call,
          otlpkit::detail::text_of(rejection::rate_limited)},
         {{"otlpkit.rate_limiter.retry_after_ms", in_ms(answer.wait)}}, options.severity);
    throw rate_limited_error{options.name, answer.wait};
  }

  void waited(nanoseconds d, const call_info& call) const noexcept {
    tell({"on_rate_limiter_waited", event_severity::information, options.name, call},
         {{"otlpkit.rate_limiter.wait_ms", in_ms(d)}}, options.severity);
  }

  [[nodiscard]] double available(const std::optional<std::string>& key) {
    const std::lock_guard lock{mutex_};
    const time_point at = now();
    any_limit* const own = key ? keys_.find(*key, at, [&] { return any_limit{options, at}; }) : nullptr;
    return (own != nullptr ? *own : shared_).available(at);
  }
  [[nodiscard]] std::size_t keys() noexcept {
    const std::lock_guard lock{mutex_};
    return keys_.size();
  }

  const rate_limiter_options options;

 private:
  [[nodiscard]] static double in_ms(nanoseconds d) noexcept {
    return std::chrono::duration<double, std::milli>{d}.count();
  }

  [[nodiscard]] double available_to_all() {
    const std::lock_guard lock{mutex_};
    const time_point at = now();
    return shared_.available(at);
  }

  void observe([[maybe_unused]] observer& out) {
#ifndef OTLPKIT_DISABLE
    const auto& all = otlpkit::detail::immortal<rate_limiter_gauges>();
    const std::string_view name = options.name;
    const std::size_t held = keys();
    if (options.key || held > 0) {
      out.observe(all.keys, static_cast<std::int64_t>(held), {{"otlpkit.rate_limiter.name", name}});
    } else {
      out.observe(all.available_permits, available_to_all(), {{"otlpkit.rate_limiter.name", name}});
    }
#endif
  }

  std::mutex mutex_;
  any_limit shared_;  ///< of calls without a key, and of keys for which there is no room
  keyed_table<any_limit> keys_;
  metric_callback gauges_{[this](observer& out) { observe(out); }};  // last: goes first
};

}  // namespace detail

/// Lets so many calls through in a time, of each key. Others wait for their turn as far as the queue and the deadline
/// allow, or are rejected with rate_limited_error, whose retry_after() says when to come again.
///
/// A handle: copies are the same limit. Usable from any thread and coroutine. However many keys there are, and however
/// long, it holds `max_keys` of them in a fixed number of bytes each.
class rate_limiter : public strategy_base<rate_limiter> {
 public:
  /// Throws config_error.
  explicit rate_limiter(rate_limiter_options options = {}) {
    detail::check(options);
    limit_ = std::make_shared<detail::rate_limit>(std::move(options));
  }

  [[nodiscard]] const rate_limiter_options& options() const noexcept { return limit_->options; }
  [[nodiscard]] std::string_view name() const noexcept { return options().name; }
  [[nodiscard]] std::string describe() const {
    const rate_limiter_options& o = options();
    std::string text =
        "rate_limiter(" + detail::text_of(o.permits_per_second) + "/s, burst " + detail::text_of(o.burst);
    if (o.queue_limit > 0) text += ", queue " + std::to_string(o.queue_limit);
    if (o.key) text += ", by key";
    return text + ")";
  }

  /// The limit of this key: `limiter.for_key(user).execute(...)`. Goes before rate_limiter_options.key.
  [[nodiscard]] rate_limiter for_key(std::string key) const {
    rate_limiter one = *this;
    one.key_ = std::move(key);
    return one;
  }

  /// Takes a permit if there is one now. Never waits, throws nothing of its own, and tells no event.
  [[nodiscard]] bool try_acquire() const { return limit_->take(key(), nanoseconds{0}).first.granted; }
  /// Permits that could go at once.
  [[nodiscard]] double available_permits() const { return limit_->available(key()); }
  /// Keys that have a limit of their own now.
  [[nodiscard]] std::size_t keys() const { return limit_->keys(); }

  /// The blocking form.
  template <class F>
  decltype(auto) run(const call_info& call, F& fn) const {
    const nanoseconds wait = limit_->enter(key(), call).wait;
    if (wait > nanoseconds{0}) {
      limit_->time().sleep_for(wait);
      limit_->waited(wait, call);
    }
    return fn();
  }

 private:
  friend struct detail::awaitable_form<rate_limiter>;

  [[nodiscard]] std::optional<std::string> key() const {
    if (key_ || !options().key) return key_;
    return options().key();
  }

  std::shared_ptr<detail::rate_limit> limit_;
  std::optional<std::string> key_;
};

}  // namespace resilience

using resilience::rate_algorithm;
using resilience::rate_limiter;
using resilience::rate_limiter_options;

}  // namespace otlpkit::inline OTLPKIT_ABI
