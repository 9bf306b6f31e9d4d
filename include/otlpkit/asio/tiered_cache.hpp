// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/asio/wakeable_timer.hpp>
#include <otlpkit/cache/shared_level.hpp>
#include <otlpkit/cache/tiered_core.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::cache {

namespace detail {

struct awaiting_tasks {
  std::vector<std::shared_ptr<otlpkit::detail::sleeper>> all{};
  void wake() noexcept {
    for (const auto& s : all) s->wake();
    all.clear();
  }
};

}  // namespace detail

/// tiered_cache for coroutines: the loader returns an awaitable, and so do all calls here. The shared level's calls may
/// return awaitables or, if they do not block, results. What is waited for blocks no thread.
///
/// \code
/// auto found = co_await accounts.get(id, [&] { return load_account(id); });
/// \endcode
///
/// Loader and key are kept until the call is over. When the lookup that loads is cancelled, one of those that wait for
/// it loads instead. A loader that asks the same cache for its own key waits for itself until max_wait is over.
/// Refreshes ahead run as detached tasks on the caller's executor, with a copy of the loader, and keep what is the
/// cache's own alive; what the loader refers to, and a shared level that is referred to, must outlive them.
/// Thread-safe.
template <class Value, class Shared = no_shared_cache, class Executor = boost::asio::any_io_executor>
class async_tiered_cache {
  using core_type = detail::tiered_core<Value, detail::awaiting_tasks>;
  using state = typename core_type::state;
  using entry = typename core_type::entry;
  using flight_type = typename core_type::flight_type;
  using flight_ptr = typename core_type::flight_ptr;
  template <class T>
  using awaitable = boost::asio::awaitable<T, Executor>;

 public:
  using value_type = Value;

  /// Throws config_error for options that make no sense. tiered_cache_options::background is not used.
  explicit async_tiered_cache(tiered_cache_options options = {}) requires(!detail::has_shared<Shared>)
      : body_{std::make_shared<body>(Shared{}, std::move(options))} {}
  explicit async_tiered_cache(Shared&& shared, tiered_cache_options options = {}) requires detail::has_shared<Shared>
      : body_{std::make_shared<body>(std::forward<Shared>(shared), std::move(options))} {
    static_assert(shared_level<Shared, Value>, "the shared cache needs get(key), set(key, value, ttl) and erase(key)");
  }

  /// The value: from L1, from L2, or what `load()`'s awaitable gives, a Value or an std::optional of it. Throws what
  /// the loader throws.
  template <class Load>
  [[nodiscard]] awaitable<lookup<Value>> get(std::string_view key, Load load) {
    return find(body_, std::string{key}, std::move(load));
  }

  /// Puts a value into both levels. A load under way does not replace it.
  /// \return false when the shared cache failed
  [[nodiscard]] awaitable<bool> set(std::string_view key, Value value) {
    return put(body_, std::string{key}, std::move(value));
  }

  /// Takes the value out of both levels. A load under way is not kept.
  /// \return false when the shared cache failed
  [[nodiscard]] awaitable<bool> erase(std::string_view key) { return forget(body_, std::string{key}); }

  /// Empties L1.
  void clear() { body_->core.forget_all(); }
  [[nodiscard]] std::size_t size() const { return body_->core.size(); }
  [[nodiscard]] std::string_view name() const noexcept { return body_->core.telemetry.name(); }

 private:
  struct body {
    body(Shared&& s, tiered_cache_options o) : shared{std::forward<Shared>(s)}, core{std::move(o)} {}
    Shared shared;
    core_type core;
  };
  using body_ptr = std::shared_ptr<body>;

  /// How a call ended that must not end the coroutine.
  struct failed_call {
    std::exception_ptr error;
    bool cancelled = false;
  };

  template <class Load>
  static awaitable<lookup<Value>> find(body_ptr b, std::string key, Load load) {
    core_type& core = b->core;
    span_guard span = core.telemetry.get(key);
    if (!core.fits(key)) co_return co_await bypass(*b, span, load);
    auto here = core.look(key);
    if (here.what == state::fresh) co_return answer(core, span, here.found);
    if (here.what == state::refresh_due) {
      const Executor ex = co_await boost::asio::this_coro::executor;
      co_return refresh_ahead(b, ex, span, key, std::move(here.found), load);
    }
    if (here.what == state::paused) co_return stale(core, span, here.found);
    for (;;) {
      auto joined = core.join(key);
      if (joined.flight == nullptr) co_return answer(core, span, joined.now_seen.found);
      if (joined.leads && joined.now_seen.what == state::paused) {
        core.abandon(*joined.flight);
        co_return stale(core, span, joined.now_seen.found);
      }
      if (joined.leads) {
        // Destroyed or cancelled, even before lead() begins, it lets others lead.
        const detail::leading<core_type> leading{core, joined.flight};
        co_return co_await lead(*b, span, joined.flight, std::move(joined.now_seen), load);
      }
      const bool ended = co_await wait(core, joined.flight);
      if (!ended) co_return co_await bypass(*b, span, load);
      if (joined.flight->abandoned) continue;
      co_return follow(core, span, *joined.flight, here);
    }
  }

