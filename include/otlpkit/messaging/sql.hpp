// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/db/parameter.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

// What the tables of outbox, saga journal and idempotency guard share. Keys and payloads are bytes in all of them.
namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// The databases whose tables are known.
enum class sql_dialect : std::uint8_t { sqlite, postgresql };

/// By connection_info::system_name. Throws config_error for others.
[[nodiscard]] inline sql_dialect dialect_of(std::string_view system_name) {
  if (system_name == "sqlite") return sql_dialect::sqlite;
  if (system_name == "postgresql") return sql_dialect::postgresql;
  throw config_error{"db.system.name", quoted(system_name), "sqlite or postgresql"};
}

namespace detail {

/// Milliseconds since 1970, in UTC: what is stored is compared by other processes.
using unix_clock = std::int64_t (*)() noexcept;

[[nodiscard]] inline std::int64_t system_unix_ms() noexcept {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

[[nodiscard]] inline std::int64_t milliseconds_of(std::chrono::nanoseconds d) noexcept {
  const std::int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
  return ms > 0 ? ms : 1;
}

[[nodiscard]] inline byte_view bytes_of(std::string_view text) noexcept { return {text.data(), text.size()}; }

/// A table's name, which goes into statements as it is.
[[nodiscard]] inline const std::string& checked_table(const std::string& name) {
  bool good = !name.empty() && name.size() <= 120 && !(name[0] >= '0' && name[0] <= '9');
  for (const char c : name) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.');
  }
  if (!good) throw config_error{"table", quoted(name), "letters, digits, _ and the dot of a schema"};
  return name;
}

[[nodiscard]] inline std::string index_name(std::string_view table, std::string_view of) {
  const auto dot = table.rfind('.');
  return std::string{dot == table.npos ? table : table.substr(dot + 1)}.append(of);
}

[[nodiscard]] constexpr std::string_view bytes_type(sql_dialect d) noexcept {
  return d == sql_dialect::postgresql ? "BYTEA" : "BLOB";
}

/// Calls `fn` with a connection: of a pool, or the one there is.
template <class Source, class F>
decltype(auto) with_connection(Source& source, F&& fn) {
  if constexpr (requires { *source.acquire(); }) {
    auto lease = source.acquire();
    return std::forward<F>(fn)(*lease);
  } else {
    return std::forward<F>(fn)(source);
  }
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
