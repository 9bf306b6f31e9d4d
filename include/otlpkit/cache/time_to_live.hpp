// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI::cache {

/// How long an entry lives. Takes any std::chrono duration (`1h`) without knowing <chrono>; default: for ever.
class time_to_live {
 public:
  constexpr time_to_live() noexcept = default;

  template <class Duration>
  requires requires(const Duration& d) {
    d.count();
    Duration::period::num;
    Duration::period::den;
  }
  constexpr time_to_live(const Duration& d) noexcept {  // NOLINT(google-explicit-constructor)
    const double ns = static_cast<double>(d.count()) * 1e9 * static_cast<double>(Duration::period::num) /
                      static_cast<double>(Duration::period::den);
    if (ns <= 0) {
      ns_ = 0;
    } else if (ns < 9.2e18) {
      // In integers, so that a TTL given in nanoseconds is kept to the last one.
      constexpr auto scale =
          static_cast<double>(Duration::period::num) * 1e9 / static_cast<double>(Duration::period::den);
      if constexpr (scale >= 1) {
        ns_ = static_cast<std::int64_t>(static_cast<double>(d.count()) * scale);
        if constexpr (scale == 1) ns_ = static_cast<std::int64_t>(d.count());
      } else {
        ns_ = static_cast<std::int64_t>(ns);
      }
    }
  }

  /// Nanoseconds; INT64_MAX means for ever, 0 that the entry is gone at once.
  [[nodiscard]] constexpr std::int64_t ns() const noexcept { return ns_; }
  [[nodiscard]] constexpr bool forever() const noexcept { return ns_ == INT64_MAX; }

 private:
  std::int64_t ns_ = INT64_MAX;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::cache
