// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/exponential_index.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <new>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// A base-2 exponential histogram: at most `size` buckets for values above zero and as many for those below, on the
/// finest scale on which they fit.
///
/// One thread writes; copy() on others gives something usable if nothing was written meanwhile, which the caller finds
/// out. The counts of the buckets above zero follow the object in memory, those below are allocated with the first
/// negative value.
class exponential_buckets {
 public:
  using counter = platform::atomic<std::uint64_t>;
  static constexpr std::uint32_t max_size = 160;
  static constexpr std::uint32_t min_size = 2;
  static constexpr double infinity = std::numeric_limits<double>::infinity();

  exponential_buckets(const exponential_buckets&) = delete;
  exponential_buckets& operator=(const exponential_buckets&) = delete;
  ~exponential_buckets() { std::free(below_.load(platform::relaxed)); }

  [[nodiscard]] static constexpr std::size_t bytes(std::uint32_t size) noexcept {
    return sizeof(exponential_buckets) + size * sizeof(counter);
  }
  [[nodiscard]] static exponential_buckets* make(void* memory, std::uint32_t size, std::int32_t max_scale) noexcept {
    auto* const b = ::new (memory) exponential_buckets{size, max_scale};
    for (std::uint32_t i = 0; i < size; ++i) ::new (static_cast<void*>(b->above() + i)) counter{0};
    return b;
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] std::int32_t max_scale() const noexcept { return max_scale_; }
  [[nodiscard]] std::int32_t scale() const noexcept { return scale_.load(platform::acquire); }
  [[nodiscard]] std::uint64_t zeros() const noexcept { return zeros_.load(platform::acquire); }
  [[nodiscard]] double sum() const noexcept { return sum_.load(platform::acquire); }
  [[nodiscard]] double min() const noexcept { return min_.load(platform::acquire); }
  [[nodiscard]] double max() const noexcept { return max_.load(platform::acquire); }

  OTLPKIT_ALWAYS_INLINE void record(double v) noexcept {
    sum_.store(sum_.own() + v, platform::release);
    if (v < min_.own()) [[unlikely]]
      min_.store(v, platform::release);
    if (v > max_.own()) [[unlikely]]
      max_.store(v, platform::release);
    if (v > 0) [[likely]] {
      const std::uint32_t at =
          static_cast<std::uint32_t>(index_of(v)) - static_cast<std::uint32_t>(base_[0].load(platform::relaxed));
      if (at < size_) [[likely]] {
        counter& c = above()[at];
        c.store(c.load(platform::relaxed) + 1, platform::release);
        return;
      }
    }
    record_slow(v);
  }

  /// Calls `each(index, count)` for the buckets that are not empty, upwards in absolute value.
  template <class Each>
  void for_each(bool negative, Each each) const noexcept(noexcept(each(std::int32_t{}, std::uint64_t{}))) {
    const counter* const c = counts(negative);
    const std::int32_t base = base_[negative].load(platform::acquire);
    for (std::uint32_t i = 0; c != nullptr && i < size_; ++i) {
      if (const std::uint64_t n = c[i].load(platform::acquire)) each(base + static_cast<std::int32_t>(i), n);
    }
  }

  /// Adds all of `other`.
  void merge(const exponential_buckets& other) noexcept {
    for (const bool negative : {false, true}) {
      other.for_each(negative, [&](std::int32_t index, std::uint64_t n) noexcept {
        if (scale_.load(platform::relaxed) > other.scale())
          halve(static_cast<std::uint32_t>(scale_.load(platform::relaxed) - other.scale()));
        add(index, other.scale(), negative, n);
      });
    }
    zeros_.store(zeros_.load(platform::relaxed) + other.zeros(), platform::release);
    sum_.store(sum_.load(platform::relaxed) + other.sum(), platform::release);
    if (other.min() < min()) min_.store(other.min(), platform::release);
    if (other.max() > max()) max_.store(other.max(), platform::release);
  }

