// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/parameter.hpp>
#include <otlpkit/db/result.hpp>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// What spans and metrics say of the database behind a connection.
struct connection_info {
  std::string system_name = "other_sql";  ///< db.system.name: "postgresql", "sqlite", ...
  std::string name_space = {};            ///< db.namespace; for PostgreSQL `database|schema`, or one of them
  std::string server_address = {};        ///< as configured; empty for embedded databases
  std::uint16_t server_port = 0;          ///< 0: the default port
  bool embedded = false;                  ///< runs in this process: spans are INTERNAL and not CLIENT
  std::string begin = "BEGIN";            ///< how a transaction begins
  std::string peer_address = {};          ///< network.peer.address: who really answers; empty if that is not known
  std::uint16_t peer_port = 0;            ///< network.peer.port
};

/// Anything that runs SQL with $1, $2, ... as placeholders:
///   info()                    what it is connected to
///   query(sql, parameters)    all rows, as a db::result
///   execute(sql, parameters)  the number of rows changed
/// Both throw an error that has status_code() (see db::error) or any other std::exception. Calls may also return
/// something to be awaited that ends with these; they copy statement and values before they return.
template <class C>
concept connection = requires(std::remove_reference_t<C>& c, std::string_view sql, parameters values) {
  { c.info() } -> std::convertible_to<const connection_info&>;
  c.query(sql, values);
  c.execute(sql, values);
};

/// A connection whose calls are over when they return.
template <class C>
concept blocking_connection = connection<C> &&
    requires(std::remove_reference_t<C>& c, std::string_view sql, parameters values) {
  { c.execute(sql, values) } -> std::convertible_to<std::int64_t>;
};

/// A connection that can say whether it is still of use, without asking the server: a pool keeps it only then.
template <class C>
concept self_checking = requires(C& c) {
  { c.usable() } -> std::convertible_to<bool>;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::db
