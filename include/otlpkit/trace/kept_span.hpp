// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/span.hpp>

#include <cstdint>
#include <new>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

/// The span of a guard that is no local variable: its frame, or the object it is in, may go on and end on any thread,
/// while the thread it began on still finds the span as its current one. So the span is here, and not in the guard;
/// whoever records on it takes the lock, and nobody can meet it half-made or gone.
///
/// The memory is used for other spans afterwards and never given back: a reference from current_span() that is held for
/// too long finds some span.
struct kept_span final : kept_entry {
  kept_span() noexcept : kept_entry{&over}, real{span::idle_t{}}, face{span::idle_t{}} {
    face.refer_to(*this);
    face.live_.current = true;
  }

  /// One that is not in use; nullptr when memory is out.
  [[nodiscard]] static kept_span* take() noexcept {
    thread_state& t = this_thread;
    kept_entry* entry = t.spare;
    if (entry != nullptr) {
      t.spare = entry->next_spare;
      --t.spares;
    } else {
      entry = global_runtime.kept_spans.take();
    }
    if (entry == nullptr) return new (std::nothrow) kept_span;
    entry->done.store(0, platform::relaxed);
    return static_cast<kept_span*>(entry);
  }

  /// `real` is in the running task's slot now.
  void entered(context_slot& slot) noexcept {
    if (real.live_.entry.recording != nullptr) real.live_.entry.recording = &face;
    real.live_.entry.kept = this;
    in.store(&slot, platform::relaxed);
    in_task = &slot != &this_thread.own;
    slot.kept.pushed(slot.top);
  }

  /// Locks it. False, and not locked, if a thread was at work on it that a fork left behind.
  [[nodiscard]] bool lock() noexcept {
    const std::uint32_t age = global_runtime.age.load(platform::relaxed);
    std::uint32_t holder = 0;
    while (!held_by.compare_exchange(holder, age, platform::acquire)) {
      if (holder != age) return false;
      holder = 0;
      platform::yield();
    }
    return true;
  }
  void unlock() noexcept { held_by.store(0, platform::release); }

  static void over(kept_entry& entry) noexcept {
    constexpr std::uint32_t most = 32;
    static_cast<kept_span&>(entry).real.live_.entry.ids.state = {};
    thread_state& t = this_thread;
    if (t.slot == nullptr || t.spares == most) return global_runtime.kept_spans.give(entry);
    entry.next_spare = t.spare;
    t.spare = &entry;
    ++t.spares;
  }

  span real;                           ///< begun, and in the slot's stack
  span face;                           ///< what current_span() returns
  platform::atomic<bool> open{false};  ///< the span records, and its start is complete
  platform::atomic<std::uint32_t> held_by{0};
  bool in_task = false;
};

}  // namespace detail

/// Makes this refer to `k`.
inline void span::refer_to(detail::kept_span& k) noexcept {
  ::new (static_cast<void*>(&live_)) detail::open_span;
  live_.ends = detail::open_span::path::kept;
  live_.entry.kept = &k;
  begun_ = true;
}

OTLPKIT_COLD inline bool span::kept_recording() const noexcept {
  return static_cast<detail::kept_span*>(live_.entry.kept)->open.load(platform::acquire);
}

OTLPKIT_COLD inline span_context span::kept_context() const noexcept {
  auto& k = static_cast<detail::kept_span&>(*live_.entry.kept);
  if (!live_.current) return k.real.live_.entry.ids;  // the guard, by whom it lives
  if (!k.lock()) return {};
  const span_context ids = k.open.load(platform::relaxed) ? k.real.live_.entry.ids : span_context{};
  k.unlock();
  return ids;
}

template <class F>
OTLPKIT_NOINLINE void span::reach_kept(F& what) noexcept {
  auto& k = static_cast<detail::kept_span&>(*live_.entry.kept);
  if (!k.lock()) return;
  if (k.open.load(platform::relaxed)) {
    if (k.real.records_here()) what(k.real);
    k.open.store(k.real.records_here(), platform::relaxed);
  }
  k.unlock();
}

OTLPKIT_NOINLINE inline detail::span_record* span::begin_kept(span_name name, const instrumentation_scope* scope,
                                                              const span_options* options) noexcept {
  detail::kept_span* const k = detail::kept_span::take();
  begun_ = k != nullptr;
  if (k == nullptr) return nullptr;
  refer_to(*k);
  k->real.begun_ = true;
  const bool records = k->real.begin(name, scope, options, true);
  k->entered(detail::current_slot());
  if (!records) return nullptr;
  live_.undecided = true;
  return &k->real.live_.record;
}

OTLPKIT_COLD inline void span::decide_kept(span_name name, const span_options* options) noexcept {
  auto& k = static_cast<detail::kept_span&>(*live_.entry.kept);
  if (k.real.live_.undecided) k.real.decide(name, options);
  k.open.store(k.real.records_here(), platform::release);
}

/// Moved out of a function: into a frame, or an object.
OTLPKIT_COLD inline void span::move_to_kept(span& other) noexcept {
  detail::kept_span* const k = detail::kept_span::take();
  if (k == nullptr) {
    static_cast<void>(detail::current_slot().remove(other.live_.entry));
    move_from(other);
    live_.current = false;
  } else {
    refer_to(*k);
    k->real.begun_ = true;
    k->real.move_from(other);
    detail::context_slot& slot = detail::current_slot();
    slot.replace(other.live_.entry, k->real.live_.entry);
    k->entered(slot);
    k->open.store(k->real.records_here(), platform::release);
  }
}

OTLPKIT_NOINLINE inline void span::leave_kept() noexcept {
  using place = detail::context_slot::place;
  auto& k = static_cast<detail::kept_span&>(*live_.entry.kept);
  detail::open_span& real = k.real.live_;
  detail::context_slot& here = detail::current_slot();
  place was = place::absent;
  const bool sound = k.lock();
  if (k.in.load(platform::relaxed) == &here) was = here.remove(real.entry);
  k.open.store(false, platform::relaxed);
  if (sound) {
    k.real.wind_up(was, k.in_task);
    if (real.has_record) real.record.~span_record();
  }
  real.has_record = false;
  if (was == place::absent) real.entry.state = detail::entry_state::over;
  k.unlock();
  if (was == place::absent) {
    k.done_by(detail::kept_entry::who::owner);
  } else {
    detail::kept_span::over(k);
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI
