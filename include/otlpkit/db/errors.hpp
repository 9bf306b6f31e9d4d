// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::db {

namespace detail {

/// A database's message as it may be recorded: where databases quote values of the statement (SQLSTATE class 22, data
/// that does not fit, and 42601, a syntax error; SQLite's 1), what stands in quotes is replaced by `?`.
[[nodiscard]] inline std::string without_values(std::string_view code, const std::string& text) {
  if (code.substr(0, 2) != "22" && code != "42601" && code != "1") return text;
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) >= 0x80) return out + '?';  // another language, and its quotes: "\u201ex"
    if (text[i] != '"' && text[i] != '\'') {
      out += text[i];
      continue;
    }
    // The value may hold quotes itself: from the first to the last of its kind.
    const std::size_t close = text.rfind(text[i]);
    out.append(1, text[i]).append(1, '?');
    if (close == i) return out;
    out += text[i];
    i = close;
  }
  return out;
}

}  // namespace detail

/// A statement or connection failed. Adapters derive theirs from it. Its what() holds no value that the database quotes
/// from the statement, so that it may be recorded and logged.
class error : public std::runtime_error {
 public:
  /// \param message as the database wrote it
  error(std::string_view status_code, const std::string& message)
      : std::runtime_error{detail::without_values(status_code, message)}, full_{message} {
    // Kept in place, so that copying the exception cannot throw; codes are short.
    size_ = status_code.copy(status_code_, sizeof status_code_);
  }

  /// What the database answered, as db.response.status_code says it: "1555", "23505".
  [[nodiscard]] std::string_view status_code() const noexcept { return {status_code_, size_}; }

  /// The message with all that the database quotes from the statement: nothing for telemetry.
  [[nodiscard]] const char* full_message() const noexcept { return full_.what(); }

 private:
  char status_code_[16] = {};
  std::size_t size_ = 0;
  std::runtime_error full_;  // a text that can be copied without throwing
};

/// Whether a transaction failed only because of another one: run again from its beginning it may succeed. SQLSTATE
/// class 40 (40001 serialization failure, 40P01 deadlock), and SQLite's BUSY and LOCKED. For the should_handle of a
/// retry around the whole transaction.
[[nodiscard]] inline bool is_serialization_failure(const error& e) noexcept {
  const std::string_view code = e.status_code();
  if (code.size() == 5) return code.substr(0, 2) == "40";
  int number = 0;  // SQLite's extended result code: the low byte is the result code
  for (const char c : code) {
    if (c < '0' || c > '9' || number > 100'000) return false;
    number = number * 10 + (c - '0');
  }
  return (number & 0xFF) == 5 || (number & 0xFF) == 6;
}

/// Whether the connection could not be made, or broke. Outside of transactions it is not known then whether the
/// database did what it was asked; an open transaction is undone, unless is_outcome_unknown(). SQLSTATE class 08, and
/// 57P01 to 57P03 (the server shuts down, starts, or one of its processes has crashed).
[[nodiscard]] inline bool is_connection_failure(const error& e) noexcept {
  const std::string_view code = e.status_code();
  return code.size() == 5 && (code.substr(0, 2) == "08" || code.substr(0, 4) == "57P0");
}

/// Whether a COMMIT was sent and its answer never came: the transaction may have taken place or not, and neither
/// running it again nor giving it up is safe before somebody has looked. SQLSTATE 08007.
[[nodiscard]] inline bool is_outcome_unknown(const error& e) noexcept { return e.status_code() == "08007"; }

/// query_one() found no row, or more than one.
class row_count_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A row does not fit what it is read into: another number of columns, another type, NULL where there is no optional.
class mapping_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::db
