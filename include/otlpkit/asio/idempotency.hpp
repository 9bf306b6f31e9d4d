// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/await_call.hpp>
#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/asio/offload.hpp>
#include <otlpkit/cache/encoded_cache.hpp>
#include <otlpkit/messaging/idempotency_call.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// idempotency_guard for coroutines: the function returns an awaitable, and so does run(), which waits for a call in
/// progress without holding a thread. The store's calls may return awaitables or, if they do not block, results.
///
/// A call that is cancelled frees its key, unless its failure is to be remembered. One that is destroyed while it is
/// suspended keeps it until the lease is over. Thread-safe if the store is; it may go while calls are under way, but
/// not a store that is referred to.
template <class Store, class Value = std::string, cache::codec<Value> Codec = text_codec,
          class Executor = boost::asio::any_io_executor>
class async_idempotency_guard {
  using core = detail::idempotency_core<Store, Value, Codec>;
  using call = detail::idempotency_call;
  template <class T>
  using awaitable = boost::asio::awaitable<T, Executor>;

 public:
  using value_type = Value;

  /// Throws config_error for options that make no sense.
  explicit async_idempotency_guard(Store&& store, idempotency_options options = {}, Codec codec = {})
      : core_{std::make_shared<core>(std::forward<Store>(store), std::move(options), std::move(codec))} {}

  /// As idempotency_guard::run(). Key, request and function are kept until the end.
  template <class F>
  [[nodiscard]] awaitable<guarded<Value>> run(std::string_view key, std::string_view request, F fn) {
    return guard(core_, std::string{key}, std::string{request}, std::move(fn));
  }
  template <class F>
  [[nodiscard]] awaitable<guarded<Value>> run(std::string_view key, F fn) {
    return guard(core_, std::string{key}, std::nullopt, std::move(fn));
  }

  [[nodiscard]] std::string_view name() const noexcept { return core_->options.name; }

 private:
  template <class F>
  static awaitable<guarded<Value>> guard(std::shared_ptr<core> of, std::string key, std::optional<std::string> request,
                                         F fn) {
    call c{of->options, of->span_name, key, request, of->time};
    for (;;) {
      const idempotency_entry e = co_await begin(*of, c);
      switch (c.look(e)) {
        case call::step::run: co_return co_await lead(*of, c, fn);
        case call::step::replay: co_return c.template replayed<Value>(of->codec.decode(e.result));
        case call::step::wait: co_await resilience::detail::wait_for<Executor>(c.time(), c.pause()); break;
      }
    }
  }

  static awaitable<idempotency_entry> begin(core& of, call& c) {
    try {
      co_return co_await otlpkit::detail::await_call<Executor>([&] { return of.store.begin(c.claim()); });
    } catch (...) {
      c.store_failed(std::current_exception());
      throw;
    }
  }

  template <class F>
  static awaitable<guarded<Value>> lead(core& of, call& c, F& fn) {
    using result = otlpkit::detail::call_result<F>;
    auto ended = co_await resilience::detail::settle<result, Executor>(fn);
    std::optional<guarded<Value>> done;
    auto state = idempotency_state::begun;  // frees the key
    std::string text;
    if (ended.failure() == nullptr) {
      done.emplace(guarded<Value>{of.value_of(ended)});
      state = idempotency_state::succeeded;
    } else if (auto kept = c.remembered(ended.view())) {
      state = idempotency_state::failed;
      text = *std::move(kept);
    }
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await boost::asio::this_coro::throw_if_cancelled(false);  // else a cancelled caller could not free its key
    bool kept = false;
    std::exception_ptr store_failure;
    try {
      if (done) text = of.codec.encode(done->value);
      kept = co_await tell(of, c, state, text);
    } catch (...) {
      store_failure = std::current_exception();
    }
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
    if (!done) {
      c.failed(ended.failure(), kept, store_failure);
      std::rethrow_exception(ended.failure());
    }
    c.executed(kept, store_failure);
    co_return *std::move(done);
  }

  /// \return whether the store keeps something
  static awaitable<bool> tell(core& of, call& c, idempotency_state state, const std::string& text) {
    if (state != idempotency_state::begun) {
      co_return co_await otlpkit::detail::await_call<Executor>(
          [&] { return of.store.finish(c.claim(), state, std::string_view{text}, of.options.ttl); });
    }
    co_await otlpkit::detail::await_call<Executor>([&] { return of.store.release(c.claim()); });
    co_return false;
  }

  std::shared_ptr<core> core_;
};

template <class Store>
async_idempotency_guard(Store&&) -> async_idempotency_guard<Store>;
template <class Store>
async_idempotency_guard(Store&&, idempotency_options) -> async_idempotency_guard<Store>;

/// A store whose calls block, for awaitable guards: each call is made on a pool's threads. Pool and store must outlive
/// it and every call.
template <class Store, class Pool, class Executor = boost::asio::any_io_executor>
class offloaded_idempotency_store {
 public:
  offloaded_idempotency_store(Pool& pool, Store& store) noexcept : pool_{pool}, store_{store} {}

  [[nodiscard]] auto begin(const idempotency_claim& c) {
    return offload<Executor>(pool_, [&s = store_, kept = claim{c}] { return s.begin(kept.view()); });
  }
  [[nodiscard]] auto finish(const idempotency_claim& c, idempotency_state state, std::string_view result,
                            std::chrono::nanoseconds ttl) {
    return offload<Executor>(pool_, [&s = store_, kept = claim{c}, state, text = std::string{result}, ttl] {
      return s.finish(kept.view(), state, text, ttl);
    });
  }
  [[nodiscard]] auto release(const idempotency_claim& c) {
    return offload<Executor>(pool_, [&s = store_, kept = claim{c}] { return s.release(kept.view()); });
  }

 private:
  struct claim {
    explicit claim(const idempotency_claim& c)
        : name{c.name}, key{c.key}, fingerprint{c.fingerprint}, owner{c.owner}, context{c.context}, lease{c.lease} {}
    [[nodiscard]] idempotency_claim view() const noexcept { return {name, key, fingerprint, owner, context, lease}; }
    std::string name, key, fingerprint, owner, context;
    std::chrono::nanoseconds lease;
  };

  Pool& pool_;
  Store& store_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
