// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// Keeps one trouble from being told again and again: each kind once per interval, with a count of what was held back.
/// Pure state, fed with `now`. Remembers a few kinds only; beyond that the oldest is forgotten.
class trouble_log {
 public:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t kinds = 16;

  explicit trouble_log(std::chrono::nanoseconds interval = std::chrono::seconds{30}) noexcept : interval_{interval} {}

  struct held_back {
    std::uint64_t times = 0;  ///< how often it happened since it was last told, this time not counted
    std::uint64_t items = 0;  ///< what was lost by those
  };

  /// \return nothing when this kind was told within the interval; otherwise what was held back since then.
  [[nodiscard]] std::optional<held_back> admit(std::string_view kind, clock::time_point now, std::uint64_t items = 0) {
    const auto known = std::ranges::find(entries_, kind, &entry::kind);
    if (known != entries_.end()) {
      if (now - known->told < interval_) {
        ++known->held.times;
        known->held.items += items;
        return std::nullopt;
      }
      const held_back held = known->held;
      known->told = now;
      known->held = {};
      return held;
    }
    if (entries_.size() == kinds) entries_.erase(std::ranges::min_element(entries_, {}, &entry::told));
    entries_.push_back(entry{std::string{kind}, now, {}});
    return held_back{};
  }

 private:
  struct entry {
    std::string kind;
    clock::time_point told;
    held_back held;
  };
  std::chrono::nanoseconds interval_;
  std::vector<entry> entries_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
