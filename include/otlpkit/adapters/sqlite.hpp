// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/connection.hpp>
#include <otlpkit/db/errors.hpp>
#include <otlpkit/db/sql_scanner.hpp>

#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sqlite {

/// An SQLite call failed. status_code() is the extended result code as text ("2067").
class error : public db::error {
 public:
  error(int extended_code, const std::string& message)
      : db::error{std::to_string(extended_code), message}, code_{extended_code} {}

  [[nodiscard]] int extended_code() const noexcept { return code_; }  ///< SQLITE_CONSTRAINT_UNIQUE, ...
  [[nodiscard]] int code() const noexcept { return code_ & 0xFF; }    ///< SQLITE_CONSTRAINT, SQLITE_BUSY, ...

 private:
  int code_;
};

/// How a database is opened.
struct options {
  int busy_timeout_ms = 5'000;  ///< how long a statement waits for another connection's lock
  bool foreign_keys = true;     ///< enforced
  bool write_ahead_log = true;  ///< readers and the writer do not wait for each other; ignored in memory
  bool read_only = false;
  std::size_t cached_statements = 64;  ///< prepared statements kept, the least recently used leaves first
  std::string name_space = {};         ///< db.namespace; empty: the path as given
};

/// A connection to an SQLite database, for otlpkit::db::traced_db or by itself. Placeholders are $1, $2, ...; rows are
/// copied out. The concept is otlpkit::db::connection.
///
/// One thread at a time may use it; give each thread its own (two connections to ":memory:" are two databases). Text
/// and names are UTF-8.
class connection {
 public:
  /// Opens `path`, creating the file unless it is read-only; ":memory:" is a database of its own. Throws sqlite::error.
  explicit connection(const std::string& path, const options& o = {}) : limit_{o.cached_statements} {
    info_.system_name = "sqlite";
    info_.name_space = o.name_space.empty() ? path : o.name_space;
    info_.embedded = true;
    info_.begin = "BEGIN IMMEDIATE";  // a transaction that reads first and writes later would fail where this one waits
    const int flags =
        (o.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX;
    sqlite3* handle = nullptr;
    const int code = ::sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
    handle_.reset(handle);
    if (code != SQLITE_OK)
      throw sqlite::error{handle != nullptr ? ::sqlite3_extended_errcode(handle) : code,
                          "cannot open \"" + path + "\": " + ::sqlite3_errstr(code)};
    ::sqlite3_extended_result_codes(handle, 1);
    ::sqlite3_busy_timeout(handle, o.busy_timeout_ms);
    query(o.foreign_keys ? "PRAGMA foreign_keys = ON" : "PRAGMA foreign_keys = OFF", {});
    if (o.write_ahead_log && !o.read_only) query("PRAGMA journal_mode = WAL", {});
  }

  [[nodiscard]] const db::connection_info& info() const noexcept { return info_; }

  /// All rows. The statement must be one: what follows a semicolon is an error.
  db::result query(std::string_view sql, db::parameters values) {
    const use statement{*this, sql, values};
    sqlite3_stmt* const s = statement.get();
    std::vector<std::string> names;
    const int columns = ::sqlite3_column_count(s);
    for (int i = 0; i < columns; ++i) {
      const char* const name = ::sqlite3_column_name(s, i);
      names.emplace_back(name != nullptr ? name : "");
    }
    db::result rows{std::move(names)};
    while (step(s)) {
      for (int i = 0; i < columns; ++i) rows.append(read(s, i));
    }
    return rows;
  }

  /// Runs one statement; the number of rows it changed (0 for one that changes none).
  std::int64_t execute(std::string_view sql, db::parameters values) {
    const use statement{*this, sql, values};
    const int before = ::sqlite3_total_changes(handle_.get());
    while (step(statement.get())) {
    }
    // Total changes count those of triggers too, which are not ours to report: they only tell whether anything changed.
    return ::sqlite3_total_changes(handle_.get()) == before ? 0 : ::sqlite3_changes(handle_.get());
  }

  /// Runs a script of any number of statements without parameters: migrations.
  void run_script(const std::string& sql) {
    if (const int code = ::sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr); code != SQLITE_OK)
      fail(code);
  }