  static lookup<Value> answer(core_type& core, span& s, entry& e) {
    const auto outcome = e.value ? lookup_outcome::hit : lookup_outcome::negative;
    return core.telemetry.ended(s, lookup<Value>{std::move(e.value), outcome, lookup_level::l1, false, core.age(e)});
  }
  static lookup<Value> stale(core_type& core, span& s, const entry& e, bool shared_flight = false) {
    return core.telemetry.ended(
        s, lookup<Value>{e.value, lookup_outcome::stale, lookup_level::l1, shared_flight, core.age(e)});
  }

  template <class Load>
  static awaitable<lookup<Value>> bypass(body& b, span& s, Load& load) {
    failed_call failure;
    const auto value = co_await run(b.core, load, failure);
    if (failure.error == nullptr)
      co_return b.core.telemetry.ended(s, lookup<Value>{value, lookup_outcome::bypass, lookup_level::l3});
    try {
      std::rethrow_exception(failure.error);
    } catch (...) {
      b.core.telemetry.failed(s, false);
      throw;
    }
  }

  /// Loads. What it throws goes into `failure`.
  template <class Load>
  static awaitable<std::optional<Value>> run(core_type& core, Load& load, failed_call& failure) {
    std::optional<Value> value;
    {
      typename core_type::load_timer timer{core};
      try {
        value = detail::loaded_value<Value>(co_await load());
        timer.succeeded = true;
      } catch (...) {
        failure.error = std::current_exception();
      }
    }
    if (failure.error != nullptr) {
      const auto cancelling = co_await boost::asio::this_coro::cancellation_state;
      failure.cancelled = cancelling.cancelled() != boost::asio::cancellation_type::none;
    }
    co_return value;
  }

  template <class Load>
  static awaitable<lookup<Value>> lead(body& b, span& s, flight_ptr flight, typename core_type::seen here, Load& load) {
    lookup_level level = lookup_level::l2;
    failed_call failure;
    std::optional<Value> value = co_await from_shared(b, s, flight->key);
    if (!value) {
      level = lookup_level::l3;
      value = co_await run(b.core, load, failure);
    }
    if (failure.error == nullptr) {
      co_await settle(b, s, *flight, value, level, false);
      const auto outcome = level == lookup_level::l2 ? lookup_outcome::hit : lookup_outcome::miss;
      co_return b.core.telemetry.ended(s, lookup<Value>{std::move(value), outcome, level});
    }
    if (failure.cancelled) {
      b.core.abandon(*flight);
      std::rethrow_exception(failure.error);
    }
    b.core.fail(*flight, failure.error, here.what == state::expired ? &here.found : nullptr);
    co_return fall_back(b.core, s, failure.error, here, false);
  }

  static lookup<Value> follow(core_type& core, span& s, const flight_type& f, const typename core_type::seen& here) {
    if (f.error != nullptr) return fall_back(core, s, f.error, here, true);
    const auto outcome = f.level == lookup_level::l2 ? lookup_outcome::hit : lookup_outcome::miss;
    return core.telemetry.ended(s, lookup<Value>{f.value, outcome, f.level, true});
  }

  static lookup<Value> fall_back(core_type& core, span& s, const std::exception_ptr& error,
                                 const typename core_type::seen& here, bool shared_flight) {
    try {
      std::rethrow_exception(error);
    } catch (...) {
      if (here.what != state::expired) {
        core.telemetry.failed(s, shared_flight);
        throw;
      }
      core.telemetry.tolerated(s, lookup_level::l3, "load");
    }
    return stale(core, s, here.found, shared_flight);
  }

  /// A place among those who wait for a load, as long as they wait: the load may end long after their context is gone.
  class waiting_place {
   public:
    waiting_place(core_type& core, flight_ptr f, std::shared_ptr<otlpkit::detail::sleeper> who) noexcept
        : core_{core}, flight_{std::move(f)}, who_{std::move(who)} {}
    waiting_place(const waiting_place&) = delete;
    waiting_place& operator=(const waiting_place&) = delete;
    ~waiting_place() {
      const std::lock_guard lock{core_.mutex};
      std::erase(flight_->waiters.all, who_);
    }

   private:
    core_type& core_;
    flight_ptr flight_;
    std::shared_ptr<otlpkit::detail::sleeper> who_;
  };

  /// \return false when the wait was too long
  static awaitable<bool> wait(core_type& core, flight_ptr flight) {
    using timer_type = otlpkit::detail::wakeable_timer<Executor>;
    using clock = std::chrono::steady_clock;
    const auto timer = std::make_shared<timer_type>(Executor{co_await boost::asio::this_coro::executor});
    const waiting_place place{core, flight, timer};
    {
      const std::lock_guard lock{core.mutex};
      if (flight->done) co_return true;
      flight->waiters.all.push_back(timer);
    }
    constexpr std::int64_t far = 100'000'000'000'000'000;
    const std::int64_t limit = core.options.max_wait.ns();
    const auto end = limit > far ? clock::time_point::max() : clock::now() + std::chrono::nanoseconds{limit};
    co_return co_await timer_type::wait(timer, end);
  }

