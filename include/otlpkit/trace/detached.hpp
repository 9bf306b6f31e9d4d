// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/trace.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

#ifdef OTLPKIT_DISABLE
using detached_name = std::string_view;

struct kept_name {
  explicit kept_name(std::string_view) noexcept {}
  [[nodiscard]] static std::string_view get() noexcept { return {}; }
};
#else
using detached_name = span_name;

/// The name of a span that begins later. A literal is referred to.
class kept_name {
 public:
  explicit kept_name(span_name name)
      : literal_{name.lasting() ? name.text() : std::string_view{}}, copy_{name.lasting() ? std::string_view{}
                                                                                          : name.text()} {}

  [[nodiscard]] span_name get() const noexcept {
    return literal_.data() != nullptr ? span_name::literal(literal_) : span_name{copy_};
  }

 private:
  std::string_view literal_;
  std::string copy_;
};
#endif

}  // namespace detail

/// Work that somebody else will do, later or on another thread, and that the trace still belongs to. Made by
/// detached().
template <class F>
class detached_call {
 public:
  detached_call(detail::kept_name name, span_context parent, F fn)
      : name_{std::move(name)}, parent_{std::move(parent)}, fn_{std::move(fn)} {}

  /// Does the work in its span. An exception is recorded and passed on to whoever runs it.
  template <class... Arguments>
  void operator()(Arguments&&... arguments) {
    span_guard guard{name_.get(), {{"otlpkit.detached", true}}, {.parent = parent_}};
    try {
      std::invoke(fn_, std::forward<Arguments>(arguments)...);
    } catch (...) {
      record_current_exception(guard);
      throw;
    }
  }

 private:
  detail::kept_name name_;
  span_context parent_;
  F fn_;
};

/// Wraps `fn` so that it runs in a span called `name`, child of the span that is current now, whenever and wherever it
/// is called: `worker.post(otlpkit::detached("product.increment_views", [id] { ... }))`. The span carries
/// otlpkit.detached, by which viewers know that the parent does not wait for it.
///
/// Copyable if `fn` is. What `fn` refers to must live until it has run.
template <class F>
[[nodiscard]] detached_call<F> detached(detail::detached_name name, F fn) {
  return {detail::kept_name{name}, current_context(), std::move(fn)};
}

}  // namespace otlpkit::inline OTLPKIT_ABI
