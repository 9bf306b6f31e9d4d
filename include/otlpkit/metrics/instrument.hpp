// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/scope.hpp>
#include <otlpkit/metrics/exemplar_offer.hpp>
#include <otlpkit/metrics/registry.hpp>

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
  attribute_advice attributes{};                 ///< those to keep where no view says which; none given: all
};

/// As instrument_options, for histograms.
struct histogram_options {
  std::string_view unit{};
  std::string_view description{};
  const instrumentation_scope* scope = nullptr;
  bucket_bounds bounds{};  ///< none given: default_bucket_bounds; a view, or exponential buckets, win
  attribute_advice attributes{};
};

/// Of durations in seconds, with seconds_bucket_bounds.
[[nodiscard]] constexpr histogram_options in_seconds(std::string_view description) noexcept {
  return {.unit = "s", .description = description, .bounds = seconds_bucket_bounds};
}

/// Instruments measure 64-bit integers or doubles.
template <class T>
concept measurable = std::same_as<T, std::int64_t> || std::same_as<T, double>;

namespace detail {

[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool metrics_on() noexcept {
  return (global_runtime.mode.load(platform::relaxed) & mode_metrics) != 0;
}

/// Where a macro stands finds its scope.
using scope_finder = const instrumentation_scope& (*)() noexcept;

[[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr bool finite(double v) noexcept { return v - v == 0; }
[[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr bool finite(std::int64_t) noexcept { return true; }

OTLPKIT_COLD inline void refuse(instrument_entry& e, instrument_entry::once why) noexcept {
  if (!first_to_say(e.said, why)) return;
  short_message text;
  text << "instrument \"" << e.name.view() << "\": "
       << (why == instrument_entry::said_negative ? "a counter only goes up, negative values" : "NaN and infinity")
       << " are dropped";
  report(diagnostic_level::warning, text.view());
}

/// Whether a measurement counts. Gauges take everything.
[[nodiscard]] inline bool admissible(instrument_entry& e, measurement m) noexcept {
  if (natural_aggregation(e.kind) == aggregation_kind::last_value) return true;
  const double v = m.real();
  const bool counts_up = e.kind == instrument_kind::counter || e.kind == instrument_kind::observable_counter;
  if (finite(v) && !(counts_up && v < 0)) return true;
  refuse(e, counts_up && v < 0 ? instrument_entry::said_negative : instrument_entry::said_not_finite);
  return false;
}

/// Writes to a cell of any kind. \return the bucket of an explicit histogram
inline std::uint32_t write_cell(cell& c, measurement m) noexcept {
  const stream& s = *c.owner->owner;
  switch (s.aggregation) {
    case aggregation_kind::explicit_buckets: {
      const std::uint32_t bucket = s.bucket(m.real());
      static_cast<histogram_cell&>(c).record(m.real(), bucket);
      return bucket;
    }
    case aggregation_kind::exponential_buckets: static_cast<exponential_cell&>(c).record(m.real()); return 0;
    case aggregation_kind::last_value: static_cast<gauge_cell&>(c).set(m.bits, global_runtime.clock.now()); return 0;
    default:
      if (s.floating) {
        static_cast<sum_cell&>(c).add(m.real());
      } else {
        static_cast<sum_cell&>(c).add(static_cast<std::int64_t>(m.bits));
      }
      return 0;
  }
}

/// Measures in every stream of an instrument.
/// \tparam Given a field or a label
template <class Given>
OTLPKIT_NOINLINE void record_in_streams(instrument_entry& e, const Given* labels, std::size_t count,
                                        measurement m) noexcept {
  if (!admissible(e, m)) return;
  global_metrics.sync_thread();
  for (stream* s = e.plan.load(platform::acquire); s != nullptr; s = s->also) {
    if (s->aggregation == aggregation_kind::drop) continue;
    constexpr std::size_t most = 16;  // of those that are filtered on the stack; with more the slow way finds the cell
    alignas(Given) unsigned char memory[most * sizeof(Given)];
    auto* const kept = reinterpret_cast<Given*>(memory);
    const Given* own = labels;
    std::size_t size = count;
    const bool filtered = s->filter != nullptr && count != 0;
    if (filtered && count <= most) {
      size = 0;
      for (std::size_t i = 0; i < count; ++i) {
        if (s->filter->passes(key_of(labels[i]))) ::new (static_cast<void*>(kept + size++)) Given{labels[i]};
      }
      own = kept;
    }
    cell* c = nullptr;
    if (!filtered || count <= most) {
      std::uint64_t hash = 0;
      for (std::size_t i = 0; i < size; ++i) hash += hash_of(own[i]);
      c = this_thread_metrics.find(s->hash(hash), [&](const series& x) {
        return x.owner == s && x.label_count == size && same_set(x.labels, size, own);
      });
    }
    if (c == nullptr) c = global_metrics.obtain(*s, label_set{labels, count, s->filter});
    if (c == nullptr) continue;
    const std::uint32_t bucket = write_cell(*c, m);
    if (wants_exemplar()) offer(*c, m, bucket, labels, count);
  }
}

/// Registers once, on its first use, and knows its entry from then on.
class instrument {
 public:
  constexpr instrument(instrument_kind kind, bool floating, std::string_view name, std::string_view unit,
                       std::string_view description, const instrumentation_scope* scope, const bucket_bounds* bounds,
                       scope_finder finder = nullptr, attribute_advice advice = {}) noexcept
      : name_{name}, unit_{unit}, description_{description}, scope_{scope}, finder_{finder}, bounds_{bounds},
        kind_{kind}, floating_{floating}, advice_{advice} {
    if (!std::is_constant_evaluated()) static_cast<void>(registered());
  }
  instrument(const instrument&) = delete;
  instrument& operator=(const instrument&) = delete;

  /// This thread's cell of the only series without labels; nullptr when there is none or it takes more than that.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE cell* own() const noexcept {
    const std::uint32_t number =
        number_.load(platform::acquire);  // whoever sees it sees the epoch that has room for it
    const metric_thread& t = this_thread_metrics;
    if (t.epoch != global_metrics.epoch.load(platform::relaxed)) [[unlikely]]
      return nullptr;
    return t.direct[number];
  }

  /// This thread's cell of the series with these labels. Hashed where it is called, as the kinds of the values are
  /// known there.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE cell* own(fields labels) const noexcept {
    const field* const given = labels.begin();
    const std::size_t count = labels.size();
    if (count > most_words) [[unlikely]]
      return nullptr;
    label_words words[most_words];
    std::uint64_t hash = 0;
    if (count > 0) hash += hash_of(words[0] = words_of(given[0]), given[0]);
    if (count > 1) hash += hash_of(words[1] = words_of(given[1]), given[1]);
    if (count > 2) hash += hash_of(words[2] = words_of(given[2]), given[2]);
    for (std::size_t i = 3; i < count; ++i) hash += hash_of(words[i] = words_of(given[i]), given[i]);
    return find(given, words, count, hash);
  }

  [[nodiscard]] OTLPKIT_COLD series* bind(fields labels) const noexcept {
    instrument_entry* const e = registered();
    return e == nullptr ? nullptr : global_metrics.bind(*e, label_set{labels.begin(), labels.size()});
  }

  /// Measures where own() found nothing.
  template <measurable T>
  OTLPKIT_COLD void record_slow(T v, fields labels = {}) const noexcept {
    if (instrument_entry* const e = registered()) record_in_streams(*e, labels.begin(), labels.size(), measurement{v});
  }

  /// Its entry; nullptr when it cannot record.
  [[nodiscard]] OTLPKIT_COLD instrument_entry* registered() const noexcept {
    if (instrument_entry* const e = entry_.load(platform::acquire)) return e;
    if (unusable_.load(platform::relaxed)) return nullptr;
    const instrumentation_scope& scope = scope_ != nullptr ? *scope_ : finder_ != nullptr ? finder_() : default_scope;
    instrument_entry* const e =
        global_metrics.enlist({name_, unit_, description_, bounds_, kind_, floating_, scope.number(), advice_});
    if (e == nullptr) {
      unusable_.store(true, platform::relaxed);
      return nullptr;
    }
    entry_.store(e, platform::release);  // another thread stores the same, as below
    number_.store(e->number, platform::release);
    return e;
  }

 private:
  /// Labels whose series is found here; with more record_slow() finds it.
  static constexpr std::size_t most_words = 8;

  [[nodiscard]] OTLPKIT_NOINLINE cell* find(const field* labels, const label_words* words, std::size_t count,
                                            std::uint64_t hash) const noexcept {
    const instrument_entry* const e = entry_.load(platform::acquire);
    const metric_thread& t = this_thread_metrics;
    if (e == nullptr || t.epoch != global_metrics.epoch.load(platform::relaxed)) [[unlikely]]
      return nullptr;
    if (t.table == nullptr) [[unlikely]]
      return nullptr;
    // Nearly always it is in its place, with labels in the same order and all of them short.
    const std::uint64_t mixed = stir(e->seed + hash);
    const metric_thread::entry& place = t.table[mixed & t.mask];
    if (place.own == nullptr || place.hash != mixed) [[unlikely]]
      return search(labels, words, count, hash);
    const series& x = *place.own->owner;
    if (x.key != e || x.label_count != count || x.long_labels) [[unlikely]]
      return search(labels, words, count, hash);
    for (std::size_t i = 0; i < count; ++i) {
      if (!(x.labels[i].words == words[i])) [[unlikely]]
        return search(labels, words, count, hash);
    }
    return place.own;
  }
  [[nodiscard]] OTLPKIT_NOINLINE cell* search(const field* labels, const label_words* words, std::size_t count,
                                              std::uint64_t hash) const noexcept {
    const instrument_entry* const e = entry_.load(platform::relaxed);
    return this_thread_metrics.find(stir(e->seed + hash), [&](const series& x) OTLPKIT_ALWAYS_INLINE_LAMBDA {
      return x.key == e && x.label_count == count && same_words(x.labels, words, labels, count);
    });
  }

  std::string_view name_;
  std::string_view unit_;
  std::string_view description_;
  const instrumentation_scope* scope_;
  scope_finder finder_;
  const bucket_bounds* bounds_;
  mutable platform::atomic<instrument_entry*> entry_{nullptr};
  mutable platform::atomic<std::uint32_t> number_{0};  ///< 0 until registered: no instrument has it
  mutable platform::atomic<bool> unusable_{false};     ///< cannot be registered, which has been said
  instrument_kind kind_;
  bool floating_;
  attribute_advice advice_;
};

/// What a part of this library measures about itself, whether recording is on or not.
inline void add_always(const instrument& i, std::int64_t n, fields labels) noexcept { i.record_slow(n, labels); }
inline void record_always(const instrument& i, double v, fields labels) noexcept { i.record_slow(v, labels); }

/// This thread's cell of a bound series; nullptr when there is none yet.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE cell* bound_cell(series* s) noexcept {
  const metric_thread& t = this_thread_metrics;
  if (t.epoch != global_metrics.epoch.load(platform::relaxed)) [[unlikely]]
    return nullptr;
  return t.find(s->hash, [s](const series& x) OTLPKIT_ALWAYS_INLINE_LAMBDA { return &x == s; });
}

/// Measures where bound_cell() found nothing: with the first measurement of a thread, or when telemetry began anew with
/// other views.
template <measurable T>
OTLPKIT_COLD void record_bound_slow(series* s, T v) noexcept {
  const measurement m{v};
  instrument_entry& e = *s->owner->entry;
  if (!s->owner->active.load(platform::acquire)) return record_in_streams(e, s->labels, s->label_count, m);
  if (!admissible(e, m)) return;
  global_metrics.sync_thread();
  cell* const c = global_metrics.own_cell(*s);
  if (c == nullptr) return;
  const std::uint32_t bucket = write_cell(*c, m);
  if (wants_exemplar()) offer(*c, m, bucket);
}

/// As add_always(), to a series that was bound. Makes no exemplar.
inline void add_bound_always(series* s, std::int64_t n) noexcept {
  if (cell* const c = bound_cell(s)) {
    static_cast<sum_cell*>(c)->add(n);
  } else {
    record_bound_slow(s, n);
  }
}

/// What the instruments share: into the cell that was found, or the slow way.
template <measurable T, class Slow>
OTLPKIT_ALWAYS_INLINE void add_to(cell* c, T n, bool counts_up, Slow slow) noexcept {
  if (c == nullptr || (counts_up && n < 0) || !finite(n)) [[unlikely]]
    return slow();
  if (counts_up) {
    static_cast<sum_cell*>(c)->count(n);
  } else {
    static_cast<sum_cell*>(c)->add(n);
  }
  if (wants_exemplar()) [[unlikely]]
    offer(*c, measurement{n}, 0);
}
template <measurable T, class Slow>
OTLPKIT_ALWAYS_INLINE void set_to(cell* c, T v, Slow slow) noexcept {
  if (c == nullptr) [[unlikely]]
    return slow();
  const measurement m{v};
  static_cast<gauge_cell*>(c)->set(m.bits, global_runtime.clock.now());
  if (wants_exemplar()) [[unlikely]]
    offer(*c, m, 0);
}
template <class Slow>
OTLPKIT_ALWAYS_INLINE void record_in(cell* c, double v, Slow slow) noexcept {
  if (c == nullptr || !finite(v)) [[unlikely]]
    return slow();
  const stream& s = *c->owner->owner;
  std::uint32_t bucket = 0;
  if (s.aggregation == aggregation_kind::explicit_buckets) {
    bucket = s.bucket(v);
    static_cast<histogram_cell*>(c)->record(v, bucket);
  } else {
    static_cast<exponential_cell*>(c)->record(v);
  }
  if (wants_exemplar()) [[unlikely]]
    offer(*c, measurement{v}, bucket);
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI
