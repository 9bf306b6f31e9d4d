// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/trace/observed_call.hpp>

#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::messaging::detail {

/// What the scope() of an operation returns that needs none.
struct no_scope {};

/// Makes a call between the start and the end of an operation, which may change what is sent: the headers of a message.
///   kept        what operation and call work on, kept until the end
///   make(kept)  the operation: as for otlpkit::detail::observe(), and scope() is alive as long as the call
///   call(kept)  the call
///
/// This is the form for calls that return their result; awaitables have a specialisation in asio/messaging.hpp.
template <class Result>
struct observed_call {
  using text = std::string_view;  ///< how a destination is kept

  template <class Kept, class Make, class Call>
  static Result run(Kept kept, [[maybe_unused]] Make make, Call call) {
    static_assert(!awaitable_like<Result>,
                  "otlpkit: include otlpkit/asio/messaging.hpp for producers, consumers and "
                  "handlers that return awaitables");
    if constexpr (!otlpkit::detail::telemetry_compiled_in) {
      return call(kept);
    } else {
      auto operation = make(kept);
      [[maybe_unused]] const auto scope = operation.scope();
      return otlpkit::detail::observe(std::move(operation), [&]() -> Result { return call(kept); });
    }
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging::detail
