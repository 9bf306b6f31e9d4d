// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/latch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <set>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Numbers the batches of one signal in the order they are handed out, and knows which are under way.
class batch_numbers {
 public:
  [[nodiscard]] std::uint64_t begin() {
    under_way_.insert(++last_);
    return last_;
  }
  void end(std::uint64_t number) { under_way_.erase(number); }

  /// The newest, 0 before the first.
  [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
  /// Whether this one and all before it have ended.
  [[nodiscard]] bool ended_up_to(std::uint64_t number) const noexcept {
    return under_way_.empty() || *under_way_.begin() > number;
  }

 private:
  std::uint64_t last_ = 0;
  std::set<std::uint64_t> under_way_;
};

/// A flush waits for the batches that hold what had ended before it, and for none that came later.
struct flush_request {
  static constexpr std::uint64_t not_yet = std::numeric_limits<std::uint64_t>::max();

  std::shared_ptr<latch> done;
  std::array<std::uint64_t, signal_count> last_batch{not_yet, not_yet, not_yet};

  /// All it asked for of this signal is in batches up to this one.
  void handed_out(std::size_t s, std::uint64_t last) noexcept { last_batch[s] = std::min(last_batch[s], last); }

  [[nodiscard]] bool finished(std::size_t s, const batch_numbers& batches) const noexcept {
    return last_batch[s] != not_yet && batches.ended_up_to(last_batch[s]);
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
