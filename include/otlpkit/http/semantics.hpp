// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/environment.hpp>
#include <otlpkit/core/key_value_list.hpp>
#include <otlpkit/core/percent.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What the semantic conventions for HTTP ask of names and values, without any input or output.
namespace otlpkit::inline OTLPKIT_ABI::http {

/// Methods by which spans and metrics are named; every other one is `_OTHER`. Compared by case.
class known_methods {
 public:
  /// Those in OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS; unset: those of RFC 9110, PATCH and QUERY.
  explicit known_methods(const environment& from) {
    const std::optional<std::string> list = from.get(variable::http_known_methods);
    if (list) for_each_entry(*list, [this](std::string_view name) { names_.emplace_back(name); });
    if (!names_.empty()) return;
    for_each_entry(info(variable::http_known_methods).default_text,
                   [this](std::string_view name) { names_.emplace_back(name); });
  }
  known_methods() : known_methods{environment{}} {}
  /// These and no others.
  explicit known_methods(std::vector<std::string> names) : names_{std::move(names)} {}

  /// The method as attributes have it.
  [[nodiscard]] std::string_view name_of(std::string_view method) const noexcept {
    return knows(method) ? method : std::string_view{"_OTHER"};
  }
  [[nodiscard]] bool knows(std::string_view method) const noexcept {
    return std::ranges::find(names_, method) != names_.end();
  }

 private:
  std::vector<std::string> names_;
};

/// `{method} {target}`, or `{method}`; a method that is not known is called HTTP. The target is a route or a template,
/// never a path.
[[nodiscard]] inline std::string span_name(std::string_view method, std::string_view target) {
  std::string out{method == "_OTHER" ? std::string_view{"HTTP"} : method};
  if (!target.empty()) out.append(" ").append(target);
  return out;
}

/// Whether a status is an error of the operation: 5xx and what is no status for both sides, 4xx for clients only.
[[nodiscard]] constexpr bool is_error(unsigned status, bool client) noexcept {
  return status < 100 || status >= 500 || (client && status >= 400);
}

/// Whose values in a query are replaced by REDACTED, and which headers become attributes.
struct capture_options {
  /// Query parameters, by case.
  std::vector<std::string> redacted_parameters{"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token",
                                               "AWSAccessKeyId",  "Signature",        "sig",
                                               "X-Goog-Signature"};
  std::vector<std::string> request_headers{};   ///< become http.request.header.NAME; none by default
  std::vector<std::string> response_headers{};  ///< become http.response.header.NAME
};

/// `query` (what follows the `?`) with the values of the named parameters replaced; order and names stay.
[[nodiscard]] inline std::string redacted_query(std::string_view query, const std::vector<std::string>& names) {
  std::string out;
  out.reserve(query.size());
  while (true) {
    const std::size_t end = query.find('&');
    const std::string_view pair = query.substr(0, end);
    const std::size_t equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    bool secret = false;
    if (equals != std::string_view::npos) {
      const std::optional<std::string> decoded = percent_decode(key);  // `%73ig` is `sig` to whoever receives it
      secret = std::ranges::find(names, decoded ? std::string_view{*decoded} : key) != names.end();
    }
    if (secret) {
      out.append(key).append("=REDACTED");
    } else {
      out.append(pair);
    }
    if (end == std::string_view::npos) return out;
    out += '&';
    query.remove_prefix(end + 1);
  }
}

/// An absolute URL fit for url.full: user name and password, and the values of the named parameters, are replaced.
[[nodiscard]] inline std::string redacted_url(std::string_view url, const std::vector<std::string>& names) {
  std::string out;
  const std::size_t scheme = url.find("://");
  if (scheme != std::string_view::npos) {
    out.append(url.substr(0, scheme + 3));
    url.remove_prefix(scheme + 3);
    const std::string_view authority = url.substr(0, url.find_first_of("/?#"));
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
      out.append("REDACTED:REDACTED@");
      url.remove_prefix(at + 1);
    }
  }
  const std::size_t fragment = url.find('#');
  const std::string_view before = url.substr(0, fragment);
  const std::size_t question = before.find('?');
  out.append(before.substr(0, question));
  if (question != std::string_view::npos) out.append("?").append(redacted_query(before.substr(question + 1), names));
  if (fragment != std::string_view::npos) out.append(url.substr(fragment));
  return out;
}

