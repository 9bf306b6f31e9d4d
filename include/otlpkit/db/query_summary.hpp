// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/sql_scanner.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// db.query.summary of a statement: operations and their targets in the order of the query, as they are written and
/// without literals, `SELECT products`, `INSERT shipping_details SELECT orders`. At most 255 bytes, never cut within a
/// name. Kept in place: no allocation. (OpenTelemetry semantic conventions, database spans.)
class query_summary {
 public:
  static constexpr std::size_t max_size = 255;

  constexpr explicit query_summary(std::string_view sql, sql_dialect dialect = {}) noexcept : scanner_{sql, dialect} {
    read();
  }

  [[nodiscard]] constexpr std::string_view text() const noexcept { return {text_, size_}; }

 private:
  using token = detail::sql_token;

  static constexpr std::size_t max_depth = 64;  // deeper parentheses are passed over

  /// What is expected next.
  enum class want : std::uint8_t { nothing, target, object_kind, procedure };

  constexpr void read() noexcept {
    while (!full_) {
      kind_ = scanner_.next();
      if (kind_ == token::end) return;
      if (kind_ == token::comment) continue;
      const std::string_view text = scanner_.token();
      if (kind_ == token::word) {
        word(text);
      } else if (kind_ == token::quoted_name || kind_ == token::string) {
        if (want_ == want::target || want_ == want::procedure) name(text);
        statement_start_ = false;
      } else if (kind_ == token::symbol) {
        symbol(text);
      } else {
        want_ = want::nothing;
        statement_start_ = false;
      }
    }
  }

  constexpr void symbol(std::string_view text) noexcept {
    const bool after_with = text == ")" && with_;
    statement_start_ = false;
    if (text == ";") {
      statement_start_ = true;
      with_ = false;
      depth_ = 0;
      query_ = 0;
      list_ = 0;
      want_ = want::nothing;
    } else if (text == "(") {
      if (depth_ < max_depth)
        ++depth_;
      else
        full_ = true;
      set_list(false);
      set_query(false);
      want_ = want::nothing;
      statement_start_ = true;  // of a subquery, perhaps
    } else if (text == ")") {
      if (depth_ > 0) --depth_;
      want_ = want::nothing;
    } else if (text == ",") {
      want_ = in_list() ? want::target : want::nothing;
    }
    if (after_with && depth_ == 0) statement_start_ = true;  // WITH a AS (...) UPDATE ...
  }

  constexpr void word(std::string_view w) noexcept {
    using detail::is_any_of;
    const bool first = statement_start_;
    statement_start_ = false;
    if (want_ == want::object_kind) return object_kind(w);
    if (want_ == want::procedure) return name(w);
    if (want_ == want::target) {
      if (is_any_of(w, "ONLY", "LATERAL", "IF", "NOT", "EXISTS", "TABLE", "INTO", "OR", "IGNORE", "REPLACE", "ROLLBACK",
                    "ABORT", "FAIL", "LOW_PRIORITY", "DELAYED", "CONCURRENTLY")) {
        return;
      }
      if (!is_any_of(w, "SELECT", "VALUES", "SET", "WHERE", "FROM")) return name(w);
      want_ = want::nothing;
    }
    if (is_any_of(w, "SELECT")) return operation(w);
    if (is_any_of(w, "FROM")) return from();
    if (is_any_of(w, "JOIN")) return list_of_targets();
    if (is_any_of(w, "WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "UNION", "INTERSECT", "EXCEPT", "SET", "VALUES",
                  "RETURNING", "WINDOW", "OFFSET", "FETCH", "FOR", "INTO")) {
      set_list(false);
    }
    if (is_any_of(w, "INTO") && into_) want_ = want::target;
    previous_distinct_ = is_any_of(w, "DISTINCT");
    if (first) start(w);
  }

