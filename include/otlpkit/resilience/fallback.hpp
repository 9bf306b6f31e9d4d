// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/execute.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace resilience {

/// When a fallback steps in.
struct fallback_options {
  std::string name = "fallback";  ///< in metrics and events; of low cardinality
  outcome_predicate should_handle = handled_by_default;
  severity_provider severity = nullptr;
};

/// Answers in place of a call that failed: `fallback{[] { return cached_prices(); }}`.
///
/// `Action` takes nothing, or the outcome; it returns what the calls return, or something that becomes it. For
/// awaitable calls it may return an awaitable. What it throws is thrown. The error that was replaced stays on the span,
/// as otlpkit.fallback.error_type. A handle: copies share the action, which is called from any thread that makes calls.
template <class Action>
class fallback : public strategy_base<fallback<Action>> {
 public:
  explicit fallback(Action action) : fallback{fallback_options{}, std::move(action)} {}
  fallback(fallback_options options, Action action)
      : state_{std::make_shared<state>(state{std::move(options), std::move(action)})} {}

  [[nodiscard]] const fallback_options& options() const noexcept { return state_->options; }
  [[nodiscard]] std::string_view name() const noexcept { return state_->options.name; }
  [[nodiscard]] std::string describe() const {
    return name() == "fallback" ? "fallback" : "fallback(" + std::string{name()} + ")";
  }

  /// The blocking form.
  template <class F>
  std::invoke_result_t<F&> run(const call_info& call, F& fn) const {
    auto ended = detail::settled<std::invoke_result_t<F&>>::of(fn);
    if (!handles(ended.view(), call)) return ended.take();
    return act(ended.view());
  }

 private:
  friend struct detail::awaitable_form<fallback>;

  struct state {
    fallback_options options;
    Action action;
  };

  /// Whether the action answers instead. Then it is told.
  [[nodiscard]] bool handles(const outcome& o, const call_info& call) const {
    if (o.cancelled() || !state_->options.should_handle || !state_->options.should_handle(o)) return false;
    const detail::error_name error{o};
#ifndef OTLPKIT_DISABLE
    if (!error.text().empty()) current_span().set("otlpkit.fallback.error_type", error.text());
#endif
    tell({"on_fallback", event_severity::warning, name(), call, error.text()}, {}, state_->options.severity);
    return true;
  }

  decltype(auto) act(const outcome& o) const {
    if constexpr (std::is_invocable_v<Action&, const outcome&>) {
      return std::invoke(state_->action, o);
    } else {
      return std::invoke(state_->action);
    }
  }

  std::shared_ptr<state> state_;
};

}  // namespace resilience

using resilience::fallback;
using resilience::fallback_options;

}  // namespace otlpkit::inline OTLPKIT_ABI
