// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/cache/shared_level.hpp>
#include <otlpkit/cache/tiered_core.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::cache {

namespace detail {

struct blocked_threads {
  std::condition_variable ready{};
  void wake() noexcept { ready.notify_all(); }
};

}  // namespace detail

/// A cache of levels: L1 in the process, L2 shared with others, and a loader behind them (L3). What a lower level had
/// is filled into those above. Of several lookups of a key that no cache has, one loads and the others wait for it.
///
/// \code
/// otlpkit::cache::tiered_cache<account> accounts{{.name = "accounts", .ttl = 30s}};
/// auto found = accounts.get(id, [&] { return db.query_optional<account>("SELECT ... WHERE id = $1", id); });
/// if (found) use(*found);
/// \endcode
///
/// Thread-safe. Values are copied out: make a large one a std::shared_ptr<const T>. Errors of the shared cache are
/// recorded and counted, and the cache goes on without it; errors of the loader go to every lookup that waited for it,
/// unless there is a value past its time to give out (tiered_cache_options::grace).
/// \tparam Shared see shared_level; an lvalue reference is referred to and must outlive the cache
template <class Value, class Shared = no_shared_cache>
class tiered_cache {
  using core_type = detail::tiered_core<Value, detail::blocked_threads>;
  using state = typename core_type::state;
  using flight_ptr = typename core_type::flight_ptr;

 public:
  using value_type = Value;

  /// Throws config_error for options that make no sense.
  explicit tiered_cache(tiered_cache_options options = {}) requires(!detail::has_shared<Shared>)
      : body_{std::make_shared<body>(Shared{}, std::move(options))} {}
  explicit tiered_cache(Shared&& shared, tiered_cache_options options = {}) requires detail::has_shared<Shared>
      : body_{std::make_shared<body>(std::forward<Shared>(shared), std::move(options))} {
    static_assert(shared_level<Shared, Value>, "the shared cache needs get(key), set(key, value, ttl) and erase(key)");
  }
  tiered_cache(const tiered_cache&) = delete;
  tiered_cache& operator=(const tiered_cache&) = delete;
  /// Waits for refreshes that are running; those that have not begun will not.
  ~tiered_cache() { body_->close(); }

  /// The value: from L1, from L2, or what `load()` returns, a Value or an std::optional of it.
  ///
  /// Throws what the loader throws. With tiered_cache_options::background the loader may run after this call: it is
  /// copied, and what it refers to must live until the cache is gone.
  template <class Load>
  lookup<Value> get(std::string_view key, Load&& load) {
    span_guard span = core().telemetry.get(key);
    if (!core().fits(key)) return bypass(span, load);
    auto here = core().look(key);
    if (here.what == state::fresh) return answer(span, here.found);
    if (here.what == state::refresh_due) return refresh_ahead(span, key, std::move(here.found), load);
    if (here.what == state::paused) return stale(span, here.found);
    for (;;) {
      auto joined = core().join(key);
      if (joined.flight == nullptr) return answer(span, joined.now_seen.found);
      if (joined.leads && joined.now_seen.what == state::paused) {
        core().abandon(*joined.flight);
        return stale(span, joined.now_seen.found);
      }
      if (joined.leads) return lead(span, std::move(joined.flight), joined.now_seen, load);
      if (!wait(*joined.flight)) return bypass(span, load);
      if (joined.flight->abandoned) continue;
      return follow(span, *joined.flight, here);
    }
  }

  /// Puts a value into both levels. A load under way does not replace it.
  /// \return false when the shared cache failed: others may still see what it has
  bool set(std::string_view key, const Value& value) {
    span_guard span = core().telemetry.set(key);
    if (core().fits(key)) core().put(key, value);
    return on_shared(span, "set", [&](auto& shared) { shared.set(key, value, core().shared_ttl()); });
  }

  /// Takes the value out of both levels. A load under way is not kept.
  /// \return false when the shared cache failed: it may still have the value
  bool erase(std::string_view key) {
    span_guard span = core().telemetry.erase(key);
    core().forget(key);
    const bool erased = on_shared(span, "erase", [&](auto& shared) { static_cast<void>(shared.erase(key)); });
    core().forget(key);  // once more: what a lookup took from there meanwhile
    return erased;
  }

  /// Empties L1.
  void clear() { core().forget_all(); }

  /// Entries in L1, those past their time included until they are asked for or leave.
  [[nodiscard]] std::size_t size() const { return body_->core.size(); }
  [[nodiscard]] std::string_view name() const noexcept { return body_->core.telemetry.name(); }

