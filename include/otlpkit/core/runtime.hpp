// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attribute_writer.hpp>
#include <otlpkit/core/clock.hpp>
#include <otlpkit/core/context.hpp>
#include <otlpkit/core/ids.hpp>
#include <otlpkit/core/record_queue.hpp>
#include <otlpkit/core/scope.hpp>

#include <cstdint>
#include <exception>
#include <new>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

class sampler;

namespace detail {

/// Bits of runtime::mode: what the hot path must know, in one load.
enum mode_bits : std::uint32_t {
  mode_traces = 1,        ///< spans are recorded
  mode_logs = 2,          ///< log records are recorded
  mode_parent_based = 4,  ///< a span with a local parent follows the parent's decision
  mode_custom_ids = 8,    ///< ids come from runtime::ids
  mode_metrics = 16,      ///< measurements are recorded
  mode_count_spans = 32,  ///< spans are counted as they begin and end
};

/// A part of the library that must know when threads end and the process forks. Static, and joins once for ever.
struct participant {
  void (*thread_exit)() noexcept = nullptr;
  void (*before_fork)() noexcept = nullptr;           ///< take your locks
  void (*after_fork_in_parent)() noexcept = nullptr;  ///< release them
  void (*after_fork_in_child)() noexcept = nullptr;   ///< release them; there is only this thread now
  participant* next = nullptr;
  platform::atomic<bool> joined{false};
};

/// Hears of spans while mode_count_spans is set. From any thread; must be quick.
struct span_counts {
  enum class parent : std::uint8_t { none, local, remote };
  enum class result : std::uint8_t { drop, record_only, record_and_sample };
  void (*started)(parent, result) noexcept;
  void (*ended)(result) noexcept;  ///< of spans that recorded
};

/// Memory of kept entries that is not in use. It is never given back, so that whoever still refers to a span that is
/// over finds one, though another.
class kept_spares {
 public:
  [[nodiscard]] kept_entry* take() noexcept {
    const platform::lock_guard lock{mutex_};
    kept_entry* const entry = first_;
    if (entry != nullptr) first_ = entry->next_spare;
    return entry;
  }
  void give(kept_entry& entry) noexcept {
    const platform::lock_guard lock{mutex_};
    entry.next_spare = first_;
    first_ = &entry;
  }
  void lock_for_fork() noexcept { mutex_.lock(); }
  void unlock_after_fork() noexcept { mutex_.unlock(); }

 private:
  platform::mutex mutex_;
  kept_entry* first_ = nullptr;
};

/// What one telemetry object brings and every instrumented function uses. There is one per process (where shared
/// objects can see each other's symbols), made at load time without code and never destroyed.
struct runtime {
  platform::atomic<std::uint32_t> mode{0};

  // Written while `mode` is 0, read after it was seen with a bit set.
  platform::atomic<otlpkit::sampler*> sampler{nullptr};  ///< nullptr: always_on
  platform::atomic<id_generator*> ids{nullptr};
  attribute_limits span_attributes;
  attribute_limits event_attributes;
  attribute_limits link_attributes;
  attribute_limits log_attributes;
  platform::atomic<bool> keep_unsampled{false};  ///< spans that record without being sampled are handed on as well
  std::uint32_t max_events = 128;
  std::uint32_t max_links = 128;

  tick_clock clock;
  record_queue spans;
  record_queue logs;
  platform::atomic<const span_counts*> counts{nullptr};  ///< lives for ever

  kept_spares kept_spans;                  ///< for guards that are no local variables
  platform::atomic<std::uint32_t> age{1};  ///< how many forks lie behind this process, and one

