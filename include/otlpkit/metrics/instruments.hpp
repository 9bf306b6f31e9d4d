// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/instrument.hpp>

#include <cstdint>
#include <string_view>

// Instruments are made once, as namespace-scope objects, statics or members, and used from any thread. Measuring takes
// no lock, and allocates only when a thread meets a label set for the first time. While metrics are off it does
// nothing.
//
//   otlpkit::counter<std::int64_t> views{"product.views", {.unit = "{view}"}};
//   views.add(1, {{"source", "cache"}});
//   const auto cached = views.bind({{"source", "cache"}});   // the labels are looked up once
//   cached.add(1);
namespace otlpkit::inline OTLPKIT_ABI {

/// A series of a counter. Copyable, usable from any thread, valid for ever.
template <measurable T>
class bound_counter {
 public:
  explicit bound_counter(detail::series* s) noexcept : series_{s} {}
  OTLPKIT_ALWAYS_INLINE void add(T n = 1) const noexcept {
    if (!detail::metrics_on() || series_ == nullptr) return;
    detail::add_to(detail::bound_cell(series_), n, true,
                   [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { detail::record_bound_slow(series_, n); });
  }

 private:
  detail::series* series_;
};

/// Counts what only goes up. A negative value is dropped, and said so once.
template <measurable T = std::int64_t>
class counter {
 public:
  constexpr explicit counter(std::string_view name, instrument_options o = {}) noexcept
      : core_{instrument_kind::counter,
              std::same_as<T, double>,
              name,
              o.unit,
              o.description,
              o.scope,
              nullptr,
              nullptr,
              o.attributes} {}
  OTLPKIT_ALWAYS_INLINE void add(T n = 1) const noexcept {
    if (!detail::metrics_on()) return;
    detail::add_to(core_.own(), n, true, [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { core_.record_slow(n); });
  }
  OTLPKIT_ALWAYS_INLINE void add(T n, fields labels) const noexcept {
    if (!detail::metrics_on()) return;
    detail::add_to(core_.own(labels), n, true, [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { core_.record_slow(n, labels); });
  }
  [[nodiscard]] bound_counter<T> bind(fields labels) const noexcept { return bound_counter<T>{core_.bind(labels)}; }

 private:
  detail::instrument core_;
};

/// A series of an up_down_counter. Copyable, usable from any thread, valid for ever.
template <measurable T>
class bound_up_down_counter {
 public:
  explicit bound_up_down_counter(detail::series* s) noexcept : series_{s} {}
  OTLPKIT_ALWAYS_INLINE void add(T n) const noexcept {
    if (!detail::metrics_on() || series_ == nullptr) return;
    detail::add_to(detail::bound_cell(series_), n, false,
                   [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { detail::record_bound_slow(series_, n); });
  }

 private:
  detail::series* series_;
};

/// Sums what goes up and down: connections open, items in a queue.
template <measurable T = std::int64_t>
class up_down_counter {
 public:
  constexpr explicit up_down_counter(std::string_view name, instrument_options o = {}) noexcept
      : core_{instrument_kind::up_down_counter,
              std::same_as<T, double>,
              name,
              o.unit,
              o.description,
              o.scope,
              nullptr,
              nullptr,
              o.attributes} {}
  OTLPKIT_ALWAYS_INLINE void add(T n) const noexcept {
    if (!detail::metrics_on()) return;
    detail::add_to(core_.own(), n, false, [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { core_.record_slow(n); });
  }
  OTLPKIT_ALWAYS_INLINE void add(T n, fields labels) const noexcept {
    if (!detail::metrics_on()) return;
    detail::add_to(core_.own(labels), n, false, [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { core_.record_slow(n, labels); });
  }
  [[nodiscard]] bound_up_down_counter<T> bind(fields labels) const noexcept {
    return bound_up_down_counter<T>{core_.bind(labels)};
  }

 private:
  detail::instrument core_;
};

/// A series of a gauge. Copyable, usable from any thread, valid for ever.
template <measurable T>
class bound_gauge {
 public:
  explicit bound_gauge(detail::series* s) noexcept : series_{s} {}
  OTLPKIT_ALWAYS_INLINE void set(T v) const noexcept {
    if (!detail::metrics_on() || series_ == nullptr) return;
    detail::set_to(detail::bound_cell(series_), v,
                   [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { detail::record_bound_slow(series_, v); });
  }

 private:
  detail::series* series_;
};

/// The last value that was set, by whatever thread; NaN and infinity included.
template <measurable T = double>
class gauge {
 public:
  constexpr explicit gauge(std::string_view name, instrument_options o = {}) noexcept
      : core_{instrument_kind::gauge,
              std::same_as<T, double>,
              name,
              o.unit,
              o.description,
              o.scope,
              nullptr,
              nullptr,
              o.attributes} {}
  OTLPKIT_ALWAYS_INLINE void set(T v) const noexcept {
    if (!detail::metrics_on()) return;
    detail::set_to(core_.own(), v, [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { core_.record_slow(v); });
  }
  OTLPKIT_ALWAYS_INLINE void set(T v, fields labels) const noexcept {
    if (!detail::metrics_on()) return;
    detail::set_to(core_.own(labels), v, [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { core_.record_slow(v, labels); });
  }
  [[nodiscard]] bound_gauge<T> bind(fields labels) const noexcept { return bound_gauge<T>{core_.bind(labels)}; }

 private:
  detail::instrument core_;
};

/// A series of a histogram. Copyable, usable from any thread, valid for ever.
class bound_histogram {
 public:
  explicit bound_histogram(detail::series* s) noexcept : series_{s} {}
  OTLPKIT_ALWAYS_INLINE void record(double v) const noexcept {
    if (!detail::metrics_on() || series_ == nullptr) return;
    detail::record_in(detail::bound_cell(series_), v,
                      [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { detail::record_bound_slow(series_, v); });
  }

 private:
  detail::series* series_;
};

/// Distribution of values over buckets, with count, sum, smallest and largest. Values are expected not to be negative;
/// NaN and infinity are dropped, and said so once.
class histogram {
 public:
  constexpr explicit histogram(std::string_view name, histogram_options o = {}) noexcept
      : bounds_{o.bounds},
        core_{instrument_kind::histogram, true, name, o.unit, o.description, o.scope, &bounds_, nullptr, o.attributes} {
  }
  OTLPKIT_ALWAYS_INLINE void record(double v) const noexcept {
    if (!detail::metrics_on()) return;
    detail::record_in(core_.own(), v, [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { core_.record_slow(v); });
  }
  OTLPKIT_ALWAYS_INLINE void record(double v, fields labels) const noexcept {
    if (!detail::metrics_on()) return;
    detail::record_in(core_.own(labels), v, [&]() OTLPKIT_ALWAYS_INLINE_LAMBDA { core_.record_slow(v, labels); });
  }
  [[nodiscard]] bound_histogram bind(fields labels) const noexcept { return bound_histogram{core_.bind(labels)}; }

 private:
  bucket_bounds bounds_;
  detail::instrument core_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