  /// Takes counts and sum of `part` away, which is in here, on this scale or a finer one. Extremes stay.
  void subtract(const exponential_buckets& part) noexcept {
    const std::int32_t shift = part.scale() - scale_.load(platform::relaxed);
    for (const bool negative : {false, true}) {
      counter* const c = counts(negative);
      part.for_each(negative, [&](std::int32_t index, std::uint64_t n) noexcept {
        counter& from = c[(index >> shift) - base_[negative].load(platform::relaxed)];
        from.store(from.load(platform::relaxed) - n, platform::release);
      });
    }
    zeros_.store(zeros_.load(platform::relaxed) - part.zeros(), platform::release);
    sum_.store(sum_.load(platform::relaxed) - part.sum(), platform::release);
  }

  /// Becomes what `other`, of the same size, is now. False when memory is out.
  [[nodiscard]] bool copy(const exponential_buckets& other) noexcept {
    const counter* const theirs = other.below_.load(platform::acquire);
    if (theirs != nullptr && !allocate_below()) return false;
    scale_.store(other.scale(), platform::release);
    zeros_.store(other.zeros(), platform::release);
    sum_.store(other.sum(), platform::release);
    min_.store(other.min(), platform::release);
    max_.store(other.max(), platform::release);
    for (const bool negative : {false, true}) {
      base_[negative].store(other.base_[negative].load(platform::acquire), platform::release);
      const counter* const from = negative ? theirs : other.above();
      counter* const to = counts(negative);
      for (std::uint32_t i = 0; to != nullptr && i < size_; ++i)
        to[i].store(from == nullptr ? 0 : from[i].load(platform::acquire), platform::release);
    }
    return true;
  }

  void clear() noexcept {
    for (const bool negative : {false, true}) {
      counter* const c = counts(negative);
      for (std::uint32_t i = 0; c != nullptr && i < size_; ++i) {
        if (c[i].load(platform::relaxed) != 0) c[i].store(0, platform::release);
      }
      base_[negative].store(empty, platform::release);
    }
    scale_.store(max_scale_, platform::release);
    last_value_ = 0;
    zeros_.store(0, platform::release);
    sum_.store(0, platform::release);
    min_.store(infinity, platform::release);
    max_.store(-infinity, platform::release);
  }

 private:
  /// Where no index is near, so that the first value of a range takes the slow path.
  static constexpr std::int32_t empty = std::numeric_limits<std::int32_t>::min();

  exponential_buckets(std::uint32_t size, std::int32_t max_scale) noexcept
      : size_{size}, max_scale_{max_scale}, scale_{max_scale} {}

