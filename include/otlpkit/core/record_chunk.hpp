// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/wire_writer.hpp>

#include <cstddef>
#include <cstdint>

/// What producers and the reader of a record_queue share.
namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Precedes each record in a chunk: enough to group and cut without decoding.
struct record_header {
  std::uint32_t size;   ///< bytes that follow
  std::uint16_t scope;  ///< index in the scope table
  std::uint16_t reserved;
};

/// Which records of a chunk are in record_queue::waiting(): those that were counted and not read. The reader may also
/// read what is not counted yet; each side learns from its own change what it changes in the sum.
class record_account {
 public:
  /// The producer: all `records` of the chunk count. \return what that adds to those that wait
  [[nodiscard]] std::int64_t count(std::uint64_t records) noexcept {
    const std::uint64_t before = words_.load(platform::relaxed) >> 32;  // its own
    return change(records - before, 0);
  }
  /// The reader: it has read so many more. \return what that adds, which is nothing or negative
  [[nodiscard]] std::int64_t read(std::uint32_t records) noexcept { return change(0, records); }

  [[nodiscard]] std::uint32_t was_read() const noexcept {
    return static_cast<std::uint32_t>(words_.load(platform::relaxed));
  }

 private:
  std::int64_t change(std::uint64_t counted, std::uint64_t read) noexcept {
    const std::uint64_t add = counted << 32 | read;
    const std::uint64_t before = words_.fetch_add(add, platform::acq_rel);
    return waiting(before + add) - waiting(before);
  }
  [[nodiscard]] static std::int64_t waiting(std::uint64_t words) noexcept {
    const auto left = static_cast<std::int64_t>(words >> 32) - static_cast<std::int64_t>(words & 0xFFFF'FFFF);
    return left > 0 ? left : 0;
  }

  platform::atomic<std::uint64_t> words_{0};  // counted in the upper half, read in the lower one
};

struct alignas(16) chunk {
  static constexpr std::uint32_t smallest = 4096;
  static constexpr std::uint32_t largest = 65536;

  /// Producer to reader: bytes of complete records, and in the upper half how many records these are.
  platform::atomic<std::uint64_t> committed{0};
  platform::atomic<chunk*> next{nullptr};  ///< producer to reader: set once, after the last record here
  std::uint32_t capacity;                  ///< bytes of data()
  std::uint32_t consumed = 0;              ///< the reader's own
  record_account account;
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
  chunk* head = nullptr;  ///< the reader's own, as are the next
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

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool has(std::size_t size) const noexcept {
    return static_cast<std::size_t>(end - at) >= size;
  }
  /// Counts what `tail` has. \return what that adds to record_queue::waiting()
  [[nodiscard]] std::int64_t count() noexcept {
    return tail == nullptr ? 0 : tail->account.count(tail->committed.load(platform::relaxed) >> 32);
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
