// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/connection.hpp>
#include <otlpkit/db/db_operation.hpp>
#include <otlpkit/db/read_row.hpp>
#include <otlpkit/trace/observed_call.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::db {

template <connection Connection>
class transaction;

/// A connection whose statements are spans, named by what they do: `SELECT products`. Returns what the wrapped
/// connection returns, and rows as structs. As thread-safe as the connection is: mostly one thread at a time.
///
/// \code
/// otlpkit::db::traced_db db{otlpkit::sqlite::connection{"shop.db"}};
/// auto found = db.query_one<product>("SELECT id, name, price, stock FROM products WHERE id = $1", id);
/// \endcode
template <connection Connection>
class traced_db {
 public:
  /// A temporary is moved in; an lvalue is referred to and must live on.
  explicit traced_db(Connection&& wrapped) : connection_{std::forward<Connection>(wrapped)} {}

  /// All rows, as they are. Values follow the statement, or one range of db::parameter.
  template <class... Values>
  decltype(auto) query(std::string_view sql, const Values&... values) {
    return with_parameters([&](parameters p) -> decltype(auto) { return run_query(sql, p); }, values...);
  }

  /// All rows, each as a T (see read_row()).
  template <class T, class... Values>
  [[nodiscard]] std::vector<T> query(std::string_view sql, const Values&... values) {
    return query_with([](const row& r) { return read_row<T>(r); }, sql, values...);
  }

  /// All rows, each as `read(row)` makes it.
  template <std::invocable<const row&> Reader, class... Values>
  [[nodiscard]] auto query_with(Reader&& read, std::string_view sql, const Values&... values) {
    const auto rows = query(sql, values...);
    std::vector<std::decay_t<std::invoke_result_t<Reader&, const row&>>> out;
    out.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(std::invoke(read, row{rows, i}));
    return out;
  }

  /// The row there is, or nothing. Throws row_count_error when there are several.
  template <class T, class... Values>
  [[nodiscard]] std::optional<T> query_optional(std::string_view sql, const Values&... values) {
    const auto rows = query(sql, values...);
    if (rows.size() > 1)
      throw row_count_error{std::to_string(rows.size()) + " rows, expected one at most: " + std::string{sql}};
    if (rows.empty()) return std::nullopt;
    return read_row<T>(row{rows, 0});
  }

  /// The one row. Throws row_count_error when there is none, or several.
  template <class T, class... Values>
  [[nodiscard]] T query_one(std::string_view sql, const Values&... values) {
    if (auto found = query_optional<T>(sql, values...)) return *std::move(found);
    throw row_count_error{"no row, expected one: " + std::string{sql}};
  }

  /// Runs a statement that returns no rows; the number of rows it changed.
  template <class... Values>
  decltype(auto) execute(std::string_view sql, const Values&... values) {
    return with_parameters([&](parameters p) -> decltype(auto) { return run_execute(sql, p); }, values...);
  }

  /// Begins a transaction, which ends with what this returns.
  [[nodiscard]] db::transaction<Connection> transaction() { return db::transaction<Connection>{*this}; }

  /// The connection itself, for what is not traced.
  [[nodiscard]] std::remove_reference_t<Connection>& wrapped() noexcept { return connection_; }

 private:
  decltype(auto) run_query(std::string_view sql, parameters values) {
    if constexpr (!otlpkit::detail::telemetry_compiled_in)
      return connection_.query(sql, values);
    else
      return otlpkit::detail::observe(
          detail::db_operation{connection_.info(), sql, !values.empty()},
          [this, sql, values]() -> decltype(auto) { return connection_.query(sql, values); });
  }
  decltype(auto) run_execute(std::string_view sql, parameters values) {
    if constexpr (!otlpkit::detail::telemetry_compiled_in)
      return connection_.execute(sql, values);
    else
      return otlpkit::detail::observe(
          detail::db_operation{connection_.info(), sql, !values.empty()},
          [this, sql, values]() -> decltype(auto) { return connection_.execute(sql, values); });
  }

  template <class Run>
  static decltype(auto) with_parameters(Run&& run) {
    return run(parameters{});
  }
  template <class Run, class First, class... Rest>
  static decltype(auto) with_parameters(Run&& run, const First& first, const Rest&... rest) {
    if constexpr (sizeof...(Rest) == 0 && std::convertible_to<const First&, parameters>) {
      return run(parameters{first});
    } else {
      const parameter values[] = {parameter{first}, parameter{rest}...};
      return run(parameters{values});
    }
  }

  Connection connection_;
};

template <class Connection>
traced_db(Connection&&) -> traced_db<Connection>;

/// A transaction that is rolled back unless it was committed: also when an exception leaves its scope. Spans BEGIN,
/// COMMIT, ROLLBACK. Use it on the connection's thread, and not longer than the connection lives.
///
/// \code
/// auto tx = db.transaction();
/// db.execute("UPDATE ...");
/// tx.commit();
/// \endcode
template <connection Connection>
class [[nodiscard]] transaction {
 public:
  explicit transaction(traced_db<Connection>& db) : db_{&db} { db.execute(db.wrapped().info().begin); }
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  /// A roll-back that fails is recorded in its span and goes no further: the database drops the transaction with the
  /// connection.
  ~transaction() {
    if (!open_) return;
    try {
      rollback();
    } catch (...) {
    }
  }

  /// Makes the changes last. When it throws they may still be rolled back, and will be by the destructor.
  void commit() {
    db_->execute("COMMIT");
    open_ = false;
  }

  void rollback() {
    open_ = false;
    db_->execute("ROLLBACK");
  }

  [[nodiscard]] bool open() const noexcept { return open_; }

 private:
  traced_db<Connection>* db_;
  bool open_ = true;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::db
