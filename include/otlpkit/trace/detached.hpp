// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/trace.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// Work that somebody else will do, later or on another thread, and that the trace still belongs to. Made by
/// detached().
template <class F>
class detached_call {
 public:
  detached_call(std::string name, span_context parent, F fn)
      : name_{std::move(name)}, parent_{std::move(parent)}, fn_{std::move(fn)} {}

  /// Does the work in its span. An exception is recorded and passed on to whoever runs it.
  template <class... Arguments>
  void operator()(Arguments&&... arguments) {
    span_guard guard{name_, {{"otlpkit.detached", true}}, {.parent = parent_}};
    try {
      std::invoke(fn_, std::forward<Arguments>(arguments)...);
    } catch (...) {
      record_current_exception(guard);
      throw;
    }
  }

 private:
  std::string name_;
  span_context parent_;
  F fn_;
};

/// Wraps `fn` so that it runs in a span called `name`, child of the span that is current now, whenever and wherever it
/// is called: `worker.post(otlpkit::detached("product.increment_views", [id] { ... }))`. The span carries
/// otlpkit.detached, by which viewers know that the parent does not wait for it.
///
/// Copyable if `fn` is. What `fn` refers to must live until it has run.
template <class F>
[[nodiscard]] detached_call<F> detached(std::string_view name, F fn) {
  return {std::string{name}, current_context(), std::move(fn)};
}

}  // namespace otlpkit::inline OTLPKIT_ABI
