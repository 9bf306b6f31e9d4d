// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/core/errors.hpp>
#include <otlpkit/export/retry_schedule.hpp>
#include <otlpkit/export/transport.hpp>
#include <otlpkit/sdk/compression.hpp>
#include <otlpkit/sdk/exporter.hpp>
#include <otlpkit/sdk/url.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

using otlpkit::compression;

/// Where one signal goes and how. All durations are rounded to what the steady clock resolves.
struct otlp_http_options {
  sdk::signal signal = sdk::signal::traces;
  std::string url = {};  ///< used exactly as given; empty: `http://localhost:4318/v1/<signal>`
  std::vector<std::pair<std::string, std::string>> headers =
      {};                                                       ///< sent with every request; `user-agent` replaces ours
  std::chrono::nanoseconds timeout = std::chrono::seconds{10};  ///< for one batch, all retries included; 0: no limit
  exporters::compression compression = exporters::compression::none;
  tls_files tls = {};  ///< for https
  retry_options retry = {};
  std::size_t max_connections = 4;             ///< requests under way at once, each on its own connection; at least 1
  std::size_t max_request_bytes = 64UL << 20;  ///< larger batches are dropped as too_large, measured before compression
  std::size_t max_response_bytes = 4UL << 20;  ///< a larger response is a final failure, whatever its status
  std::chrono::nanoseconds connect_timeout = std::chrono::seconds{3};  ///< for one address, TLS handshake included
  std::chrono::nanoseconds idle_timeout =
      std::chrono::seconds{90};  ///< a connection unused for longer is not used again
  std::chrono::nanoseconds report_interval = std::chrono::seconds{30};  ///< each kind of trouble is told once in it
  transport_factory transport =
      {};  ///< makes the connections; empty: plain TCP, or TLS once <otlpkit/export/tls.hpp> is included
};

/// What one exporter did so far. Read it on the exporter's thread.
struct otlp_http_counters {
  std::uint64_t batches = 0;      ///< batches taken by send()
  std::uint64_t requests = 0;     ///< HTTP requests started, retries included
  std::uint64_t bytes = 0;        ///< request bodies of those, as sent (compressed)
  std::uint64_t retries = 0;      ///< waits between attempts; a stale keep-alive connection that is replaced is none
  std::uint64_t connections = 0;  ///< connections established
  std::uint64_t delivered = 0;    ///< items
  std::array<std::uint64_t, sdk::drop_reason_count> dropped{};  ///< items, by drop_reason
  std::string last_error;                                       ///< the last trouble in words, empty if there was none
};

namespace detail {

[[noreturn]] inline void refuse_setting(std::string_view setting, std::string value, std::string_view expected) {
  throw config_error{"otlp_http." + std::string{setting}, std::move(value), std::string{expected}};
}

[[nodiscard]] constexpr bool is_token_char(char c) noexcept {
  return is_alnum(c) || std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

/// Headers that say how the request is framed and encoded: a wrong one would break it, so they stay ours.
[[nodiscard]] inline bool is_own_header(std::string_view name) noexcept {
  constexpr std::string_view own[] = {"host",       "content-length",    "content-type", "content-encoding",
                                      "connection", "transfer-encoding", "expect"};
  return std::ranges::any_of(
      own, [&](std::string_view o) { return name.size() == o.size() && starts_with_ignoring_case(name, o); });
}

/// Everything of the request head that stays the same: all but Content-Length and the empty line.
[[nodiscard]] inline std::string request_head(const url& to, const otlp_http_options& options) {
  std::string agent = "otlpkit/" OTLPKIT_VERSION " OTel-OTLP-Exporter-Cpp/" OTLPKIT_VERSION;
  std::string extra;
  for (const auto& [name, value] : options.headers) {
    if (name.empty() || !std::ranges::all_of(name, is_token_char)) {
      refuse_setting("headers", quoted(name), "a name made of letters, digits and !#$%&'*+-.^_`|~");
    }
    // The value stays out of the message: it is often a secret.
    const auto fits = [](char c) { return static_cast<unsigned char>(c) >= 0x20 ? c != 0x7F : c == '\t'; };
    if (!std::ranges::all_of(value, fits))
      refuse_setting("headers", quoted(name), "a value without control characters");
    if (is_own_header(name)) refuse_setting("headers", quoted(name), "a header that OTLP/HTTP does not set itself");
    if (name.size() == 10 && starts_with_ignoring_case(name, "user-agent"))
      agent = value;
    else
      extra += name + ": " + value + "\r\n";
  }
  std::string head = "POST " + to.target + " HTTP/1.1\r\nHost: " + to.authority() + "\r\nUser-Agent: " + agent +
                     "\r\nContent-Type: application/x-protobuf\r\n";
  if (options.compression == compression::gzip) head += "Content-Encoding: gzip\r\n";
  return head + extra;
}

[[nodiscard]] inline url endpoint_of(const otlp_http_options& options) {
  const std::string text = options.url.empty() ? signal_url("http://localhost:4318", options.signal) : options.url;
  std::string expected;
  auto parsed = parse_url(text, expected);
  if (!parsed)
    refuse_setting("url", text.find('@') == std::string::npos ? quoted(text) : std::string{hidden_value}, expected);
  return *std::move(parsed);
}

[[nodiscard]] inline transport_factory transports_of(const url& to, const otlp_http_options& options) {
  if (options.transport) return options.transport;
  if (!to.tls) return [](net::io_context& io) { return std::make_shared<plain_transport>(io); };
  const tls_provider tls = installed_tls.load(std::memory_order_acquire);
  if (tls == nullptr) {
    refuse_setting("url", quoted(to.text()),
                   "http, or #include <otlpkit/export/tls.hpp> in one file of the program (it links OpenSSL)");
  }
  return tls(to, options.tls);
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
