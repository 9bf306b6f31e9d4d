// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/ids.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/describe.hpp>
#include <otlpkit/resilience/execute.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

// Strategies that make calls fail, on purpose and as often as told: for tests, examples and drills.
namespace otlpkit::inline OTLPKIT_ABI::resilience::chaos {

/// How often chaos strikes.
struct chaos_options {
  std::string name = "chaos";                                  ///< in metrics and events; of low cardinality
  double injection_rate = 0.001;                               ///< share of calls, 0 to 1
  std::function<double()> injection_rate_generator = nullptr;  ///< instead of injection_rate; asked by each call
  std::function<bool()> enabled = nullptr;                     ///< asked by each call; nullptr: always
  std::uint64_t seed = 0;                                      ///< the same seed strikes the same calls; 0: random
  severity_provider severity = nullptr;
  time_source* time = nullptr;  ///< nullptr: the steady clock
};

/// What a fault throws if nothing else is said.
class injected_fault : public std::runtime_error {
 public:
  injected_fault() : std::runtime_error{"a fault injected by chaos"} {}
};

namespace detail {

/// What all handles to one chaos strategy share.
class dice {
 public:
  explicit dice(chaos_options o) : options{std::move(o)} {
    resilience::detail::check_setting(options.injection_rate >= 0 && options.injection_rate <= 1,
                                      "chaos_options.injection_rate", options.injection_rate, "0 to 1");
    random_.seed();
    if (options.seed != 0) random_ = {{options.seed, 0x9E3779B97F4A7C15u}};
  }

  /// Whether this call is struck. Throws what the options' functions throw.
  [[nodiscard]] bool strikes() {
    if (options.enabled && !options.enabled()) return false;
    const double rate = options.injection_rate_generator ? options.injection_rate_generator() : options.injection_rate;
    const std::lock_guard lock{mutex_};
    return static_cast<double>(random_.next() >> 11) * 0x1p-53 < rate;
  }

  void tell(std::string_view what, const call_info& call) const noexcept {
    resilience::tell({what, event_severity::information, options.name, call}, {}, options.severity);
  }

  const chaos_options options;

 private:
  std::mutex mutex_;
  random_generator random_{};
};

}  // namespace detail

/// Throws instead of making the call.
class fault : public strategy_base<fault> {
 public:
  /// Throws config_error.
  explicit fault(chaos_options options = {}) : fault{std::move(options), [] { throw injected_fault{}; }} {}
  /// \param throws a function that throws
  fault(chaos_options options, std::function<void()> throws)
      : dice_{std::make_shared<detail::dice>(std::move(options))}, throws_{std::move(throws)} {}

  [[nodiscard]] std::string_view name() const noexcept { return dice_->options.name; }
  [[nodiscard]] std::string describe() const { return "chaos::fault"; }

  template <class F>
  decltype(auto) run(const call_info& call, F& fn) const {
    before(call);
    return fn();
  }

 private:
  friend struct resilience::detail::awaitable_form<fault>;
  void before(const call_info& call) const {
    if (!dice_->strikes()) return;
    dice_->tell("chaos.on_fault", call);
    throws_();
  }

  std::shared_ptr<detail::dice> dice_;
  std::function<void()> throws_;
};

/// Waits before the call.
class latency : public strategy_base<latency> {
 public:
  /// Throws config_error.
  explicit latency(chaos_options options = {}, nanoseconds wait = std::chrono::seconds{30})
      : dice_{std::make_shared<detail::dice>(std::move(options))}, wait_{wait} {}

  [[nodiscard]] std::string_view name() const noexcept { return dice_->options.name; }
  [[nodiscard]] std::string describe() const { return "chaos::latency(" + resilience::detail::text_of(wait_) + ")"; }

  template <class F>
  decltype(auto) run(const call_info& call, F& fn) const {
    if (strikes(call)) time().sleep_for(wait_);
    return fn();
  }

 private:
  friend struct resilience::detail::awaitable_form<latency>;
  [[nodiscard]] bool strikes(const call_info& call) const {
    if (!dice_->strikes()) return false;
    dice_->tell("chaos.on_latency", call);
    return true;
  }
  [[nodiscard]] time_source& time() const noexcept {
    return dice_->options.time != nullptr ? *dice_->options.time : system_time();
  }

  std::shared_ptr<detail::dice> dice_;
  nanoseconds wait_;
};

/// Returns what `Answer` returns instead of making the call.
template <class Answer>
class outcome : public strategy_base<outcome<Answer>> {
 public:
  /// Throws config_error.
  outcome(chaos_options options, Answer answer)
      : dice_{std::make_shared<detail::dice>(std::move(options))}, answer_{std::move(answer)} {}

  [[nodiscard]] std::string_view name() const noexcept { return dice_->options.name; }
  [[nodiscard]] std::string describe() const { return "chaos::outcome"; }

  template <class F>
  std::invoke_result_t<F&> run(const call_info& call, F& fn) const {
    if (strikes(call)) return answer_();
    return fn();
  }

 private:
  friend struct resilience::detail::awaitable_form<outcome>;
  [[nodiscard]] bool strikes(const call_info& call) const {
    if (!dice_->strikes()) return false;
    dice_->tell("chaos.on_outcome", call);
    return true;
  }

  std::shared_ptr<detail::dice> dice_;
  Answer answer_;
};

/// Does something else before the call, such as closing its connection.
class behavior : public strategy_base<behavior> {
 public:
  /// Throws config_error.
  behavior(chaos_options options, std::function<void()> act)
      : dice_{std::make_shared<detail::dice>(std::move(options))}, act_{std::move(act)} {}

  [[nodiscard]] std::string_view name() const noexcept { return dice_->options.name; }
  [[nodiscard]] std::string describe() const { return "chaos::behavior"; }

  template <class F>
  decltype(auto) run(const call_info& call, F& fn) const {
    before(call);
    return fn();
  }

 private:
  friend struct resilience::detail::awaitable_form<behavior>;
  void before(const call_info& call) const {
    if (!dice_->strikes()) return;
    dice_->tell("chaos.on_behavior", call);
    act_();
  }

  std::shared_ptr<detail::dice> dice_;
  std::function<void()> act_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::chaos

namespace otlpkit::inline OTLPKIT_ABI {
namespace chaos = resilience::chaos;
}  // namespace otlpkit::inline OTLPKIT_ABI
