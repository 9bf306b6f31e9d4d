// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

namespace otlpkit::inline OTLPKIT_ABI {

class span;

/// Something to be awaited: the work is still to be done when it is returned, and traced() for it is in
/// otlpkit/asio/in_span.hpp.
template <class T>
concept awaitable_like = requires(T& t) {
  t.await_ready();
};

namespace detail {
/// A function that takes nothing, or the span.
template <class F>
concept returns_awaitable = requires(F& fn) {
  { fn() } -> awaitable_like;
}
|| requires(F& fn, span& s) {
  { fn(s) } -> awaitable_like;
};
}  // namespace detail

}  // namespace otlpkit::inline OTLPKIT_ABI
