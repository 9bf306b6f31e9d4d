// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/parameter.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

// The statements of a batch, one after the other, for connections that block and those that are awaited.
namespace otlpkit::inline OTLPKIT_ABI::db::detail {

/// One statement with one set of values after the other. Refers to the sets.
/// \tparam Text how the statement is kept
template <class Text, class Sets>
class repeated_statement {
 public:
  repeated_statement(std::string_view sql, const Sets& sets)
      : sql_{sql}, next_{std::begin(sets)}, end_{std::end(sets)} {}

  [[nodiscard]] bool more() const { return next_ != end_; }

  template <class Connection>
  auto run_next(Connection& c) {
    const auto& values = *next_;
    auto done = c.execute(std::string_view{sql_}, parameters{values});
    ++next_;
    return done;
  }

 private:
  using iterator = decltype(std::begin(std::declval<const Sets&>()));
  Text sql_;
  iterator next_, end_;
};

/// Row after row, as many in a statement as it takes. Refers to the values.
template <class Text>
class row_inserts {
 public:
  static constexpr std::size_t most_values = 16'384;  // in one statement: SQLite takes 32,766, PostgreSQL 65,535

  row_inserts(std::string_view insert, std::size_t columns, parameters values)
      : insert_{insert}, columns_{columns}, left_{values} {}

  [[nodiscard]] bool more() const noexcept { return !left_.empty(); }

  template <class Connection>
  auto run_next(Connection& c) {
    const std::size_t now = std::min(most_values / columns_ * columns_, left_.size());
    if (now != held_) write(now);
    const parameters these = left_.first(now);
    left_ = left_.subspan(now);
    return c.execute(std::string_view{sql_}, these);
  }

 private:
  void write(std::size_t values) {
    sql_ = insert_;
    for (std::size_t i = 0; i < values; i += columns_)
      sql_.append(i == 0 ? " (" : ", (").append(placeholders(columns_, i + 1)).append(")");
    held_ = values;
  }

  Text insert_;
  std::size_t columns_;
  parameters left_;
  std::string sql_;  ///< the statement for `held_` values
  std::size_t held_ = 0;
};

/// Runs all of them and adds up what they changed; the first failure ends it. What execute() returns is `Changed`;
/// where that is awaited there is a specialisation, in asio/traced_db.hpp.
template <class Changed>
struct batch_runner {
  template <class Connection, class Statements>
  static std::int64_t run(Connection& c, Statements all) {
    std::int64_t changed = 0;
    while (all.more()) changed += all.run_next(c);
    return changed;
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::db::detail
