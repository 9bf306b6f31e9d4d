// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/db/errors.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::redis {

/// What went wrong.
enum class failure : std::uint8_t {
  server,       ///< the server answered with an error; the connection is as good as before
  unreachable,  ///< no connection; nothing was sent
  timeout,      ///< no answer in time: whether the command was done is not known
  closed,       ///< the connection broke: whether the command was done is not known
  protocol,     ///< not the protocol of Redis
  usage,        ///< an answer that is not what the call is for, or a command that cannot be sent
};

[[nodiscard]] constexpr std::string_view to_string(failure f) noexcept {
  switch (f) {
    case failure::server: return "server";
    case failure::unreachable: return "unreachable";
    case failure::timeout: return "timeout";
    case failure::closed: return "closed";
    case failure::protocol: return "protocol";
    case failure::usage: return "usage";
  }
  return "unknown";
}

/// A command failed. status_code() is the first word of the server's error (`ERR`, `WRONGTYPE`), empty for all other
/// failures. Messages hold no argument of the command.
class error : public db::error {
 public:
  error(failure what, std::string_view status_code, const std::string& message)
      : db::error{status_code, "redis: " + message}, what_{what} {}

  [[nodiscard]] failure kind() const noexcept { return what_; }
  /// What error.type says: the status code, else the kind of failure.
  [[nodiscard]] std::string_view type() const noexcept {
    return status_code().empty() ? to_string(what_) : status_code();
  }

 private:
  failure what_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::redis