 private:
  /// What a refresh in the background shares with the cache.
  struct body {
    body(Shared&& s, tiered_cache_options o) : shared{std::forward<Shared>(s)}, core{std::move(o)} {}

    /// \return false if the cache is going: no refresh may begin
    bool enter() {
      const std::lock_guard lock{core.mutex};
      if (closed) return false;
      ++running;
      return true;
    }
    void leave() {
      const std::lock_guard lock{core.mutex};
      if (--running == 0) idle.notify_all();
    }
    void close() {
      std::unique_lock lock{core.mutex};
      closed = true;
      idle.wait(lock, [this] { return running == 0; });
    }

    Shared shared;
    core_type core;
    std::condition_variable idle;
    int running = 0;
    bool closed = false;
  };

  [[nodiscard]] core_type& core() noexcept { return body_->core; }

  lookup<Value> answer(span& s, typename core_type::entry& e) {
    const auto outcome = e.value ? lookup_outcome::hit : lookup_outcome::negative;
    return core().telemetry.ended(s,
                                  lookup<Value>{std::move(e.value), outcome, lookup_level::l1, false, core().age(e)});
  }
  lookup<Value> stale(span& s, const typename core_type::entry& e, bool shared_flight = false) {
    return core().telemetry.ended(
        s, lookup<Value>{e.value, lookup_outcome::stale, lookup_level::l1, shared_flight, core().age(e)});
  }

  template <class Load>
  lookup<Value> bypass(span& s, Load& load) {
    try {
      return core().telemetry.ended(s, lookup<Value>{run(core(), load), lookup_outcome::bypass, lookup_level::l3});
    } catch (...) {
      core().telemetry.failed(s, false);
      throw;
    }
  }

  template <class Load>
  static std::optional<Value> run(core_type& core, Load& load) {
    typename core_type::load_timer timer{core};
    auto value = detail::loaded_value<Value>(load());
    timer.succeeded = true;
    return value;
  }

  template <class Load>
  lookup<Value> lead(span& s, flight_ptr flight, const typename core_type::seen& here, Load& load) {
    const detail::leading<core_type> leading{core(), flight};
    try {
      lookup_level level = lookup_level::l2;
      std::optional<Value> value = from_shared(s, flight->key);
      if (!value) {
        level = lookup_level::l3;
        value = run(core(), load);
      }
      settle(*body_, s, *flight, value, level);
      const auto outcome = level == lookup_level::l2 ? lookup_outcome::hit : lookup_outcome::miss;
      return core().telemetry.ended(s, lookup<Value>{std::move(value), outcome, level});
    } catch (...) {
      core().fail(*flight, std::current_exception(), here.what == state::expired ? &here.found : nullptr);
      return fall_back(s, here, false);
    }
  }

  lookup<Value> follow(span& s, const typename core_type::flight_type& f, const typename core_type::seen& here) {
    if (f.error == nullptr) {
      const auto outcome = f.level == lookup_level::l2 ? lookup_outcome::hit : lookup_outcome::miss;
      return core().telemetry.ended(s, lookup<Value>{f.value, outcome, f.level, true});
    }
    try {
      std::rethrow_exception(f.error);
    } catch (...) {
      return fall_back(s, here, true);
    }
  }

  /// In a catch block: the value past its time if there is one, else the exception goes on.
  lookup<Value> fall_back(span& s, const typename core_type::seen& here, bool shared_flight) {
    if (here.what != state::expired) {
      core().telemetry.failed(s, shared_flight);
      throw;
    }
    core().telemetry.tolerated(s, lookup_level::l3, "load");
    return stale(s, here.found, shared_flight);
  }

  /// \return false when the wait was too long, or would never end
  bool wait(typename core_type::flight_type& f) {
    std::unique_lock lock{core().mutex};
    if (!f.done && f.leader == std::this_thread::get_id()) return false;  // the loader asks for what it loads
    const auto done = [&f] { return f.done; };
    const time_to_live limit = core().options.max_wait;
    if (limit.forever() || limit.ns() > max_wait_ns) {
      f.waiters.ready.wait(lock, done);
      return true;
    }
    return f.waiters.ready.wait_for(lock, std::chrono::nanoseconds{limit.ns()}, done);
  }

