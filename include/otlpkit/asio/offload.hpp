// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/run_at.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/strand.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// Runs `fn`, which blocks, on `pool` and awaits its result: `co_await otlpkit::offload(pool, [&] { return db.load(id);
/// })`. Spans of `fn` are children of the current span. Cancelling does not interrupt `fn`.
template <class Executor = boost::asio::any_io_executor, class Pool, class F>
[[nodiscard]] boost::asio::awaitable<std::invoke_result_t<F&>, Executor> offload(Pool& pool, F fn) {
  using result = std::invoke_result_t<F&>;
  // On a strand, so that a cancellation does not meet the function at work.
  const auto strand = boost::asio::make_strand(pool.get_executor());
  const auto work = [&fn]() -> boost::asio::awaitable<result, Executor> { co_return fn(); };
  co_return co_await detail::run_at(strand, work());
}

/// A cache or a store of locks whose calls block, for awaitable code: each call is made on a pool's threads and returns
/// an awaitable. Pool and wrapped object must outlive it and every call.
template <class Wrapped, class Pool, class Executor = boost::asio::any_io_executor>
class offloaded {
 public:
  offloaded(Pool& pool, Wrapped& wrapped) noexcept : pool_{pool}, wrapped_{wrapped} {}

  [[nodiscard]] auto get(std::string_view key) {
    return run([&w = wrapped_, k = std::string{key}] { return w.get(k); });
  }
  template <class Value, class Ttl>
  [[nodiscard]] auto set(std::string_view key, const Value& value, Ttl ttl) {
    return run([&w = wrapped_, k = std::string{key}, value, ttl] { w.set(k, value, ttl); });
  }
  [[nodiscard]] auto erase(std::string_view key) {
    return run([&w = wrapped_, k = std::string{key}] { return w.erase(k); });
  }

  [[nodiscard]] auto acquire(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
    return run([&w = wrapped_, k = std::string{key}, o = std::string{owner}, ttl] { return w.acquire(k, o, ttl); });
  }
  [[nodiscard]] auto renew(std::string_view key, std::string_view owner, std::chrono::nanoseconds ttl) {
    return run([&w = wrapped_, k = std::string{key}, o = std::string{owner}, ttl] { return w.renew(k, o, ttl); });
  }
  [[nodiscard]] auto release(std::string_view key, std::string_view owner) {
    return run([&w = wrapped_, k = std::string{key}, o = std::string{owner}] { return w.release(k, o); });
  }

 private:
  template <class F>
  auto run(F fn) {
    return offload<Executor>(pool_, std::move(fn));
  }

  Pool& pool_;
  Wrapped& wrapped_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