  platform::atomic<participant*> participants{nullptr};
  platform::thread_exit_hook thread_exit;
  platform::atomic<std::uint32_t> setup{0};  ///< 0 not begun, 1 under way, 2 done
};

OTLPKIT_VISIBLE inline constinit runtime global_runtime{};

/// A thread's own state. Trivially destructible: usable before and after everything else in the thread.
struct thread_state {
  context_slot* slot;  ///< of the task this thread runs now; nullptr until the first span
  context_slot own;
  const unsigned* exceptions;  ///< platform::exception_counter(); nullptr until the thread is set up
  random_generator random;
  producer spans;
  producer logs;
  int unwinding;  ///< exceptions in flight when the task that runs now was resumed: they are not the task's
  platform::memory_range stack;  ///< platform::thread_stack(); empty until the thread is set up
  kept_entry* spare;             ///< of runtime::kept_spans, a few
  std::uint32_t spares;
};

OTLPKIT_VISIBLE inline constinit thread_local thread_state this_thread{};

/// Calls one hook of every participant.
inline void call_participants(void (*participant::*hook)() noexcept) noexcept {
  for (participant* p = global_runtime.participants.load(platform::acquire); p != nullptr; p = p->next) {
    if (p->*hook != nullptr) (p->*hook)();
  }
}

inline void on_thread_exit(void*) noexcept {
  thread_state& t = this_thread;
  call_participants(&participant::thread_exit);
  global_runtime.spans.retire(t.spans);
  global_runtime.logs.retire(t.logs);
  this_thread_slabs.close();
  sweep(t.own.top, true);
  t.own.kept = {};
  while (t.spare != nullptr) global_runtime.kept_spans.give(*std::exchange(t.spare, t.spare->next_spare));
  t.spares = 0;
  if (t.slot == &t.own && t.own.top == nullptr) {
    t.slot = nullptr;  // a later destructor that records arms the hook again
    t.stack = {};
  }
}

inline void before_fork() noexcept {
  call_participants(&participant::before_fork);
  global_scopes.lock_for_fork();
  global_runtime.spans.lock_for_fork();
  global_runtime.logs.lock_for_fork();
  global_runtime.kept_spans.lock_for_fork();
}

inline void unlock_after_fork() noexcept {
  global_runtime.kept_spans.unlock_after_fork();
  global_runtime.logs.unlock_after_fork();
  global_runtime.spans.unlock_after_fork();
  global_scopes.unlock_after_fork();
}

inline void after_fork_in_parent() noexcept {
  unlock_after_fork();
  call_participants(&participant::after_fork_in_parent);
}

/// The child has one thread, an empty queue and ids of its own. Spans that are open now belong to the parent, which
/// ends them; here they stay the current context without recording.
inline void after_fork_in_child() noexcept {
  thread_state& t = this_thread;
  global_runtime.age.fetch_add(1, platform::relaxed);
  global_runtime.spans.forget_after_fork();
  global_runtime.logs.forget_after_fork();
  t.spans = {};
  t.logs = {};
  t.random.seed();
  if (t.slot != nullptr) {
    for (context_entry* entry = t.slot->top; entry != nullptr; entry = entry->below) entry->recording = nullptr;
  }
  unlock_after_fork();
  call_participants(&participant::after_fork_in_child);
}

/// Once per process: hooks for ending threads and for fork, and the module stays loaded.
inline void set_up_process() noexcept {
  runtime& r = global_runtime;
  std::uint32_t begun = 0;
  if (r.setup.compare_exchange(begun, 1, platform::acq_rel)) {
    r.thread_exit.create(&on_thread_exit);
    platform::at_fork(&before_fork, &after_fork_in_parent, &after_fork_in_child);
    platform::pin_module(&global_runtime);
    platform::pin_module(reinterpret_cast<const void*>(&on_thread_exit));  // not always beside it
    r.setup.store(2, platform::release);
  }
  while (r.setup.load(platform::acquire) != 2) platform::yield();
}

/// `p` is called from now on; joining again does nothing.
inline void join_process(participant& p) noexcept {
  set_up_process();
  if (p.joined.exchange(true, platform::acq_rel)) return;
  // The runtime may be the program's and `p` that of a shared object, which is called for ever.
  platform::pin_module(&p);
  for (const auto hook : {p.thread_exit, p.before_fork, p.after_fork_in_parent, p.after_fork_in_child}) {
    if (hook != nullptr) platform::pin_module(reinterpret_cast<const void*>(hook));
  }
  p.next = global_runtime.participants.load(platform::relaxed);
  while (!global_runtime.participants.compare_exchange(p.next, &p, platform::release)) {
  }
}

/// on_thread_exit() will run on this thread, once set_up_process() was called.
inline void arm_thread_exit() noexcept {
  if (global_runtime.thread_exit.arm(&global_runtime)) this_thread_slabs.open();
}

OTLPKIT_COLD inline context_slot& set_up_thread() noexcept {
  set_up_process();
  thread_state& t = this_thread;
  t.random.seed();
  t.exceptions = platform::exception_counter();
  t.stack = platform::thread_stack();
  t.slot = &t.own;
  arm_thread_exit();
  return t.own;
}

/// The slot of the task that runs on this thread.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE context_slot& current_slot() noexcept {
  context_slot* const slot = this_thread.slot;
  if (slot != nullptr) [[likely]]
    return *slot;
  return set_up_thread();
}