  /// Answers with what is there; the refresh runs first, or in the background.
  template <class Load>
  lookup<Value> refresh_ahead(span& s, std::string_view key, typename core_type::entry e, Load& load) {
    constexpr bool may_run_later = std::is_copy_constructible_v<std::remove_cvref_t<Load>>;
    const bool later = may_run_later && core().options.background;
    detail::leading<core_type> leading{core(), core().lead(key, !later)};  // first: copies of values may throw
    if (!leading) return answer(s, e);                                     // somebody does it already
    std::optional<Value> value = e.value;
    std::int64_t age = core().age(e);
    if (!later) {
      if (refresh(*body_, core().telemetry.refresh(key), *leading, e, load)) {
        value = (*leading).value;
        age = 0;
      }
    } else if constexpr (may_run_later) {
      auto token = std::make_shared<background_refresh>(body_, leading.flight());
      leading.handed_over();
      try {
        core().options.background([token, e = std::move(e), load, parent = current_context()]() mutable {
          token->run([&](body& b, typename core_type::flight_type& f) {
            refresh(b, b.core.telemetry.detached_refresh(f.key, parent), f, e, load);
          });
        });
      } catch (...) {
        core().telemetry.tolerated(s, lookup_level::l3, "refresh");
      }
    }
    return core().telemetry.ended(
        s, lookup<Value>{std::move(value), lookup_outcome::refresh, lookup_level::l1, false, age});
  }

  /// A refresh that may run later, or never: when the last copy of the function is dropped, others may load.
  class background_refresh {
   public:
    background_refresh(std::weak_ptr<body> owner, flight_ptr f) : owner_{std::move(owner)}, flight_{std::move(f)} {}
    background_refresh(const background_refresh&) = delete;
    background_refresh& operator=(const background_refresh&) = delete;
    ~background_refresh() {
      if (const auto b = owner_.lock()) b->core.abandon(*flight_);
    }
    template <class F>
    void run(F fn) {
      const auto b = owner_.lock();
      if (b == nullptr || !b->enter()) return;
      struct exit {
        body& of;
        ~exit() { of.leave(); }
      } const at_end{*b};
      fn(*b, *flight_);
    }

   private:
    std::weak_ptr<body> owner_;
    flight_ptr flight_;
  };

  /// \return whether the flight ended with a value, or with the knowledge that there is none
  template <class Load>
  static bool refresh(body& b, span_guard s, typename core_type::flight_type& f, const typename core_type::entry& e,
                      Load& load) {
    try {
      settle(b, s, f, run(b.core, load), lookup_level::l3, true);
      return true;
    } catch (...) {
      b.core.telemetry.refresh_failed(s);
      b.core.fail(f, std::current_exception(), &e);
      return false;
    }
  }

  std::optional<Value> from_shared(span& s, std::string_view key) {
    if constexpr (detail::has_shared<Shared>) {
      try {
        return detail::value_in<Value>(body_->shared.get(key));
      } catch (...) {
        core().telemetry.tolerated(s, lookup_level::l2, "get");
      }
    }
    return std::nullopt;
  }

  /// Fills the levels with what was found and lets those who wait go on. Where set() or erase() came in between, the
  /// shared cache must not keep it either.
  static void settle(body& b, span& s, typename core_type::flight_type& f, std::optional<Value> value,
                     lookup_level level, bool replaces = false) {
    bool wrote = false;
    if constexpr (detail::has_shared<Shared>) {
      if (level == lookup_level::l3 && (value || replaces) && b.core.current(f)) {
        wrote = value.has_value();
        tolerate(b, s, wrote ? "set" : "erase", [&](auto& shared) {
          if (value)
            shared.set(f.key, *value, b.core.shared_ttl());
          else
            static_cast<void>(shared.erase(f.key));
        });
      }
    }
    if (b.core.finish(f, std::move(value), level) || !wrote) return;
    tolerate(b, s, "erase", [&](auto& shared) { static_cast<void>(shared.erase(f.key)); });
  }

  template <class F>
  bool on_shared(span& s, std::string_view operation, F fn) {
    return tolerate(*body_, s, operation, fn, true);
  }

  /// Calls `fn` with the shared cache, if there is one. \return false if it failed
  template <class F>
  static bool tolerate(body& b, span& s, std::string_view operation, F fn, [[maybe_unused]] bool show = false) {
    if constexpr (detail::has_shared<Shared>) {
      try {
        fn(b.shared);
      } catch (...) {
        b.core.telemetry.tolerated(s, lookup_level::l2, operation);
        if (show) b.core.telemetry.failed_call(s);
        return false;
      }
    }
    return true;
  }

  static constexpr std::int64_t max_wait_ns = 100'000'000'000'000'000;  // three years: what comes is no deadline

  std::shared_ptr<body> body_;
};

template <class Shared>
tiered_cache(Shared&&, tiered_cache_options = {})
    -> tiered_cache<std::remove_cvref_t<decltype(*std::declval<Shared&>().get(std::string_view{}))>, Shared>;

}  // namespace otlpkit::inline OTLPKIT_ABI::cache
