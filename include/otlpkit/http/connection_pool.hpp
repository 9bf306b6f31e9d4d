// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/run_at.hpp>
#include <otlpkit/http/client_connection.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::http::detail {

/// A strand of its own where `ex` runs things, outside of any task.
inline boost::asio::any_io_executor own_strand(const boost::asio::any_io_executor& ex) {
  using io_strand = boost::asio::strand<otlpkit::detail::io_executor>;
  using any_strand = boost::asio::strand<boost::asio::any_io_executor>;
  otlpkit::detail::task_inquiry inquiry;
  otlpkit::detail::inquire(ex, inquiry);
  const boost::asio::any_io_executor bare = inquiry.traced ? inquiry.bare : ex;
  if (const auto* const s = bare.target<io_strand>()) return boost::asio::make_strand(s->get_inner_executor());
  if (const auto* const s = bare.target<any_strand>()) return boost::asio::make_strand(s->get_inner_executor());
  if (const auto* const io = bare.target<otlpkit::detail::io_executor>()) return boost::asio::make_strand(*io);
  return boost::asio::make_strand(bare);
}

/// The connections of a client: those in use are counted, those that wait for use are kept. Safe to use from many
/// threads. What it keeps has nothing under way, so that an io_context with nothing else to do comes to its end; an
/// io_context that goes takes its connections out of here.
class connection_pool : public std::enable_shared_from_this<connection_pool> {
 public:
  using clock = std::chrono::steady_clock;

  /// Where a connection leads, and on which context it is.
  struct key {
    const boost::asio::execution_context* context = nullptr;
    std::string host;
    std::uint16_t port = 0;
    bool tls = false;
    friend auto operator<=>(const key&, const key&) = default;
  };

  connection_pool(std::size_t most, std::chrono::milliseconds idle) : most_{most}, idle_{idle} {}

  /// The right to use one connection, and the connection, if there is one already. Without keep() it is closed at the
  /// end.
  class lease {
   public:
    lease(std::shared_ptr<connection_pool> from, key k, std::unique_ptr<client_connection> c)
        : connection{std::move(c)}, pool_{std::move(from)}, key_{std::move(k)} {}
    lease(lease&&) noexcept = default;
    lease& operator=(lease&&) = delete;
    ~lease() {
      if (pool_) pool_->give_back(key_, kept_ ? std::move(connection) : nullptr);
    }
    void keep() noexcept { kept_ = true; }

    std::unique_ptr<client_connection> connection;

   private:
    std::shared_ptr<connection_pool> pool_;
    key key_;
    bool kept_ = false;
  };

  /// Waits for a connection, at most until `until`. No lease: time is over, or the wait was cancelled.
  /// \param fresh do without those that were used before
  boost::asio::awaitable<std::optional<lease>> acquire(boost::asio::any_io_executor ex, key k, bool fresh,
                                                       clock::time_point until) {
    const std::shared_ptr<waiter> w = std::make_shared<waiter>();
    if (take(ex, k, fresh, *w)) co_return lease{shared_from_this(), std::move(k), std::move(w->connection)};
    struct giving_up {  // also when the coroutine is destroyed
      connection_pool& pool;
      const key& k;
      waiter& w;
      ~giving_up() { pool.give_up(k, w); }
    };
    w->timer.emplace(own_strand(ex), until);
    const giving_up guard{*this, k, *w};
    if (queue(k, w)) {
      co_await otlpkit::detail::run_at(w->timer->get_executor(), wait(shared_from_this(), w));
    }
    if (!claim(*w)) co_return std::nullopt;
    co_return lease{shared_from_this(), k, std::move(w->connection)};
  }

  /// Closes what waits for use.
  void clear() {
    const std::lock_guard lock{mutex_};
    std::vector<std::unique_ptr<client_connection>> closed;  // within the lock: their io_context, going, waits for it
    for (auto it = hosts_.begin(); it != hosts_.end();) {
      it->second.open -= it->second.idle.size();
      std::ranges::move(it->second.idle, std::back_inserter(closed));
      it->second.idle.clear();
      it = unused(it->second) ? hosts_.erase(it) : std::next(it);
    }
  }

 private:
  struct waiter {
    std::optional<boost::asio::steady_timer> timer;
    std::unique_ptr<client_connection> connection;
    bool granted = false;
  };
  struct host {
    std::size_t open = 0;  ///< in use and idle
    std::vector<std::unique_ptr<client_connection>> idle;
    std::deque<std::shared_ptr<waiter>> waiting;
  };

  /// Tells pools that an execution context goes.
  class context_end final : public boost::asio::execution_context::service {
   public:
    static inline boost::asio::execution_context::id id;
    explicit context_end(boost::asio::execution_context& context) : service{context} {}
    void tell(std::weak_ptr<connection_pool> pool) {
      const std::lock_guard lock{mutex_};
      std::erase_if(pools_, [](const auto& p) { return p.expired(); });
      pools_.push_back(std::move(pool));
    }

   private:
    void shutdown() noexcept override {
      for (const auto& weak : pools_) {
        if (const auto pool = weak.lock()) pool->forget(&context());
      }
    }
    std::mutex mutex_;
    std::vector<std::weak_ptr<connection_pool>> pools_;
  };

