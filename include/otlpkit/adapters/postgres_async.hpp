// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/postgres_protocol.hpp>
#include <otlpkit/asio/run_at.hpp>
#include <otlpkit/asio/traced_db.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::postgres {

/// A connection to a PostgreSQL server for coroutines: what postgres::connection does, awaited, for traced_db (which is
/// awaited then, too) or by itself. Statement and values are copied by the call, so they need not live until the end.
///
/// One coroutine at a time may use it, on whatever thread; the work is done on the executor that connect() was awaited
/// on, which must live longer and go on running. A statement that is cancelled, or not answered in time,
/// costs the connection: it is closed, and the server ends the statement when its statement_timeout is over or when it
/// has something to say. A connection that is lost stays lost: a pool makes another.
class async_connection {
 public:
  /// As postgres::connection. Throws postgres::error, and boost::system::system_error when cancelled.
  [[nodiscard]] static boost::asio::awaitable<async_connection> connect(const std::string& url) {
    return connect(std::make_shared<const request>(url, options{}));
  }
  /// Give the options a name of their own before a co_await: g++ 12 miscompiles braced lists within such expressions.
  [[nodiscard]] static boost::asio::awaitable<async_connection> connect(const std::string& url, const options& o) {
    return connect(std::make_shared<const request>(url, o));
  }

  [[nodiscard]] const db::connection_info& info() const noexcept { return state_->info; }

  /// All rows. The statement must be one.
  [[nodiscard]] boost::asio::awaitable<db::result> query(std::string_view sql, db::parameters values) {
    return rows(state_, std::make_shared<detail::message>(sql, values));
  }

  /// Runs one statement; the number of rows it changed (0 for one that changes none).
  [[nodiscard]] boost::asio::awaitable<std::int64_t> execute(std::string_view sql, db::parameters values) {
    return changed(state_, std::make_shared<detail::message>(sql, values));
  }

  /// Whether it can take a statement: connected, in no transaction, at no work, and nobody has hung up.
  [[nodiscard]] bool usable() noexcept { return !state_->busy && detail::usable(state_->handle.get()); }

  /// Whether it is lost, and can do nothing any more. Ask while no statement is under way.
  [[nodiscard]] bool broken() const noexcept { return state_->handle == nullptr; }

 private:
  using clock = std::chrono::steady_clock;
  using message_ptr = std::shared_ptr<detail::message>;
  static constexpr auto tuple = boost::asio::as_tuple(boost::asio::use_awaitable);

  /// All of it is used on the strand alone, while a statement is under way.
  struct state : std::enable_shared_from_this<state> {
    state(const boost::asio::any_io_executor& ex, const options& o)
        : strand{boost::asio::make_strand(ex)}, timer{strand}, limits{o} {}
    ~state() { close(); }

    void close() noexcept {
      unwatch();
      handle.reset();
    }

    void watch() { socket.emplace(strand, ::PQsocket(handle.get())); }
    void unwatch() noexcept {
      if (socket) socket->release();  // it is libpq that closes it
      socket.reset();
    }

    void expire_after(std::chrono::milliseconds limit) {
      timed_out = false;
      if (limit.count() <= 0) return;
      timer.expires_at(resilience::time_after(clock::now(), limit));
      timer.async_wait([weak = weak_from_this(), n = number](boost::system::error_code stopped) {
        const auto self = weak.lock();
        if (stopped || self == nullptr || self->number != n) return;
        self->timed_out = true;
        if (self->socket) self->socket->cancel();
      });
    }

    boost::asio::strand<boost::asio::any_io_executor> strand;
    boost::asio::steady_timer timer;
    options limits;
    db::connection_info info;
    detail::handle handle;
    std::optional<boost::asio::posix::stream_descriptor> socket;
    std::uint64_t number = 0;  ///< of the statement: its time-out must not meet the next one
    bool timed_out = false;
    bool busy = false;
  };

  /// A statement under way. Unless it is said to have come to its end the connection is closed: nobody else could tell
  /// its answers from those of the next one.
  class exchange {
   public:
    explicit exchange(state& s, std::chrono::milliseconds limit) : state_{s} {
      if (s.busy) throw error{"55006", "another statement is under way on this connection"};
      s.busy = true;
      s.expire_after(limit);
    }
    exchange(const exchange&) = delete;
    exchange& operator=(const exchange&) = delete;
    ~exchange() {
      ++state_.number;
      state_.timer.cancel();
      state_.busy = false;
      if (!complete_) state_.close();
    }
    void complete() noexcept { complete_ = true; }