/// An entry in a slot's stack whose owner, a scope, need not be a local variable.
template <class Entry>
struct kept_copy final : kept_entry {
  Entry entry;
  explicit kept_copy(const Entry& e) noexcept
      : kept_entry{[](kept_entry& k) noexcept { delete static_cast<kept_copy*>(&k); }}, entry{e} {
    entry.kept = this;
  }
};

/// Pushes a scope's entry. Where memory for it is out the scope has no effect.
template <class Entry>
void enter_scope(Entry& entry, Entry* context_slot::*stack, kept_count context_slot::*count) noexcept {
  context_slot& slot = current_slot();
  Entry* pushed = &entry;
  if (!this_thread.stack.has(&entry)) {
    auto* const kept = new (std::nothrow) kept_copy<Entry>{entry};
    if (kept == nullptr) return;
    kept->in.store(&slot, platform::relaxed);
    entry.kept = kept;
    pushed = &kept->entry;
    (slot.*count).pushed(slot.*stack);
  }
  pushed->below = slot.*stack;
  slot.*stack = pushed;
}

template <class Entry>
void leave_scope(Entry& entry, Entry* context_slot::*stack) noexcept {
  context_slot& slot = current_slot();
  if (entry.kept == nullptr) {
    unlink(slot.*stack, entry);
    return;
  }
  auto& kept = static_cast<kept_copy<Entry>&>(*entry.kept);
  if (kept.in.load(platform::relaxed) == &slot && unlink(slot.*stack, kept.entry)) return kept.recycle(kept);
  kept.entry.state = entry_state::over;
  kept.done_by(kept_entry::who::owner);
}

/// How many exceptions unwind the running task. A task that is resumed from a destructor while the thread unwinds has
/// none of its own.
[[nodiscard]] inline int exceptions_in_flight() noexcept { return std::uncaught_exceptions() - this_thread.unwinding; }
/// The same where `thread.exceptions` is known.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE int exceptions_in_flight(const thread_state& thread) noexcept {
  return platform::exceptions_in_flight(thread.exceptions) - thread.unwinding;
}

/// Whether the running task was cancelled by whoever waits for it.
[[nodiscard]] inline bool cancelled_here() noexcept {
  return this_thread.slot != nullptr && this_thread.slot->cancelled != nullptr;
}
/// Whether `e` is the exception it is cancelled by.
[[nodiscard]] inline bool cancelled_by(const std::exception& e) noexcept {
  return cancelled_here() && this_thread.slot->cancelled(e);
}

/// The ids of a span, made in the order trace id, then span id, by the built-in generator or the user's.
struct id_source {
  std::uint32_t mode;

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE span_id span() const noexcept {
    if ((mode & mode_custom_ids) != 0) [[unlikely]] {
      if (const span_id id = global_runtime.ids.load(platform::acquire)->new_span_id(); id.valid()) return id;
    }
    return {this_thread.random.next()};
  }
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE trace_id trace(std::uint8_t& flags) const noexcept {
    if ((mode & mode_custom_ids) != 0) [[unlikely]] {
      id_generator& generator = *global_runtime.ids.load(platform::acquire);
      const trace_id id = generator.new_trace_id();
      flags = static_cast<std::uint8_t>(generator.is_random() ? flag_random : 0);
      if (id.valid()) return id;
    }
    flags = flag_random;
    return {{this_thread.random.next(), this_thread.random.next()}};
  }
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI
