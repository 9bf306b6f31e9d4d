// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>

namespace otlpkit::inline OTLPKIT_ABI {

/// Upper bounds of a histogram's buckets, each belonging to the bucket below it; one more bucket takes what lies above
/// the last. They must ascend and be finite; otherwise the default ones are used, and a diagnostic says so.
class bucket_bounds {
 public:
  static constexpr std::size_t most = 63;

  constexpr bucket_bounds() noexcept = default;
  constexpr bucket_bounds(std::initializer_list<double> bounds) noexcept
      : bucket_bounds(bounds.begin(), bounds.size()) {}
  /// `count` bounds at `bounds`, which are copied.
  constexpr bucket_bounds(const double* bounds, std::size_t count) noexcept : given_{true} {
    for (std::size_t i = 0; i < count; ++i) {
      const double bound = bounds[i];
      const bool ascends = size_ == 0 || bound > values_[size_ - 1];
      if (size_ == most || !ascends || !(bound - bound == 0)) {
        valid_ = false;
        return;
      }
      values_[size_++] = bound;
    }
  }

  /// Whether any list was given: an empty one means a single bucket.
  [[nodiscard]] constexpr bool given() const noexcept { return given_; }
  [[nodiscard]] constexpr bool valid() const noexcept { return valid_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr double operator[](std::size_t i) const noexcept { return values_[i]; }
  [[nodiscard]] constexpr bool operator==(const bucket_bounds& other) const noexcept {
    if (size_ != other.size_) return false;
    for (std::size_t i = 0; i < size_; ++i) {
      if (values_[i] != other.values_[i]) return false;
    }
    return true;
  }

 private:
  double values_[most] = {};
  std::uint32_t size_ = 0;
  bool given_ = false;
  bool valid_ = true;
};

/// What a histogram has when nothing else is asked for (OpenTelemetry specification, metrics SDK).
inline constexpr bucket_bounds default_bucket_bounds{0,   5,   10,   25,   50,   75,   100,  250,
                                                     500, 750, 1000, 2500, 5000, 7500, 10000};

/// For durations in seconds, as the semantic conventions advise.
inline constexpr bucket_bounds seconds_bucket_bounds{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25,
                                                     0.5,   0.75, 1,     2.5,  5,     7.5, 10};

namespace detail {

/// Finds the bucket of a value without a branch that depends on it.
class bucket_search {
 public:
  explicit bucket_search(const bucket_bounds& bounds) noexcept
      : half_{static_cast<std::uint32_t>(std::bit_ceil(bounds.size() + 1) / 2)} {
    for (std::size_t i = 0; i <= bucket_bounds::most; ++i) {
      padded_[i] = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
    }
  }

  /// How many bounds lie below `v`: the index of its bucket.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint32_t operator()(double v) const noexcept {
    std::uint32_t index = 0;
    for (std::uint32_t step = half_; step > 8; step /= 2) index += step & above(index + step - 1, v);
    // Four ways at once, twice: the comparisons of a round do not wait for each other.
    index += 4 * count(index + 3, index + 7, index + 11, v);
    return index + count(index, index + 1, index + 2, v);
  }

 private:
  /// All bits set if the bound lies below `v`: no compiler makes a jump of it.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint32_t above(std::uint32_t bound, double v) const noexcept {
    return 0u - static_cast<std::uint32_t>(padded_[bound] < v);
  }
  /// How many of three bounds lie below `v`.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint32_t count(std::uint32_t a, std::uint32_t b, std::uint32_t c,
                                                          double v) const noexcept {
    return static_cast<std::uint32_t>(padded_[a] < v) + static_cast<std::uint32_t>(padded_[b] < v) +
           static_cast<std::uint32_t>(padded_[c] < v);
  }

  double padded_[bucket_bounds::most + 1];
  std::uint32_t half_;
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI
