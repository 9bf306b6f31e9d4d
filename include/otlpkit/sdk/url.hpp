// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/sdk/batch.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// The parts of an endpoint that OTLP/HTTP uses.
struct url {
  bool tls = false;         ///< the scheme was https
  std::string host;         ///< a name, or a numeric address without its brackets
  std::uint16_t port = 80;  ///< 80 or 443 where the text names none
  std::string target;       ///< path with its query, begins with '/'; the fragment is gone

  /// host[:port] as the Host header wants it: brackets around IPv6, no port where the scheme implies it.
  [[nodiscard]] std::string authority() const {
    std::string out = host.find(':') == std::string::npos ? host : "[" + host + "]";
    if (port != (tls ? 443 : 80)) out += ":" + std::to_string(port);
    return out;
  }
  /// What diagnostics print.
  [[nodiscard]] std::string text() const { return (tls ? "https://" : "http://") + authority() + target; }
};

namespace detail {
[[nodiscard]] constexpr bool is_url_char(char c) noexcept { return c > 0x20 && c < 0x7F; }
[[nodiscard]] constexpr bool is_alnum(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
[[nodiscard]] constexpr bool is_host_char(char c) noexcept { return is_alnum(c) || c == '-' || c == '.' || c == '_'; }
[[nodiscard]] constexpr bool is_ipv6_char(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.';
}
[[nodiscard]] constexpr bool starts_with_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  return text.size() >= lower.size() && std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b - 'A' + 'a') : b);
         });
}
[[nodiscard]] constexpr std::optional<std::uint16_t> parse_port(std::string_view digits) noexcept {
  std::uint32_t value = 0;
  if (digits.empty() || digits.size() > 5) return std::nullopt;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (value == 0 || value > 0xFFFF) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}
}  // namespace detail

/// Takes an http or https URL apart. An absent path becomes "/", as the OTLP exporter specification asks; nothing else
/// is rewritten.
/// \param expected receives what was expected instead when the text is not usable, ready for a configuration error.
[[nodiscard]] inline std::optional<url> parse_url(std::string_view text, std::string& expected) {
  const auto bad = [&](std::string_view why) {
    expected = why;
    return std::nullopt;
  };
  url out;
  if (!std::ranges::all_of(text, detail::is_url_char)) return bad("a URL of printable ASCII without blanks");
  if (detail::starts_with_ignoring_case(text, "https://")) {
    out.tls = true;
    out.port = 443;
    text.remove_prefix(8);
  } else if (detail::starts_with_ignoring_case(text, "http://")) {
    text.remove_prefix(7);
  } else {
    return bad("a URL that starts with http:// or https://");
  }

  std::string_view authority = text.substr(0, text.find_first_of("/?#"));
  text.remove_prefix(authority.size());
  if (authority.find('@') != std::string_view::npos) {
    return bad("a URL without user name and password (they go into an authorization header)");
  }
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return bad("a closing ']' after the IPv6 address");
    out.host = authority.substr(1, end - 1);
    authority.remove_prefix(end + 1);
    if (out.host.find(':') == std::string::npos || !std::ranges::all_of(out.host, detail::is_ipv6_char)) {
      return bad("an IPv6 address between '[' and ']'");
    }
  } else {
    out.host = authority.substr(0, authority.find(':'));
    authority.remove_prefix(out.host.size());
    if (out.host.empty() || !std::ranges::all_of(out.host, detail::is_host_char)) return bad("a host name after //");
  }
  if (authority.starts_with(':')) {
    if (authority.size() > 1) {  // "host:" is legal and means the default port
      const auto port = detail::parse_port(authority.substr(1));
      if (!port) return bad("a port from 1 to 65535");
      out.port = *port;
    }
  } else if (!authority.empty()) {
    return bad("':' and a port, or a path, after the host");
  }

  out.target = text.substr(0, text.find('#'));
  if (!out.target.starts_with('/')) out.target.insert(out.target.begin(), '/');
  return out;
}

/// The URL of one signal under a general endpoint (OTEL_EXPORTER_OTLP_ENDPOINT): base, one slash, `v1/traces`,
/// `v1/metrics` or `v1/logs`. A signal-specific endpoint is not passed through here: it is used as it is.
[[nodiscard]] inline std::string signal_url(std::string_view base, sdk::signal s) {
  const std::string_view path = base.substr(0, base.find_first_of("?#"));  // the path grows, not the query
  std::string out{path};
  if (!out.ends_with('/')) out += '/';
  out += "v1/";
  out += to_string(s);
  out += base.substr(path.size());
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
