// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/export/prometheus_text.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::prometheus {

/// What a client gets: the format, and the Content-Type that says so.
struct representation {
  format how = format::text;
  std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";
  escaping names = escaping::underscores;
};

namespace detail {

[[nodiscard]] constexpr std::string_view trim(std::string_view s) noexcept {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

[[nodiscard]] constexpr bool same_word(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

/// Takes the part up to `separator` off the front of `rest`.
[[nodiscard]] constexpr std::string_view take(std::string_view& rest, char separator) noexcept {
  const std::size_t end = rest.find(separator);
  const std::string_view part = trim(rest.substr(0, end));
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

/// A weight in thousandths, 0 to 1000 (RFC 9110, 12.4.2); 0 for what is none.
[[nodiscard]] constexpr int weight(std::string_view q) noexcept {
  if (q.empty() || q.size() > 5 || (q[0] != '0' && q[0] != '1') || (q.size() > 1 && q[1] != '.')) return 0;
  int value = (q[0] - '0') * 1000;
  int unit = 100;
  for (const char c : q.size() > 2 ? q.substr(2) : std::string_view{}) {
    if (c < '0' || c > '9') return 0;
    value += (c - '0') * unit;
    unit /= 10;
  }
  return value > 1000 ? 0 : value;
}

struct accepted {
  std::string_view type;
  std::string_view version;
  std::string_view escaping;
  int q = 1000;
};

[[nodiscard]] constexpr accepted parse_accepted(std::string_view item) noexcept {
  accepted a;
  a.type = take(item, ';');
  while (!item.empty()) {
    std::string_view value = take(item, ';');
    const std::string_view key = take(value, '=');
    value = trim(value);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    if (same_word(key, "q")) a.q = weight(value);
    if (same_word(key, "version")) a.version = value;
    if (same_word(key, "escaping")) a.escaping = value;
  }
  return a;
}

[[nodiscard]] constexpr escaping escaping_named(std::string_view name) noexcept {
  if (same_word(name, "allow-utf-8") || same_word(name, "allow-utf8")) return escaping::allow_utf8;
  return same_word(name, "dots")     ? escaping::dots
         : same_word(name, "values") ? escaping::values
                                     : escaping::underscores;
}

}  // namespace detail

/// Chooses by an Accept header: of what is supported, that with the highest weight, of equal ones the first. Without a
/// header, and for one that names nothing supported, text 0.0.4, as Prometheus's own libraries do. Versions 1.0.0 alone
/// say how names are escaped; what is no escaping scheme counts as underscores.
[[nodiscard]] constexpr representation negotiate(std::string_view accept) noexcept {
  struct offer {
    std::string_view type, version;
    bool default_version;
    format how;
    std::string_view content_types[4];  ///< by escaping; one where the version has none
  };
  constexpr offer offers[] = {
      {"text/plain", "0.0.4", true, format::text, {"text/plain; version=0.0.4; charset=utf-8"}},
      {"text/plain",
       "1.0.0",
       false,
       format::text,
       {"text/plain; version=1.0.0; charset=utf-8; escaping=underscores",
        "text/plain; version=1.0.0; charset=utf-8; escaping=dots",
        "text/plain; version=1.0.0; charset=utf-8; escaping=values",
        "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"}},
      {"application/openmetrics-text",
       "1.0.0",
       true,
       format::openmetrics,
       {"application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=dots",
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values",
        "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"}},
      {"application/openmetrics-text",
       "0.0.1",
       false,
       format::openmetrics,
       {"application/openmetrics-text; version=0.0.1; charset=utf-8"}},
  };
  representation best;
  int best_q = 0;
  while (!accept.empty()) {
    const detail::accepted a = detail::parse_accepted(detail::take(accept, ','));
    if (a.q <= best_q) continue;
    if (a.type == "*/*" || detail::same_word(a.type, "text/*")) {
      best = {};
      best_q = a.q;
      continue;
    }
    for (const offer& o : offers) {
      if (!detail::same_word(a.type, o.type) || (a.version.empty() ? !o.default_version : a.version != o.version))
        continue;
      const escaping names = o.content_types[1].empty() ? escaping::underscores : detail::escaping_named(a.escaping);
      best = {o.how, o.content_types[static_cast<std::size_t>(names)], names};
      best_q = a.q;
      break;
    }
  }
  return best;
}

/// Whether an Accept-Encoding header asks for gzip.
[[nodiscard]] constexpr bool wants_gzip(std::string_view accept_encoding) noexcept {
  int gzip = -1, any = -1;
  while (!accept_encoding.empty()) {
    const detail::accepted a = detail::parse_accepted(detail::take(accept_encoding, ','));
    if (detail::same_word(a.type, "gzip") || detail::same_word(a.type, "x-gzip")) gzip = a.q;
    if (a.type == "*") any = a.q;
  }
  return gzip >= 0 ? gzip > 0 : any > 0;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus
