// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/wakeable_timer.hpp>
#include <otlpkit/db/pool.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// The pool of db/pool.hpp for coroutines: `co_await pool.acquire()` waits without holding a thread, in the order of
/// asking, up to max_wait; it can be cancelled. Coroutines of any executor may share one, on any thread. It must live
/// until all calls of acquire() are over; leases may outlive it.
template <class Connection>
class async_pool {
 public:
  /// `make` returns an awaitable of a new connection. Throws std::invalid_argument for a max_size of 0.
  template <std::invocable Make>
  explicit async_pool(Make make, const pool_options& options = {})
      : state_{std::make_shared<detail::pool_state<Connection>>(options)}, make_{std::move(make)} {}
  async_pool(const async_pool&) = delete;
  async_pool& operator=(const async_pool&) = delete;

  /// A connection. Throws pool_timeout_error, what making one throws, and boost::system::system_error when cancelled.
  [[nodiscard]] boost::asio::awaitable<lease<Connection>> acquire() { return acquire(state_->core.options().max_wait); }
  [[nodiscard]] boost::asio::awaitable<lease<Connection>> acquire(std::chrono::nanoseconds max_wait) {
    const auto begun = clock::now();
    place held{state_, std::make_shared<request>(co_await boost::asio::this_coro::executor)};
    typename core::answer answer{};
    do {
      held.of = {};
      answer = state_->core.take(held.of, held.waiting.get(), clock::now());
    } while (answer == core::answer::close_this);
    if (answer == core::answer::wait) {
      held.queued = true;
      static_cast<void>(co_await timer::wait(held.waiting->waits, core::end_of_wait(begun, max_wait)));
      held.queued = false;
      if (state_->core.leave(*held.waiting)) state_->time_out();
      held.of = std::move(held.waiting->got);
    }
    held.owned = true;
    if (held.of.connection != nullptr && !lease<Connection>::usable(*held.of.connection)) held.of.connection.reset();
    if (held.of.connection == nullptr) {
      const auto making = clock::now();
      Connection made = co_await make_();
      held.of.connection = std::make_unique<Connection>(std::move(made));
      held.of.created = clock::now();
      state_->created(held.of.created - making);
    }
    const auto now = clock::now();
    state_->waited(now - begun);
    held.owned = false;
    co_return lease<Connection>{state_, std::move(held.of), now};
  }

  [[nodiscard]] pool_counts counts() const noexcept { return state_->core.counts(); }

 private:
  using clock = std::chrono::steady_clock;
  using core = detail::pool_core<Connection>;

  using timer = otlpkit::detail::wakeable_timer<boost::asio::any_io_executor>;

  struct request final : core::waiter {
    explicit request(const boost::asio::any_io_executor& ex) : waits{std::make_shared<timer>(ex)} {}
    void granted() noexcept override { waits->wake(); }

    std::shared_ptr<timer> waits;
  };

  /// What one call of acquire() holds of the pool, and gives back if it ends early: by an exception, or because its
  /// coroutine is destroyed.
  struct place {
    std::shared_ptr<detail::pool_state<Connection>> state;
    std::shared_ptr<request> waiting;
    typename core::slot of{};
    bool queued = false;  ///< `waiting` stands in the pool's queue, or was granted what it waited for
    bool owned = false;   ///< `of` is a connection, or the right to make one

    place(std::shared_ptr<detail::pool_state<Connection>> s, std::shared_ptr<request> r) noexcept
        : state{std::move(s)}, waiting{std::move(r)} {}
    place(const place&) = delete;
    place& operator=(const place&) = delete;
    ~place() {
      if (queued && !state->core.leave(*waiting)) {
        of = std::move(waiting->got);
        owned = true;
      }
      if (owned) const auto closed = state->core.give_back(std::move(of), clock::now());
    }
  };

  std::shared_ptr<detail::pool_state<Connection>> state_;
  std::function<boost::asio::awaitable<Connection>()> make_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::db
