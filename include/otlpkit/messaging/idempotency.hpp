// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/cache/encoded_cache.hpp>
#include <otlpkit/messaging/idempotency_call.hpp>

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// Lets a call with a key run once, however often it is made: the first one runs, those that come meanwhile wait for it
/// (or are refused), later ones get its result. Thread-safe if the store is.
///
/// \code
/// otlpkit::messaging::idempotency_guard charges{store, {.name = "charges"}};
/// auto receipt = charges.run(request.idempotency_key, request.body, [&] { return gateway.charge(order); });
/// return receipt.replayed ? ok(*receipt) : created(*receipt);
/// \endcode
///
/// Once is meant for calls that end: a process that dies within one leaves it open whether it was done, and lets
/// another run when the lease is over. A store or a codec that cannot keep a result leaves the same doubt; the caller
/// gets the result all the same, and the span says so.
/// \tparam Store see idempotency_store; an lvalue is referred to and must outlive the guard
/// \tparam Codec turns a Value into text and back (see cache::codec)
template <class Store, class Value = std::string, cache::codec<Value> Codec = text_codec>
class idempotency_guard {
 public:
  using value_type = Value;

  /// Throws config_error for options that make no sense.
  explicit idempotency_guard(Store&& store, idempotency_options options = {}, Codec codec = {})
      : core_{std::forward<Store>(store), std::move(options), std::move(codec)} {}

  /// Runs `fn()`, which returns a Value or nothing, or answers with what it returned before. `request` is what the key
  /// was sent with: the same key with another one throws key_reused_error. Throws in_progress_error after max_wait,
  /// bad_key_error, remembered_failure_error, and what `fn` and the store's begin() throw.
  template <class F>
  guarded<Value> run(std::string_view key, std::string_view request, F&& fn) {
    return guard(key, request, fn);
  }
  /// The same without a look at the request.
  template <class F>
  guarded<Value> run(std::string_view key, F&& fn) {
    return guard(key, std::nullopt, fn);
  }

  [[nodiscard]] std::string_view name() const noexcept { return core_.options.name; }

 private:
  using call = detail::idempotency_call;

  template <class F>
  guarded<Value> guard(std::string_view key, std::optional<std::string_view> request, F& fn) {
    call c{core_.options, core_.span_name, key, request, core_.time};
    for (;;) {
      const idempotency_entry e = begin(c);
      switch (c.look(e)) {
        case call::step::run: return lead(c, fn);
        case call::step::replay: return c.template replayed<Value>(core_.codec.decode(e.result));
        case call::step::wait: c.time().sleep_for(c.pause()); break;
      }
    }
  }

  idempotency_entry begin(call& c) {
    try {
      return core_.store.begin(c.claim());
    } catch (...) {
      c.store_failed(std::current_exception());
      throw;
    }
  }

  template <class F>
  guarded<Value> lead(call& c, F& fn) {
    using result = std::invoke_result_t<F&>;
    auto ended = resilience::detail::settled<result>::of(fn);
    std::exception_ptr store_failure;
    if (ended.failure() != nullptr) {
      const auto text = c.remembered(ended.view());
      const bool kept =
          end(c, store_failure, text ? idempotency_state::failed : idempotency_state::begun, [&] { return *text; });
      c.failed(ended.failure(), kept, store_failure);
      std::rethrow_exception(ended.failure());
    }
    guarded<Value> done{core_.value_of(ended)};
    const bool kept =
        end(c, store_failure, idempotency_state::succeeded, [&] { return core_.codec.encode(done.value); });
    c.executed(kept, store_failure);
    return done;
  }

  /// Tells the store; `begun` frees the key. \return whether it keeps something
  template <class Text>
  bool end(call& c, std::exception_ptr& failure, idempotency_state state, Text text) {
    try {
      if (state != idempotency_state::begun) return core_.store.finish(c.claim(), state, text(), core_.options.ttl);
      core_.store.release(c.claim());
    } catch (...) {
      failure = std::current_exception();
    }
    return false;
  }

  detail::idempotency_core<Store, Value, Codec> core_;
};

template <class Store>
idempotency_guard(Store&&) -> idempotency_guard<Store>;
template <class Store>
idempotency_guard(Store&&, idempotency_options) -> idempotency_guard<Store>;

/// A guard of functions that return a Value: `guarded_by<receipt>(store, {.name = "charges"}, receipt_codec{})`.
template <class Value, class Store, cache::codec<Value> Codec>
[[nodiscard]] idempotency_guard<Store, Value, Codec> guarded_by(Store&& store, idempotency_options options,
                                                                Codec codec) {
  return idempotency_guard<Store, Value, Codec>{std::forward<Store>(store), std::move(options), std::move(codec)};
}

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
