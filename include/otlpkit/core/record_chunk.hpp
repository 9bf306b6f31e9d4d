// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/wire_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

/// What producers and the reader of a record_queue share.
namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Precedes each record in a chunk: enough to group and cut without decoding.
struct record_header {
  std::uint32_t size;   ///< bytes that follow
  std::uint16_t scope;  ///< index in the scope table
  std::uint16_t reserved;
};

struct alignas(16) chunk {
  static constexpr std::uint32_t smallest = 4096;
  static constexpr std::uint32_t largest = 65536;

  /// Producer to reader: bytes of complete records, and in the upper half how many records these are.
  platform::atomic<std::uint64_t> committed{0};
  platform::atomic<chunk*> next{nullptr};  ///< producer to reader: set once, after the last record here
  std::uint32_t capacity;                  ///< bytes of data()
  std::uint32_t consumed = 0;              ///< the reader's own
  chunk* pooled = nullptr;

  explicit chunk(std::uint32_t bytes) noexcept : capacity{bytes} {}
  [[nodiscard]] wire::byte* data() noexcept { return reinterpret_cast<wire::byte*>(this) + sizeof(chunk); }
  [[nodiscard]] std::size_t footprint() const noexcept { return sizeof(chunk) + capacity; }
};

/// A thread's chain of chunks as the reader sees it.
struct thread_log {
  platform::atomic<bool> dead{false};               ///< its thread ended: no more records come
  platform::atomic<std::uint64_t> dropped_full{0};  ///< written by the producer alone, as is the next
  platform::atomic<std::uint64_t> dropped_large{0};
  chunk* head = nullptr;    ///< the reader's own, as are the next
  std::uint32_t taken = 0;  ///< records of `head` that were read
  thread_log* next = nullptr;
  chunk* mark = nullptr;      ///< where record_queue::mark() found its end, until the reader is past it
  std::uint32_t mark_at = 0;  ///< bytes in it then
};

/// The producing thread's end. Trivial, so that it can be a constinit thread-local.
struct producer {
  wire::byte* at;
  wire::byte* end;
  chunk* tail;
  thread_log* log;
  std::uint32_t next_size;  ///< of the next chunk
  std::int64_t counted;     ///< records in `tail` that are in record_queue::waiting()

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool has(std::size_t size) const noexcept {
    return static_cast<std::size_t>(end - at) >= size;
  }
  /// Records in `tail` since the last call.
  [[nodiscard]] std::int64_t count() noexcept {
    if (tail == nullptr) return 0;
    const auto all = static_cast<std::int64_t>(tail->committed.load(platform::relaxed) >> 32);
    return all - std::exchange(counted, all);
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
