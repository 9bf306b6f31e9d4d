// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/wire_writer.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

/// A thread's spare buffers. Trivially destructible: only a thread whose exit hook will free them keeps any.
struct slab_cache {
  static constexpr std::size_t slab_size = 1024;
  static constexpr std::uint32_t most = 64;

  struct slab {
    slab* next;
  };
  slab* head;
  std::uint32_t space;  ///< how many more it keeps; with an empty list 0 or `most`

  /// A kept one, or nullptr.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE void* take_spare() noexcept {
    slab* const s = head;
    if (s != nullptr) [[likely]] {
      head = s->next;
      ++space;
    }
    return s;
  }
  [[nodiscard]] void* take() noexcept {
    void* const s = take_spare();
    return s != nullptr ? s : std::malloc(slab_size);
  }

  OTLPKIT_ALWAYS_INLINE void give(void* memory) noexcept {
    if (!has_space()) return std::free(memory);
    keep(memory);
  }
  [[nodiscard]] bool has_space() const noexcept { return space != 0; }
  OTLPKIT_ALWAYS_INLINE void keep(void* memory) noexcept {
    head = ::new (memory) slab{head};
    --space;
  }

  /// From now on slabs are kept, until close(), which this thread's exit hook calls.
  void open() noexcept {
    if (head == nullptr) space = most;
  }
  void close() noexcept {
    while (head != nullptr) std::free(std::exchange(head, head->next));
    space = 0;
  }
};

OTLPKIT_VISIBLE inline constinit thread_local slab_cache this_thread_slabs{};

}  // namespace detail

/// Grows while one record is put together: attributes, events and links in the order they are added.
///
/// Starts with nothing, then a slab of 1 KiB from the thread's cache, then malloc. It may be filled on one thread and
/// released on another. Not thread-safe.
class record_buffer {
 public:
  /// The largest a record may grow; what would go beyond is refused, and counted by the caller.
  static constexpr std::size_t max_size = std::size_t{16} << 20;

  constexpr record_buffer() noexcept = default;
  record_buffer(const record_buffer&) = delete;
  record_buffer& operator=(const record_buffer&) = delete;
  constexpr record_buffer(record_buffer&& other) noexcept : begin_{other.begin_}, at_{other.at_}, end_{other.end_} {
    other.begin_ = other.at_ = other.end_ = nullptr;
  }
  ~record_buffer() { release(); }

  /// Makes room for `size` more bytes. False when the record would become too large or memory is out.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool room(std::size_t size) noexcept {
    return static_cast<std::size_t>(end_ - at_) >= size || grow(size);
  }

  /// The same without calling a function: false does not mean that there will be none.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool room_at_hand(std::size_t size) noexcept {
    if (static_cast<std::size_t>(end_ - at_) >= size) [[likely]]
      return true;
    if (begin_ != nullptr || size > slab_capacity) return false;
    begin_ = at_ = static_cast<wire::byte*>(detail::this_thread_slabs.take_spare());
    if (begin_ == nullptr) [[unlikely]]
      return false;
    end_ = begin_ + slab_capacity;
    return true;
  }

  /// Copies the content to `to`, where wire::block_slack more bytes than size() must be free.
  OTLPKIT_ALWAYS_INLINE wire::byte* copy_to(wire::byte* to) const noexcept {
    return wire::copy_blocks(to, begin_, size());
  }

  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
  [[nodiscard]] wire::byte* begin() noexcept { return begin_; }
  [[nodiscard]] wire::byte* at() noexcept { return at_; }
  [[nodiscard]] std::string_view view() const noexcept { return {reinterpret_cast<const char*>(begin_), size()}; }
  /// Says how far the bytes now go: a place at() was moved to, or one from before, to take back what follows it.
  void advance_to(wire::byte* p) noexcept { at_ = p; }
  void shrink_to(std::size_t size) noexcept { at_ = begin_ + size; }

  /// Cuts `count` bytes out at `offset`.
  void erase(std::size_t offset, std::size_t count) noexcept {
    wire::byte* const hole = begin_ + offset;
    std::memmove(hole, hole + count, size() - offset - count);
    at_ -= count;
  }

  /// Appends a field whose length is not known yet; close() it with what open() returned.
  [[nodiscard]] bool open(wire::byte tag, std::size_t& mark) noexcept {
    if (!room(2)) return false;
    at_[0] = tag;
    at_ += 2;
    mark = size();
    return true;
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool close(std::size_t mark) noexcept {
    const std::size_t length = size() - mark;
    if (length >= 0x80) [[unlikely]]
      return close_long(mark, length);
    begin_[mark - 1] = static_cast<wire::byte>(length);
    return true;
  }

  OTLPKIT_ALWAYS_INLINE void release() noexcept {
    if (begin_ == nullptr) return;
    if (from_heap()) [[unlikely]] {
      std::free(begin_);
    } else {
      detail::this_thread_slabs.give(begin_);
    }
    begin_ = at_ = end_ = nullptr;
  }

  /// Whether release() has nothing to do but to keep a slab.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool can_give() const noexcept {
    return begin_ == nullptr || (!from_heap() && detail::this_thread_slabs.has_space());
  }
  /// Does it, as the last thing done with this buffer: can_give() was true, and the destructor will not run.
  OTLPKIT_ALWAYS_INLINE void give() const noexcept {
    if (begin_ != nullptr) detail::this_thread_slabs.keep(begin_);
  }

 private:
  static constexpr std::size_t slab_capacity = detail::slab_cache::slab_size - wire::block_slack;

  /// Memory of malloc has at least twice the room.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool from_heap() const noexcept {
    return static_cast<std::size_t>(end_ - begin_) != slab_capacity;
  }

  /// The one byte that was kept free is too small: the content moves up.
  OTLPKIT_NOINLINE bool close_long(std::size_t mark, std::size_t length) noexcept {
    const std::size_t extra = wire::varint_size(length) - 1;
    if (!room(extra)) return false;
    std::memmove(begin_ + mark + extra, begin_ + mark, length);
    at_ += extra;
    wire::put_varint(begin_ + mark - 1, length);
    return true;
  }

  OTLPKIT_NOINLINE bool grow(std::size_t more) noexcept {
    const std::size_t used = size();
    if (begin_ == nullptr && more <= slab_capacity) {
      begin_ = at_ = static_cast<wire::byte*>(detail::this_thread_slabs.take());
      end_ = begin_ == nullptr ? nullptr : begin_ + slab_capacity;
      return begin_ != nullptr;
    }
    if (more > max_size - used) return false;
    const std::size_t capacity = std::bit_ceil(used + more + wire::block_slack);
    auto* const memory = static_cast<wire::byte*>(std::malloc(capacity));
    if (memory == nullptr) return false;
    if (used != 0) std::memcpy(memory, begin_, used);
    release();
    begin_ = memory;
    at_ = memory + used;
    end_ = memory + capacity - wire::block_slack;
    return true;
  }

  wire::byte* begin_ = nullptr;
  wire::byte* at_ = nullptr;
  wire::byte* end_ = nullptr;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