  [[nodiscard]] static bool unused(const host& h) noexcept { return h.open == 0 && h.waiting.empty(); }

  /// True when `into` may go on, with a connection or the right to open one.
  bool take(const boost::asio::any_io_executor& ex, key& k, bool fresh, waiter& into) {
    auto& context = boost::asio::query(ex, boost::asio::execution::context);
    k.context = &context;
    watch(ex, context);
    const std::lock_guard lock{mutex_};
    std::vector<std::unique_ptr<client_connection>> closed;  // within the lock: their io_context, going, waits for it
    close_old(closed);
    host& h = hosts_[k];
    while (!h.idle.empty()) {
      std::unique_ptr<client_connection> c = std::move(h.idle.back());
      h.idle.pop_back();
      if (!fresh && c->usable()) {
        c->books.now("active");
        into.connection = std::move(c);
        return true;
      }
      --h.open;
      closed.push_back(std::move(c));
    }
    if (h.open >= most_) return false;
    ++h.open;
    return true;
  }

  /// False when a connection became free meanwhile, and `w` has the right to it.
  bool queue(const key& k, const std::shared_ptr<waiter>& w) {
    const std::lock_guard lock{mutex_};
    host& h = hosts_[k];
    if (h.open >= most_ && h.idle.empty()) {
      h.waiting.push_back(w);
      return true;
    }
    w->granted = true;
    if (h.idle.empty()) {
      ++h.open;
    } else {
      w->connection = std::move(h.idle.back());
      h.idle.pop_back();
      w->connection->books.now("active");
    }
    return false;
  }

  static boost::asio::awaitable<void> wait(std::shared_ptr<connection_pool> pool, std::shared_ptr<waiter> w) {
    {
      const std::lock_guard lock{pool->mutex_};
      if (w->granted) co_return;
    }
    co_await w->timer->async_wait(client_result);
  }

  /// Whether the wait was worth it; then nobody else has the connection.
  bool claim(waiter& w) {
    const std::lock_guard lock{mutex_};
    return std::exchange(w.granted, false);
  }

  void give_up(const key& k, waiter& w) {
    {
      const std::lock_guard lock{mutex_};
      if (!std::exchange(w.granted, false)) {
        if (const auto found = hosts_.find(k); found != hosts_.end()) {
          std::erase_if(found->second.waiting, [&w](const auto& other) { return other.get() == &w; });
          if (unused(found->second)) hosts_.erase(found);
        }
        return;
      }
    }
    give_back(k, std::move(w.connection));
  }

  void give_back(const key& k, std::unique_ptr<client_connection> c) {
    std::shared_ptr<waiter> next;
    {
      const std::lock_guard lock{mutex_};
      const auto found = hosts_.find(k);
      if (found == hosts_.end()) return;  // the context is going
      host& h = found->second;
      if (!h.waiting.empty()) {
        next = std::move(h.waiting.front());
        h.waiting.pop_front();
        next->granted = true;
        next->connection = std::move(c);
      } else if (c != nullptr && idle_.count() > 0) {
        c->idle_since = clock::now();
        c->books.now("idle");
        h.idle.push_back(std::move(c));
      } else {
        --h.open;
        if (unused(h)) hosts_.erase(found);
      }
    }
    if (next) boost::asio::post(next->timer->get_executor(), [next] { next->timer->cancel(); });
  }

  void close_old(std::vector<std::unique_ptr<client_connection>>& closed) {
    const clock::time_point before = clock::now() - idle_;
    for (auto it = hosts_.begin(); it != hosts_.end();) {
      host& h = it->second;
      // The one used last is at the end.
      const auto young = std::ranges::find_if(h.idle, [&](const auto& c) { return c->idle_since > before; });
      h.open -= static_cast<std::size_t>(young - h.idle.begin());
      std::move(h.idle.begin(), young, std::back_inserter(closed));
      h.idle.erase(h.idle.begin(), young);
      it = unused(h) ? hosts_.erase(it) : std::next(it);
    }
  }

  void watch(const boost::asio::any_io_executor& ex, boost::asio::execution_context& context) {
    {
      const std::lock_guard lock{mutex_};
      if (std::ranges::find(contexts_, &context) != contexts_.end()) return;
      contexts_.push_back(&context);
    }
    // What a context made last it ends first: what connections are made of has to be there before.
    const boost::beast::tcp_stream first{ex};
    boost::asio::use_service<context_end>(context).tell(weak_from_this());
  }

  void forget(const boost::asio::execution_context* context) {
    std::vector<std::map<key, host>::node_type> gone;  // outlives the lock
    const std::lock_guard lock{mutex_};
    std::erase(contexts_, context);
    for (auto it = hosts_.begin(); it != hosts_.end();) {
      if (it->first.context != context) {
        ++it;
        continue;
      }
      gone.push_back(hosts_.extract(it++));
    }
  }

  std::size_t most_;
  std::chrono::milliseconds idle_;
  std::mutex mutex_;
  std::map<key, host> hosts_;
  std::vector<const boost::asio::execution_context*> contexts_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http::detail
