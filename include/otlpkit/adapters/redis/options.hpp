// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace otlpkit::inline OTLPKIT_ABI::redis {

/// Where a Redis server is: `redis://[[user]:password@]host[:port][/database]`.
struct address {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  std::string user = {};  ///< empty: the default one
  std::string password = {};
  int database = 0;

  /// Throws config_error, without the password, for what is no such URL.
  [[nodiscard]] static address parse(std::string_view url);
};

/// How a connection behaves. No call takes longer than its time-outs say; only the resolution of a host name that is no
/// address is the system's, which takes its own time.
struct options {
  std::string url = "redis://127.0.0.1:6379/0";
  std::chrono::milliseconds connect_timeout{1000};  ///< to be connected, and logged in
  std::chrono::milliseconds command_timeout{1000};  ///< for its turn, and again for the whole answer
  std::chrono::milliseconds first_back_off{50};     ///< after a connection that failed; doubles with each
  std::chrono::milliseconds max_back_off{2000};     ///< meanwhile commands fail at once
  /// On: db.query.text has the command and its first argument, mostly the key; all others stay `?`.
  bool record_keys = false;
};

namespace detail {

[[nodiscard]] inline std::string decode_percent(std::string_view text, bool& ok) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned byte = 0;
    const char* const end = text.data() + i + 3;
    if (i + 2 >= text.size() || std::from_chars(text.data() + i + 1, end, byte, 16).ptr != end) {
      ok = false;
      return out;
    }
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

template <class Number>
[[nodiscard]] bool read_number(std::string_view text, Number most, Number& out) {
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), out);
  return status == std::errc{} && end == text.data() + text.size() && out <= most;
}

}  // namespace detail

inline address address::parse(std::string_view url) {
  address a;
  const auto refuse = [&] {
    const bool secret = url.find('@') != url.npos;
    return config_error{"redis::options.url", secret ? std::string{hidden_value} : quoted(url),
                        "redis://[[user]:password@]host[:port][/database]"};
  };
  constexpr std::string_view scheme = "redis://";
  if (url.substr(0, scheme.size()) != scheme) throw refuse();
  std::string_view rest = url.substr(scheme.size());
  bool ok = true;
  if (const auto slash = rest.find('/'); slash != rest.npos) {
    const std::string_view database = rest.substr(slash + 1);
    ok = database.empty() || detail::read_number(database, 1'000'000, a.database);
    ok = ok && a.database >= 0;
    rest = rest.substr(0, slash);
  }
  if (const auto at = rest.rfind('@'); at != rest.npos) {
    const std::string_view login = rest.substr(0, at);
    const auto colon = login.find(':');
    if (colon == login.npos) throw refuse();
    a.user = detail::decode_percent(login.substr(0, colon), ok);
    a.password = detail::decode_percent(login.substr(colon + 1), ok);
    rest = rest.substr(at + 1);
  }
  std::string_view host = rest, port;
  if (rest.substr(0, 1) == "[") {  // [::1]:6379
    const auto close = rest.find(']');
    if (close == rest.npos) throw refuse();
    host = rest.substr(1, close - 1);
    port = rest.substr(close + 1);
    if (!port.empty() && port[0] != ':') throw refuse();
  } else if (const auto colon = rest.rfind(':'); colon != rest.npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon);
  }
  if (host.find_first_of(std::string_view{":\0 \t\r\n", 6}) != host.npos && rest.substr(0, 1) != "[") ok = false;
  if (!port.empty()) ok = ok && detail::read_number(port.substr(1), std::uint16_t{65535}, a.port) && a.port != 0;
  if (!ok || host.empty()) throw refuse();
  a.host = host;
  return a;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::redis
