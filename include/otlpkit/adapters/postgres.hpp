// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/postgres_protocol.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::postgres {

/// A connection to a PostgreSQL server, for otlpkit::db::traced_db or by itself. Placeholders are $1, $2, ...; rows are
/// copied out. Calls block, at most as long as the options say. The concept is otlpkit::db::connection.
///
/// One thread at a time may use it. A connection that is lost stays lost: a pool makes another.
class connection {
 public:
  /// \param url "postgres://user@host:5432/database", or libpq's `key=value` form; environment and defaults are libpq's
  /// Throws postgres::error.
  explicit connection(const std::string& url, options o = {}) : options_{std::move(o)} {
    handle_ = detail::start(url, options_);
    const auto until = deadline(options_.connect_timeout);
    for (PostgresPollingStatusType want = PGRES_POLLING_WRITING; want != PGRES_POLLING_OK;) {
      if (!ready(want == PGRES_POLLING_READING ? POLLIN : POLLOUT, until))
        throw error{"08001", "no connection within " + std::to_string(options_.connect_timeout.count()) + " ms"};
      want = ::PQconnectPoll(handle_.get());
      if (want == PGRES_POLLING_FAILED) throw error{"08001", detail::trimmed(::PQerrorMessage(handle_.get()))};
    }
    ::PQsetnonblocking(handle_.get(), 1);
    info_ = detail::info_of(handle_.get(), options_);
  }

  [[nodiscard]] const db::connection_info& info() const noexcept { return info_; }

  /// All rows. The statement must be one.
  db::result query(std::string_view sql, db::parameters values) { return detail::rows_of(run(sql, values).get()); }

  /// Runs one statement; the number of rows it changed (0 for one that changes none).
  std::int64_t execute(std::string_view sql, db::parameters values) {
    return detail::changed_by(run(sql, values).get(), sql);
  }

  /// Runs a script of any number of statements without parameters: migrations. Without a BEGIN in it, it is a
  /// transaction.
  void run_script(const std::string& sql) {
    if (::PQsendQuery(open(), sql.c_str()) != 1) lost();
    finish();
  }

  /// Whether it can take a statement: connected, in no transaction, and nobody has hung up. Asks the server nothing.
  [[nodiscard]] bool usable() noexcept { return detail::usable(handle_.get()); }

  /// Whether it is lost, and can do nothing any more.
  [[nodiscard]] bool broken() const noexcept { return handle_ == nullptr; }

  /// libpq's own handle, in non-blocking mode, for what is not wrapped; nullptr after the connection was closed.
  [[nodiscard]] PGconn* native() const noexcept { return handle_.get(); }

 private:
  using clock = std::chrono::steady_clock;

  [[nodiscard]] static clock::time_point deadline(std::chrono::milliseconds limit) noexcept {
    return limit.count() > 0 ? resilience::time_after(clock::now(), limit) : clock::time_point::max();
  }

  /// Waits for the socket. \return false when the time was up
  [[nodiscard]] bool ready(short events, clock::time_point until) const {
    for (;;) {
      int wait = -1;
      if (until != clock::time_point::max()) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
        if (left <= 0) return false;
        wait = static_cast<int>(std::min<long long>(left, 60'000));
      }
      pollfd socket{.fd = ::PQsocket(handle_.get()), .events = events, .revents = 0};
      const int got = ::poll(&socket, 1, wait);
      if (got > 0) return true;
      if (got < 0 && errno != EINTR) throw error{"08006", "poll() failed"};
    }
  }

  [[nodiscard]] PGconn* open() const {
    if (handle_ == nullptr) throw error{"08003", "the connection was closed after it failed"};
    return handle_.get();
  }

  [[noreturn]] void lost() {
    const std::string why = detail::trimmed(::PQerrorMessage(handle_.get()));
    handle_.reset();
    throw error{"08006", why};
  }

  [[nodiscard]] detail::answer run(std::string_view sql, db::parameters values) {
    detail::message m{sql, values};
    try {
      if (!m.send(open())) lost();
      return finish();
    } catch (const error& e) {
      if (!e.connection_lost()) throw;
      m.unanswered();
    }
  }

  /// Sends what waits and takes all answers. \return the last one, which is a success
  detail::answer finish() {
    const auto until = deadline(options_.answer_timeout);
    PGconn* const c = handle_.get();
    for (int waits = ::PQflush(c); waits != 0; waits = ::PQflush(c)) {
      if (waits < 0) lost();
      if (!ready(POLLIN | POLLOUT, until)) no_answer();
      if (::PQconsumeInput(c) != 1) lost();
    }
    detail::answers all;
    while (!all.take(c)) {
      if (!ready(POLLIN, until)) no_answer();
      if (::PQconsumeInput(c) != 1 && ::PQisBusy(c) != 0) lost();
    }
    bool broken = false;
    try {
      return all.result(c, broken);
    } catch (const error& e) {
      if (broken || e.connection_lost()) handle_.reset();
      throw;
    }
  }

  [[noreturn]] void no_answer() {
    handle_.reset();
    throw error{"08006", "no answer within " + std::to_string(options_.answer_timeout.count()) +
                             " ms: the connection is closed"};
  }

  options options_;
  db::connection_info info_;
  detail::handle handle_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::postgres
