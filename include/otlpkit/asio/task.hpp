// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>
#include <otlpkit/propagation/context_scope.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <utility>

/// A task is what one coroutine and those it awaits do, one after the other: it has one stack of current spans, in its
/// slot. Whatever thread resumes a task points to that slot meanwhile; nothing is ever copied back, since the next
/// resume may already run elsewhere when the call returns.
namespace otlpkit::inline OTLPKIT_ABI::detail {

#ifdef OTLPKIT_DISABLE
struct inherited_context {};
struct context_slot {};
#endif

/// A task's state. Its memory is recycled for other tasks but never freed, so that whoever holds a stale reference may
/// still look at `generation`.
struct task : context_slot {
  inherited_context start;
  boost::asio::any_io_executor executor;  ///< where the task runs, without the task; empty when it fits no such type
  platform::atomic<std::uint32_t> generation{1};
  platform::atomic<std::uint32_t> owners{0};
  std::uint32_t number = 0;
  task* next_free = nullptr;
};

/// All tasks there ever were, by number. Blocks double in size and stay where they are.
class task_pool {
 public:
  /// A task that nobody else uses. Throws std::bad_alloc.
  [[nodiscard]] task& take() {
    const platform::lock_guard lock{mutex_};
    if (free_ == nullptr) grow();
    task& t = *free_;
    free_ = t.next_free;
    return t;
  }

  /// Calls `fn` with every task there is. Only while no other thread runs.
  template <class F>
  void for_each(F fn) noexcept {
    for (std::uint32_t b = 0; b < used_blocks_; ++b) {
      for (std::uint32_t i = 0; i < first_block << b; ++i) fn(blocks_[b][i]);
    }
  }

  void lock() noexcept { mutex_.lock(); }
  void unlock() noexcept { mutex_.unlock(); }

  void give_back(task& t) noexcept {
    const platform::lock_guard lock{mutex_};
    t.next_free = free_;
    free_ = &t;
  }

  [[nodiscard]] task& at(std::uint32_t number) const noexcept {
    const std::uint32_t in_blocks = number / first_block + 1;
    const auto block = static_cast<std::uint32_t>(std::bit_width(in_blocks)) - 1;
    return blocks_[block][number - first_block * ((1u << block) - 1)];
  }

 private:
  static constexpr std::uint32_t first_block = 64;
  static constexpr std::uint32_t most_blocks = 24;  // a thousand million tasks: memory ends before

  void grow() {
    follow_forks();
    if (used_blocks_ == most_blocks) throw std::bad_alloc{};
    const std::uint32_t count = first_block << used_blocks_;
    const std::uint32_t first = first_block * ((1u << used_blocks_) - 1);
    task* const block = new task[count];
    for (std::uint32_t i = count; i-- > 0;) {
      block[i].number = first + i;
      block[i].next_free = free_;
      free_ = &block[i];
    }
    blocks_[used_blocks_++] = block;
  }

  static void follow_forks() noexcept;

  platform::mutex mutex_;
  task* free_ = nullptr;
  std::uint32_t used_blocks_ = 0;
  task* blocks_[most_blocks] = {};  // an entry is written before a number of its block is given out
};

OTLPKIT_VISIBLE inline constinit task_pool global_tasks{};

#ifdef OTLPKIT_DISABLE

inline void task_pool::follow_forks() noexcept {}
inline void leave_slot(task&) noexcept {}

#else

/// The task is over. Guards of its coroutine that are left, as those of frames that others keep, no longer count on it.
inline void leave_slot(task& t) noexcept {
  sweep(t.top, true);
  sweep(t.carried, true);
  static_cast<context_slot&>(t) = {};
}

/// In a forked child, spans of suspended tasks stay the current context without recording, as on the forking thread.
inline void stop_recording_in_tasks() noexcept {
  global_tasks.unlock();
  global_tasks.for_each([](task& t) {
    for (context_entry* entry = t.top; entry != nullptr; entry = entry->below) entry->recording = nullptr;
  });
}

OTLPKIT_VISIBLE inline constinit participant task_participant{nullptr, []() noexcept { global_tasks.lock(); },
                                                              []() noexcept { global_tasks.unlock(); },
                                                              &stop_recording_in_tasks};

inline void task_pool::follow_forks() noexcept { join_process(task_participant); }

#endif

/// Refers to a task, in one word: number, generation, and whether this reference keeps the task. Those that do not find
/// out when it is gone. Executors are copied several times per asynchronous operation, and a copy of such a reference
/// costs nothing; the task itself is kept by its coroutine.
class task_ref {
 public:
  constexpr task_ref() noexcept = default;

