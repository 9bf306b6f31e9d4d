// SPDX-License-Identifier: MIT
// What of a request reaches otlpkit's own parsers: target, host, Forwarded, time limit, and paths against routes. The
// first line of the input is a route, the others are any of these.
#include <otlpkit/http/message.hpp>
#include <otlpkit/http/router.hpp>
#include <otlpkit/http/semantics.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace http = otlpkit::http;

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

bool within(std::string_view part, std::string_view whole) {
  return part.empty() || part == "/" ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void read(std::string_view text) {
  static const auto secret = http::capture_options{}.redacted_parameters;
  const http::target_parts t = http::parse_target(text);
  require(within(t.scheme, text) && within(t.authority, text) && within(t.path, text) && within(t.query, text));
  require(!t.path.empty() && t.path.find('?') == t.path.npos && t.authority.find('@') == t.authority.npos);

  const http::host_port h = http::parse_host(text);
  require(within(h.host, text));
  const http::forwarded f = http::parse_forwarded(text);
  require(within(f.client, text) && within(f.host, text) && within(f.proto, text));

  // Redacting takes values away and changes nothing else, and there is nothing left for a second time.
  const std::string query = http::redacted_query(text, secret);
  require(std::ranges::count(query, '&') == std::ranges::count(text, '&'));
  require(http::redacted_query(query, secret) == query);
  const std::string url = http::redacted_url(text, secret);
  require(http::redacted_url(url, secret) == url);
  const std::string hidden = http::redacted_query(std::string{text} + "&sig=S3CRET", secret);
  require(hidden.ends_with("&sig=REDACTED"));

  if (const auto limit = http::detail::parse_timeout(text)) require(limit->count() >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest{reinterpret_cast<const char*>(data), size};
  const auto line = [&rest] {
    const std::string_view out = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), out.size() + 1));
    return out;
  };
  http::basic_router<int> router;
  router.get("/products/{id}", 1).get("/files/{path*}", 2);
  try {
    router.on("GET", std::string{line()}, 3);
  } catch (const otlpkit::config_error&) {
  }
  while (!rest.empty()) {
    const std::string_view text = line();
    read(text);
    const auto found = router.find("GET", http::parse_target(text).path);
    require((found.handler != nullptr) == !found.route.empty());
    require(found.parameters.empty() || found.route.find('{') != found.route.npos);
  }
  return 0;
}
