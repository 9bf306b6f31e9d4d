// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>
#include <otlpkit/metrics/bounds.hpp>
#include <otlpkit/metrics/exponential_buckets.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

/// A thread's own part of a series. Its thread alone writes it, with plain loads and stores; readers add the parts up.
/// Nothing in a cell is ever reset by a reader: what belongs to an interval is a difference of totals.
namespace otlpkit::inline OTLPKIT_ABI::detail {

struct series;
class exemplar_reservoir;

template <class T>
OTLPKIT_ALWAYS_INLINE void bump(platform::atomic<T>& counter, T by) noexcept {
  counter.store(static_cast<T>(counter.load(platform::relaxed) + by), platform::relaxed);
}

struct cell {
  series* owner = nullptr;
  cell* next = nullptr;     ///< of the same series; under the registry's guard, as is the next
  cell** link = nullptr;    ///< what points here
  cell* sibling = nullptr;  ///< of the same thread; the thread's own

  /// Measurements so far; twice that for cells of several words, and odd while one is being written.
  platform::atomic<std::uint64_t> writes{0};
  platform::atomic<exemplar_reservoir*> exemplars{nullptr};  ///< made with the first one
};

/// A sum of integers, or of doubles by their bits.
struct sum_cell : cell {
  platform::atomic<std::uint64_t> value{0};

  OTLPKIT_ALWAYS_INLINE void add(std::int64_t n) noexcept {
    bump(value, static_cast<std::uint64_t>(n));
    bump(writes, std::uint64_t{1});
  }
  /// Of a counter, `n` is not negative: the value itself tells that something was measured (series::activity).
  OTLPKIT_ALWAYS_INLINE void count(std::int64_t n) noexcept {
    bump(value, static_cast<std::uint64_t>(n));
    if (n == 0) bump(writes, std::uint64_t{1});
  }
  OTLPKIT_ALWAYS_INLINE void count(double n) noexcept { add(n); }
  OTLPKIT_ALWAYS_INLINE void add(double n) noexcept {
    value.store(std::bit_cast<std::uint64_t>(std::bit_cast<double>(value.load(platform::relaxed)) + n),
                platform::relaxed);
    bump(writes, std::uint64_t{1});
  }
};

/// Brackets a write of several words, so that a reader can tell whether it saw all of it (a seqlock of acquire loads
/// and release stores, which ThreadSanitizer understands).
class cell_write {
 public:
  OTLPKIT_ALWAYS_INLINE explicit cell_write(cell& c) noexcept : cell_{c}, before_{c.writes.load(platform::relaxed)} {
    c.writes.store(before_ + 1, platform::relaxed);
  }
  cell_write(const cell_write&) = delete;
  cell_write& operator=(const cell_write&) = delete;
  OTLPKIT_ALWAYS_INLINE ~cell_write() { cell_.writes.store(before_ + 2, platform::release); }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t before() const noexcept { return before_; }

 private:
  cell& cell_;
  std::uint64_t before_;
};

/// Calls `read` until nothing was written meanwhile. A thread that was stopped in the middle of a write is not waited
/// for: after some tries what was read stands, and the rest of that one measurement comes with the next collection.
/// \return the number of writes that were read; odd if the last one was under way
template <class Read>
std::uint64_t read_cell(const cell& c, Read read) noexcept {
  for (int tries = 0;; ++tries) {
    const std::uint64_t before = c.writes.load(platform::acquire);
    read();
    if ((before & 1) == 0 && c.writes.load(platform::relaxed) == before) return before;
    if (tries == 64) return before | 1;
  }
}

/// The last value, and when it was set.
struct gauge_cell : cell {
  platform::atomic<std::uint64_t> value{0};
  platform::atomic<std::uint64_t> tick{0};