  /// On a fine scale the logarithm costs more than all the rest, and values are near each other, often the same.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE std::int32_t index_of(double v) noexcept {
    const std::int32_t scale = scale_.load(platform::relaxed);
    if (scale <= exponential::table_scale) [[likely]]
      return exponential::index_of(v, scale);
    if (v != last_value_) {
      last_value_ = v;
      last_index_ = exponential::index_of(v, scale);
    }
    return last_index_;
  }

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE counter* above() noexcept { return reinterpret_cast<counter*>(this + 1); }
  [[nodiscard]] const counter* above() const noexcept { return reinterpret_cast<const counter*>(this + 1); }
  [[nodiscard]] counter* counts(bool negative) noexcept { return negative ? below_.load(platform::acquire) : above(); }
  [[nodiscard]] const counter* counts(bool negative) const noexcept {
    return negative ? below_.load(platform::acquire) : above();
  }

  [[nodiscard]] bool allocate_below() noexcept {
    if (below_.load(platform::relaxed) != nullptr) return true;
    auto* const c = static_cast<counter*>(std::malloc(size_ * sizeof(counter)));
    if (c == nullptr) return false;
    for (std::uint32_t i = 0; i < size_; ++i) ::new (static_cast<void*>(c + i)) counter{0};
    below_.store(c, platform::release);
    return true;
  }

  OTLPKIT_NOINLINE void record_slow(double v) noexcept {
    if (v == 0) {
      zeros_.store(zeros_.load(platform::relaxed) + 1, platform::release);
      return;
    }
    const std::int32_t scale = scale_.load(platform::relaxed);
    add(exponential::index_of(v < 0 ? -v : v, scale), scale, v < 0, 1);
  }

  /// Adds to bucket `index` of `scale`, which is this one's or a finer one.
  void add(std::int32_t index, std::int32_t scale, bool negative, std::uint64_t n) noexcept {
    if (negative && !allocate_below()) return;
    const std::int32_t i = make_room(index >> (scale - scale_.load(platform::relaxed)), negative);
    counter& c = counts(negative)[i - base_[negative].load(platform::relaxed)];
    c.store(c.load(platform::relaxed) + n, platform::release);
  }

  /// Makes the range include `index`, on a coarser scale if it must.
  /// \return what the index is then
  [[nodiscard]] std::int32_t make_room(std::int32_t index, bool negative) noexcept {
    const counter* const c = counts(negative);
    const std::int32_t base = base_[negative].load(platform::relaxed);
    const auto wide = static_cast<std::int32_t>(size_);
    if (base != empty && index >= base && std::int64_t{index} - base < wide) return index;
    std::int32_t low = index, high = index;
    for (std::int32_t i = 0; base != empty && i < wide; ++i) {
      if (c[i].load(platform::relaxed) == 0) continue;
      if (base + i < low) low = base + i;
      if (base + i > high) high = base + i;
    }
    std::uint32_t shift = 0;
    while (std::int64_t{high >> shift} - (low >> shift) >= wide) ++shift;  // of 32 bits the difference has 33
    halve(shift);
    low >>= shift;
    high >>= shift;
    move_base(negative, low - (wide - (high - low + 1)) / 2);
    return index >> shift;
  }

  /// Makes the scale coarser: two buckets become one, `times` over.
  void halve(std::uint32_t times) noexcept {
    if (times == 0) return;
    for (const bool negative : {false, true}) {
      counter* const c = counts(negative);
      const std::int32_t base = base_[negative].load(platform::relaxed);
      if (c == nullptr || base == empty) continue;
      const std::int32_t coarse = base >> times;
      for (std::int32_t i = 0; i < static_cast<std::int32_t>(size_); ++i) {
        const std::uint64_t n = c[i].load(platform::relaxed);
        if (n == 0) continue;
        c[i].store(0, platform::release);
        counter& to = c[((base + i) >> times) - coarse];  // never behind what is still to be read
        to.store(to.load(platform::relaxed) + n, platform::release);
      }
      base_[negative].store(coarse, platform::release);
    }
    scale_.store(scale_.load(platform::relaxed) - static_cast<std::int32_t>(times), platform::release);
    last_value_ = 0;
  }

  /// Lets the range begin at `to`; what is counted is inside.
  void move_base(bool negative, std::int32_t to) noexcept {
    counter* const c = counts(negative);
    const std::int32_t from = base_[negative].load(platform::relaxed);
    const auto wide = static_cast<std::int32_t>(size_);
    const auto move = [&](std::int32_t i) {
      const std::uint64_t n = c[i].load(platform::relaxed);
      if (n == 0) return;
      c[i].store(0, platform::release);
      c[from + i - to].store(n, platform::release);
    };
    if (from != empty && to < from) {
      for (std::int32_t i = wide; i-- > 0;) move(i);
    } else if (from != empty && to > from) {
      for (std::int32_t i = 0; i < wide; ++i) move(i);
    }
    base_[negative].store(to, platform::release);
  }

  std::uint32_t size_;
  std::int32_t max_scale_;
  double last_value_ = 0;  ///< the writer's own, as is the next; 0: none
  std::int32_t last_index_ = 0;
  platform::atomic<std::int32_t> scale_;
  platform::atomic<std::int32_t> base_[2]{{empty}, {empty}};  ///< index of the first count, above and below zero
  platform::atomic<counter*> below_{nullptr};
  counter zeros_{0};
  platform::atomic<double> sum_{0};
  platform::atomic<double> min_{infinity};
  platform::atomic<double> max_{-infinity};
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
