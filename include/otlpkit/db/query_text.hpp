// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/sql_scanner.hpp>

#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// `sql` with every literal (strings, numbers, TRUE and FALSE) replaced by `?`, and without its comments, which may
/// quote anything. Names stay. For statements without parameters; those with parameters are recorded as they are.
[[nodiscard]] inline std::string without_literals(std::string_view sql, sql_dialect dialect = {}) {
  using detail::sql_token;
  std::string out;
  out.reserve(sql.size());
  detail::sql_scanner scanner{sql, dialect};
  std::size_t copied = 0;  // what lies between tokens is white space, and stays
  for (sql_token kind = scanner.next(); kind != sql_token::end; kind = scanner.next()) {
    const std::string_view text = scanner.token();
    const bool boolean = kind == sql_token::word && detail::is_any_of(text, "TRUE", "FALSE");
    if (kind == sql_token::string || kind == sql_token::number || kind == sql_token::comment || boolean) {
      out.append(sql.substr(copied, scanner.start() - copied));
      out += kind == sql_token::comment ? ' ' : '?';
      copied = scanner.position();
    }
  }
  return out.append(sql.substr(copied));
}

}  // namespace otlpkit::inline OTLPKIT_ABI::db
