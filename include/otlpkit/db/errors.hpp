// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// A statement or connection failed. Adapters derive theirs from it.
class error : public std::runtime_error {
 public:
  error(std::string_view status_code, const std::string& message) : std::runtime_error{message} {
    // Kept in place, so that copying the exception cannot throw; codes are short.
    size_ = status_code.copy(status_code_, sizeof status_code_);
  }

  /// What the database answered, as db.response.status_code says it: "1555", "23505".
  [[nodiscard]] std::string_view status_code() const noexcept { return {status_code_, size_}; }

 private:
  char status_code_[16] = {};
  std::size_t size_ = 0;
};

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
