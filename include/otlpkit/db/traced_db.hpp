// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/batch_statements.hpp>
#include <otlpkit/db/connection.hpp>
#include <otlpkit/db/db_operation.hpp>
#include <otlpkit/db/query_text.hpp>
#include <otlpkit/db/read_row.hpp>
#include <otlpkit/trace/observed_call.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::db {

template <blocking_connection Connection>
class transaction;
struct transaction_options;

struct traced_db_options {
  /// A statement that takes this long gets the event otlpkit.db.slow_query. Zero: none does.
  std::chrono::nanoseconds slow_query = std::chrono::seconds{1};
};

namespace detail {

/// Does something with what a query returns. What is awaited first has a specialisation in asio/traced_db.hpp.
template <class Result>
struct result_mapper {
  using statement = std::string_view;  ///< how the function may keep the statement, to name it in errors
  template <class F>
  static auto run(Result rows, F fn) {
    return fn(std::move(rows));
  }
};

}  // namespace detail

/// A connection whose statements are spans, named by what they do: `SELECT products`. Returns what the wrapped
/// connection returns, and rows as structs; over a connection whose calls are awaited all of these are awaited as well
/// (include otlpkit/asio/traced_db.hpp). As thread-safe as the connection is: mostly one thread at a time.
///
/// What is recorded of a statement is found out when it is first run, and kept for all connections of the process.
///
/// \code
/// otlpkit::db::traced_db db{otlpkit::sqlite::connection{"shop.db"}};
/// auto found = db.query_one<product>("SELECT id, name, price, stock FROM products WHERE id = $1", id);
/// \endcode
template <connection Connection>
class traced_db {
 public:
  /// A temporary is moved in; an lvalue is referred to and must live on.
  explicit traced_db(Connection&& wrapped, const traced_db_options& options = {})
      : connection_{std::forward<Connection>(wrapped)},
        slow_ns_{static_cast<std::uint64_t>(std::max(options.slow_query, std::chrono::nanoseconds{0}).count())} {}

  /// All rows, as they are. Values follow the statement, or one range of db::parameter.
  template <class... Values>
  decltype(auto) query(std::string_view sql, const Values&... values) {
    return with_parameters([&](parameters p) -> decltype(auto) { return run_query(sql, p); }, values...);
  }

  /// All rows, each as a T (see read_row()): a vector.
  template <class T, class... Values>
  [[nodiscard]] auto query(std::string_view sql, const Values&... values) {
    return query_with([](const row& r) { return read_row<T>(r); }, sql, values...);
  }

