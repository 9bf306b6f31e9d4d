// SPDX-License-Identifier: MIT
// SQL of any dialect: tokens lie one after the other with white space between them, no literal and no comment is left
// in what is recorded, and a summary stays within its size.
#include <otlpkit/db/query_summary.hpp>
#include <otlpkit/db/query_text.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using otlpkit::db::detail::sql_scanner;
using otlpkit::db::detail::sql_token;

void check_tokens(std::string_view sql, otlpkit::db::sql_dialect dialect) {
  sql_scanner scanner{sql, dialect};
  std::size_t seen = 0;
  for (sql_token kind = scanner.next(); kind != sql_token::end; kind = scanner.next()) {
    if (scanner.start() < seen || scanner.position() <= scanner.start() || scanner.position() > sql.size())
      std::abort();
    for (const char c : sql.substr(seen, scanner.start() - seen)) {
      if (!sql_scanner::is_space(c)) std::abort();
    }
    if (scanner.token() != sql.substr(scanner.start(), scanner.position() - scanner.start())) std::abort();
    seen = scanner.position();
  }
  for (const char c : sql.substr(seen)) {
    if (!sql_scanner::is_space(c)) std::abort();
  }
}

void check_text(std::string_view sql, otlpkit::db::sql_dialect dialect) {
  const std::string text = without_literals(sql, dialect);
  if (text.size() > sql.size()) std::abort();
  sql_scanner scanner{text, dialect};
  for (sql_token kind = scanner.next(); kind != sql_token::end; kind = scanner.next()) {
    if (kind == sql_token::string || kind == sql_token::number || kind == sql_token::comment) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view sql{reinterpret_cast<const char*>(data), size};
  for (const std::string_view system : {"", "mysql", "clickhouse", "postgresql"}) {
    const auto dialect = otlpkit::db::sql_dialect::of(system);
    check_tokens(sql, dialect);
    check_text(sql, dialect);
    const otlpkit::db::query_summary summary{sql, dialect};
    if (summary.text().size() > otlpkit::db::query_summary::max_size) std::abort();
    if (summary.text().size() > 2 * size) std::abort();
  }
  return 0;
}
