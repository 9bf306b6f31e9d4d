// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/connection.hpp>
#include <otlpkit/db/pool_core.hpp>

#include <chrono>
#include <concepts>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// A connection of a pool, given back at the end of its scope; it may outlive the pool. One that its own usable() calls
/// unfit then (broken, in the middle of something), or that discard() was called on, is closed instead.
template <class Connection>
class [[nodiscard]] lease {
 public:
  lease(lease&& other) noexcept = default;
  lease& operator=(lease&& other) noexcept {
    lease old{std::move(*this)};
    state_ = std::move(other.state_);
    slot_ = std::move(other.slot_);
    since_ = other.since_;
    return *this;
  }
  ~lease() { give_back(); }

  [[nodiscard]] Connection& operator*() const noexcept { return *slot_.connection; }
  [[nodiscard]] Connection* operator->() const noexcept { return slot_.connection.get(); }

  /// Closes the connection and gives its place back.
  void discard() noexcept {
    slot_.connection.reset();
    give_back();
  }

  /// For pools.
  lease(std::shared_ptr<detail::pool_state<Connection>> state, typename detail::pool_core<Connection>::slot&& s,
        std::chrono::steady_clock::time_point now) noexcept
      : state_{std::move(state)}, slot_{std::move(s)}, since_{now} {}

  /// As its own usable() says, if it has one.
  [[nodiscard]] static bool usable(Connection& c) noexcept {
    if constexpr (self_checking<Connection>) {
      try {
        return c.usable();
      } catch (...) {
        return false;
      }
    } else {
      static_cast<void>(c);
      return true;
    }
  }

 private:
  void give_back() noexcept {
    const auto state = std::move(state_);
    if (state == nullptr) return;
    const auto now = std::chrono::steady_clock::now();
    if (slot_.connection != nullptr && !usable(*slot_.connection)) slot_.connection.reset();
    const auto closed = state->core.give_back(std::move(slot_), now);
    state->used(now - since_);
  }

  std::shared_ptr<detail::pool_state<Connection>> state_;
  typename detail::pool_core<Connection>::slot slot_;
  std::chrono::steady_clock::time_point since_;
};

/// Asks a connection that was idle for long whether it still works: true if it does.
template <class Connection>
struct health_check {
  std::function<bool(Connection&)> test{};  ///< may ask the server; what it throws means no
  std::chrono::nanoseconds idle_longer_than = std::chrono::seconds{30};
};

/// A bounded pool of connections, made when they are needed. Who waits for one gets it in the order of asking, or
/// pool_timeout_error after max_wait. Thread-safe; destroy it when nobody waits.
///
/// \code
/// otlpkit::db::pool pool{[] { return otlpkit::db::traced_db{otlpkit::postgres::connection{url}}; }, {.name = "shop"}};
/// auto db = pool.acquire();
/// db->execute("UPDATE ...");
/// \endcode
template <class Connection>
class pool {
 public:
  /// `make` returns a new connection; it is called out of all locks, by the thread that asks for one, and what it
  /// throws goes there. Throws std::invalid_argument for a max_size of 0.
  template <std::invocable Make>
  requires std::convertible_to<std::invoke_result_t<Make&>, Connection>
  explicit pool(Make make, const pool_options& options = {}, health_check<Connection> check = {})
      : state_{std::make_shared<detail::pool_state<Connection>>(options)},
        make_{std::make_unique<maker<Make>>(std::move(make))}, check_{std::move(check)} {}
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;

  /// A connection, waiting for it up to max_wait. Throws pool_timeout_error, and what making one throws.
  [[nodiscard]] lease<Connection> acquire() { return acquire(state_->core.options().max_wait); }
  [[nodiscard]] lease<Connection> acquire(std::chrono::nanoseconds max_wait) {
    const auto begun = clock::now();
    blocked w;
    slot s;
    auto answer = ask(s, &w);
    if (answer == core::answer::wait) {
      if (!w.wait(state_->core, core::end_of_wait(begun, max_wait))) state_->time_out();
      s = std::move(w.got);
    }
    return ready(std::move(s), begun);
  }

  /// A connection if one is free or may be made, without waiting for others to give theirs back.
  [[nodiscard]] std::optional<lease<Connection>> try_acquire() {
    const auto begun = clock::now();
    slot s;
    if (ask(s, nullptr) == core::answer::none) return std::nullopt;
    return ready(std::move(s), begun);
  }

  [[nodiscard]] pool_counts counts() const noexcept { return state_->core.counts(); }

 private:
  using clock = std::chrono::steady_clock;
  using core = detail::pool_core<Connection>;
  using slot = typename core::slot;

  struct any_maker {
    virtual ~any_maker() = default;
    virtual std::unique_ptr<Connection> make() = 0;
  };
  template <class Make>
  struct maker final : any_maker {
    explicit maker(Make m) : function{std::move(m)} {}
    std::unique_ptr<Connection> make() override { return std::unique_ptr<Connection>{new Connection(function())}; }
    Make function;
  };

  class blocked final : public core::waiter {
   public:
    bool wait(core& in, clock::time_point until) {
      {
        std::unique_lock lock{in.mutex()};
        if (wake_.wait_until(lock, until, [this] { return this->done; })) return true;
      }
      return !in.leave(*this);  // granted at the last moment
    }

   private:
    void granted() noexcept override { wake_.notify_one(); }
    std::condition_variable wake_;
  };

  [[nodiscard]] typename core::answer ask(slot& s, blocked* w) {
    for (;;) {
      const auto answer = state_->core.take(s, w, clock::now());
      if (answer != core::answer::close_this) return answer;
      s = {};
    }
  }

  /// Makes a connection if there is only the right to do so, or if the one there is has died meanwhile.
  [[nodiscard]] lease<Connection> ready(slot place, clock::time_point begun) {
    try {
      if (place.connection != nullptr && !healthy(place)) place.connection.reset();
      if (place.connection == nullptr) {
        const auto making = clock::now();
        place.connection = make_->make();
        place.created = clock::now();
        state_->created(place.created - making);
      }
    } catch (...) {
      const auto closed = state_->core.give_back(std::move(place), clock::now());
      throw;
    }
    const auto now = clock::now();
    state_->waited(now - begun);
    return lease<Connection>{state_, std::move(place), now};
  }

  [[nodiscard]] bool healthy(const slot& s) const noexcept {
    if (!lease<Connection>::usable(*s.connection)) return false;
    if (!check_.test || clock::now() - s.idle_since < check_.idle_longer_than) return true;
    try {
      return check_.test(*s.connection);
    } catch (...) {
      return false;
    }
  }

  std::shared_ptr<detail::pool_state<Connection>> state_;
  std::unique_ptr<any_maker> make_;
  health_check<Connection> check_;
};

template <class Make>
pool(Make) -> pool<std::invoke_result_t<Make&>>;
template <class Make>
pool(Make, pool_options) -> pool<std::invoke_result_t<Make&>>;
template <class Make>
pool(Make, pool_options, health_check<std::invoke_result_t<Make&>>) -> pool<std::invoke_result_t<Make&>>;

}  // namespace otlpkit::inline OTLPKIT_ABI::db
