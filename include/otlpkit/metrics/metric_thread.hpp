// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/fold.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// What a thread knows of its cells. Trivially destructible: usable before and after everything else in the thread.
struct metric_thread {
  struct entry {
    std::uint64_t hash;
    cell* own;
  };
  cell** direct;  ///< of series without labels, by the instrument's number; all that may be asked for while `epoch` is
                  ///< right
  std::uint32_t direct_size;
  std::uint32_t epoch;  ///< of the registry when the tables were right; 0: never
  exemplars_of exemplars;
  entry* table;  ///< all cells: open addressing, at most half full
  std::uint64_t mask;
  std::uint64_t used;
  cell* cells;  ///< all of them

  /// The cell among those with this hash for which `is(series)`, or nullptr.
  template <class Is>
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE cell* find(std::uint64_t hash, Is is) const noexcept {
    if (table == nullptr) [[unlikely]]
      return nullptr;
    for (std::uint64_t i = hash & mask; table[i].own != nullptr; i = (i + 1) & mask) {
      if (table[i].hash == hash && is(*table[i].own->owner)) [[likely]]
        return table[i].own;
    }
    return nullptr;
  }

  [[nodiscard]] bool insert(cell* c, std::uint64_t hash) noexcept {
    if (table == nullptr || used * 2 > mask) {
      const std::uint64_t size = table == nullptr ? 16 : (mask + 1) * 2;
      auto* const larger = static_cast<entry*>(std::calloc(size, sizeof(entry)));
      if (larger == nullptr) return false;
      for (std::uint64_t i = 0; table != nullptr && i <= mask; ++i) {
        if (table[i].own != nullptr) place(larger, size - 1, table[i]);
      }
      std::free(table);
      table = larger;
      mask = size - 1;
    }
    place(table, mask, {hash, c});
    ++used;
    return true;
  }

  /// Makes room for the cells of instruments with numbers below `size`. \return false when memory is out
  [[nodiscard]] bool reserve_direct(std::uint32_t size) noexcept {
    if (size <= direct_size) return true;
    auto* const larger = static_cast<cell**>(std::realloc(direct, size * sizeof(cell*)));
    if (larger == nullptr) return false;
    for (std::uint32_t i = direct_size; i < size; ++i) larger[i] = nullptr;
    direct = larger;
    direct_size = size;
    return true;
  }

  /// Lets the hot path find the cell of an instrument's only series without labels.
  void insert_direct(cell* c, std::uint32_t number) noexcept {
    if (number < direct_size) direct[number] = c;
  }

  /// Gives up the cells of series that are to go, under the registry's guard, and finds the others from now on.
  void let_go() noexcept {
    for (std::uint64_t i = 0; table != nullptr && i <= mask; ++i) table[i] = {};
    for (std::uint32_t i = 0; i < direct_size; ++i) direct[i] = nullptr;
    used = 0;
    cell** link = &cells;
    while (cell* const c = *link) {
      series& x = *c->owner;
      const stream& s = *x.owner;
      if (x.retiring.load(platform::relaxed) || !s.active.load(platform::relaxed)) {
        *link = c->sibling;
        drop(*c);
        continue;
      }
      place(table, mask, {x.hash, c});
      ++used;
      if (s.plain && x.label_count == 0) insert_direct(c, s.entry->number);
      link = &c->sibling;
    }
  }

  /// Leaves a cell's measurements with its series.
  static void drop(cell& c) noexcept {
    series& x = *c.owner;
    fold(x, c);
    x.owner->destroy_cell(c);
    std::free(&c);
  }

 private:
  static void place(entry* table, std::uint64_t mask, entry e) noexcept {
    std::uint64_t i = e.hash & mask;
    while (table[i].own != nullptr) i = (i + 1) & mask;
    table[i] = e;
  }
};

OTLPKIT_VISIBLE inline constinit thread_local metric_thread this_thread_metrics{};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
