// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/clock.hpp>
#include <otlpkit/core/ids.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
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

/// A value that another thread may write meanwhile; by itself it orders nothing. Copied like a plain one.
template <class T>
class shared_value {
 public:
  constexpr shared_value(T v) noexcept : value_{v} {}  // NOLINT(google-explicit-constructor)
  shared_value(const shared_value& other) noexcept : value_{static_cast<T>(other)} {}
  shared_value& operator=(const shared_value& other) noexcept { return *this = static_cast<T>(other); }
  OTLPKIT_ALWAYS_INLINE shared_value& operator=(T v) noexcept {
    value_.store(v, platform::relaxed);
    return *this;
  }
  OTLPKIT_ALWAYS_INLINE operator T() const noexcept {  // NOLINT(google-explicit-constructor)
    return value_.load(platform::relaxed);
  }

 private:
  platform::atomic<T> value_;
};

struct context_slot;

/// The memory of an entry whose owner is no local variable. A coroutine's frame may go on, and end, on another thread
/// than the one in whose slot its entry is; nobody could take the entry out of there. So it lives here, and goes when
/// both its owner and the slot are done with it.
struct kept_entry {
  enum class who : std::uint32_t { owner = 1, slot = 2 };

  platform::atomic<context_slot*> in{nullptr};  ///< only compared: the slot may be gone
  platform::atomic<std::uint32_t> done{0};
  void (*const recycle)(kept_entry&) noexcept;
  kept_entry* next_spare = nullptr;

  explicit kept_entry(void (*how)(kept_entry&) noexcept) noexcept : recycle{how} {}

  void done_by(who one) noexcept {
    if (done.fetch_add(static_cast<std::uint32_t>(one), platform::acq_rel) != 0) recycle(*this);
  }
};

enum class entry_state : std::uint8_t {
  any,
  usual,  ///< a span of this process without a trace state: a child has nothing else to ask for
  over,   ///< its owner ended elsewhere: to be taken out
};

/// One entry of a task's stack of current spans. It lives in the span's guard (or whatever made it current), or in a
/// kept_entry, and links to the one below: making a span current is two stores.
struct context_entry {
  span_context ids;
  clock_anchor anchor;                     ///< of the local root; ns_per_tick is 0 when there is none yet
  shared_value<span*> recording{nullptr};  ///< the open span, when the entry is one that records
  kept_entry* kept = nullptr;              ///< where the entry lives, if not in its owner
  context_entry* below = nullptr;          ///< what was current before
  shared_value<entry_state> state{entry_state::any};

  constexpr context_entry() noexcept = default;
  /// A child of `above`, whose state is `usual`. It lacks its id.
  OTLPKIT_ALWAYS_INLINE context_entry(context_entry& above, span* records) noexcept
      : ids{above.ids.trace, {}, above.ids.flags, false, {}}, anchor{above.anchor}, recording{records}, below{&above},
        state{entry_state::usual} {}

  /// Takes over what a task or scope begins with, and not the open span.
  void inherit(const context_entry& from) noexcept {
    ids = from.ids;
    anchor = from.anchor;
    state = from.state == entry_state::usual ? entry_state::usual : entry_state::any;
  }
};

/// Takes `entry` out of the stack, wherever it is.
template <class Entry>
bool unlink(Entry*& top, const Entry& entry) noexcept {
  for (Entry** link = &top; *link != nullptr; link = &(*link)->below) {
    if (*link != &entry) continue;
    *link = entry.below;
    return true;
  }
  return false;
}

/// Takes out what ended on other threads, or all entries that are kept. Returns how many kept ones are left.
template <class Entry>
OTLPKIT_NOINLINE std::uint32_t sweep(Entry*& top, bool all) noexcept {
  std::uint32_t left = 0;
  for (Entry** link = &top; *link != nullptr;) {
    Entry& entry = **link;
    if (entry.kept == nullptr || (!all && entry.state != entry_state::over)) {
      left += entry.kept != nullptr ? 1 : 0;
      link = &entry.below;
      continue;
    }
    *link = entry.below;
    entry.kept->in.store(nullptr, platform::relaxed);
    entry.kept->done_by(kept_entry::who::slot);
  }
  return left;
}

/// Counts the kept entries of one stack. Those that ended elsewhere may lie deep in it, so it is swept whenever it has
/// doubled: it is never more than about twice as deep as there are owners.
struct kept_count {
  std::uint32_t left = 0;   ///< after the last sweep
  std::uint32_t since = 0;  ///< pushed since

  template <class Entry>
  void pushed(Entry*& top) noexcept {
    if (++since <= left + 16) return;
    left = sweep(top, false);
    since = 0;
  }
};

struct carried_entry;  // what a task carries besides its spans: propagation/carried.hpp

/// A task's current span. A thread has one of its own; an asynchronous task brings its own, and the thread that runs it
/// points there meanwhile.
struct context_slot {
  context_entry* top = nullptr;      ///< read it with current(), which takes out what is over
  carried_entry* carried = nullptr;  ///< baggage and deadline, nullptr when there are none; a forked task has its own
  kept_count kept;
  kept_count kept_carried;
  /// Set when whoever waits for the task has cancelled it: tells the exception of that from others.
  shared_value<bool (*)(const std::exception&) noexcept> cancelled{nullptr};

  /// The innermost entry that is not over.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE context_entry* current() noexcept {
    if (top == nullptr || top->state != entry_state::over) [[likely]]
      return top;
    return drop_ended();
  }

  void push(context_entry& entry) noexcept {
    entry.below = top;
    top = &entry;
  }

  /// Where an entry that is taken off was: `absent` when it is in another slot's stack (its task was torn down
  /// elsewhere), which then stays as it is.
  enum class place : std::uint8_t { innermost, inner, absent };

  /// Takes `entry` off, wherever it is in this slot's stack.
  place remove(context_entry& entry) noexcept {
    if (top == &entry) [[likely]] {
      top = entry.below;
      return place::innermost;
    }
    return unlink(top, entry) ? place::inner : place::absent;
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

 private:
  OTLPKIT_COLD context_entry* drop_ended() noexcept {
    while (top != nullptr && top->state == entry_state::over) {
      kept_entry& ended = *top->kept;
      top = top->below;
      ended.done_by(kept_entry::who::slot);
    }
    return top;
  }
};

}  // namespace detail

}  // namespace otlpkit::inline OTLPKIT_ABI
