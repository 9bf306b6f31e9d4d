// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/runtime.hpp>
#include <otlpkit/propagation/baggage.hpp>

#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

/// What a task carries besides its current span. The entry lives in a scope object, or in the state of a forked task,
/// which makes a copy of its parent's top one (`below` is then nullptr).
struct carried_entry {
  otlpkit::baggage baggage;
  std::uint64_t deadline_ns = 0;   ///< platform::steady_ns() by which the task's work is wanted; 0: none
  carried_entry* below = nullptr;  ///< what was carried before
  kept_entry* kept = nullptr;      ///< as in context_entry, and so is `state`
  shared_value<entry_state> state{entry_state::any};

  /// What this task carries now; nullptr when it is nothing.
  [[nodiscard]] static const carried_entry* current() noexcept {
    context_slot* const slot = this_thread.slot;
    return slot != nullptr ? current_in(*slot) : nullptr;
  }
  [[nodiscard]] static const carried_entry* current_in(context_slot& slot) noexcept {
    if (slot.carried != nullptr && slot.carried->state == entry_state::over) [[unlikely]]
      sweep(slot.carried, false);
    return slot.carried;
  }

  /// Takes over what a task or scope begins with.
  void inherit(const carried_entry& from) noexcept {
    baggage = from.baggage;
    deadline_ns = from.deadline_ns;
  }

  void push() noexcept;
  void remove() noexcept { leave_scope(*this, &context_slot::carried); }
};

/// What is left in the slot of a thread that ends.
OTLPKIT_VISIBLE inline constinit participant carried_participant{[]() noexcept {
                                                                   sweep(this_thread.own.carried, true);
                                                                   this_thread.own.kept_carried = {};
                                                                 },
                                                                 nullptr, nullptr, nullptr};

inline void carried_entry::push() noexcept {
  enter_scope(*this, &context_slot::carried, &context_slot::kept_carried);
  if (kept != nullptr) join_process(carried_participant);
}

}  // namespace detail

/// The baggage this task carries. Without telemetry it is there just the same.
[[nodiscard]] inline baggage current_baggage() noexcept {
  const detail::carried_entry* const carried = detail::carried_entry::current();
  return carried != nullptr ? carried->baggage : baggage{};
}

/// Makes baggage current as long as it lives: inject() sends it, tasks forked meanwhile carry it too. For use in one
/// task.
///
///     otlpkit::baggage_scope with{otlpkit::current_baggage().with("tenant.id", tenant)};
class [[nodiscard]] baggage_scope {
 public:
  explicit baggage_scope(baggage b) noexcept {
    if (const detail::carried_entry* const outer = detail::carried_entry::current()) {
      entry_.deadline_ns = outer->deadline_ns;
    }
    entry_.baggage = static_cast<baggage&&>(b);
    entry_.push();
  }
  baggage_scope(const baggage_scope&) = delete;
  baggage_scope& operator=(const baggage_scope&) = delete;
  ~baggage_scope() { entry_.remove(); }

 private:
  detail::carried_entry entry_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