  OTLPKIT_ALWAYS_INLINE void set(std::uint64_t bits, std::uint64_t now) noexcept {
    const cell_write write{*this};
    value.store(bits, platform::release);
    tick.store(now, platform::release);
  }
};

/// Counts per bucket, and what goes with them. The counts follow it in memory.
///
/// Extremes are not differences of totals. A collector asks for fresh ones (`asked`), and the writer turns to them with
/// its next measurement, keeping the earlier ones aside in case some came in after the collector had looked. So the
/// extremes of an interval bound every measurement counted in it, and are exact unless a measurement raced with the
/// collection.
struct histogram_cell : cell {
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  platform::atomic<double> sum{0};
  platform::atomic<double> min{infinity};
  platform::atomic<double> max{-infinity};
  platform::atomic<double> earlier_min{infinity};
  platform::atomic<double> earlier_max{-infinity};
  platform::atomic<std::uint64_t> earlier_writes{0};
  platform::atomic<std::uint32_t> asked{0};  ///< written by collectors, under the registry's guard
  platform::atomic<std::uint32_t> turned{0};
  std::uint64_t collected = 0;  ///< the collectors' own: `writes` when extremes were last taken

  [[nodiscard]] platform::atomic<std::uint64_t>* counts() noexcept {
    return reinterpret_cast<platform::atomic<std::uint64_t>*>(this + 1);
  }

  OTLPKIT_ALWAYS_INLINE void record(double v, std::uint32_t bucket) noexcept {
    const cell_write write{*this};
    if (const std::uint32_t wanted = asked.load(platform::relaxed); wanted != turned.load(platform::relaxed))
        [[unlikely]]
      turn(wanted, write.before());
    auto& count = counts()[bucket];
    count.store(count.load(platform::relaxed) + 1, platform::release);
    sum.store(sum.own() + v, platform::release);
    if (v < min.own()) [[unlikely]]
      min.store(v, platform::release);
    if (v > max.own()) [[unlikely]]
      max.store(v, platform::release);
  }

  OTLPKIT_NOINLINE void turn(std::uint32_t wanted, std::uint64_t writes_before) noexcept {
    earlier_min.store(min.load(platform::relaxed), platform::release);
    earlier_max.store(max.load(platform::relaxed), platform::release);
    earlier_writes.store(writes_before, platform::release);
    min.store(infinity, platform::release);
    max.store(-infinity, platform::release);
    turned.store(wanted, platform::release);
  }
};

/// An exponential histogram. Unlike the other cells it is emptied, as the scale that fits everything a thread ever
/// measured would be too coarse for what it measured lately: a collector that has read all of it asks, and the writer
/// clears it with its next measurement. If others came in between it goes on, and the collector, which keeps what it
/// read (`known`), takes the difference. The buckets follow the cell in memory.
struct exponential_cell : cell {
  platform::atomic<std::uint64_t> read_writes{0};  ///< `writes` when it was read; with `asked` written by collectors
  platform::atomic<std::uint32_t> asked{0};
  platform::atomic<std::uint32_t> turned{0};
  platform::atomic<std::uint32_t> cleared{0};  ///< the value of `asked` it was cleared for
  std::uint64_t collected = 0;                 ///< the collectors' own, as is the next
  exponential_buckets* known = nullptr;

  [[nodiscard]] exponential_buckets& buckets() noexcept { return *reinterpret_cast<exponential_buckets*>(this + 1); }

  OTLPKIT_ALWAYS_INLINE void record(double v) noexcept {
    const cell_write write{*this};
    if (const std::uint32_t wanted = asked.load(platform::acquire); wanted != turned.load(platform::relaxed))
        [[unlikely]]
      turn(wanted, write.before());
    buckets().record(v);
  }

  OTLPKIT_NOINLINE void turn(std::uint32_t wanted, std::uint64_t writes_before) noexcept {
    turned.store(wanted, platform::release);
    if (writes_before != read_writes.load(platform::acquire)) return;
    buckets().clear();
    cleared.store(wanted, platform::release);
  }