  /// Whether it can be given to somebody else: open, and in no transaction.
  [[nodiscard]] bool usable() const noexcept {
    return handle_ != nullptr && ::sqlite3_get_autocommit(handle_.get()) != 0;
  }

  /// Ends the statement under way with SQLITE_INTERRUPT. The only member that another thread may call meanwhile.
  void interrupt() noexcept { ::sqlite3_interrupt(handle_.get()); }

  /// SQLite's own handle, for what is not wrapped.
  [[nodiscard]] sqlite3* handle() const noexcept { return handle_.get(); }

 private:
  struct close {
    void operator()(sqlite3* h) const noexcept { ::sqlite3_close_v2(h); }
  };
  struct finalize {
    void operator()(sqlite3_stmt* s) const noexcept { ::sqlite3_finalize(s); }
  };
  struct prepared {
    std::string sql;
    std::unique_ptr<sqlite3_stmt, finalize> statement;
  };

  /// A prepared statement with its values, back to its unused state at the end.
  class use {
   public:
    use(connection& c, std::string_view sql, db::parameters values) : statement_{c.prepare(sql)} {
      try {
        c.bind(statement_, values);
      } catch (...) {
        release();
        throw;
      }
    }
    use(const use&) = delete;
    use& operator=(const use&) = delete;
    ~use() { release(); }
    [[nodiscard]] sqlite3_stmt* get() const noexcept { return statement_; }

   private:
    void release() noexcept {
      ::sqlite3_reset(statement_);
      ::sqlite3_clear_bindings(statement_);
    }
    sqlite3_stmt* statement_;
  };

  [[noreturn]] void fail(int code) const {
    throw sqlite::error{
        ::sqlite3_extended_errcode(handle_.get()) != SQLITE_OK ? ::sqlite3_extended_errcode(handle_.get()) : code,
        ::sqlite3_errmsg(handle_.get())};
  }

  /// The statement with its values by number, ? for the next one and ?7 for any other. SQLite takes $7 for a name, and
  /// looks for each among all others: the time for many rows would grow with the square of their number.
  [[nodiscard]] static std::string numbered(std::string_view sql) {
    std::string text{sql};
    db::detail::sql_scanner scanner{sql, db::sql_dialect::of("sqlite")};
    std::size_t highest = 0;
    bool only_dollars = true;  // else which number is the next one is SQLite's to know
    for (auto kind = scanner.next(); kind != db::detail::sql_token::end; kind = scanner.next()) {
      const std::string_view token = scanner.token();
      if (kind != db::detail::sql_token::symbol || (token.size() == 1 && token != "?")) continue;
      std::size_t which = 0;
      const auto [end, failed] = std::from_chars(token.data() + 1, token.data() + token.size(), which);
      if (token[0] == '$') {
        if (failed != std::errc{} || which == 0 || end != token.data() + token.size())
          throw sqlite::error{SQLITE_RANGE, "no value for the parameter " + std::string{token}};
        text[scanner.start()] = '?';
        if (only_dollars && which == highest + 1)
          text.replace(scanner.start() + 1, token.size() - 1, token.size() - 1, ' ');
        highest = std::max(highest, which);
      } else {
        only_dollars = false;  // ?, ?1, :name, @name
      }
    }
    return text;
  }

