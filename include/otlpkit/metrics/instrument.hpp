// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/scope.hpp>
#include <otlpkit/metrics/registry.hpp>

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace otlpkit::inline OTLPKIT_ABI {

/// What else there is to say about an instrument. The strings are copied when it registers: at its construction, or at
/// its first use if it was made at compile time.
struct instrument_options {
  std::string_view unit{};                       ///< UCUM, as "ms", "By", "{view}"; empty: none
  std::string_view description{};                ///< for people; of identical instruments the longest counts
  const instrumentation_scope* scope = nullptr;  ///< who measures; nullptr: the default scope
};

/// As instrument_options, for histograms.
struct histogram_options {
  std::string_view unit{};
  std::string_view description{};
  const instrumentation_scope* scope = nullptr;
  bucket_bounds bounds{};  ///< none given: default_bucket_bounds
};

/// Instruments measure 64-bit integers or doubles.
template <class T>
concept measurable = std::same_as<T, std::int64_t> || std::same_as<T, double>;

namespace detail {

[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool metrics_on() noexcept {
  return (global_runtime.mode.load(platform::relaxed) & mode_metrics) != 0;
}

/// Where a macro stands finds its scope.
using scope_finder = const instrumentation_scope& (*)() noexcept;

/// Registers once, on its first use, and knows its stream from then on.
class instrument {
 public:
  constexpr instrument(instrument_kind kind, bool floating, std::string_view name, std::string_view unit,
                       std::string_view description, const instrumentation_scope* scope, const bucket_bounds* bounds,
                       scope_finder finder = nullptr) noexcept
      : name_{name}, unit_{unit},
        description_{description}, scope_{scope}, finder_{finder}, bounds_{bounds}, kind_{kind}, floating_{floating} {
    if (!std::is_constant_evaluated()) static_cast<void>(registered());
  }
  instrument(const instrument&) = delete;
  instrument& operator=(const instrument&) = delete;

  /// This thread's cell of the series without labels; nullptr when the instrument cannot record.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE cell* own() const noexcept {
    const metric_thread& t = this_thread_metrics;
    const std::uint32_t number = number_.load(platform::relaxed);
    if (number < t.direct_size) [[likely]] {
      if (cell* const c = t.direct[number]) [[likely]]
        return c;
    }
    return own_slow();
  }

  /// This thread's cell of the series with these labels. Hashed where it is called, as the kinds of the values are
  /// known there.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE cell* own(fields labels) const noexcept {
    const field* const given = labels.begin();
    const std::size_t count = labels.size();
    std::uint64_t hash = 0;
    if (count > 0) hash += hash_of(given[0]);
    if (count > 1) hash += hash_of(given[1]);
    if (count > 2) hash += hash_of(given[2]);
    for (std::size_t i = 3; i < count; ++i) hash += hash_of(given[i]);
    return find(labels, hash);
  }

  [[nodiscard]] OTLPKIT_COLD series* bind(fields labels) const noexcept {
    stream* const s = registered();
    return s == nullptr ? nullptr : global_metrics.resolve(*s, label_set{labels.begin(), labels.size()});
  }

 private:
  static constexpr std::uint32_t unusable = ~std::uint32_t{0};

  [[nodiscard]] OTLPKIT_NOINLINE cell* find(fields labels, std::uint64_t labels_hash) const noexcept {
    stream* const s = stream_.load(platform::acquire);
    if (s == nullptr) [[unlikely]]
      return own_slow(labels);
    cell* const c = this_thread_metrics.find(s->hash(labels_hash), [&](const series& x) OTLPKIT_ALWAYS_INLINE_LAMBDA {
      return x.owner == s && x.label_count == labels.size() && same_set(x.labels, labels.size(), labels.begin());
    });
    return c != nullptr ? c : own_slow(labels);
  }

  [[nodiscard]] OTLPKIT_COLD stream* registered() const noexcept {
    if (stream* const s = stream_.load(platform::acquire)) return s;
    if (number_.load(platform::relaxed) == unusable) return nullptr;
    const instrumentation_scope& scope = scope_ != nullptr ? *scope_ : finder_ != nullptr ? finder_() : default_scope;
    stream* const s = global_metrics.enlist({name_, unit_, description_, bounds_, kind_, floating_, scope.number()});
    stream_.store(s, platform::release);  // another thread stores the same
    number_.store(s == nullptr ? unusable : s->number, platform::relaxed);
    return s;
  }
  [[nodiscard]] OTLPKIT_COLD cell* own_slow() const noexcept {
    series* const s = bind({});
    return s == nullptr ? nullptr : global_metrics.make_cell(*s, true);
  }
  [[nodiscard]] OTLPKIT_COLD cell* own_slow(fields labels) const noexcept {
    series* const s = bind(labels);
    if (s == nullptr) return nullptr;
    cell* const c = this_thread_metrics.find(s->hash, [s](const series& x) { return &x == s; });
    return c != nullptr ? c : global_metrics.make_cell(*s, false);
  }

  std::string_view name_;
  std::string_view unit_;
  std::string_view description_;
  const instrumentation_scope* scope_;
  scope_finder finder_;
  const bucket_bounds* bounds_;
  mutable platform::atomic<stream*> stream_{nullptr};
  mutable platform::atomic<std::uint32_t> number_{0};  ///< 0 until registered: no stream has it
  instrument_kind kind_;
  bool floating_;
};

/// This thread's cell of a bound series.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE cell* own_cell(series* s) noexcept {
  cell* const c =
      this_thread_metrics.find(s->hash, [s](const series& x) OTLPKIT_ALWAYS_INLINE_LAMBDA { return &x == s; });
  if (c != nullptr) [[likely]]
    return c;
  return global_metrics.make_cell(*s, false);
}

[[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr bool finite(double v) noexcept { return v - v == 0; }
[[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr bool finite(std::int64_t) noexcept { return true; }

OTLPKIT_COLD inline void refuse(stream& s, stream::once why) noexcept {
  if (!s.said_once(why)) return;
  short_message text;
  text << "instrument \"" << s.name.view()
       << "\": " << (why == stream::said_negative ? "a counter only goes up, negative values" : "NaN and infinity")
       << " are dropped";
  report(diagnostic_level::warning, text.view());
}

template <class T>
OTLPKIT_ALWAYS_INLINE void add_up(cell* c, T n) noexcept {
  if (c == nullptr || n < 0 || !finite(n)) [[unlikely]] {
    if (c != nullptr) refuse(*c->owner->owner, n < 0 ? stream::said_negative : stream::said_not_finite);
    return;
  }
  static_cast<sum_cell*>(c)->add(n);
}
template <class T>
OTLPKIT_ALWAYS_INLINE void add_any(cell* c, T n) noexcept {
  if (c == nullptr || !finite(n)) [[unlikely]] {
    if (c != nullptr) refuse(*c->owner->owner, stream::said_not_finite);
    return;
  }
  static_cast<sum_cell*>(c)->add(n);
}
template <class T>
OTLPKIT_ALWAYS_INLINE void set_to(cell* c, T v) noexcept {
  if (c != nullptr) [[likely]]
    static_cast<gauge_cell*>(c)->set(std::bit_cast<std::uint64_t>(v), global_runtime.clock.now());
}
OTLPKIT_ALWAYS_INLINE void record_in(cell* c, double v) noexcept {
  if (c == nullptr || !finite(v)) [[unlikely]] {
    if (c != nullptr) refuse(*c->owner->owner, stream::said_not_finite);
    return;
  }
  static_cast<histogram_cell*>(c)->record(v, c->owner->owner->bucket(v));
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI
