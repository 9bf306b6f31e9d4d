// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// The memory of batches that are over, for those to come. An allocator gives what is that large back to the system,
/// and the page faults of taking it again cost as much as all the rest of an export. Usable from any thread.
class spare_memory {
 public:
  static constexpr std::size_t most = 4;               ///< kept at a time
  static constexpr std::size_t least_bytes = 1 << 16;  ///< what is smaller, allocators keep themselves

  /// An empty string, with memory if there is some.
  [[nodiscard]] std::string take() noexcept {
    const platform::lock_guard lock{mutex_};
    if (count_ == 0) return {};
    --count_;
    unused_ = std::min(unused_, count_);
    return std::exchange(kept_[count_], {});
  }

  /// Takes over what a batch no longer needs.
  void give(std::string used) noexcept {
    if (used.capacity() < least_bytes) return;
    used.clear();
    const platform::lock_guard lock{mutex_};
    if (count_ < most) kept_[count_++].swap(used);
  }

  /// Lets go of what nobody has needed since the last call.
  void trim() noexcept {
    std::array<std::string, most> gone;  // freed without the lock
    const platform::lock_guard lock{mutex_};
    for (; unused_ != 0; --unused_) gone[unused_ - 1].swap(kept_[--count_]);
    unused_ = count_;
  }

 private:
  platform::mutex mutex_;
  std::array<std::string, most> kept_;
  std::size_t count_ = 0;
  std::size_t unused_ = 0;  ///< the fewest there were since the last trim()
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
