// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/clock.hpp>
#include <otlpkit/metrics/cell.hpp>
#include <otlpkit/metrics/labels.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::detail {

struct stream;

/// A copy of a string. Replaced and read under the registry's guard, unless it never changes.
class text_copy {
 public:
  text_copy() noexcept = default;
  text_copy(const text_copy&) = delete;
  text_copy& operator=(const text_copy&) = delete;
  ~text_copy() { std::free(data_); }

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

/// One label set of a stream. Lives as long as a thread has a cell of it, a handle is bound to it or a reader wants it.
struct series {
  stream* owner;
  const void* key;  ///< what its labels are looked up under: the instrument, or a stream among several of one
  std::uint64_t hash;
  std::uint32_t label_count;
  unix_ns created;
  const label* labels;
  std::string_view encoded;  ///< the data point's attributes
  platform::atomic<series*> next{nullptr};
  cell* cells = nullptr;                   ///< of living threads; under the registry's guard, as are the next
  cell* ended = nullptr;                   ///< what ended threads left
  std::uint64_t settled = 0;               ///< measurements every reader has reported
  bool counts = false;                     ///< it is a sum of integers that only goes up
  bool long_labels = false;                ///< there is more in one than in its words
  bool pinned = false;                     ///< a handle is bound to it
  platform::atomic<bool> retiring{false};  ///< no longer found; goes when the last thread has let go

  void attach(cell& c) noexcept {
    c.next = cells;
    c.link = &cells;
    if (cells != nullptr) cells->link = &c.next;
    cells = &c;
  }
  void detach(cell& c) noexcept {
    *c.link = c.next;
    if (c.next != nullptr) c.next->link = c.link;
  }
  /// Grows with every measurement of the cell.
  [[nodiscard]] std::uint64_t activity(const cell& c) const noexcept {
    const std::uint64_t counted = counts ? static_cast<const sum_cell&>(c).value.load(platform::relaxed) : 0;
    return c.writes.load(platform::acquire) + counted;
  }
  [[nodiscard]] std::uint64_t activity() const noexcept {
    std::uint64_t all = activity(*ended);
    for (const cell* c = cells; c != nullptr; c = c->next) all += activity(*c);
    return all;
  }
};

/// Where a series was that is gone.
[[nodiscard]] inline series* tombstone() noexcept {
  alignas(series) static char place[sizeof(series)];
  return reinterpret_cast<series*>(place);
}

/// The series of a stream by hash, read without a lock. Replaced by another one when half full; those before it stay
/// allocated until nobody can look at them.
struct series_table {
  std::uint64_t mask;
  std::uint64_t used;  ///< slots, those of series that are gone included
  platform::atomic<series*>* slots;
  series_table* before;

  [[nodiscard]] static series_table* make(std::uint64_t size, series_table* before) noexcept {
    void* const memory = std::calloc(1, sizeof(series_table) + size * sizeof(platform::atomic<series*>));
    if (memory == nullptr) return nullptr;
    auto* const table = ::new (memory) series_table{size - 1, 0, nullptr, before};
    table->slots = reinterpret_cast<platform::atomic<series*>*>(table + 1);
    return table;
  }
  void insert(series* s) noexcept {
    std::uint64_t i = s->hash & mask;
    while (slots[i].load(platform::relaxed) != nullptr) i = (i + 1) & mask;
    slots[i].store(s, platform::release);
    ++used;
  }
  void remove(const series* s) noexcept {
    std::uint64_t i = s->hash & mask;
    while (slots[i].load(platform::relaxed) != s) i = (i + 1) & mask;
    slots[i].store(tombstone(), platform::release);
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
