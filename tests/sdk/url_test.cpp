// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/url.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using otlpkit::exporters::parse_url;
using otlpkit::exporters::signal_url;
using otlpkit::sdk::signal;

namespace {
otlpkit::exporters::url parsed(std::string_view text) {
  std::string expected;
  const auto u = parse_url(text, expected);
  REQUIRE_MESSAGE(u, text << ": expected " << expected);
  return *u;
}
std::string complaint(std::string_view text) {
  std::string expected;
  REQUIRE_MESSAGE(!parse_url(text, expected), text);
  REQUIRE_FALSE(expected.empty());
  return expected;
}
}  // namespace

TEST_CASE("scheme, host, port and path are taken as they are") {
  const auto u = parsed("http://collector.example:4318/my/v1/traces/?a=b#c");
  CHECK_FALSE(u.tls);
  CHECK(u.host == "collector.example");
  CHECK(u.port == 4318);
  CHECK(u.target == "/my/v1/traces/?a=b");
  CHECK(u.authority() == "collector.example:4318");
  CHECK(u.text() == "http://collector.example:4318/my/v1/traces/?a=b");
}

TEST_CASE("only an absent path becomes a slash") {
  CHECK(parsed("http://c:4318").target == "/");
  CHECK(parsed("http://c:4318?x=1").target == "/?x=1");
  CHECK(parsed("http://c/v1/metrics/").target == "/v1/metrics/");
  CHECK(parsed("http://c//").target == "//");
}

TEST_CASE("the port follows from the scheme where none is named, and is then not in Host") {
  CHECK(parsed("http://c/").port == 80);
  CHECK(parsed("HTTPS://c/").port == 443);
  CHECK(parsed("https://c:/x").port == 443);
  CHECK(parsed("https://c/").authority() == "c");
  CHECK(parsed("https://c:80/").authority() == "c:80");
  CHECK(parsed("http://c:80/").authority() == "c");
}

TEST_CASE("IPv6 addresses lose their brackets for connecting and keep them in Host") {
  const auto u = parsed("http://[::1]:4318/v1/logs");
  CHECK(u.host == "::1");
  CHECK(u.port == 4318);
  CHECK(u.authority() == "[::1]:4318");
  CHECK(parsed("https://[2001:db8::1.2.3.4]").target == "/");
}

TEST_CASE("what is not usable is refused with what was expected") {
  CHECK(complaint("").find("http://") != std::string::npos);
  CHECK(complaint("localhost:4318").find("http://") != std::string::npos);
  CHECK(complaint("grpc://c").find("http://") != std::string::npos);
  CHECK(complaint("http://").find("host") != std::string::npos);
  CHECK(complaint("http://:4318/").find("host") != std::string::npos);
  CHECK(complaint("http://a b/").find("blanks") != std::string::npos);
  CHECK(complaint("http://c/\r\nX: y").find("blanks") != std::string::npos);
  CHECK(complaint("http://h\xC3\xB6st/").find("ASCII") != std::string::npos);
  CHECK(complaint("http://c:0/").find("port") != std::string::npos);
  CHECK(complaint("http://c:65536/").find("port") != std::string::npos);
  CHECK(complaint("http://c:99999999999/").find("port") != std::string::npos);
  CHECK(complaint("http://c:4a/").find("port") != std::string::npos);
  CHECK(complaint("http://u:p@c/").find("password") != std::string::npos);
  CHECK(complaint("http://[::1/").find("']'") != std::string::npos);
  CHECK(complaint("http://[c]/").find("IPv6") != std::string::npos);
  CHECK(complaint("http://[::1]x/").find("port") != std::string::npos);
}

TEST_CASE("a general endpoint gets the signal's path with exactly one slash") {
  CHECK(signal_url("http://c:4318", signal::traces) == "http://c:4318/v1/traces");
  CHECK(signal_url("http://c:4318/", signal::metrics) == "http://c:4318/v1/metrics");
  CHECK(signal_url("http://c:4318/my/", signal::logs) == "http://c:4318/my/v1/logs");
  CHECK(signal_url("http://c:4318/my", signal::traces) == "http://c:4318/my/v1/traces");
  CHECK(signal_url("http://c:4318/my?key=1", signal::traces) == "http://c:4318/my/v1/traces?key=1");
}
