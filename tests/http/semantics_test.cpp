// SPDX-License-Identifier: MIT
#include <otlpkit/http/router.hpp>
#include <otlpkit/http/semantics.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http = otlpkit::http;

TEST_CASE("a span is named by method and route, and an unknown method is HTTP") {
  CHECK(http::span_name("GET", "/products/{id}") == "GET /products/{id}");
  CHECK(http::span_name("GET", "") == "GET");
  CHECK(http::span_name("_OTHER", "/x") == "HTTP /x");
}

TEST_CASE("methods are known by case, and the list can be replaced") {
  const http::known_methods standard;
  for (const char* m : {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}) {
    CHECK(standard.name_of(m) == m);
  }
  for (const char* m : {"get", "GeT", "PROPFIND", "", "GETX"}) CHECK(standard.name_of(m) == "_OTHER");
  const http::known_methods own{std::vector<std::string>{"PROPFIND"}};
  CHECK((own.name_of("PROPFIND") == "PROPFIND" && own.name_of("GET") == "_OTHER"));
  const auto with = [](const char* list) {
    return http::known_methods{otlpkit::environment{{"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", list}}};
  };
  const http::known_methods variable = with("GET, LINK,,");
  CHECK((variable.knows("LINK") && variable.knows("GET") && !variable.knows("POST") && !variable.knows("")));
  for (const char* empty : {"", ",", " , "}) CHECK(with(empty).knows("POST"));
}

TEST_CASE("a status is an error by the side that sees it") {
  for (const unsigned ok : {100u, 200u, 204u, 301u, 399u}) {
    CHECK_FALSE(http::is_error(ok, true));
    CHECK_FALSE(http::is_error(ok, false));
  }
  for (const unsigned client : {400u, 404u, 499u})
    CHECK((http::is_error(client, true) && !http::is_error(client, false)));
  for (const unsigned both : {500u, 503u, 599u, 700u, 0u, 42u})
    CHECK((http::is_error(both, true) && http::is_error(both, false)));
}

TEST_CASE("credentials and signatures do not reach url.full") {
  const auto names = http::capture_options{}.redacted_parameters;
  const auto url = [&names](std::string_view text) { return http::redacted_url(text, names); };
  CHECK(url("https://a.example/p?color=blue&sig=abc") == "https://a.example/p?color=blue&sig=REDACTED");
  CHECK(url("https://u:p@a.example/p") == "https://REDACTED:REDACTED@a.example/p");
  CHECK(url("https://u@a.example:8080") == "https://REDACTED:REDACTED@a.example:8080");
  CHECK(url("https://u:p@ss@a.example/@x") == "https://REDACTED:REDACTED@a.example/@x");
  CHECK(url("https://a.example/u:p@x") == "https://a.example/u:p@x");
  CHECK(url("https://a.example?Signature=1#sig=2") == "https://a.example?Signature=REDACTED#sig=2");
  CHECK(url("/p?sig=1") == "/p?sig=REDACTED");
  for (const char* key : {"X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "AWSAccessKeyId", "Signature",
                          "sig", "X-Goog-Signature", "%73ig"}) {
    CHECK(http::redacted_query(std::string{"a=1&"} + key + "=secret&b=2", names) ==
          std::string{"a=1&"} + key + "=REDACTED&b=2");
  }
  CHECK(http::redacted_query("SIG=1&sig&sig=&&=x&sig=a=b", names) == "SIG=1&sig&sig=REDACTED&&=x&sig=REDACTED");
  CHECK(http::redacted_query("token=1&sig=2", {"token"}) == "token=REDACTED&sig=2");
  CHECK(http::redacted_query("", names) == "");
}

TEST_CASE("hosts and targets are taken apart in every form") {
  const auto host = [](std::string_view text) {
    const http::host_port h = http::parse_host(text);
    return std::string{h.host} + "|" + std::to_string(h.port);
  };
  CHECK(host("a.example") == "a.example|0");
  CHECK(host("a.example:8080") == "a.example|8080");
  CHECK(host("[::1]:80") == "::1|80");
  CHECK(host("[::1]") == "::1|0");
  for (const char* bad : {"", "[::1", "[::1]x", "a:b", "a:99999", "a:123456789012"}) CHECK(host(bad) == "|0");
  const auto target = [](std::string_view text) {
    const http::target_parts t = http::parse_target(text);
    return std::string{t.scheme} + " " + std::string{t.authority} + " " + std::string{t.path} + " " +
           std::string{t.query};
  };
  CHECK(target("/p?q=1?2") == "  /p q=1?2");
  CHECK(target("http://u:p@h:1/p?q#f") == "http h:1 /p q");
  CHECK(target("http://h") == "http h / ");
  CHECK(target("*") == "  * ");
  CHECK(target("/x?u=http://h") == "  /x u=http://h");
  const http::forwarded f = http::parse_forwarded("For=\"[2001:db8::1]:4711\"; proto=https ;host=a.example, for=b");
  CHECK((f.client == "2001:db8::1" && f.host == "a.example" && f.proto == "https"));
  CHECK(http::parse_forwarded("nonsense").client.empty());
}

TEST_CASE("the router finds the most exact route and its parameters") {
  http::basic_router<int> router;
  router.get("/", 1).get("/products", 2).get("/products/{id}", 3).get("/products/new", 4).post("/products", 5);
  router.get("/files/{path*}", 6).get("/{a}/{b}/c", 7).on("PURGE", "/products/{id}", 8).put("/only", 9);
  const auto find = [&router](std::string_view method, std::string_view path) {
    const auto m = router.find(method, path);
    return m.handler == nullptr ? 0 : *m.handler;
  };
  CHECK(find("GET", "/") == 1);
  CHECK(find("GET", "/products") == 2);
  CHECK(find("GET", "/products/17") == 3);
  CHECK(find("GET", "/products/new") == 4);
  CHECK(find("POST", "/products") == 5);
  CHECK(find("GET", "/files/a/b/c") == 6);
  CHECK(find("GET", "/files/") == 6);
  CHECK(find("GET", "/x/y/c") == 7);
  CHECK(find("PURGE", "/products/17") == 8);
  CHECK(find("HEAD", "/products") == 2);
  CHECK(find("HEAD", "/only") == 0);
  CHECK(find("PURGE", "/products/new") == 8);
  for (const char* none : {"", "products", "/products/", "/products/1/2", "/nothing", "//", "*"}) {
    CAPTURE(none);
    CHECK(find("GET", none) == 0);
    CHECK(router.find("GET", none).route.empty());
  }
  const auto m = router.find("GET", "/products/a%20b%2Fc");
  CHECK(m.route == "/products/{id}");
  CHECK(m.parameters == http::path_parameters{{"id", "a b/c"}});
  CHECK(router.find("GET", "/files/a/b").parameters == http::path_parameters{{"path", "a/b"}});
  const auto wrong = router.find("DELETE", "/products");
  CHECK((wrong.handler == nullptr && wrong.route == "/products" && wrong.allow == "GET, HEAD, POST"));
}

TEST_CASE("a route that cannot be used is refused with what was expected") {
  for (const char* bad : {"", "x", "/{", "/{}", "/{a", "/a{b}", "/{a}b", "/{a*}/b", "/{a}/{a}", "/{*}"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(http::path_pattern{bad}, otlpkit::config_error);
  }
}
