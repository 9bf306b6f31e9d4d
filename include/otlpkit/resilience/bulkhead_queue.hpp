// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>

namespace otlpkit::inline OTLPKIT_ABI::resilience {

/// A place in a bulkhead's queue. Whoever waits keeps it until it is admitted or has left the queue.
struct bulkhead_place {
  bulkhead_place* before = nullptr;
  bulkhead_place* after = nullptr;
  bool queued = false;
};

/// Who may go, who waits, who is turned away: at most `limit` calls at once, at most `queue_limit` that wait.
///
/// Pure state: it never waits and knows no clock; whoever waits too long leaves by give_up(). Not thread-safe: bulkhead
/// adds the lock.
class bulkhead_queue {
 public:
  enum class answer : unsigned char { admitted, queued, full };

  /// \param fair who has waited longest goes first; otherwise who came last does
  constexpr bulkhead_queue(std::size_t limit, std::size_t queue_limit, bool fair) noexcept
      : limit_{limit}, queue_limit_{queue_limit}, fair_{fair} {}

  /// A call wants to begin. Queued, `place` belongs to the queue until leave() hands it out or give_up() takes it back.
  [[nodiscard]] constexpr answer enter(bulkhead_place& place, bool may_wait = true) noexcept {
    if (active_ < limit_) {  // then nobody waits
      ++active_;
      return answer::admitted;
    }
    if (!may_wait || queued_ >= queue_limit_) return answer::full;
    place = {.before = last_, .after = nullptr, .queued = true};
    (last_ != nullptr ? last_->after : first_) = &place;
    last_ = &place;
    ++queued_;
    return answer::queued;
  }

  /// A call is over.
  /// \return who goes instead, or nullptr
  [[nodiscard]] constexpr bulkhead_place* leave() noexcept {
    bulkhead_place* const next = fair_ ? first_ : last_;
    if (next != nullptr) {
      remove(*next);  // its call takes the place of the one that ended
    } else {
      --active_;
    }
    return next;
  }

  /// Whoever is queued at `place` waits no longer.
  /// \return false when it was admitted before: then its call has begun, and must leave()
  [[nodiscard]] constexpr bool give_up(bulkhead_place& place) noexcept {
    if (!place.queued) return false;
    remove(place);
    return true;
  }

  [[nodiscard]] constexpr std::size_t active() const noexcept { return active_; }
  [[nodiscard]] constexpr std::size_t queued() const noexcept { return queued_; }

 private:
  constexpr void remove(bulkhead_place& p) noexcept {
    (p.before != nullptr ? p.before->after : first_) = p.after;
    (p.after != nullptr ? p.after->before : last_) = p.before;
    p = {};
    --queued_;
  }

  std::size_t limit_;
  std::size_t queue_limit_;
  bool fair_;
  std::size_t active_ = 0;
  std::size_t queued_ = 0;
  bulkhead_place* first_ = nullptr;
  bulkhead_place* last_ = nullptr;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