  /// All rows, each as `read(row)` makes it.
  template <std::invocable<const row&> Reader, class... Values>
  [[nodiscard]] auto query_with(Reader read, std::string_view sql, const Values&... values) {
    return map(query(sql, values...), [read = std::move(read)](const auto& rows) mutable {
      std::vector<std::decay_t<std::invoke_result_t<Reader&, const row&>>> out;
      out.reserve(rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(std::invoke(read, row{rows, i}));
      return out;
    });
  }

  /// The row there is, or nothing. Throws row_count_error when there are several.
  template <class T, class... Values>
  [[nodiscard]] auto query_optional(std::string_view sql, const Values&... values) {
    return map(query(sql, values...), [sql = kept(sql), dialect = dialect()](const auto& rows) {
      return optional_row<T>(rows, sql, dialect);
    });
  }

  /// The one row. Throws row_count_error when there is none, or several.
  template <class T, class... Values>
  [[nodiscard]] auto query_one(std::string_view sql, const Values&... values) {
    return map(query(sql, values...), [sql = kept(sql), dialect = dialect()](const auto& rows) -> T {
      if (auto found = optional_row<T>(rows, sql, dialect)) return *std::move(found);
      throw row_count_error{"no row, expected one: " + shortened(sql, dialect)};
    });
  }

  /// Runs a statement that returns no rows; the number of rows it changed.
  template <class... Values>
  decltype(auto) execute(std::string_view sql, const Values&... values) {
    return with_parameters([&](parameters p) -> decltype(auto) { return run_execute(sql, p); }, values...);
  }

  /// Runs a statement once for each of the ranges of values in `sets`, as one batch: one span. Returns the number of
  /// rows changed in all. The first failure ends it; what was done until then stays, unless a transaction is open.
  /// Awaited, it refers to `sets` until the end.
  template <class Sets>
  auto execute_many(std::string_view sql, const Sets& sets) {
    return run_batch(sql, std::size(sets), detail::repeated_statement<kept_text, Sets>{sql, sets});
  }

  /// Inserts many rows with few statements: `insert` reaches up to VALUES ("INSERT INTO readings (device, at, value)
  /// VALUES"), `values` holds row after row of `columns` values. One span for all; db.query.text shows one row. The
  /// first failure ends it. Returns the number of rows inserted. Awaited, it refers to `values` until the end. Throws
  /// std::invalid_argument for values that are no rows.
  auto insert_rows(std::string_view insert, std::size_t columns, parameters values) {
    using inserts = detail::row_inserts<kept_text>;
    if (columns == 0 || columns > inserts::most_values || values.size() % columns != 0) {
      throw std::invalid_argument{"insert_rows: " + std::to_string(values.size()) + " values are no rows of " +
                                  std::to_string(columns) + " columns (at most " +
                                  std::to_string(inserts::most_values) + ")"};
    }
    const std::string shown = std::string{insert} + " (" + placeholders(columns) + ")";
    return run_batch(shown, values.size() / columns, inserts{insert, columns, values});
  }

  /// Begins a transaction, which ends with what this returns. Connections that are awaited have db::in_transaction() in
  /// otlpkit/asio/traced_db.hpp instead.
  [[nodiscard]] auto transaction() requires blocking_connection<Connection> {
    return db::transaction<Connection>{*this};
  }
  [[nodiscard]] auto transaction(const transaction_options& options) requires blocking_connection<Connection> {
    return db::transaction<Connection>{*this, options};
  }

  /// The connection itself, for what is not traced.
  [[nodiscard]] std::remove_reference_t<Connection>& wrapped() noexcept { return connection_; }
  [[nodiscard]] const connection_info& info() { return connection_.info(); }
  /// As the connection says it.
  [[nodiscard]] bool usable() requires self_checking<std::remove_reference_t<Connection>> {
    return connection_.usable();
  }
  /// As the connection says it, if it does: whether it is lost, and can do nothing any more.
  [[nodiscard]] bool broken() const noexcept {
    if constexpr (requires { connection_.broken(); }) {
      return connection_.broken();
    } else {
      return false;
    }
  }

 private:
  using query_result = std::decay_t<decltype(std::declval<std::remove_reference_t<Connection>&>().query(
      std::string_view{}, parameters{}))>;
  using execute_result = std::decay_t<decltype(std::declval<std::remove_reference_t<Connection>&>().execute(
      std::string_view{}, parameters{}))>;
  using kept_text = typename detail::result_mapper<query_result>::statement;

  template <class Result, class F>
  static auto map(Result&& rows, F fn) {
    return detail::result_mapper<std::decay_t<Result>>::run(std::forward<Result>(rows), std::move(fn));
  }
  static kept_text kept(std::string_view sql) { return kept_text{sql}; }
  [[nodiscard]] sql_dialect dialect() { return sql_dialect::of(connection_.info().system_name); }
  /// For messages, which others may record: without literals.
  [[nodiscard]] static std::string shortened(std::string_view sql, sql_dialect dialect) {
    return without_literals(sql.substr(0, 1000), dialect) + (sql.size() <= 1000 ? "" : "...");
  }
  template <class T>
  [[nodiscard]] static std::optional<T> optional_row(const auto& rows, std::string_view sql, sql_dialect dialect) {
    if (rows.size() > 1)
      throw row_count_error{std::to_string(rows.size()) + " rows, expected one at most: " + shortened(sql, dialect)};
    if (rows.empty()) return std::nullopt;
    return read_row<T>(row{rows, 0});
  }

  /// \param shown what is said of the statement
  template <class Statements>
  auto run_batch(std::string_view shown, std::size_t count, Statements all) {
    const auto run = [this, &all] { return detail::batch_runner<execute_result>::run(connection_, std::move(all)); };
    if (count == 0) return run();
    if constexpr (!otlpkit::detail::telemetry_compiled_in)
      return run();
    else
      return otlpkit::detail::observe(detail::db_operation{connection_.info(), shown, true, slow_ns_, count}, run);
  }

  decltype(auto) run_query(std::string_view sql, parameters values) {
    if constexpr (!otlpkit::detail::telemetry_compiled_in)
      return connection_.query(sql, values);
    else
      return otlpkit::detail::observe(
          detail::db_operation{connection_.info(), sql, !values.empty(), slow_ns_},
          [this, sql, values]() -> decltype(auto) { return connection_.query(sql, values); });
  }
  decltype(auto) run_execute(std::string_view sql, parameters values) {
    if constexpr (!otlpkit::detail::telemetry_compiled_in)
      return connection_.execute(sql, values);
    else
      return otlpkit::detail::observe(
          detail::db_operation{connection_.info(), sql, !values.empty(), slow_ns_},
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
  std::uint64_t slow_ns_;
};

template <class Connection>
traced_db(Connection&&) -> traced_db<Connection>;
template <class Connection>
traced_db(Connection&&, traced_db_options) -> traced_db<Connection>;

}  // namespace otlpkit::inline OTLPKIT_ABI::db

#include <otlpkit/db/transaction.hpp>
