// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/exemplar.hpp>
#include <otlpkit/metrics/kind.hpp>
#include <otlpkit/metrics/name.hpp>
#include <otlpkit/metrics/series.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

/// The attributes an instrument advises to keep, where no view says which: a static array of keys.
///
///     constexpr std::string_view request_keys[] = {"http.route", "http.request.method"};
///     otlpkit::counter<> requests{"requests", {.attributes = request_keys}};
class attribute_advice {
 public:
  constexpr attribute_advice() noexcept = default;
  /// The array must live as long as the instrument.
  template <std::size_t n>
  constexpr attribute_advice(const std::string_view (&keys)[n]) noexcept  // NOLINT(google-explicit-constructor)
      : keys_{keys}, count_{n} {}
  template <std::size_t n>
  attribute_advice(const std::string_view (&&)[n]) = delete;  // it would be gone before it is read

  [[nodiscard]] constexpr const std::string_view* begin() const noexcept { return keys_; }
  [[nodiscard]] constexpr const std::string_view* end() const noexcept { return keys_ + count_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return count_; }

 private:
  const std::string_view* keys_ = nullptr;
  std::size_t count_ = 0;
};

namespace detail {

/// What an instrument is asked to be.
struct instrument_info {
  std::string_view name;
  std::string_view unit;
  std::string_view description;
  const bucket_bounds* bounds;  ///< of a histogram
  instrument_kind kind;
  bool floating;
  std::uint16_t scope;
  attribute_advice attributes{};
};

/// Attributes an instrument advises to keep, copied. Lives for ever.
class advised_keys {
 public:
  explicit advised_keys(attribute_advice advice) noexcept {
    if (advice.size() == 0) return;
    std::size_t texts = 0;
    for (const std::string_view key : advice) texts += key.size();
    keys_ = static_cast<std::string_view*>(std::malloc(advice.size() * sizeof(std::string_view) + texts));
    if (keys_ == nullptr) return;
    char* at = reinterpret_cast<char*>(keys_ + advice.size());
    for (const std::string_view key : advice) {
      if (key.empty()) continue;  // no attribute has that key
      std::memcpy(at, key.data(), key.size());
      ::new (static_cast<void*>(keys_ + filter_.count++)) std::string_view{at, key.size()};
      at += key.size();
    }
    filter_.keys = keys_;
  }
  advised_keys(const advised_keys&) = delete;
  advised_keys& operator=(const advised_keys&) = delete;
  ~advised_keys() { std::free(keys_); }

  /// nullptr: none were given.
  [[nodiscard]] const label_filter* filter() const noexcept { return filter_.count == 0 ? nullptr : &filter_; }
  [[nodiscard]] bool same(attribute_advice other) const noexcept {
    if (filter_.count != other.size()) return false;
    for (const std::string_view key : other) {
      if (!filter_.passes(key)) return false;
    }
    return true;
  }

 private:
  std::string_view* keys_ = nullptr;
  label_filter filter_{true, 0, nullptr};
};

/// What identical instruments share. Lives for ever.
struct instrument_entry {
  enum once : std::uint32_t { said_negative = 1, said_not_finite = 2, said_kind = 4 };

  text_copy name, unit, description;  ///< the description under the registry's guard
  instrument_kind kind;
  bool floating;  ///< doubles, not integers
  std::uint16_t scope;
  std::uint32_t number;  ///< from 1
  std::uint64_t seed;
  bool advised;  ///< about its bounds
  bucket_bounds bounds;
  advised_keys attributes;
  platform::atomic<stream*> plan{nullptr};      ///< the first of its streams; nullptr: dropped
  platform::atomic<stream*> bindings{nullptr};  ///< label sets of handles that cannot have a series of `plan`
  platform::atomic<std::uint32_t> said{0};
  platform::atomic<instrument_entry*> next{nullptr};