  /// A word that begins a statement, or what stands in parentheses.
  constexpr void start(std::string_view w) noexcept {
    using detail::is_any_of;
    into_ = false;
    if (is_any_of(w, "WITH")) {
      with_ = true;
    } else if (is_any_of(w, "INSERT", "REPLACE", "MERGE")) {
      operation(w);
      into_ = true;
    } else if (is_any_of(w, "UPDATE", "TRUNCATE")) {
      operation(w);
      want_ = want::target;
    } else if (is_any_of(w, "DELETE")) {
      operation(w);
    } else if (is_any_of(w, "CREATE", "DROP", "ALTER")) {
      operation(w);
      want_ = want::object_kind;
    } else if (is_any_of(w, "CALL", "EXEC", "EXECUTE")) {
      operation(w);
      want_ = want::procedure;
    } else if (is_any_of(w, "EXPLAIN", "ANALYZE") && depth_ == 0) {
      operation(w);
      statement_start_ = true;
    } else if (depth_ == 0 && !with_) {
      operation(w);
      set_query(false);
    }
  }

  constexpr void object_kind(std::string_view w) noexcept {
    using detail::is_any_of;
    if (is_any_of(w, "TABLE", "INDEX", "VIEW", "SCHEMA", "DATABASE", "SEQUENCE", "TRIGGER", "FUNCTION", "PROCEDURE",
                  "TYPE", "USER", "ROLE", "EXTENSION")) {
      append(w);
      want_ = want::target;
    }  // else OR REPLACE, UNIQUE, TEMP, MATERIALIZED...
  }

  constexpr void from() noexcept {
    if (!in_query() || previous_distinct_) {  // EXTRACT(year FROM t), a IS DISTINCT FROM b
      previous_distinct_ = false;
      return;
    }
    list_of_targets();
  }

  constexpr void list_of_targets() noexcept {
    set_list(true);
    want_ = want::target;
  }

  constexpr void operation(std::string_view w) noexcept {
    append(w);
    set_query(true);
    set_list(false);
    previous_distinct_ = false;
    want_ = want::nothing;
  }

  /// A name and what is joined to it by dots: schema.table.
  constexpr void name(std::string_view first) noexcept {
    const char* const begin = first.data();
    const char* end = begin + first.size();
    want_ = want::nothing;
    for (;;) {
      detail::sql_scanner ahead = scanner_;
      if (ahead.next() != token::symbol || ahead.token() != "." || ahead.token().data() != end) break;
      const token part = ahead.next();
      if ((part != token::word && part != token::quoted_name && part != token::string) ||
          ahead.token().data() != end + 1)
        break;
      end = ahead.token().data() + ahead.token().size();
      scanner_ = ahead;
    }
    append({begin, static_cast<std::size_t>(end - begin)});
  }

  constexpr void append(std::string_view part) noexcept {
    const std::size_t space = size_ == 0 ? 0 : 1;
    if (part.size() + space > max_size - size_) {
      full_ = true;
      return;
    }
    if (space != 0) text_[size_++] = ' ';
    for (const char c : part) text_[size_++] = c;
  }

  // For each open parenthesis: whether a query is written in it, and whether a list of tables is being read.
  [[nodiscard]] constexpr std::uint64_t bit() const noexcept {
    return depth_ < max_depth ? std::uint64_t{1} << depth_ : 0;
  }
  [[nodiscard]] constexpr bool in_query() const noexcept { return (query_ & bit()) != 0; }
  [[nodiscard]] constexpr bool in_list() const noexcept { return (list_ & bit()) != 0; }
  constexpr void set_query(bool on) noexcept { query_ = on ? query_ | bit() : query_ & ~bit(); }
  constexpr void set_list(bool on) noexcept { list_ = on ? list_ | bit() : list_ & ~bit(); }

  detail::sql_scanner scanner_;
  token kind_ = token::end;
  want want_ = want::nothing;
  bool statement_start_ = true;
  bool with_ = false;
  bool into_ = false;
  bool previous_distinct_ = false;
  bool full_ = false;
  std::size_t depth_ = 0;
  std::uint64_t query_ = 0;
  std::uint64_t list_ = 0;
  std::size_t size_ = 0;
  char text_[max_size] = {};
};

}  // namespace otlpkit::inline OTLPKIT_ABI::db
