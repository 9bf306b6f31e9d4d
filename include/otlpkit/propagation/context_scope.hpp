// SPDX-License-Identifier: MIT
#pragma once

// The current context as a value, for work that goes on elsewhere: std::thread, std::async, callbacks. Standard library
// only. Boost.Asio code has otlpkit/asio.

#include <otlpkit/config.hpp>

#ifdef OTLPKIT_DISABLE
#include <otlpkit/trace/disabled.hpp>
#else
#include <otlpkit/propagation/carried.hpp>
#include <otlpkit/trace/span.hpp>
#endif

#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

#ifndef OTLPKIT_DISABLE

namespace detail {

/// What a task starts with: the ids and the clock of the span that was current, baggage and deadline. The open span
/// itself stays behind, as it may end at any time.
struct inherited_context {
  context_entry entry;
  carried_entry carried;
  bool carries = false;

  void take(context_slot* from) noexcept {
    if (from == nullptr) return;
    if (const context_entry* const top = from->current()) entry.inherit(*top);
    if (const carried_entry* const top = carried_entry::current_in(*from)) {
      carried.inherit(*top);
      carries = true;
    }
  }

  /// `slot` holds this and nothing else. Without a span its stack has an entry all the same: what starts there is a
  /// root.
  void fill(context_slot& slot) noexcept {
    slot.top = &entry;
    slot.carried = carries ? &carried : nullptr;
  }
};

}  // namespace detail

/// The identity of a span with the baggage and the deadline that were current with it: a value, to be handed to other
/// threads. It does not keep the span open.
class context {
 public:
  /// No span: what starts under it is a trace of its own.
  context() noexcept = default;

  /// What is current here and now.
  [[nodiscard]] static context current() noexcept {
    context c;
    c.inherited_.take(detail::this_thread.slot);
    return c;
  }

  /// The span; not valid when none was current.
  [[nodiscard]] const span_context& span() const noexcept { return inherited_.entry.ids; }

 private:
  friend class context_scope;
  detail::inherited_context inherited_;
};

/// Makes a context current on this thread, or in this task, as long as it lives. Made by attach(); destroyed where it
/// was made.
class [[nodiscard]] context_scope {
 public:
  explicit context_scope(const context& c) noexcept : inherited_{c.inherited_} {
    detail::enter_scope(inherited_.entry, &detail::context_slot::top, &detail::context_slot::kept);
    inherited_.carried.push();
  }
  context_scope(const context_scope&) = delete;
  context_scope& operator=(const context_scope&) = delete;
  ~context_scope() {
    inherited_.carried.remove();
    detail::leave_scope(inherited_.entry, &detail::context_slot::top);
  }

 private:
  detail::inherited_context inherited_;
};

#else

class context {
 public:
  [[nodiscard]] static constexpr context current() noexcept { return {}; }
  [[nodiscard]] constexpr const span_context& span() const noexcept { return detail::no_context; }
};

class [[nodiscard]] context_scope {
 public:
  constexpr explicit context_scope(const context&) noexcept {}
  context_scope(const context_scope&) = delete;
  context_scope& operator=(const context_scope&) = delete;
  constexpr ~context_scope() {}  // not trivial: one that is only there to live is no unused variable
};

#endif

/// Makes `c` current until the returned object goes: `const auto attached = otlpkit::attach(parent);`. Never throws.
[[nodiscard]] inline context_scope attach(const context& c) noexcept { return context_scope{c}; }

/// A callable that runs within a context. Made by bind().
template <class F>
class bound_call {
 public:
  bound_call(context c, F fn) : context_{std::move(c)}, fn_{std::move(fn)} {}

  template <class... Arguments>
  requires std::is_invocable_v<F&, Arguments...>
  decltype(auto) operator()(Arguments&&... arguments) {
    const context_scope scope{context_};
    return fn_(std::forward<Arguments>(arguments)...);
  }
  template <class... Arguments>
  requires std::is_invocable_v<const F&, Arguments...>
  decltype(auto) operator()(Arguments&&... arguments) const {
    const context_scope scope{context_};
    return fn_(std::forward<Arguments>(arguments)...);
  }

 private:
  context context_;
  F fn_;
};

/// `fn`, to be called anywhere, later and as often as one likes, as if `c` were current there:
/// `std::thread{otlpkit::bind(otlpkit::context::current(), work)}`. Copyable if `fn` is.
template <class F>
[[nodiscard]] bound_call<std::decay_t<F>> bind(context c, F&& fn) {
  return {std::move(c), std::forward<F>(fn)};
}

/// The same with what is current now.
template <class F>
requires(!std::is_same_v<std::remove_cvref_t<F>, context>) [[nodiscard]] bound_call<std::decay_t<F>> bind(F&& fn) {
  return {context::current(), std::forward<F>(fn)};
}

}  // namespace otlpkit::inline OTLPKIT_ABI