  instrument_entry(const instrument_info& info, std::uint32_t n) noexcept
      : kind{info.kind}, floating{info.floating}, scope{info.scope}, number{n},
        seed{stir(n ^ reinterpret_cast<std::uintptr_t>(this))}, advised{info.bounds != nullptr &&
                                                                        info.bounds->given() && info.bounds->valid()},
        bounds{advised ? *info.bounds : default_bucket_bounds}, attributes{info.attributes} {
    name.assign(info.name);
    unit.assign(info.unit);
    description.assign(info.description);
  }
};

/// True for the first caller with this bit.
[[nodiscard]] inline bool first_to_say(platform::atomic<std::uint32_t>& said, std::uint32_t what) noexcept {
  std::uint32_t before = said.load(platform::relaxed);
  do {
    if ((before & what) != 0) return false;
  } while (!said.compare_exchange(before, before | what, platform::relaxed));
  return true;
}

[[nodiscard]] constexpr aggregation_kind natural_aggregation(instrument_kind kind) noexcept {
  switch (kind) {
    case instrument_kind::histogram: return aggregation_kind::explicit_buckets;
    case instrument_kind::gauge:
    case instrument_kind::observable_gauge: return aggregation_kind::last_value;
    default: return aggregation_kind::sum;
  }
}

/// How a stream differs from what its instrument says. The strings are copied.
struct stream_options {
  std::string_view name{};         ///< empty: the instrument's
  std::string_view description{};  ///< empty: the instrument's
  aggregation_kind aggregation{};
  const bucket_bounds* bounds = nullptr;  ///< nullptr: the instrument's
  std::uint32_t size = exponential_buckets::max_size;
  std::int32_t scale = exponential::max_scale;
  const label_filter* filter = nullptr;      ///< lives for ever
  const exemplar_plan* exemplars = nullptr;  ///< lives for ever; nullptr: as the aggregation has it
  std::uint32_t limit = 0;                   ///< of its series; 0: the readers'
  bool plain = true;                         ///< the instrument's only stream, of the natural kind and with all labels
  bool extremes = true;                      ///< histograms export the smallest and the largest value
};

/// What measurements of an instrument are collected in.
struct stream {
  instrument_entry* entry;
  text_copy name, description;  ///< where a view says otherwise
  aggregation_kind aggregation;
  bool monotonic;
  bool floating;
  bool plain;     ///< threads find its cells by the instrument
  bool extremes;  ///< of a histogram, to be exported
  std::uint32_t exponential_size;
  std::int32_t exponential_scale;
  std::uint32_t limit;
  const label_filter* filter;
  const exemplar_plan* exemplars;
  std::uint64_t seed;
  bucket_bounds bounds;
  bucket_search bucket;
  stream* also = nullptr;  ///< the next one of the instrument
  platform::atomic<stream*> next{nullptr};
  platform::atomic<series_table*> table{nullptr};
  platform::atomic<series*> first{nullptr};
  series* last = nullptr;
  platform::atomic<std::uint32_t> count{0};  ///< series but the overflow one
  platform::atomic<series*> overflow{nullptr};
  platform::atomic<std::uint32_t> said{0};
  platform::atomic<bool> active{true};                       ///< in its instrument's plan
  platform::atomic<std::uint32_t> swept{~std::uint32_t{0}};  ///< the collection after which room was made last

  stream(instrument_entry& e, const stream_options& o) noexcept
      : entry{&e}, aggregation{o.aggregation}, monotonic{e.kind == instrument_kind::counter ||
                                                         e.kind == instrument_kind::observable_counter ||
                                                         e.kind == instrument_kind::histogram},
        floating{e.floating}, plain{o.plain}, extremes{o.extremes}, exponential_size{o.size},
        exponential_scale{o.scale}, limit{o.limit}, filter{o.filter}, exemplars{o.exemplars},
        seed{o.plain ? e.seed : stir(e.seed ^ reinterpret_cast<std::uintptr_t>(this))},
        bounds{o.bounds != nullptr ? *o.bounds : e.bounds}, bucket{bounds} {
    name.assign(o.name);
    description.assign(o.description);
  }
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  [[nodiscard]] std::string_view name_view() const noexcept {
    return name.view().empty() ? entry->name.view() : name.view();
  }
  [[nodiscard]] std::string_view description_view() const noexcept {
    return description.view().empty() ? entry->description.view() : description.view();
  }

