// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/record_queue.hpp>
#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/books.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Keeps the books of one pipeline, until they are closed. From any thread.
class ledger {
 public:
  using counts = std::array<std::uint64_t, signal_count>;

  /// What threads drop from now on, before it reaches the pipeline, is in the books. Before all other calls; the queue
  /// must outlive the ledger.
  void watch(signal s, otlpkit::detail::record_queue& queue) {
    source& from = sources_[static_cast<std::size_t>(s)];
    from.queue = &queue;
    from.earlier = queue.dropped();
  }

  /// Items came to the pipeline; once the books are closed they are lost to the shutdown.
  void recorded(signal s, std::size_t items) {
    const std::lock_guard lock{mutex_};
    signal_books& b = of(s);
    b.recorded += items;
    if (closed_) b.dropped_by[static_cast<std::size_t>(drop_reason::shutdown)] += items;
  }

  /// Items came to the pipeline and were taken out.
  void filtered(signal s, std::size_t items) {
    const std::lock_guard lock{mutex_};
    of(s).recorded += items;
    of(s).dropped_by[static_cast<std::size_t>(drop_reason::filtered)] += items;
  }

  /// All exporters are done with items that were recorded.
  void completed(signal s, std::size_t items, export_result result) {
    const std::lock_guard lock{mutex_};
    if (closed_) return;  // they were counted as lost
    signal_books& b = of(s);
    b.delivered += items - result.dropped;
    b.dropped_by[static_cast<std::size_t>(result.reason)] += result.dropped;
  }

  /// What is not completed by now, and what was left in the queues, is lost for this reason. Once.
  void close(drop_reason why, const counts& left) {
    const std::lock_guard lock{mutex_};
    if (closed_) return;
    closed_ = true;
    for (std::size_t s = 0; s < signal_count; ++s) {
      signal_books& b = books_.signals[s];
      b.recorded += left[s];
      b.dropped_by[static_cast<std::size_t>(why)] += b.recorded - b.delivered - b.dropped();
      add_queue_drops(s, b);
    }
  }

  [[nodiscard]] books read() const {
    const std::lock_guard lock{mutex_};
    books b = books_;
    for (std::size_t s = 0; s < signal_count; ++s) {
      if (!closed_) add_queue_drops(s, b.signals[s]);
    }
    return b;
  }

 private:
  struct source {
    otlpkit::detail::record_queue* queue = nullptr;
    otlpkit::detail::record_drops earlier;  ///< of pipelines before this one
  };

  [[nodiscard]] signal_books& of(signal s) noexcept { return books_.signals[static_cast<std::size_t>(s)]; }

  void add_queue_drops(std::size_t s, signal_books& b) const {
    const source& from = sources_[s];
    if (from.queue == nullptr) return;
    const otlpkit::detail::record_drops now = from.queue->dropped();
    const std::uint64_t full = now.queue_full - from.earlier.queue_full;
    const std::uint64_t large = now.too_large - from.earlier.too_large;
    b.recorded += full + large;
    b.dropped_by[static_cast<std::size_t>(drop_reason::queue_full)] += full;
    b.dropped_by[static_cast<std::size_t>(drop_reason::too_large)] += large;
  }

  mutable std::mutex mutex_;
  books books_;
  bool closed_ = false;
  std::array<source, signal_count> sources_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