  void destroy() noexcept {
    buckets().~exponential_buckets();
    if (known != nullptr) known->~exponential_buckets();
    std::free(known);
    known = nullptr;
  }
};
static_assert(sizeof(exponential_cell) % alignof(exponential_buckets) == 0);

/// Takes what a cell has that was not collected before, for whoever holds the registry's guard.
class exponential_reading {
 public:
  exponential_reading(std::uint32_t size, std::int32_t max_scale) noexcept : now_{make(size, max_scale)} {}
  exponential_reading(const exponential_reading&) = delete;
  exponential_reading& operator=(const exponential_reading&) = delete;
  ~exponential_reading() { drop(now_); }

  /// False when there is nothing new, when the writer was stopped in the middle of a measurement and does not go on, or
  /// memory is out: what is not taken now comes with a later collection.
  [[nodiscard]] bool take(exponential_cell& c) noexcept {
    if (now_ == nullptr || c.writes.load(platform::acquire) == c.collected) return false;
    bool copied = false;
    std::uint32_t cleared = 0;
    std::uint64_t writes = 1;
    for (int tries = 0; tries < 4096 && (writes & 1) != 0; ++tries) {
      if (tries != 0) platform::yield();
      writes = read_cell(c, [&] {
        copied = now_->copy(c.buckets());
        cleared = c.cleared.load(platform::acquire);
      });
    }
    if (!copied || (writes & 1) != 0) return false;
    exponential_buckets* const before = c.known;
    c.known = make(now_->size(), now_->max_scale());
    if (c.known == nullptr || !c.known->copy(*now_)) {
      drop(c.known);
      c.known = before;
      return false;
    }
    if (before != nullptr && cleared != c.asked.load(platform::relaxed)) now_->subtract(*before);
    drop(before);
    c.collected = writes;
    c.read_writes.store(writes, platform::release);
    c.asked.store(c.asked.load(platform::relaxed) + 1, platform::release);
    return true;
  }
  [[nodiscard]] const exponential_buckets& fresh() const noexcept { return *now_; }

 private:
  [[nodiscard]] static exponential_buckets* make(std::uint32_t size, std::int32_t max_scale) noexcept {
    void* const memory = std::malloc(exponential_buckets::bytes(size));
    return memory == nullptr ? nullptr : exponential_buckets::make(memory, size, max_scale);
  }
  static void drop(exponential_buckets* b) noexcept {
    if (b != nullptr) b->~exponential_buckets();
    std::free(b);
  }

  exponential_buckets* now_;
};

/// The smallest and the largest of some measurements; of none, min is above max.
struct extremes {
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();

  void merge(double low, double high) noexcept {
    if (low < min) min = low;
    if (high > max) max = high;
  }
};

/// One consistent reading of a histogram cell.
struct histogram_reading {
  std::uint64_t counts[bucket_bounds::most + 1];
  std::uint64_t writes = 0;
  double sum = 0;
  extremes fresh;  ///< of what was not collected before

  void take(histogram_cell& c, std::size_t buckets) noexcept {
    extremes now, earlier;
    std::uint64_t earlier_writes = 0;
    std::uint32_t turned = 0;
    writes = read_cell(c, [&] {
      for (std::size_t i = 0; i < buckets; ++i) counts[i] = c.counts()[i].load(platform::acquire);
      sum = c.sum.load(platform::acquire);
      now = {c.min.load(platform::acquire), c.max.load(platform::acquire)};
      earlier = {c.earlier_min.load(platform::acquire), c.earlier_max.load(platform::acquire)};
      earlier_writes = c.earlier_writes.load(platform::acquire);
      turned = c.turned.load(platform::acquire);
    });
    fresh = {};
    if (writes == c.collected) return;
    fresh.merge(now.min, now.max);
    if (turned == c.asked.load(platform::relaxed) && earlier_writes != c.collected)
      fresh.merge(earlier.min, earlier.max);
  }

  /// The extremes were taken: the writer begins with fresh ones.
  void collected(histogram_cell& c) const noexcept {
    if (writes == c.collected) return;
    c.collected = writes;
    c.asked.store(c.asked.load(platform::relaxed) + 1, platform::relaxed);
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