  template <class Load>
  static lookup<Value> refresh_ahead(const body_ptr& b, const Executor& ex, span& s, const std::string& key, entry e,
                                     const Load& load) {
    core_type& core = b->core;
    detail::leading<core_type> leading{core, core.lead(key, false)};  // first: copies of values may throw
    if (!leading) return answer(core, s, e);                          // somebody does it already
    const std::int64_t age = core.age(e);
    std::optional<Value> value = e.value;
    try {
      otlpkit::co_spawn(ex,
                        refresh(b, std::make_shared<detail::leading<core_type>>(std::move(leading)), std::move(e), load,
                                current_context()),
                        boost::asio::detached);
    } catch (...) {
      core.telemetry.tolerated(s, lookup_level::l3, "refresh");
    }
    return core.telemetry.ended(s,
                                lookup<Value>{std::move(value), lookup_outcome::refresh, lookup_level::l1, false, age});
  }

  template <class Load>
  static awaitable<void> refresh(body_ptr b, std::shared_ptr<detail::leading<core_type>> leading, entry e, Load load,
                                 span_context parent) {
    boost::asio::use_awaitable_t<Executor> token;
    co_await boost::asio::post(token);  // not within the lookup
    flight_type& f = **leading;
    span_guard span = b->core.telemetry.detached_refresh(f.key, parent);
    failed_call failure;
    auto value = co_await run(b->core, load, failure);
    if (failure.error == nullptr) {
      co_await settle(*b, span, f, std::move(value), lookup_level::l3, true);
      co_return;
    }
    try {
      std::rethrow_exception(failure.error);
    } catch (...) {
      b->core.telemetry.refresh_failed(span);
    }
    b->core.fail(f, failure.error, &e);
  }

  static awaitable<std::optional<Value>> from_shared(body& b, span& s, const std::string& key) {
    std::optional<Value> value;
    if constexpr (detail::has_shared<Shared>) {
      using result = decltype(b.shared.get(std::string_view{key}));
      try {
        if constexpr (otlpkit::detail::is_awaitable<result>)
          value = detail::value_in<Value>(co_await b.shared.get(std::string_view{key}));
        else
          value = detail::value_in<Value>(b.shared.get(std::string_view{key}));
      } catch (...) {
        b.core.telemetry.tolerated(s, lookup_level::l2, "get");
      }
    }
    co_return value;
  }

  /// Puts the value into the shared cache, or takes it away where there is none. \return false if that failed
  static awaitable<bool> to_shared(body& b, span& s, std::string_view key, const std::optional<Value>& value,
                                   bool show) {
    if constexpr (detail::has_shared<Shared>) {
      using set_result = decltype(b.shared.set(key, *value, time_to_live{}));
      using erase_result = decltype(b.shared.erase(key));
      try {
        if (value) {
          if constexpr (otlpkit::detail::is_awaitable<set_result>)
            co_await b.shared.set(key, *value, b.core.shared_ttl());
          else
            static_cast<void>(b.shared.set(key, *value, b.core.shared_ttl()));
        } else {
          if constexpr (otlpkit::detail::is_awaitable<erase_result>)
            static_cast<void>(co_await b.shared.erase(key));
          else
            static_cast<void>(b.shared.erase(key));
        }
      } catch (...) {
        b.core.telemetry.tolerated(s, lookup_level::l2, value ? "set" : "erase");
        if (show) b.core.telemetry.failed_call(s);
        co_return false;
      }
    }
    co_return true;
  }

  static awaitable<void> settle(body& b, span& s, flight_type& f, std::optional<Value> value, lookup_level level,
                                bool replaces) {
    bool wrote = false;
    if (detail::has_shared<Shared> && level == lookup_level::l3 && (value || replaces) && b.core.current(f)) {
      wrote = value.has_value();
      co_await to_shared(b, s, f.key, value, false);
    }
    if (b.core.finish(f, std::move(value), level) || !wrote) co_return;
    // Cancelled or not, an overtaken value must not stay there.
    const std::optional<Value> none;
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    co_await to_shared(b, s, f.key, none, false);
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
  }

  static awaitable<bool> put(body_ptr b, std::string key, Value value) {
    span_guard span = b->core.telemetry.set(key);
    if (b->core.fits(key)) b->core.put(key, value);
    const std::optional<Value> content{std::move(value)};
    co_return co_await to_shared(*b, span, key, content, true);
  }
  static awaitable<bool> forget(body_ptr b, std::string key) {
    span_guard span = b->core.telemetry.erase(key);
    b->core.forget(key);
    const std::optional<Value> none;
    const bool erased = co_await to_shared(*b, span, key, none, true);
    b->core.forget(key);  // once more: what a lookup took from there meanwhile
    co_return erased;
  }

  body_ptr body_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::cache
