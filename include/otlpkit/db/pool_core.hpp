// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/immortal.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/rejected_error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// How a pool keeps its connections.
struct pool_options {
  std::string name = "default";  ///< db.client.connection.pool.name; different for each pool
  std::size_t max_size = 10;     ///< connections at most, in use and idle
  std::size_t max_idle = 10;     ///< idle ones at most; what is given back beyond is closed
  std::size_t min_idle = 0;      ///< idle ones that max_idle_time leaves alone
  std::chrono::nanoseconds max_wait = std::chrono::seconds{30};       ///< for a connection, then db::pool_timeout_error
  std::chrono::nanoseconds max_lifetime = std::chrono::minutes{30};   ///< older ones are closed when idle; zero: never
  std::chrono::nanoseconds max_idle_time = std::chrono::minutes{10};  ///< idle that long, they are closed; zero: never
};

/// No connection became free in time.
class pool_timeout_error : public rejected_error {
 public:
  pool_timeout_error(std::string_view pool, std::string_view what) : rejected_error{rejection::timed_out, pool, what} {}
};

/// What a pool holds at one moment.
struct pool_counts {
  std::size_t used = 0;  ///< in somebody's hands, or being made
  std::size_t idle = 0;
  std::size_t waiting = 0;  ///< requests for one
};

namespace detail {

/// What a pool decides, without doing anything itself: who gets which connection, who waits, which connection has to
/// go. Connections are closed by the caller, out of the lock. Thread-safe.
template <class Connection>
class pool_core {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  /// A connection, or the right to make one.
  struct slot {
    std::unique_ptr<Connection> connection;
    time_point created{};
    time_point idle_since{};
  };

  /// A request that waits. granted() is called once, under the pool's lock, and `got` is there from then on.
  class waiter {
   public:
    waiter() = default;
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;
    slot got;
    bool done = false;  ///< under the pool's lock

   protected:
    ~waiter() = default;

   private:
    friend class pool_core;
    virtual void granted() noexcept = 0;
    waiter* before_ = nullptr;
    waiter* after_ = nullptr;
  };

  enum class answer : std::uint8_t {
    connection,  ///< an idle one
    make_one,    ///< the right to make one
    close_this,  ///< one that is too old: close it and ask again
    wait,        ///< the request stands in the queue
    none,        ///< nothing is free, and there was no waiter to queue
  };

  explicit pool_core(const pool_options& options) : options_{options} {
    if (options.max_size == 0)
      throw std::invalid_argument{"pool_options.max_size of \"" + options.name + "\" is 0: expected 1 or more"};
    idle_.reserve(std::min(options.max_idle, options.max_size));
  }

  [[nodiscard]] const pool_options& options() const noexcept { return options_; }
  /// A year at most: the clock ends some day.
  [[nodiscard]] static time_point end_of_wait(time_point begun, std::chrono::nanoseconds longest) noexcept {
    return begun + std::min<std::chrono::nanoseconds>(longest, std::chrono::hours{24 * 365});
  }
  [[nodiscard]] std::mutex& mutex() const noexcept { return mutex_; }

  /// \param queue where to wait; nullptr: not at all
  [[nodiscard]] answer take(slot& out, waiter* queue, time_point now) {
    const std::lock_guard lock{mutex_};
    if (!idle_.empty() && (stale(idle_.front(), now) || too_old(idle_.back(), now))) {
      const auto gone = stale(idle_.front(), now) ? idle_.begin() : idle_.end() - 1;
      out = std::move(*gone);
      idle_.erase(gone);
      --total_;
      return answer::close_this;
    }
    // Nothing is free while requests wait, since what is given back goes to them: newcomers cannot overtake.
    if (!idle_.empty()) {  // the one used last: the others may grow old
      out = std::move(idle_.back());
      idle_.pop_back();
      return answer::connection;
    }
    if (total_ < options_.max_size) {
      ++total_;
      out = {};
      return answer::make_one;
    }
    if (queue == nullptr) return answer::none;
    queue->done = false;
    queue->before_ = last_;
    queue->after_ = nullptr;
    (last_ != nullptr ? last_->after_ : first_) = queue;
    last_ = queue;
    ++waiting_;
    return answer::wait;
  }

  /// Takes back what take() or a wait gave. A slot without connection gives the right to make one back.
  /// \return what has to be closed
  [[nodiscard]] slot give_back(slot s, time_point now) noexcept {
    slot closed;
    const std::lock_guard lock{mutex_};
    if (s.connection != nullptr && too_old(s, now)) closed.connection = std::move(s.connection);
    if (first_ != nullptr) {
      waiter& next = *first_;
      unlink(next);
      next.got = std::move(s);
      next.done = true;
      next.granted();
      return closed;
    }
    if (s.connection != nullptr && idle_.size() < idle_.capacity()) {
      s.idle_since = now;
      idle_.push_back(std::move(s));
      return closed;
    }
    --total_;
    if (s.connection != nullptr) closed.connection = std::move(s.connection);
    return closed;
  }