  [[nodiscard]] const void* key() const noexcept {
    return plain ? static_cast<const void*>(entry) : static_cast<const void*>(this);
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t hash(std::uint64_t labels) const noexcept {
    return stir(seed + labels);
  }

  [[nodiscard]] series* lookup(std::uint64_t hash, const label_set& labels) const noexcept {
    const series_table* const t = table.load(platform::acquire);
    if (t == nullptr) return nullptr;
    for (std::uint64_t i = hash & t->mask;; i = (i + 1) & t->mask) {
      series* const s = t->slots[i].load(platform::acquire);
      if (s == nullptr) return nullptr;
      if (s->hash == hash && s->label_count == labels.size() && same_set(s->labels, labels.size(), labels.begin()))
        return s;
    }
  }

  /// Makes a series; under the registry's guard, as is all that follows.
  [[nodiscard]] series* make(const label_set& labels, std::uint64_t hash) noexcept {
    if (!grow()) return nullptr;
    series* const s = build(labels.begin(), labels.size(), hash);
    if (s == nullptr) return nullptr;
    table.load(platform::relaxed)->insert(s);
    count.store(count.load(platform::relaxed) + 1, platform::release);
    return s;
  }
  [[nodiscard]] series* make_overflow() noexcept {
    if (series* const o = overflow.load(platform::relaxed)) return o;
    constexpr std::string_view overflow_key = "otel.metric.overflow";
    const label l{overflow_key.data(), overflow_key.size(), 0, value::kind::boolean, 1, nullptr, 0};
    series* const s = build(&l, 1, stir(~seed));
    if (s == nullptr) return nullptr;
    s->pinned = true;
    overflow.store(s, platform::release);
    return s;
  }
  /// Lets nobody find the series any more.
  void retire(series& s) noexcept {
    table.load(platform::relaxed)->remove(&s);
    count.store(count.load(platform::relaxed) - 1, platform::release);
    s.retiring.store(true, platform::release);
  }
  /// Retires what was not measured since every reader reported it. \return whether there was any
  bool sweep() noexcept {
    bool any = false;
    for (series* s = first.load(platform::relaxed); s != nullptr; s = s->next.load(platform::relaxed)) {
      if (s->pinned || s->retiring.load(platform::relaxed) || s->settled == 0 || s->activity() != s->settled) continue;
      retire(*s);
      any = true;
    }
    return any;
  }

  [[nodiscard]] std::size_t buckets() const noexcept { return bounds.size() + 1; }
  [[nodiscard]] std::size_t cell_size() const noexcept {
    switch (aggregation) {
      case aggregation_kind::last_value: return sizeof(gauge_cell);
      case aggregation_kind::explicit_buckets:
        return sizeof(histogram_cell) + buckets() * sizeof(platform::atomic<std::uint64_t>);
      case aggregation_kind::exponential_buckets:
        return sizeof(exponential_cell) + exponential_buckets::bytes(exponential_size);
      default: return sizeof(sum_cell);
    }
  }
  /// An empty cell at `memory`.
  cell* make_cell(void* memory, series& s) const noexcept {
    cell* c = nullptr;
    if (aggregation == aggregation_kind::explicit_buckets) {
      auto* const h = ::new (memory) histogram_cell;
      for (std::size_t i = 0; i < buckets(); ++i)
        ::new (static_cast<void*>(h->counts() + i)) platform::atomic<std::uint64_t>{0};
      c = h;
    } else if (aggregation == aggregation_kind::exponential_buckets) {
      auto* const e = ::new (memory) exponential_cell;
      static_cast<void>(exponential_buckets::make(e + 1, exponential_size, exponential_scale));
      c = e;
    } else if (aggregation == aggregation_kind::last_value) {
      c = ::new (memory) gauge_cell;
    } else {
      c = ::new (memory) sum_cell;
    }
    c->owner = &s;
    return c;
  }
  /// What a cell owns beside its memory.
  void destroy_cell(cell& c) const noexcept {
    exemplar_reservoir::destroy(c.exemplars.exchange(nullptr, platform::relaxed));
    if (aggregation == aggregation_kind::exponential_buckets) static_cast<exponential_cell&>(c).destroy();
  }
  void destroy(series& s) const noexcept {
    destroy_cell(*s.ended);
    std::free(&s);
  }

  [[nodiscard]] exemplar_reservoir* make_reservoir() const noexcept {
    if (exemplars != nullptr && exemplars->what == exemplar_plan::kind::own)
      return exemplar_reservoir::make(exemplars->make(exemplars->factory), filter != nullptr);
    const std::uint32_t places = any_place();
    const std::uint32_t size = places != 0 ? places : static_cast<std::uint32_t>(buckets());
    return exemplar_reservoir::make(size, places == 0, filter != nullptr);
  }
  /// Places for exemplars, where it does not matter which one has; 0 where they are buckets, or of one's own choice.
  [[nodiscard]] std::uint32_t any_place() const noexcept {
    if (exemplars != nullptr && exemplars->what == exemplar_plan::kind::own) return 0;
    if (exemplars != nullptr && exemplars->what == exemplar_plan::kind::fixed_size) return exemplars->size;
    if (aggregation == aggregation_kind::explicit_buckets && bounds.size() != 0) return 0;
    return aggregation != aggregation_kind::exponential_buckets ? 1 : exponential_size < 20 ? exponential_size : 20;
  }

 private:
  [[nodiscard]] bool grow() noexcept {
    series_table* const old = table.load(platform::relaxed);
    if (old != nullptr && (old->used + 1) * 2 <= old->mask) return true;
    std::uint64_t size = 16;
    while ((count.load(platform::relaxed) + std::uint64_t{1}) * 4 > size) size *= 2;
    series_table* const larger = series_table::make(size, old);
    if (larger == nullptr) return false;
    for (std::uint64_t i = 0; old != nullptr && i <= old->mask; ++i) {
      series* const s = old->slots[i].load(platform::relaxed);
      if (s != nullptr && s != tombstone()) larger->insert(s);
    }
    table.store(larger, platform::release);
    return true;
  }

  /// A series with a copy of its labels, in one piece of memory: series, cell of ended threads, labels, encoding,
  /// texts.
  [[nodiscard]] series* build(const label* labels, std::size_t n, std::uint64_t hash) noexcept {
    record_buffer encoding;
    bool ok = true;
    const wire::byte tag = aggregation == aggregation_kind::explicit_buckets      ? 0x4A
                           : aggregation == aggregation_kind::exponential_buckets ? 0x0A
                                                                                  : 0x3A;
    encode_labels(encoding, tag, labels, n, ok);
    if (!ok) return nullptr;
    const std::string_view encoded = encoding.view();
    std::size_t texts = 0;
    for (std::size_t i = 0; i < n; ++i) texts += labels[i].key_size + labels[i].size;
    static_assert(sizeof(series) % alignof(std::uint64_t) == 0);
    auto* const memory =
        static_cast<char*>(std::malloc(sizeof(series) + cell_size() + n * sizeof(label) + encoded.size() + texts));
    if (memory == nullptr) return nullptr;
    auto* const own = reinterpret_cast<label*>(memory + sizeof(series) + cell_size());
    char* at = reinterpret_cast<char*>(own + n);
    const auto copy = [&at](const char* from, std::size_t size) noexcept {
      const char* const place = at;
      if (size != 0) std::memcpy(at, from, size);
      at += size;
      return place;
    };
    const std::string_view kept{copy(encoded.data(), encoded.size()), encoded.size()};
    for (std::size_t i = 0; i < n; ++i) {
      label* const l = ::new (static_cast<void*>(own + i)) label{labels[i]};
      l->key = copy(l->key, l->key_size);
      l->text = copy(l->text, l->size);
    }
    auto* const s = ::new (static_cast<void*>(memory))
        series{this, key(), hash, static_cast<std::uint32_t>(n), platform::wall_ns(), own, kept};
    s->counts = aggregation == aggregation_kind::sum && monotonic && !floating;
    for (std::size_t i = 0; i < n; ++i) s->long_labels |= longer_than_words(own[i]);
    s->ended = make_cell(memory + sizeof(series), *s);
    (last == nullptr ? first : last->next).store(s, platform::release);
    last = s;
    return s;
  }
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI
