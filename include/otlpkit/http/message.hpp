// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/path_pattern.hpp>
#include <otlpkit/http/semantics.hpp>

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/fields.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/verb.hpp>

#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::http {

/// What a handler gets: Beast's request, and what the router found.
struct request : boost::beast::http::request<boost::beast::http::string_body> {
  using message = boost::beast::http::request<boost::beast::http::string_body>;

  request() = default;
  explicit request(message m) : message{std::move(m)} {}

  path_parameters parameters;
  std::string route;  ///< "" when no route serves it

  /// A variable part of the path, decoded; "" when the route has none of this name.
  [[nodiscard]] std::string_view parameter(std::string_view name) const noexcept {
    for (const auto& [key, value] : parameters) {
      if (key == name) return value;
    }
    return {};
  }
};

/// Beast's response. Version, keep-alive and length are filled in by the server.
using response = boost::beast::http::response<boost::beast::http::string_body>;

/// A response with a body.
[[nodiscard]] inline response reply(unsigned status, std::string body = {},
                                    std::string_view content_type = "text/plain; charset=utf-8") {
  response r{boost::beast::http::int_to_status(status), 11};
  r.result(status);
  if (!body.empty()) r.set(boost::beast::http::field::content_type, content_type);
  r.body() = std::move(body);
  return r;
}

/// The header by which a deadline goes from client to server: what is left of it, in whole milliseconds. A duration,
/// as clocks differ.
inline constexpr std::string_view timeout_header = "otlpkit-timeout-ms";

namespace detail {

[[nodiscard]] inline std::string_view view(boost::beast::string_view text) noexcept {
  return {text.data(), text.size()};
}

[[nodiscard]] inline std::string_view header(const boost::beast::http::fields& f, std::string_view name) {
  return view(f[name]);
}

/// Puts the headers a user has asked for, each as an array of its lines, by add(field).
template <class Add>
void capture_headers(const boost::beast::http::fields& from, const std::vector<std::string>& names,
                     std::string_view prefix, Add&& add) {
  for (const std::string& name : names) {
    std::vector<std::string_view> lines;
    const auto range = from.equal_range(name);
    for (auto it = range.first; it != range.second; ++it) lines.push_back(view(it->value()));
    if (lines.empty()) continue;
    std::string key{prefix};
    for (const char c : name) key += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    add(std::string_view{key}, lines);
  }
}

/// `1.1`, `1.0`.
[[nodiscard]] constexpr std::string_view version_text(unsigned version) noexcept {
  return version == 10 ? "1.0" : "1.1";
}

[[nodiscard]] inline std::optional<std::chrono::milliseconds> parse_timeout(std::string_view text) noexcept {
  std::uint32_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return std::chrono::milliseconds{ms};
}

/// A status as attributes of type string have it.
[[nodiscard]] inline std::string status_text(unsigned status) { return std::to_string(status); }

}  // namespace detail

}  // namespace otlpkit::inline OTLPKIT_ABI::http
