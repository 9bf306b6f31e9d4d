// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/clock.hpp>
#include <otlpkit/core/ids.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// An immutable W3C tracestate list, shared by the spans of a trace. Copies count references; the empty one costs
/// nothing.
class trace_state {
 public:
  constexpr trace_state() noexcept = default;

  /// Takes the text of a tracestate header as it is (propagation checks what comes from outside). Empty when memory is
  /// out.
  explicit trace_state(std::string_view header) noexcept {
    if (header.empty()) return;
    void* memory = ::operator new(sizeof(block) + header.size(), std::nothrow);
    if (memory == nullptr) return;
    block_ = ::new (memory) block{{1}, header.size()};
    std::memcpy(static_cast<char*>(memory) + sizeof(block), header.data(), header.size());
  }

  trace_state(const trace_state& other) noexcept : block_{other.block_} {
    if (block_ != nullptr) [[unlikely]]
      block_->references.fetch_add(1, platform::relaxed);
  }
  constexpr trace_state(trace_state&& other) noexcept : block_{std::exchange(other.block_, nullptr)} {}
  trace_state& operator=(trace_state other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  constexpr ~trace_state() {
    if (block_ != nullptr) [[unlikely]]
      release();
  }

  [[nodiscard]] constexpr bool empty() const noexcept { return block_ == nullptr; }
  [[nodiscard]] std::string_view header() const noexcept {
    if (block_ == nullptr) return {};
    return {reinterpret_cast<const char*>(block_) + sizeof(block), block_->size};
  }

 private:
  struct block {  // the text follows it
    platform::atomic<std::uint32_t> references;
    std::size_t size;
  };

  OTLPKIT_NOINLINE void release() noexcept {
    if (block_->references.fetch_sub(1, platform::acq_rel) == 1) {
      block_->~block();
      ::operator delete(block_);
    }
  }

  block* block_ = nullptr;
};

/// What identifies a span across processes: a value, safe to copy to other threads.
struct span_context {
  otlpkit::trace_id trace;
  otlpkit::span_id span;
  std::uint8_t flags = 0;  ///< W3C trace flags: flag_sampled, flag_random
  bool remote = false;     ///< came from another process
  trace_state state;

  [[nodiscard]] constexpr bool valid() const noexcept { return trace.valid() && span.valid(); }
  [[nodiscard]] constexpr bool sampled() const noexcept { return (flags & flag_sampled) != 0; }
};

class span;

namespace detail {

/// One entry of a task's stack of current spans. It lives in the span's guard (or whatever made it current) and links
/// to the one below: making a span current is two stores.
struct context_entry {
  span_context ids;
  clock_anchor anchor;             ///< of the local root; ns_per_tick is 0 when there is none yet
  span* recording = nullptr;       ///< the open span, when the entry is one that records
  context_entry* below = nullptr;  ///< what was current before
};

struct carried_entry;  // what a task carries besides its spans: propagation/carried.hpp

/// A task's current span. A thread has one of its own; an asynchronous task brings its own, and the thread that runs it
/// points there meanwhile.
struct context_slot {
  context_entry* top = nullptr;
  carried_entry* carried = nullptr;  ///< baggage and deadline, nullptr when there are none; a forked task has its own

  void push(context_entry& entry) noexcept {
    entry.below = top;
    top = &entry;
  }

  /// Where an entry that is taken off was: `absent` when it is in another slot's stack (its task was torn down
  /// elsewhere), which then stays as it is: that slot is gone or will be.
  enum class place : std::uint8_t { innermost, inner, absent };

  /// Takes `entry` off, wherever it is in this slot's stack.
  place remove(context_entry& entry) noexcept {
    if (top == &entry) [[likely]] {
      top = entry.below;
      return place::innermost;
    }
    for (context_entry* e = top; e != nullptr; e = e->below) {
      if (e->below == &entry) {
        e->below = entry.below;
        return place::inner;
      }
    }
    return place::absent;
  }

  /// `entry` moved to another address.
  void replace(const context_entry& from, context_entry& to) noexcept {
    for (context_entry** link = &top; *link != nullptr; link = &(*link)->below) {
      if (*link == &from) {
        *link = &to;
        return;
      }
    }
  }
};

}  // namespace detail

}  // namespace otlpkit::inline OTLPKIT_ABI
