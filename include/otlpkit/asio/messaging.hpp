// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/observed_call.hpp>
#include <otlpkit/messaging/consumer.hpp>
#include <otlpkit/messaging/producer.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <exception>
#include <string>
#include <type_traits>
#include <utility>

// traced_producer and traced_consumer over calls that are awaited, and handlers that are: include this where they are
// used.
namespace otlpkit::inline OTLPKIT_ABI::messaging::detail {

template <class T, class Executor>
struct observed_call<boost::asio::awaitable<T, Executor>> {
  using text = std::string;
  using awaitable = boost::asio::awaitable<T, Executor>;

  /// The call is made when the awaitable is awaited, after the operation's start.
  template <class Kept, class Make, class Call>
  static awaitable run(Kept kept, [[maybe_unused]] Make make, Call call) {
    if constexpr (!otlpkit::detail::telemetry_compiled_in) {
      co_return co_await call(kept);
    } else {
      auto operation = make(kept);
      [[maybe_unused]] const auto scope = operation.scope();
      auto work = otlpkit::detail::observe(std::move(operation), [&] { return later(call, kept); });
      co_return co_await std::move(work);
    }
  }

 private:
  template <class Call, class Kept>
  static awaitable later(Call& call, Kept& kept) {
    co_return co_await call(kept);
  }
};

template <class T, class Executor>
struct consume_loop<boost::asio::awaitable<T, Executor>> {
  template <class R>
  using awaitable = boost::asio::awaitable<R, Executor>;

  template <class Consumer, class F>
  static awaitable<consumed> run(Consumer& c, F&& fn, consume_options options) {
    return consume<Consumer, F>(c, std::forward<F>(fn), options);
  }

 private:
  /// \tparam F a reference where the handler is not a temporary
  template <class Consumer, class F>
  static awaitable<consumed> consume(Consumer& c, F fn, consume_options options) {
    consumed out;
    auto messages = co_await result_of([&] { return c.receive(options.most, options.wait); });
    out.received = std::size(messages);
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    for (auto& m : messages) {
      const auto cancelling = co_await boost::asio::this_coro::cancellation_state;
      if (cancelling.cancelled() != boost::asio::cancellation_type::none) break;
      span_context context;
      std::exception_ptr failure;
      try {
        co_await finish([&] { return c.process_and_tell(m, fn, context); });
      } catch (...) {
        failure = std::current_exception();
      }
      if (failure != nullptr) {
        if (out.failed++ == 0) out.failure = failure;
        continue;
      }
      co_await boost::asio::this_coro::throw_if_cancelled(false);  // else what was processed would come again
      try {
        co_await finish([&] { return c.ack_under(m, context); });
      } catch (...) {
        failure = std::current_exception();
      }
      co_await boost::asio::this_coro::throw_if_cancelled(throws);
      if (failure != nullptr) std::rethrow_exception(failure);
      ++out.processed;
    }
    co_return out;
  }

  /// Calls `fn` and awaits what it returns, if that can be awaited.
  template <class Call>
  static auto result_of(Call call) -> awaitable<typename plain_result<std::invoke_result_t<Call&>>::type> {
    if constexpr (awaitable_like<std::invoke_result_t<Call&>>) {
      co_return co_await call();
    } else {
      co_return call();
    }
  }
  template <class Call>
  static awaitable<void> finish(Call call) {
    if constexpr (awaitable_like<std::invoke_result_t<Call&>>) {
      static_cast<void>(co_await call());
    } else {
      static_cast<void>(call());
    }
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging::detail
