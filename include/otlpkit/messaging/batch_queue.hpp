// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// What becomes of an item for which there is no room.
enum class overflow : std::uint8_t {
  block,        ///< it waits until the queue is down to its low watermark
  drop_newest,  ///< it is dropped
  drop_oldest,  ///< the oldest one in the queue is dropped for it
};

/// Why a batch went out.
enum class batch_reason : std::uint8_t { count, bytes, time, pressure, flush, close };

[[nodiscard]] constexpr std::string_view to_string(batch_reason r) noexcept {
  switch (r) {
    case batch_reason::count: return "count";
    case batch_reason::bytes: return "bytes";
    case batch_reason::time: return "time";
    case batch_reason::pressure: return "pressure";
    case batch_reason::flush: return "flush";
    case batch_reason::close: return "close";
  }
  return "unknown";
}

/// When a batch is complete, and how much may wait.
struct batch_limits {
  std::size_t max_items = 512;  ///< of a batch
  std::size_t max_bytes = 0;    ///< of a batch, unless one item alone is larger; 0: bytes do not count
  std::chrono::nanoseconds max_delay = std::chrono::seconds{1};  ///< since the batch's first item came
  std::size_t high_watermark = 4096;  ///< items that may wait; from then on there is pressure: no batch waits for more
  std::size_t low_watermark = 2048;   ///< and until no more than these wait
  overflow when_full = overflow::block;
};

/// Items that wait to be sent together: which of them make a batch, and when; what happens when there are too many.
///
/// Pure state: it never waits and knows no clock. Not thread-safe: batcher and async_batcher add what is missing.
template <class Item>
class batch_queue {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  enum class answer : std::uint8_t {
    taken,
    taken_for_oldest,  ///< the oldest item was dropped
    dropped,
    wait,    ///< not taken: ask again when there is no pressure
    closed,  ///< not taken
  };

  struct entry {
    Item item;
    std::size_t bytes;
    time_point came;
    span_context from;  ///< the span it was added in
  };

  struct batch {
    std::vector<Item> items{};
    std::vector<span_context> from{};  ///< different spans the items were added in, as many as `links`
    std::size_t bytes = 0;
    batch_reason reason = batch_reason::count;
    std::uint64_t last = 0;  ///< the number of its last item: see added()
  };

  explicit batch_queue(const batch_limits& limits) : limits_{limits} {}

  /// Offers an item, which is moved from if it is taken.
  answer offer(Item& item, std::size_t bytes, time_point now, span_context from = {}) {
    if (closed_) return answer::closed;
    if (limits_.when_full == overflow::block && pressure_) return answer::wait;
    const bool full = waiting_.size() >= limits_.high_watermark;
    if (full && limits_.when_full == overflow::drop_newest) return answer::dropped;
    waiting_.push_back({std::move(item), bytes, now, std::move(from)});
    ++added_;
    bytes_ += bytes;
    if (full) drop_front();
    pressure_ = pressure_ || waiting_.size() >= limits_.high_watermark;
    return full ? answer::taken_for_oldest : answer::taken;
  }

  /// Why a batch is due now, if one is.
  [[nodiscard]] std::optional<batch_reason> due(time_point now) const noexcept {
    if (waiting_.empty()) return std::nullopt;
    if (waiting_.size() >= limits_.max_items) return batch_reason::count;
    if (limits_.max_bytes != 0 && bytes_ >= limits_.max_bytes) return batch_reason::bytes;
    if (closed_) return batch_reason::close;
    if (flushed_ > added_ - waiting_.size()) return batch_reason::flush;
    if (pressure_) return batch_reason::pressure;
    if (now - waiting_.front().came >= limits_.max_delay) return batch_reason::time;
    return std::nullopt;
  }

  /// When one will be if nothing comes; nothing while nothing waits.
  [[nodiscard]] std::optional<time_point> due_at() const noexcept {
    if (waiting_.empty()) return std::nullopt;
    return resilience::time_after(waiting_.front().came, limits_.max_delay);
  }

  /// The batch that is due; without items if none is.
  [[nodiscard]] batch take(time_point now, std::size_t links = 0) {
    batch out;
    const std::optional<batch_reason> why = due(now);
    if (!why) return out;
    out.reason = *why;
    std::size_t count = 0;
    while (count < waiting_.size() && count < limits_.max_items) {
      const std::size_t more = waiting_[count].bytes;
      if (limits_.max_bytes != 0 && count > 0 && out.bytes + more > limits_.max_bytes) break;
      out.bytes += more;
      ++count;
    }
    out.items.reserve(count);
    out.from.reserve(std::min(links, count));
    for (std::size_t i = 0; i < count; ++i) {
      entry& e = waiting_.front();
      if (e.from.valid() && out.from.size() < links) note(out.from, std::move(e.from));
      out.items.push_back(std::move(e.item));
      waiting_.pop_front();
    }
    bytes_ -= out.bytes;
    out.last = added_ - waiting_.size();
    relax();
    return out;
  }

  /// Makes everything due that waits. \return the number of the last of these items
  std::uint64_t flush() noexcept { return flushed_ = added_; }

  /// The same for good: nothing is taken any more.
  void close() noexcept { closed_ = true; }

  /// Drops everything that waits. \return how many
  std::size_t drop_all() noexcept {
    const std::size_t count = waiting_.size();
    waiting_.clear();
    bytes_ = 0;
    relax();
    return count;
  }

  [[nodiscard]] bool closed() const noexcept { return closed_; }
  /// Whether the high watermark was reached, and the low one not since.
  [[nodiscard]] bool pressure() const noexcept { return pressure_; }
  [[nodiscard]] std::size_t size() const noexcept { return waiting_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// Items taken so far: each has the number this then was.
  [[nodiscard]] std::uint64_t added() const noexcept { return added_; }

 private:
  void drop_front() noexcept {
    bytes_ -= waiting_.front().bytes;
    waiting_.pop_front();
  }

  void relax() noexcept {
    if (waiting_.size() <= limits_.low_watermark) pressure_ = false;
  }

  static void note(std::vector<span_context>& known, span_context&& from) {
    // Items of one span come together mostly.
    const bool there =
        std::any_of(known.rbegin(), known.rend(), [&](const span_context& c) { return c.span == from.span; });
    if (!there) known.push_back(std::move(from));
  }

  batch_limits limits_;
  std::deque<entry> waiting_;
  std::size_t bytes_ = 0;
  std::uint64_t added_ = 0;
  std::uint64_t flushed_ = 0;
  bool pressure_ = false;
  bool closed_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