   private:
    state& state_;
    bool complete_ = false;
  };

  explicit async_connection(std::shared_ptr<state> s) noexcept : state_{std::move(s)} {}

  [[noreturn]] static void stopped(const state& s, const char* code, std::chrono::milliseconds limit) {
    if (!s.timed_out) throw boost::system::system_error{boost::asio::error::operation_aborted};
    throw error{code, "no answer within " + std::to_string(limit.count()) + " ms: the connection is closed"};
  }
  [[noreturn]] static void lost(const state& s) {
    throw error{"08006", detail::trimmed(::PQerrorMessage(s.handle.get()))};
  }

  struct request {
    request(const std::string& u, const options& o) : url{u}, limits{o} {}
    std::string url;
    options limits;
  };

  static boost::asio::awaitable<async_connection> connect(std::shared_ptr<const request> asked) {
    auto made = std::make_shared<state>(co_await boost::asio::this_coro::executor, asked->limits);
    co_await otlpkit::detail::run_at(made->strand, establish(made, asked));
    co_return async_connection{std::move(made)};
  }

  static boost::asio::awaitable<void> establish(std::shared_ptr<state> s, std::shared_ptr<const request> asked) {
    s->handle = detail::start(asked->url, s->limits);
    exchange own{*s, s->limits.connect_timeout};
    for (PostgresPollingStatusType want = PGRES_POLLING_WRITING; want != PGRES_POLLING_OK;) {
      s->watch();
      const auto [failed] = co_await s->socket->async_wait(want == PGRES_POLLING_READING
                                                               ? boost::asio::posix::descriptor_base::wait_read
                                                               : boost::asio::posix::descriptor_base::wait_write,
                                                           tuple);
      if (failed || s->timed_out) stopped(*s, "08001", s->limits.connect_timeout);
      s->unwatch();  // libpq may close its socket now, and the next one may have the same number
      want = ::PQconnectPoll(s->handle.get());
      if (want == PGRES_POLLING_FAILED) throw error{"08001", detail::trimmed(::PQerrorMessage(s->handle.get()))};
    }
    s->watch();
    ::PQsetnonblocking(s->handle.get(), 1);
    s->info = detail::info_of(s->handle.get(), s->limits);
    own.complete();
  }

  static boost::asio::awaitable<detail::answer> run(std::shared_ptr<state> s, message_ptr m) {
    try {
      co_return co_await answered(s, m);
    } catch (const error& e) {
      if (!e.connection_lost()) throw;
      m->unanswered();
    } catch (const boost::system::system_error&) {  // cancelled
      m->unanswered();
    }
  }

  static boost::asio::awaitable<detail::answer> answered(std::shared_ptr<state> s, message_ptr m) {
    if (s->handle == nullptr) throw error{"08003", "the connection was closed after it failed"};
    exchange own{*s, s->limits.answer_timeout};
    PGconn* const c = s->handle.get();
    if (!m->send(c)) lost(*s);
    for (int waits = ::PQflush(c); waits != 0; waits = ::PQflush(c)) {
      if (waits < 0) lost(*s);
      const auto [failed] = co_await s->socket->async_wait(boost::asio::posix::descriptor_base::wait_write, tuple);
      if (failed || s->timed_out) stopped(*s, "08006", s->limits.answer_timeout);
    }
    detail::answers all;
    while (!all.take(c)) {
      const auto [failed] = co_await s->socket->async_wait(boost::asio::posix::descriptor_base::wait_read, tuple);
      if (failed || s->timed_out) stopped(*s, "08006", s->limits.answer_timeout);
      if (::PQconsumeInput(c) != 1 && ::PQisBusy(c) != 0) lost(*s);
    }
    bool broken = false;
    try {
      auto last = all.result(c, broken);
      own.complete();
      co_return last;
    } catch (const error& e) {
      if (!broken && !e.connection_lost()) own.complete();
      throw;
    }
  }

  static boost::asio::awaitable<db::result> rows(std::shared_ptr<state> s, message_ptr m) {
    const auto got = co_await otlpkit::detail::run_at(s->strand, run(s, std::move(m)));
    co_return detail::rows_of(got.get());
  }
  static boost::asio::awaitable<std::int64_t> changed(std::shared_ptr<state> s, message_ptr m) {
    const auto got = co_await otlpkit::detail::run_at(s->strand, run(s, m));
    co_return detail::changed_by(got.get(), m->sql());
  }

  std::shared_ptr<state> state_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::postgres
