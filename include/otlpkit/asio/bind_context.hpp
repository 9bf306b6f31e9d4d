// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/propagation/context_scope.hpp>

#include <boost/asio/associator.hpp>

#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// A completion handler that runs within the context it was bound in. Made by bind_context(). It has the associated
/// executor, allocator and cancellation slot of `Handler`.
template <class Handler>
class context_bound_handler {
 public:
  context_bound_handler(context c, Handler handler) : context_{std::move(c)}, handler_{std::move(handler)} {}

  template <class... Arguments>
  void operator()(Arguments&&... arguments) {
    const context_scope scope{context_};
    std::move(handler_)(std::forward<Arguments>(arguments)...);
  }

  [[nodiscard]] const Handler& handler() const noexcept { return handler_; }

 private:
  context context_;
  Handler handler_;
};

/// `handler`, to be run under the span that is current now: `timer.async_wait(otlpkit::bind_context([](auto e)
/// {...}))`. For callbacks; coroutines need it not. What is bound to the handler (executor, allocator, cancellation
/// slot) stays in force. To be called once.
template <class Handler>
[[nodiscard]] context_bound_handler<std::decay_t<Handler>> bind_context(Handler&& handler) {
  return {context::current(), std::forward<Handler>(handler)};
}

}  // namespace otlpkit::inline OTLPKIT_ABI

template <template <class, class> class Associator, class Handler, class Default>
struct boost::asio::associator<Associator, otlpkit::context_bound_handler<Handler>, Default>
    : Associator<Handler, Default> {
  static typename Associator<Handler, Default>::type get(const otlpkit::context_bound_handler<Handler>& h) noexcept {
    return Associator<Handler, Default>::get(h.handler());
  }
  static auto get(const otlpkit::context_bound_handler<Handler>& h, const Default& d) noexcept
      -> decltype(Associator<Handler, Default>::get(h.handler(), d)) {
    return Associator<Handler, Default>::get(h.handler(), d);
  }
};
