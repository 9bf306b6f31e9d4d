// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/describe.hpp>
#include <otlpkit/resilience/execute.hpp>
#include <otlpkit/resilience/hedge_schedule.hpp>
#include <otlpkit/resilience/latency_percentile.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace resilience {

/// When a hedge makes a call once more.
struct hedge_options {
  std::string name = "hedge";           ///< in metrics and events; of low cardinality
  std::size_t max_hedged_attempts = 1;  ///< in addition to the call itself, 1 to 10
  /// How long to wait for an answer before the next attempt; zero: all at once, negative: only after failures.
  nanoseconds delay = std::chrono::seconds{2};
  /// Waits as long as this share of calls took (0.95: all but the slowest twentieth), measured over the last 128 calls,
  /// those the caller gave up left out. Zero, and until 20 calls are known: `delay`.
  double percentile_delay = 0;
  outcome_predicate should_handle = handled_by_default;  ///< which outcomes are no good answer
  /// Told before attempt 1, 2, ... starts. Called from any thread that runs the executor.
  std::function<void(std::size_t attempt)> on_hedging = nullptr;
  severity_provider severity = nullptr;
  time_source* time = nullptr;  ///< nullptr: the steady clock
};

namespace detail {

/// What all handles to one hedge share.
struct hedge_state {
  explicit hedge_state(hedge_options o) : options{std::move(o)}, latency{options.percentile_delay} {}

  [[nodiscard]] nanoseconds delay() noexcept {
    if (options.percentile_delay <= 0) return options.delay;
    const std::lock_guard lock{mutex};
    return latency.value().value_or(options.delay);
  }
  void took(nanoseconds d) noexcept {
    if (options.percentile_delay <= 0) return;
    const std::lock_guard lock{mutex};
    latency.add(d);
  }

  const hedge_options options;
  std::mutex mutex;
  latency_percentile latency;
};

}  // namespace detail

/// Makes a call again while the first one has not answered yet; the first good answer wins, the others are cancelled
/// and awaited. For reads and other calls that may run twice.
///
/// Awaitable calls only: a blocking call cannot be cancelled, so the slow one would have to be waited for all the same.
/// A handle: copies share what was measured. Usable from any thread and coroutine.
class hedge : public strategy_base<hedge> {
 public:
  /// Throws config_error.
  explicit hedge(hedge_options options = {}) {
    detail::check_setting(options.max_hedged_attempts >= 1 && options.max_hedged_attempts <= 10,
                          "hedge_options.max_hedged_attempts", static_cast<double>(options.max_hedged_attempts),
                          "1 to 10");
    detail::check_setting(options.percentile_delay >= 0 && options.percentile_delay < 1,
                          "hedge_options.percentile_delay", options.percentile_delay, "0 or a share below 1, as 0.95");
    state_ = std::make_shared<detail::hedge_state>(std::move(options));
  }

  [[nodiscard]] const hedge_options& options() const noexcept { return state_->options; }
  [[nodiscard]] std::string_view name() const noexcept { return options().name; }
  [[nodiscard]] std::string describe() const {
    const hedge_options& o = options();
    std::string text = "hedge(" + std::to_string(o.max_hedged_attempts) + " more";
    if (o.percentile_delay > 0) return text + " after " + detail::text_of(o.percentile_delay * 100) + " % of calls)";
    if (o.delay < nanoseconds{0}) return text + " after failures)";
    return text + " after " + detail::text_of(o.delay) + ")";
  }

  /// How long an attempt is waited for before the next one starts, as of now.
  [[nodiscard]] nanoseconds delay() const noexcept { return state_->delay(); }

  template <class F>
  std::invoke_result_t<F&> run(const call_info&, F&) const {
    static_assert(sizeof(F) == 0,
                  "otlpkit: hedge is for functions that return an awaitable. A blocking call cannot be cancelled: the "
                  "slow one would have to be waited for all the same");
  }

 private:
  friend struct detail::awaitable_form<hedge>;

  std::shared_ptr<detail::hedge_state> state_;
};

}  // namespace resilience

using resilience::hedge;
using resilience::hedge_options;

}  // namespace otlpkit::inline OTLPKIT_ABI
