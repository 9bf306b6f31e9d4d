// SPDX-License-Identifier: MIT
#pragma once

#ifdef OTLPKIT_DISABLE
#include <otlpkit/metrics/disabled.hpp>
#else

#include <otlpkit/metrics/instruments.hpp>
#include <otlpkit/metrics/observable.hpp>

#include <concepts>
#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// The instrument a macro declares where it stands: of integers or of doubles, as it is used there.
struct macro_instrument {
  instrument integers;
  instrument doubles;

  constexpr macro_instrument(instrument_kind kind, std::string_view name, scope_finder scope) noexcept
      : integers{kind, false, name, {}, {}, nullptr, nullptr, scope}, doubles{kind, true,    name,    {},
                                                                              {},   nullptr, nullptr, scope} {}
};

/// One use of it, with its labels.
class macro_use {
 public:
  OTLPKIT_ALWAYS_INLINE macro_use(const macro_instrument& i, fields labels) noexcept
      : instrument_{i}, labels_(labels) {}

 protected:
  template <class T>
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE const instrument& of() const noexcept {
    return std::same_as<T, double> ? instrument_.doubles : instrument_.integers;
  }
  template <class T>
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE cell* own() const noexcept {
    return labels_.size() == 0 ? of<T>().own() : of<T>().own(labels_);
  }
  template <class T>
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE auto slow(T v) const noexcept {
    return [this, v]() OTLPKIT_ALWAYS_INLINE_LAMBDA { of<T>().record_slow(v, labels_); };
  }
  template <class T>
  using number = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;

 private:
  const macro_instrument& instrument_;
  fields labels_;
};

template <class T>
concept number_like = std::integral<T> || std::floating_point<T>;

struct counter_use : macro_use {
  using macro_use::macro_use;
  template <number_like T = std::int64_t>
  OTLPKIT_ALWAYS_INLINE void add(T n = 1) const noexcept {
    const auto v = static_cast<number<T>>(n);
    add_to(own<number<T>>(), v, true, slow(v));
  }
};
struct up_down_counter_use : macro_use {
  using macro_use::macro_use;
  template <number_like T>
  OTLPKIT_ALWAYS_INLINE void add(T n) const noexcept {
    const auto v = static_cast<number<T>>(n);
    add_to(own<number<T>>(), v, false, slow(v));
  }
};
struct gauge_use : macro_use {
  using macro_use::macro_use;
  template <number_like T>
  OTLPKIT_ALWAYS_INLINE void set(T v) const noexcept {
    const auto n = static_cast<number<T>>(v);
    set_to(own<number<T>>(), n, slow(n));
  }
};
struct histogram_use : macro_use {
  using macro_use::macro_use;
  template <number_like T>
  OTLPKIT_ALWAYS_INLINE void record(T v) const noexcept {
    const auto n = static_cast<double>(v);
    record_in(own<double>(), n, slow(n));
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail

// The whole statement is one conditional expression: while metrics are off neither labels nor values are evaluated.
#define OTLPKIT_METRIC_(use, kind, name, ...)                                                              \
  !::otlpkit::detail::metrics_on()                                                                         \
      ? static_cast<void>(0)                                                                               \
      : ::otlpkit::detail::use(                                                                            \
            []() noexcept -> const ::otlpkit::detail::macro_instrument& {                                  \
              static constinit ::otlpkit::detail::macro_instrument otlpkit_instrument{                     \
                  ::otlpkit::instrument_kind::kind, name,                                                  \
                  +[]() noexcept -> const ::otlpkit::instrumentation_scope& { return otlpkit_scope(0); }}; \
              return otlpkit_instrument;                                                                   \
            }(),                                                                                           \
            {__VA_ARGS__})

/// Counts: OTLPKIT_COUNTER("product.views", {"source", "cache"}).add(); or .add(n). A statement of its own; labels and
/// n may not contain co_await. The instrument is the same wherever in the scope the name is used, without unit and
/// description (otlpkit::counter has those).
#define OTLPKIT_COUNTER(name, ...) OTLPKIT_METRIC_(counter_use, counter, name __VA_OPT__(, ) __VA_ARGS__)

/// Goes up and down: OTLPKIT_UP_DOWN_COUNTER("queue.items").add(-1).
#define OTLPKIT_UP_DOWN_COUNTER(name, ...) \
  OTLPKIT_METRIC_(up_down_counter_use, up_down_counter, name __VA_OPT__(, ) __VA_ARGS__)

/// The last value: OTLPKIT_GAUGE("cart.size", {"user_id", id}).set(n).
#define OTLPKIT_GAUGE(name, ...) OTLPKIT_METRIC_(gauge_use, gauge, name __VA_OPT__(, ) __VA_ARGS__)

/// A distribution: OTLPKIT_HISTOGRAM("orders.total_amount").record(amount).
#define OTLPKIT_HISTOGRAM(name, ...) OTLPKIT_METRIC_(histogram_use, histogram, name __VA_OPT__(, ) __VA_ARGS__)

#endif