  /// Keeps `t`, which is new.
  explicit task_ref(task& t) noexcept : word_{word_of(t) | keeps} { t.owners.store(1, platform::relaxed); }
  task_ref(const task_ref& other) noexcept : word_{other.word_} {
    if ((word_ & keeps) != 0) target().owners.fetch_add(1, platform::relaxed);
  }
  task_ref(task_ref&& other) noexcept : word_{std::exchange(other.word_, 0)} {}
  task_ref& operator=(task_ref other) noexcept {
    std::swap(word_, other.word_);
    return *this;
  }
  ~task_ref() {
    if ((word_ & keeps) != 0) release();
  }

  /// Refers to `t` without keeping it.
  [[nodiscard]] static task_ref borrow(const task& t) noexcept {
    task_ref r;
    r.word_ = word_of(t);
    return r;
  }
  [[nodiscard]] task_ref borrow() const noexcept {
    task_ref r;
    r.word_ = word_ & ~keeps;
    return r;
  }

  /// The task, or nullptr when it is over.
  [[nodiscard]] task* get() const noexcept {
    if (word_ == 0) return nullptr;
    task& t = target();
    return t.generation.load(platform::acquire) == static_cast<std::uint32_t>(word_ >> 32) % generations ? &t : nullptr;
  }

  friend bool operator==(const task_ref& a, const task_ref& b) noexcept { return ((a.word_ ^ b.word_) & ~keeps) == 0; }

 private:
  static constexpr std::uint32_t generations = std::uint32_t{1} << 31;
  static constexpr std::uint64_t keeps = std::uint64_t{1} << 63;

  static std::uint64_t word_of(const task& t) noexcept {
    return std::uint64_t{t.generation.load(platform::relaxed)} << 32 | t.number;
  }
  [[nodiscard]] task& target() const noexcept { return global_tasks.at(static_cast<std::uint32_t>(word_)); }

  OTLPKIT_NOINLINE void release() noexcept {
    task& t = target();
    if (t.owners.fetch_sub(1, platform::acq_rel) != 1) return;
    const std::uint32_t next = (t.generation.load(platform::relaxed) + 1) % generations;
    t.generation.store(next != 0 ? next : 1, platform::release);
    leave_slot(t);
    t.start = {};
    t.executor = {};
    global_tasks.give_back(t);
  }

  std::uint64_t word_ = 0;  // a task's first generation is 1: no reference to a task is 0
};

#ifndef OTLPKIT_DISABLE

/// The task that runs on this thread; nullptr when none does.
[[nodiscard]] inline task* running_task() noexcept {
  context_slot* const slot = this_thread.slot;
  return slot == nullptr || slot == &this_thread.own ? nullptr : static_cast<task*>(slot);
}

/// Lets this thread run a task, as long as it lives. Nothing of the task is touched at the end: it may have gone on
/// elsewhere by then, or be over.
class task_run {
 public:
  OTLPKIT_ALWAYS_INLINE explicit task_run(task* t) noexcept
      : before_{&current_slot()}, unwinding_{this_thread.unwinding} {
    if (t == nullptr) return;
    this_thread.slot = t;
    this_thread.unwinding = std::uncaught_exceptions();
  }
  task_run(const task_run&) = delete;
  task_run& operator=(const task_run&) = delete;
  OTLPKIT_ALWAYS_INLINE ~task_run() {
    this_thread.slot = before_;
    this_thread.unwinding = unwinding_;
  }

 private:
  context_slot* before_;
  int unwinding_;
};

/// For whoever cancels a task, before the task notices.
inline void note_cancelled(const task_ref& of) noexcept {
  task* const t = of.get();
  if (t == nullptr) return;
  t->cancelled = [](const std::exception& e) noexcept {
    const auto* const error = dynamic_cast<const boost::system::system_error*>(&e);
    return error != nullptr && error->code() == boost::asio::error::operation_aborted;
  };
}

/// A new task, whose spans are children of the span that is current here; where none is, of the one `fallback` began
/// under. Throws std::bad_alloc.
[[nodiscard]] inline task_ref fork_task(const task* fallback = nullptr) {
  task& t = global_tasks.take();
  context_slot& here = current_slot();
  const context_entry* const top = here.current();
  if (fallback != nullptr && (top == nullptr || !top->ids.valid())) {
    t.start = fallback->start;
  } else {
    t.start.take(&here);
  }
  t.start.fill(t);
  return task_ref{t};
}

#else

OTLPKIT_VISIBLE inline constinit thread_local task* this_thread_task = nullptr;

[[nodiscard]] inline task* running_task() noexcept { return this_thread_task; }

class task_run {
 public:
  explicit task_run(task* t) noexcept : before_{this_thread_task} {
    if (t != nullptr) this_thread_task = t;
  }
  task_run(const task_run&) = delete;
  task_run& operator=(const task_run&) = delete;
  ~task_run() { this_thread_task = before_; }

 private:
  task* before_;
};

inline void note_cancelled(const task_ref&) noexcept {}

[[nodiscard]] inline task_ref fork_task(const task* = nullptr) { return task_ref{global_tasks.take()}; }

#endif

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
