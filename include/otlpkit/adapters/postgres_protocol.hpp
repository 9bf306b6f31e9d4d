// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/connection.hpp>
#include <otlpkit/db/errors.hpp>
#include <otlpkit/db/sql_scanner.hpp>

#include <libpq-fe.h>
#include <poll.h>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

// What the blocking and the asynchronous connection share: options, errors, and values on their way to and from libpq.
namespace otlpkit::inline OTLPKIT_ABI::postgres {

/// A statement or the connection failed. status_code() is the SQLSTATE: what the server said, or of class 08 for a
/// connection that could not be made (08001), is lost or does not answer (08006), was closed before (08003), or was
/// lost with a COMMIT on its way, when nobody knows whether that took place (08007; db::is_outcome_unknown()).
class error : public db::error {
 public:
  using db::error::error;
  [[nodiscard]] std::string_view sqlstate() const noexcept { return status_code(); }
  /// The connection is of no more use.
  [[nodiscard]] bool connection_lost() const noexcept {
    return sqlstate().substr(0, 2) == "08" || sqlstate().substr(0, 4) == "57P0";
  }
};

/// How a connection is made. What the URL says itself (`?options=...&application_name=...`) wins.
struct options {
  std::chrono::milliseconds connect_timeout{5'000};  ///< zero: none. Looking up a host's name is not covered
  /// How long the server works on a statement, then it fails with 57014 and the connection goes on. Zero: no limit.
  std::chrono::milliseconds statement_timeout{30'000};
  /// How long to wait for the server's answer, then the connection is closed: for servers and networks that hang.
  /// Longer than statement_timeout. Zero: for ever.
  std::chrono::milliseconds answer_timeout{35'000};
  std::string application_name = {};  ///< as the server's own views show it
  std::string name_space = {};        ///< db.namespace; empty: the name of the database
};

namespace detail {

struct finish {
  void operator()(PGconn* c) const noexcept { ::PQfinish(c); }
};
struct clear {
  void operator()(PGresult* r) const noexcept { ::PQclear(r); }
};
using handle = std::unique_ptr<PGconn, finish>;
using answer = std::unique_ptr<PGresult, clear>;

[[nodiscard]] inline std::string trimmed(const char* message) {
  std::string text{message != nullptr ? message : ""};
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

/// Throws when libpq cannot read the URL. libpq's own words would quote it, with the password in it.
inline void check_url(const std::string& url) {
  char* why = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&::PQconninfoFree)> read{::PQconninfoParse(url.c_str(), &why),
                                                                            &::PQconninfoFree};
  ::PQfreemem(why);
  if (read != nullptr) return;
  throw error{"08001", "a URL that cannot be used (expected postgres://user@host:5432/database or key=value)"};
}

/// Begins to connect; the rest is PQconnectPoll's. Throws postgres::error.
[[nodiscard]] inline handle start(const std::string& url, const options& o) {
  check_url(url);
  const std::string server_options = "-c statement_timeout=" + std::to_string(o.statement_timeout.count());
  const char* const keys[] = {"options", "client_encoding", "fallback_application_name", "dbname", nullptr};
  const char* const values[] = {server_options.c_str(), "UTF8", o.application_name.c_str(), url.c_str(), nullptr};
  handle made{::PQconnectStartParams(keys, values, 1)};
  if (made == nullptr) throw error{"08001", "out of memory"};
  if (::PQstatus(made.get()) == CONNECTION_BAD) throw error{"08001", trimmed(::PQerrorMessage(made.get()))};
  ::PQsetNoticeProcessor(
      made.get(), [](void*, const char*) {}, nullptr);  // libpq would print them
  return made;
}

[[nodiscard]] inline db::connection_info info_of(PGconn* c, const options& o) {
  const auto text = [](const char* s) { return std::string{s != nullptr ? s : ""}; };
  db::connection_info info{
      .system_name = "postgresql", .name_space = o.name_space, .server_address = text(::PQhost(c))};
  if (info.name_space.empty()) info.name_space = text(::PQdb(c));
  if (!info.server_address.starts_with('/')) {  // else a socket's folder
    const auto port = static_cast<std::uint16_t>(std::strtoul(::PQport(c), nullptr, 10));
    if (port != 5432) info.server_port = port;
    info.peer_address = text(::PQhostaddr(c));
    if (!info.peer_address.empty()) info.peer_port = port;
  }
  return info;
}

/// Whether the statement makes the changes of a transaction last.
[[nodiscard]] inline bool commits(std::string_view sql) noexcept {
  db::detail::sql_scanner words{sql, db::sql_dialect::of("postgresql")};
  auto kind = words.next();
  while (kind == db::detail::sql_token::comment) kind = words.next();
  return db::detail::is_any_of(words.token(), "COMMIT", "END");
}

/// A statement with its values as libpq wants them; copies both.
class message {
 public:
  message(std::string_view sql, db::parameters values) : sql_{sql} {
    using kind = db::parameter::kind;
    if (sql.find('\0') != std::string_view::npos) throw error{"42601", "a statement with a zero byte"};
    if (values.size() > std::numeric_limits<std::uint16_t>::max())
      throw error{"54023", std::to_string(values.size()) + " parameters, 65535 are possible"};
    std::vector<std::size_t> starts;
    for (const db::parameter& v : values) {
      starts.push_back(v.type() == kind::null ? std::string::npos : data_.size());
      types_.push_back(v.type() == kind::blob ? bytea : 0);  // 0: the server finds out from the context
      formats_.push_back(v.type() == kind::blob ? 1 : 0);
      append(v);
      lengths_.push_back(v.type() == kind::blob ? static_cast<int>(v.text().size()) : 0);
    }
    for (const std::size_t s : starts) values_.push_back(s == std::string::npos ? nullptr : data_.data() + s);
  }
  message(const message&) = delete;
  message& operator=(const message&) = delete;

  [[nodiscard]] std::string_view sql() const noexcept { return sql_; }

  /// Hands it to libpq. Whether that went well.
  [[nodiscard]] bool send(PGconn* c) noexcept {
    sent_ = true;
    return ::PQsendQueryParams(c, sql_.c_str(), static_cast<int>(values_.size()), types_.data(), values_.data(),
                               lengths_.data(), formats_.data(), 0) == 1;
  }

  /// In a catch block, when no answer came: nobody can tell what a COMMIT did that was sent. The exception goes on
  /// else.
  [[noreturn]] void unanswered() const {
    if (!sent_ || !commits(sql_)) throw;
    try {
      throw;
    } catch (const std::exception& e) {
      throw error{"08007", std::string{"COMMIT was not answered, it may have taken place: "} + e.what()};
    }
  }

 private:
  static constexpr Oid bytea = 17;

  void append(const db::parameter& v) {
    using kind = db::parameter::kind;
    char number[40];
    switch (v.type()) {
      case kind::null: return;
      case kind::integer: data_.append(number, std::to_chars(number, number + sizeof number, v.integer()).ptr); break;
      case kind::real: data_.append(number, std::to_chars(number, number + sizeof number, v.real()).ptr); break;
      case kind::text:
        if (v.text().find('\0') != std::string_view::npos)
          throw error{"22021", "text with a zero byte: PostgreSQL has none, pass bytes"};
        [[fallthrough]];
      case kind::blob:
        if (v.text().size() > std::numeric_limits<int>::max()) throw error{"54000", "a value of more than 2 GiB"};
        data_.append(v.text());
        break;
    }
    data_.push_back('\0');
  }

  std::string sql_;
  bool sent_ = false;
  std::string data_;
  std::vector<Oid> types_;
  std::vector<const char*> values_;
  std::vector<int> lengths_;
  std::vector<int> formats_;
};

/// Throws what the server answered, if it is no success.
inline void check(const PGresult* r, PGconn* c) {
  switch (::PQresultStatus(r)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK: return;
    case PGRES_EMPTY_QUERY: throw error{"42601", "a statement was expected, got nothing"};
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH: throw error{"0A000", "COPY is not supported here"};
    default: break;
  }
  const char* const state = ::PQresultErrorField(r, PG_DIAG_SQLSTATE);
  const char* const text = ::PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  if (state != nullptr) throw error{state, trimmed(text)};
  throw error{"08006", trimmed(::PQerrorMessage(c))};
}

/// Collects what the server answers to one statement, or to a script.
class answers {
 public:
  /// Takes what has arrived. Whether that was all.
  [[nodiscard]] bool take(PGconn* c) {
    while (::PQisBusy(c) == 0) {
      answer next{::PQgetResult(c)};
      if (next == nullptr) return true;
      const auto status = ::PQresultStatus(next.get());
      const bool success = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
      copying_ = status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
      if (failure_ == nullptr) (success ? last_ : failure_) = std::move(next);
      if (copying_) return true;  // there is no way out of COPY but to take part in it
    }
    return false;
  }

  /// The last answer; throws the first that is no success. `broken` says whether the connection has to be closed.
  [[nodiscard]] answer result(PGconn* c, bool& broken) {
    broken = copying_ || ::PQstatus(c) == CONNECTION_BAD;
    if (failure_ != nullptr) check(failure_.get(), c);
    if (last_ == nullptr) throw error{"08006", trimmed(::PQerrorMessage(c))};
    return std::move(last_);
  }

 private:
  answer last_, failure_;
  bool copying_ = false;
};

/// Whether a connection that is not in use can take a statement. Asks the server nothing.
[[nodiscard]] inline bool usable(PGconn* c) noexcept {
  if (c == nullptr || ::PQtransactionStatus(c) != PQTRANS_IDLE) return false;
  pollfd socket{.fd = ::PQsocket(c), .events = POLLIN, .revents = 0};
  for (int i = 0; i < 4 && ::poll(&socket, 1, 0) > 0; ++i) {
    if (::PQconsumeInput(c) != 1) return false;  // somebody has hung up
  }
  return ::PQstatus(c) == CONNECTION_OK;
}

/// One value. Integers, numerics that are whole and booleans (1 and 0) become integers, float4 and float8 floating
/// point, bytea bytes; all else is text as the server writes it.
[[nodiscard]] inline db::cell read(const PGresult* r, int row, int column) {
  using kind = db::parameter::kind;
  constexpr Oid bool_type = 16, bytea = 17, int8 = 20, int2 = 21, int4 = 23, oid = 26, float4 = 700, float8 = 701,
                numeric = 1700;
  if (::PQgetisnull(r, row, column) != 0) return {};
  const std::string_view text{::PQgetvalue(r, row, column), static_cast<std::size_t>(::PQgetlength(r, row, column))};
  const char* const end = text.data() + text.size();
  switch (::PQftype(r, column)) {
    case bool_type: return {kind::integer, text == "t" ? 1 : 0, 0, {}};
    case int2:
    case int4:
    case int8:
    case oid:
    case numeric: {
      std::int64_t v = 0;
      const auto read = std::from_chars(text.data(), end, v);
      if (read.ec == std::errc{} && read.ptr == end) return {kind::integer, v, 0, {}};
      break;
    }
    case float4:
    case float8: {
      double v = 0;
      const auto read = std::from_chars(text.data(), end, v);
      if (read.ec == std::errc{} && read.ptr == end) return {kind::real, 0, v, {}};
      break;
    }
    case bytea: {
      std::size_t size = 0;
      unsigned char* const bytes = ::PQunescapeBytea(reinterpret_cast<const unsigned char*>(text.data()), &size);
      if (bytes == nullptr) throw std::bad_alloc{};
      const std::unique_ptr<unsigned char, decltype(&::PQfreemem)> owned{bytes, &::PQfreemem};
      return {kind::blob, 0, 0, std::string{reinterpret_cast<const char*>(bytes), size}};
    }
    default: break;
  }
  return {kind::text, 0, 0, std::string{text}};
}

[[nodiscard]] inline db::result rows_of(const PGresult* r) {
  std::vector<std::string> names;
  const int columns = ::PQnfields(r), count = ::PQntuples(r);
  for (int i = 0; i < columns; ++i) names.emplace_back(::PQfname(r, i));
  db::result rows{std::move(names)};
  for (int row = 0; row < count; ++row) {
    for (int column = 0; column < columns; ++column) rows.append(read(r, row, column));
  }
  return rows;
}

/// The number of rows a statement changed; 0 for one that changes none. Throws for a COMMIT that committed nothing: the
/// server answers that with success.
[[nodiscard]] inline std::int64_t changed_by(PGresult* r, std::string_view sql) {
  if (std::string_view{::PQcmdStatus(r)} == "ROLLBACK" && commits(sql))
    throw error{"25P02", "COMMIT rolled back: a statement of the transaction had failed"};
  if (::PQresultStatus(r) == PGRES_TUPLES_OK && std::string_view{::PQcmdStatus(r)}.starts_with("SELECT")) return 0;
  return std::strtoll(::PQcmdTuples(r), nullptr, 10);
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::postgres
