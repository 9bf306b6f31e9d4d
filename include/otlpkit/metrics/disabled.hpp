// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/disabled.hpp>

#include <cstdint>
#include <initializer_list>

// What remains of the instruments where OTLPKIT_DISABLE is defined: the same code compiles and measures nothing.
namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

/// Text of any kind, without <string_view>.
struct ignored_text {
  constexpr ignored_text() noexcept = default;
  template <class T>
  constexpr ignored_text(const T&) noexcept {}  // NOLINT(google-explicit-constructor)
};

}  // namespace detail

class bucket_bounds {
 public:
  constexpr bucket_bounds() noexcept = default;
  constexpr bucket_bounds(std::initializer_list<double>) noexcept {}
};
inline constexpr bucket_bounds default_bucket_bounds{};
inline constexpr bucket_bounds seconds_bucket_bounds{};

struct instrument_options {
  detail::ignored_text unit{};
  detail::ignored_text description{};
  const instrumentation_scope* scope = nullptr;
  detail::ignored_text attributes{};
};

struct histogram_options {
  detail::ignored_text unit{};
  detail::ignored_text description{};
  const instrumentation_scope* scope = nullptr;
  bucket_bounds bounds{};
  detail::ignored_text attributes{};
};
[[nodiscard]] constexpr histogram_options in_seconds(detail::ignored_text) noexcept { return {}; }

template <class T>
struct bound_counter {
  constexpr void add(T = 1) const noexcept {}
};
template <class T = std::int64_t>
class counter {
 public:
  constexpr explicit counter(detail::ignored_text, instrument_options = {}) noexcept {}
  counter(const counter&) = delete;
  counter& operator=(const counter&) = delete;
  constexpr void add(T = 1) const noexcept {}
  constexpr void add(T, fields) const noexcept {}
  [[nodiscard]] constexpr bound_counter<T> bind(fields) const noexcept { return {}; }
};

template <class T>
struct bound_up_down_counter {
  constexpr void add(T) const noexcept {}
};
template <class T = std::int64_t>
class up_down_counter {
 public:
  constexpr explicit up_down_counter(detail::ignored_text, instrument_options = {}) noexcept {}
  up_down_counter(const up_down_counter&) = delete;
  up_down_counter& operator=(const up_down_counter&) = delete;
  constexpr void add(T) const noexcept {}
  constexpr void add(T, fields) const noexcept {}
  [[nodiscard]] constexpr bound_up_down_counter<T> bind(fields) const noexcept { return {}; }
};

template <class T>
struct bound_gauge {
  constexpr void set(T) const noexcept {}
};
template <class T = double>
class gauge {
 public:
  constexpr explicit gauge(detail::ignored_text, instrument_options = {}) noexcept {}
  gauge(const gauge&) = delete;
  gauge& operator=(const gauge&) = delete;
  constexpr void set(T) const noexcept {}
  constexpr void set(T, fields) const noexcept {}
  [[nodiscard]] constexpr bound_gauge<T> bind(fields) const noexcept { return {}; }
};

struct bound_histogram {
  constexpr void record(double) const noexcept {}
};
class histogram {
 public:
  constexpr explicit histogram(detail::ignored_text, histogram_options = {}) noexcept {}
  histogram(const histogram&) = delete;
  histogram& operator=(const histogram&) = delete;
  constexpr void record(double) const noexcept {}
  constexpr void record(double, fields) const noexcept {}
  [[nodiscard]] constexpr bound_histogram bind(fields) const noexcept { return {}; }
};

/// Callbacks are not called, nor kept.
class observer {
 public:
  template <class Instrument, class T>
  constexpr void observe(const Instrument&, T, fields = {}) const noexcept {}
};
template <class T>
class value_observer {
 public:
  template <class Number>
  constexpr void observe(Number, fields = {}) const noexcept {}
};
class metric_callback {
 public:
  template <class Function>
  constexpr explicit metric_callback(const Function&) noexcept {}
  metric_callback(const metric_callback&) = delete;
  metric_callback& operator=(const metric_callback&) = delete;
  constexpr ~metric_callback() {}  // not trivial: an object that is only kept is no unused variable
};

namespace detail {
/// A function that could observe: instantiated by the compiler, never called.
template <class Observer, class Function>
constexpr bool observes = requires(Function& f, Observer& o) {
  f(o);
};
}  // namespace detail

template <class T = std::int64_t>
class observable_counter {
 public:
  constexpr explicit observable_counter(detail::ignored_text, instrument_options = {}) noexcept {}
  template <class Function>
  requires detail::observes<value_observer<T>, Function>
  constexpr observable_counter(detail::ignored_text, const Function&, instrument_options = {}) noexcept {}
  observable_counter(const observable_counter&) = delete;
  observable_counter& operator=(const observable_counter&) = delete;
  constexpr ~observable_counter() {}  // not trivial: an object that is only kept is no unused variable
};
template <class T = std::int64_t>
class observable_up_down_counter {
 public:
  constexpr explicit observable_up_down_counter(detail::ignored_text, instrument_options = {}) noexcept {}
  template <class Function>
  requires detail::observes<value_observer<T>, Function>
  constexpr observable_up_down_counter(detail::ignored_text, const Function&, instrument_options = {}) noexcept {}
  observable_up_down_counter(const observable_up_down_counter&) = delete;
  observable_up_down_counter& operator=(const observable_up_down_counter&) = delete;
  constexpr ~observable_up_down_counter() {}  // not trivial: an object that is only kept is no unused variable
};
template <class T = double>
class observable_gauge {
 public:
  constexpr explicit observable_gauge(detail::ignored_text, instrument_options = {}) noexcept {}
  template <class Function>
  requires detail::observes<value_observer<T>, Function>
  constexpr observable_gauge(detail::ignored_text, const Function&, instrument_options = {}) noexcept {}
  observable_gauge(const observable_gauge&) = delete;
  observable_gauge& operator=(const observable_gauge&) = delete;
  constexpr ~observable_gauge() {}  // not trivial: an object that is only kept is no unused variable
};

namespace detail {
/// A use of a metric macro: checked by the compiler, never run.
struct macro_use {
  constexpr macro_use(ignored_text, fields) noexcept {}
  template <class T = int>
  constexpr void add(T = 1) const noexcept {}
  template <class T>
  constexpr void set(T) const noexcept {}
  template <class T>
  constexpr void record(T) const noexcept {}
};
}  // namespace detail

}  // namespace otlpkit::inline OTLPKIT_ABI

#define OTLPKIT_METRIC_(name, ...) true ? static_cast<void>(0) : ::otlpkit::detail::macro_use(name, {__VA_ARGS__})
#define OTLPKIT_COUNTER(name, ...) OTLPKIT_METRIC_(name __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_UP_DOWN_COUNTER(name, ...) OTLPKIT_METRIC_(name __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_GAUGE(name, ...) OTLPKIT_METRIC_(name __VA_OPT__(, ) __VA_ARGS__)
#define OTLPKIT_HISTOGRAM(name, ...) OTLPKIT_METRIC_(name __VA_OPT__(, ) __VA_ARGS__)