  [[nodiscard]] sqlite3_stmt* prepare(std::string_view sql) {
    for (auto it = statements_.begin(); it != statements_.end(); ++it) {
      if (it->sql != sql) continue;
      statements_.splice(statements_.begin(), statements_, it);
      return it->statement.get();
    }
    if (sql.find('\0') != std::string_view::npos) throw sqlite::error{SQLITE_MISUSE, "a statement with a zero byte"};
    if (sql.size() > INT32_MAX)
      throw sqlite::error{SQLITE_TOOBIG, "a statement of " + std::to_string(sql.size()) + " bytes"};
    const std::string text = numbered(sql);
    sqlite3_stmt* made = nullptr;
    const char* rest = nullptr;
    const int code = ::sqlite3_prepare_v3(handle_.get(), text.data(), static_cast<int>(text.size()),
                                          SQLITE_PREPARE_PERSISTENT, &made, &rest);
    std::unique_ptr<sqlite3_stmt, finalize> owned{made};
    if (code != SQLITE_OK) fail(code);
    if (made == nullptr)
      throw sqlite::error{SQLITE_MISUSE, "a statement was expected, got nothing but white space or comments"};
    if (has_statement({rest, static_cast<std::size_t>(text.data() + text.size() - rest)})) {
      throw sqlite::error{SQLITE_MISUSE, "one statement was expected, got several"};
    }
    statements_.push_front({std::string{sql}, std::move(owned)});
    while (statements_.size() > (limit_ > 0 ? limit_ : 1)) statements_.pop_back();
    return made;
  }

  [[nodiscard]] bool has_statement(std::string_view sql) const {
    if (sql.find_first_not_of(" \t\r\n;") == std::string_view::npos) return false;
    sqlite3_stmt* more = nullptr;
    const int code = ::sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &more, nullptr);
    const bool found = code != SQLITE_OK || more != nullptr;
    ::sqlite3_finalize(more);
    return found;
  }

  void bind(sqlite3_stmt* s, db::parameters values) const {
    const int wanted = ::sqlite3_bind_parameter_count(s);
    if (static_cast<std::size_t>(wanted) != values.size()) {
      throw sqlite::error{SQLITE_RANGE, "the statement has " + std::to_string(wanted) + " parameters, got " +
                                            std::to_string(values.size())};
    }
    for (int i = 1; i <= wanted; ++i) {
      if (const int code = bind_one(s, i, values[static_cast<std::size_t>(i) - 1]); code != SQLITE_OK) fail(code);
    }
  }

  [[nodiscard]] static int bind_one(sqlite3_stmt* s, int at, const db::parameter& v) noexcept {
    using kind = db::parameter::kind;
    switch (v.type()) {
      case kind::integer: return ::sqlite3_bind_int64(s, at, v.integer());
      case kind::real: return ::sqlite3_bind_double(s, at, v.real());
      case kind::text:
        return ::sqlite3_bind_text64(s, at, v.text().empty() ? "" : v.text().data(), v.text().size(), SQLITE_STATIC,
                                     SQLITE_UTF8);
      case kind::blob:
        return v.text().empty() ? ::sqlite3_bind_zeroblob(s, at, 0)
                                : ::sqlite3_bind_blob64(s, at, v.text().data(), v.text().size(), SQLITE_STATIC);
      case kind::null: break;
    }
    return ::sqlite3_bind_null(s, at);
  }

  /// Whether there is a row.
  [[nodiscard]] bool step(sqlite3_stmt* s) const {
    const int code = ::sqlite3_step(s);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) fail(code);
    return false;
  }

  [[nodiscard]] static db::cell read(sqlite3_stmt* s, int column) {
    using kind = db::parameter::kind;
    const int type = ::sqlite3_column_type(s, column);
    if (type == SQLITE_INTEGER) return {kind::integer, ::sqlite3_column_int64(s, column), 0, {}};
    if (type == SQLITE_FLOAT) return {kind::real, 0, ::sqlite3_column_double(s, column), {}};
    if (type == SQLITE_NULL) return {};
    const void* const data = type == SQLITE_TEXT ? static_cast<const void*>(::sqlite3_column_text(s, column))
                                                 : ::sqlite3_column_blob(s, column);
    const auto size = static_cast<std::size_t>(::sqlite3_column_bytes(s, column));
    return {type == SQLITE_TEXT ? kind::text : kind::blob, 0, 0,
            data == nullptr ? std::string{} : std::string{static_cast<const char*>(data), size}};
  }

  db::connection_info info_;
  std::size_t limit_;
  std::unique_ptr<sqlite3, close> handle_;
  std::list<prepared> statements_;  // most recently used first; gone before the handle
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sqlite