/// A host with its port; 0 where there is none.
struct host_port {
  std::string_view host;  ///< without the brackets of IPv6
  std::uint16_t port = 0;
};

/// Takes `host`, `host:port`, `[v6]` or `[v6]:port` apart. An empty host when it is none of these.
[[nodiscard]] constexpr host_port parse_host(std::string_view text) noexcept {
  host_port out;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return {};
    out.host = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    if (!text.empty() && !text.starts_with(':')) return {};
    port = text.empty() ? text : text.substr(1);
  } else {
    const std::size_t colon = text.find(':');
    out.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon + 1);
  }
  if (port.size() > 5) return {};
  std::uint32_t number = 0;
  for (const char c : port) {
    if (c < '0' || c > '9') return {};
    number = number * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (number > 0xFFFF) return {};
  out.port = static_cast<std::uint16_t>(number);
  return out;
}

/// Whether this may be a Host header (RFC 9110, section 7.2). A server refuses others: proxies and handlers might read
/// them as something else.
[[nodiscard]] constexpr bool is_host_header(std::string_view text) noexcept {
  return text.empty() || (!parse_host(text).host.empty() && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view{"-._~%!$&'()*+,;=:[]"}.find(c) != std::string_view::npos;
         }));
}

/// The parts of a request's target, whatever its form (RFC 9112, section 3.2).
struct target_parts {
  std::string_view scheme;     ///< of an absolute target only
  std::string_view authority;  ///< of an absolute target, or of CONNECT
  std::string_view path;
  std::string_view query;  ///< without the `?`
};

[[nodiscard]] constexpr target_parts parse_target(std::string_view target) noexcept {
  target_parts out;
  if (!target.starts_with('/')) {
    if (const std::size_t scheme = target.find("://"); scheme != std::string_view::npos) {
      out.scheme = target.substr(0, scheme);
      target.remove_prefix(scheme + 3);
      out.authority = target.substr(0, target.find_first_of("/?#"));
      target.remove_prefix(out.authority.size());
      if (const std::size_t at = out.authority.rfind('@'); at != std::string_view::npos) {
        out.authority.remove_prefix(at + 1);
      }
    }
  }
  target = target.substr(0, target.find('#'));
  const std::size_t question = target.find('?');
  out.path = target.substr(0, question);
  if (question != std::string_view::npos) out.query = target.substr(question + 1);
  if (out.path.empty()) out.path = "/";
  return out;
}

/// What proxies in front say about a request, by Forwarded (RFC 7239) or the X-Forwarded-* headers.
struct forwarded {
  std::string_view client;
  std::string_view host;
  std::string_view proto;
};

/// Reads the first element, which is the one next to the client.
[[nodiscard]] constexpr forwarded parse_forwarded(std::string_view header) noexcept {
  forwarded out;
  std::string_view element = header.substr(0, header.find(','));
  while (!element.empty()) {
    const std::size_t end = element.find(';');
    std::string_view pair = trimmed(element.substr(0, end));
    element.remove_prefix(end == std::string_view::npos ? element.size() : end + 1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view value = trimmed(pair.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    const std::string_view name = trimmed(pair.substr(0, equals));
    const auto is = [name](std::string_view lower) {
      return name.size() == lower.size() && std::ranges::equal(name, lower, [](char a, char b) {
               return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
             });
    };
    if (is("for")) out.client = parse_host(value).host;
    if (is("host")) out.host = value;
    if (is("proto")) out.proto = value;
  }
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::http