  /// The request waits no longer. \return false when it was granted before: `got` is then the caller's
  [[nodiscard]] bool leave(waiter& w) noexcept {
    const std::lock_guard lock{mutex_};
    if (w.done) return false;
    unlink(w);
    return true;
  }

  [[nodiscard]] pool_counts counts() const noexcept {
    const std::lock_guard lock{mutex_};
    return {total_ - idle_.size(), idle_.size(), waiting_};
  }

 private:
  [[nodiscard]] bool too_old(const slot& s, time_point now) const noexcept {
    return options_.max_lifetime.count() > 0 && now - s.created >= options_.max_lifetime;
  }
  [[nodiscard]] bool stale(const slot& longest_idle, time_point now) const noexcept {
    return options_.max_idle_time.count() > 0 && idle_.size() > options_.min_idle &&
           now - longest_idle.idle_since >= options_.max_idle_time;
  }

  void unlink(waiter& w) noexcept {
    (w.before_ != nullptr ? w.before_->after_ : first_) = w.after_;
    (w.after_ != nullptr ? w.after_->before_ : last_) = w.before_;
    --waiting_;
  }

  pool_options options_;
  mutable std::mutex mutex_;
  std::vector<slot> idle_;  // the longest idle first
  std::size_t total_ = 0;   // idle, in use, and rights to make one
  std::size_t waiting_ = 0;
  waiter* first_ = nullptr;
  waiter* last_ = nullptr;
};

inline constinit const counter<std::int64_t> pool_timeouts{
    "db.client.connection.timeouts", {.unit = "{timeout}", .description = "Requests for a connection that timed out"}};
inline constinit const histogram pool_create_time{
    "db.client.connection.create_time",
    {.unit = "s", .description = "Time to make a connection", .bounds = seconds_bucket_bounds}};
inline constinit const histogram pool_wait_time{
    "db.client.connection.wait_time",
    {.unit = "s", .description = "Time to get a connection from the pool", .bounds = seconds_bucket_bounds}};
inline constinit const histogram pool_use_time{"db.client.connection.use_time",
                                               {.unit = "s",
                                                .description = "Time between getting a connection and giving it back",
                                                .bounds = seconds_bucket_bounds}};

/// What pools are asked for when metrics are collected.
struct pool_instruments {
  observable_up_down_counter<> count{"db.client.connection.count",
                                     {.unit = "{connection}", .description = "Connections by state"}};
  observable_up_down_counter<> idle_max{"db.client.connection.idle.max",
                                        {.unit = "{connection}", .description = "Idle connections at most"}};
  observable_up_down_counter<> idle_min{"db.client.connection.idle.min",
                                        {.unit = "{connection}", .description = "Idle connections that are kept"}};
  observable_up_down_counter<> max{"db.client.connection.max",
                                   {.unit = "{connection}", .description = "Connections at most"}};
  observable_up_down_counter<> pending{"db.client.connection.pending_requests",
                                       {.unit = "{request}", .description = "Requests that wait for a connection"}};
};

/// The core of a pool with its telemetry, shared with the connections it gave out.
template <class Connection>
class pool_state {
 public:
  explicit pool_state(const pool_options& options) : core{options}, seen_{[this](auto& out) { this->observe(out); }} {}

  [[nodiscard]] const std::string& name() const noexcept { return core.options().name; }
  [[nodiscard]] static double seconds(std::chrono::steady_clock::duration d) noexcept {
    return std::chrono::duration<double>{d}.count();
  }

  [[noreturn]] void time_out() const {
    pool_timeouts.add(1, {{"db.client.connection.pool.name", name()}});
    current_span().event("otlpkit.db.pool.timeout", {{"db.client.connection.pool.name", name()}});
    const pool_counts now = core.counts();
    throw pool_timeout_error{name(), "no connection became free in time (" + std::to_string(now.used) + " in use, " +
                                         std::to_string(now.waiting) + " more requests waiting)"};
  }

  void created(std::chrono::steady_clock::duration took) const noexcept {
    pool_create_time.record(seconds(took), {{"db.client.connection.pool.name", name()}});
  }
  void waited(std::chrono::steady_clock::duration took) const noexcept {
    pool_wait_time.record(seconds(took), {{"db.client.connection.pool.name", name()}});
  }
  void used(std::chrono::steady_clock::duration took) const noexcept {
    pool_use_time.record(seconds(took), {{"db.client.connection.pool.name", name()}});
  }

  pool_core<Connection> core;

 private:
  void observe(auto& out) const {
    const auto& all = otlpkit::detail::immortal<pool_instruments>();
    const pool_counts now = core.counts();
    const pool_options& o = core.options();
    const auto number = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    const field pool{"db.client.connection.pool.name", o.name};
    out.observe(all.count, number(now.used), {pool, {"db.client.connection.state", "used"}});
    out.observe(all.count, number(now.idle), {pool, {"db.client.connection.state", "idle"}});
    out.observe(all.idle_max, number(std::min(o.max_idle, o.max_size)), {pool});
    out.observe(all.idle_min, number(o.min_idle), {pool});
    out.observe(all.max, number(o.max_size), {pool});
    out.observe(all.pending, number(now.waiting), {pool});
  }

  metric_callback seen_;
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::db
