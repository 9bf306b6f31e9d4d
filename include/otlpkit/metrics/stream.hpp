// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/clock.hpp>
#include <otlpkit/metrics/cell.hpp>
#include <otlpkit/metrics/labels.hpp>
#include <otlpkit/metrics/name.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

enum class instrument_kind : std::uint8_t { counter, up_down_counter, gauge, histogram };

namespace detail {

struct stream;

/// What an instrument is asked to be.
struct instrument_info {
  std::string_view name;
  std::string_view unit;
  std::string_view description;
  const bucket_bounds* bounds;  ///< of a histogram
  instrument_kind kind;
  bool floating;
  std::uint16_t scope;
};

/// A copy of a string. Replaced and read under the registry's guard, unless it never changes.
class text_copy {
 public:
  void assign(std::string_view text) noexcept {
    if (text.empty()) return;
    auto* const copy = static_cast<char*>(std::malloc(text.size()));
    if (copy == nullptr) return;
    std::memcpy(copy, text.data(), text.size());
    std::free(data_);
    data_ = copy;
    size_ = text.size();
  }
  [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

/// One label set of a stream. Lives for ever; its number is bounded by the cardinality limit.
struct series {
  stream* owner;
  std::uint64_t hash;
  std::uint32_t ordinal;
  std::uint32_t label_count;
  unix_ns created;
  const label* labels;
  std::string_view encoded;  ///< the data point's attributes
  platform::atomic<series*> next{nullptr};
  cell* cells = nullptr;  ///< of living threads; under the registry's guard, as is the next
  cell* ended = nullptr;  ///< what ended threads left

  void attach(cell& c) noexcept {
    c.next = cells;
    c.link = &cells;
    if (cells != nullptr) cells->link = &c.next;
    cells = &c;
  }
  inline void fold(cell& c) noexcept;
  inline void forget() noexcept;
};

/// The series of a stream by hash, read without a lock. Replaced by a larger one when half full; those before it stay
/// allocated, as a reader may still look at them, and are together no larger than it.
struct series_table {
  std::uint64_t mask;
  platform::atomic<series*>* slots;
  series_table* before;

  [[nodiscard]] static series_table* make(std::uint64_t size, series_table* before) noexcept {
    void* const memory = std::calloc(1, sizeof(series_table) + size * sizeof(platform::atomic<series*>));
    if (memory == nullptr) return nullptr;
    auto* const table = ::new (memory) series_table{size - 1, nullptr, before};
    table->slots = reinterpret_cast<platform::atomic<series*>*>(table + 1);
    return table;
  }
  void insert(series* s) noexcept {
    std::uint64_t i = s->hash & mask;
    while (slots[i].load(platform::relaxed) != nullptr) i = (i + 1) & mask;
    slots[i].store(s, platform::release);
  }
};

/// What identical instruments record into.
struct stream {
  enum once : std::uint32_t { said_overflow = 1, said_negative = 2, said_not_finite = 4 };

  text_copy name, unit, description;  ///< the description under the registry's guard
  instrument_kind kind;
  bool floating;  ///< doubles, not integers
  std::uint16_t scope;
  std::uint32_t number;  ///< from 1
  std::uint64_t seed;
  bucket_bounds bounds;
  bucket_search bucket;
  platform::atomic<stream*> next{nullptr};
  platform::atomic<series_table*> table{nullptr};
  platform::atomic<series*> first{nullptr};
  series* last = nullptr;
  platform::atomic<std::uint32_t> count{0};  ///< series but the overflow one
  platform::atomic<series*> overflow{nullptr};
  platform::atomic<std::uint32_t> said{0};
  std::uint32_t ordinals = 0;

  stream(const instrument_info& info, std::uint32_t n, const bucket_bounds& b) noexcept
      : kind{info.kind}, floating{info.floating}, scope{info.scope}, number{n},
        seed{stir(n ^ reinterpret_cast<std::uintptr_t>(this))}, bounds{b}, bucket{b} {
    name.assign(info.name);
    unit.assign(info.unit);
    description.assign(info.description);
  }

  [[nodiscard]] static stream* make(const instrument_info& info, std::uint32_t n) noexcept {
    const bool advised = info.bounds != nullptr && info.bounds->given() && info.bounds->valid();
    return new (std::nothrow) stream{info, n, advised ? *info.bounds : default_bucket_bounds};
  }

  /// True for the first caller with this bit.
  [[nodiscard]] bool said_once(once what) noexcept {
    std::uint32_t before = said.load(platform::relaxed);
    do {
      if ((before & what) != 0) return false;
    } while (!said.compare_exchange(before, before | what, platform::relaxed));
    return true;
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

  /// Makes a series; under the registry's guard, as is the next.
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
    constexpr std::string_view key = "otel.metric.overflow";
    const label l{key.data(), key.size(), 0, value::kind::boolean, 1, nullptr, 0};
    series* const s = build(&l, 1, stir(~seed));
    if (s != nullptr) overflow.store(s, platform::release);
    return s;
  }

  [[nodiscard]] std::size_t buckets() const noexcept { return bounds.size() + 1; }
  [[nodiscard]] std::size_t cell_size() const noexcept {
    switch (kind) {
      case instrument_kind::gauge: return sizeof(gauge_cell);
      case instrument_kind::histogram:
        return sizeof(histogram_cell) + buckets() * sizeof(platform::atomic<std::uint64_t>);
      default: return sizeof(sum_cell);
    }
  }
  /// An empty cell at `memory`.
  cell* make_cell(void* memory, series& s) const noexcept {
    cell* c = nullptr;
    if (kind == instrument_kind::histogram) {
      auto* const h = ::new (memory) histogram_cell;
      for (std::size_t i = 0; i < buckets(); ++i)
        ::new (static_cast<void*>(h->counts() + i)) platform::atomic<std::uint64_t>{0};
      c = h;
    } else if (kind == instrument_kind::gauge) {
      c = ::new (memory) gauge_cell;
    } else {
      c = ::new (memory) sum_cell;
    }
    c->owner = &s;
    return c;
  }

 private:
  [[nodiscard]] bool grow() noexcept {
    series_table* const old = table.load(platform::relaxed);
    if (old != nullptr && (count.load(platform::relaxed) + std::uint64_t{1}) * 2 <= old->mask) return true;
    series_table* const larger = series_table::make(old == nullptr ? 16 : (old->mask + 1) * 2, old);
    if (larger == nullptr) return false;
    for (std::uint64_t i = 0; old != nullptr && i <= old->mask; ++i) {
      if (series* const s = old->slots[i].load(platform::relaxed)) larger->insert(s);
    }
    table.store(larger, platform::release);
    return true;
  }

  /// A series with a copy of its labels, in one piece of memory: series, cell of ended threads, labels, encoding,
  /// texts.
  [[nodiscard]] series* build(const label* labels, std::size_t n, std::uint64_t hash) noexcept {
    record_buffer encoding;
    bool ok = true;
    encode_labels(encoding, kind == instrument_kind::histogram ? 0x4A : 0x3A, labels, n, ok);
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
        series{this, hash, ordinals++, static_cast<std::uint32_t>(n), platform::wall_ns(), own, kept};
    s->ended = make_cell(memory + sizeof(series), *s);
    (last == nullptr ? first : last->next).store(s, platform::release);
    last = s;
    return s;
  }
};

/// Adds what an ending thread measured to what others left. Under the registry's guard.
inline void series::fold(cell& c) noexcept {
  *c.link = c.next;
  if (c.next != nullptr) c.next->link = c.link;
  if (owner->kind == instrument_kind::histogram) {
    auto& from = static_cast<histogram_cell&>(c);
    auto& to = static_cast<histogram_cell&>(*ended);
    histogram_reading reading;
    reading.take(from, owner->buckets());
    if (to.asked.load(platform::relaxed) != to.turned.load(platform::relaxed))
      to.turn(to.asked.load(platform::relaxed), to.writes.load(platform::relaxed));
    extremes rest{to.min.load(platform::relaxed), to.max.load(platform::relaxed)};
    rest.merge(reading.fresh.min, reading.fresh.max);
    to.min.store(rest.min, platform::relaxed);
    to.max.store(rest.max, platform::relaxed);
    to.earlier_min.store(histogram_cell::infinity, platform::relaxed);
    to.earlier_max.store(-histogram_cell::infinity, platform::relaxed);
    for (std::size_t i = 0; i < owner->buckets(); ++i) bump(to.counts()[i], reading.counts[i]);
    to.sum.store(to.sum.load(platform::relaxed) + reading.sum, platform::relaxed);
    bump(to.writes, reading.writes);
  } else if (owner->kind == instrument_kind::gauge) {
    auto& from = static_cast<gauge_cell&>(c);
    auto& to = static_cast<gauge_cell&>(*ended);
    if (from.writes.load(platform::relaxed) == 0) return;
    if (to.writes.load(platform::relaxed) == 0 ||
        from.tick.load(platform::relaxed) >= to.tick.load(platform::relaxed)) {
      to.value.store(from.value.load(platform::relaxed), platform::relaxed);
      to.tick.store(from.tick.load(platform::relaxed), platform::relaxed);
    }
    bump(to.writes, from.writes.load(platform::relaxed));
  } else {
    auto& from = static_cast<sum_cell&>(c);
    auto& to = static_cast<sum_cell&>(*ended);
    const std::uint64_t bits = from.value.load(platform::relaxed);
    const std::uint64_t writes = to.writes.load(platform::relaxed) + from.writes.load(platform::relaxed);
    if (owner->floating) {
      to.add(std::bit_cast<double>(bits));
    } else {
      to.add(static_cast<std::int64_t>(bits));
    }
    to.writes.store(writes, platform::relaxed);
  }
}

inline void series::forget() noexcept {
  cells = nullptr;
  ended = owner->make_cell(ended, *this);
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI
