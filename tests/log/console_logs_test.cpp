// SPDX-License-Identifier: MIT
#include <otlpkit/export/console_logs.hpp>

#include <support/otlp_bytes.hpp>

#include <doctest/doctest.h>

#include <unistd.h>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace otlp_bytes;
using otlpkit::exporters::console_logs;
using otlpkit::exporters::console_logs_options;
namespace sdk = otlpkit::sdk;

namespace {

std::string record(std::uint64_t time, std::uint32_t severity, std::string_view text, std::string_view body,
                   const std::string& more = {}) {
  return fixed(1, time, 8) + number(2, severity) + bytes(3, text) + bytes(5, body) + more;
}

std::shared_ptr<const sdk::batch> batch_of(const std::vector<std::string>& records, std::string_view scope_name = "") {
  sdk::scope_items items{scope_name.empty() ? std::string{} : scope(scope_name), {}, records.size()};
  for (const std::string& r : records) items.items += bytes(2, r);
  return std::make_shared<const sdk::batch>(sdk::signal::logs, std::make_shared<const std::string>(resource("shop")),
                                            std::vector{items});
}

std::string line_of(const std::string& encoded, std::string_view scope_name = "", bool colour = false) {
  std::string printed;
  console_logs console{{.sink =
                            [&](std::string_view lines) {
                              printed += lines;
                              return true;
                            },
                        .colour = colour}};
  console.send(batch_of({encoded}, scope_name), [](sdk::export_result) {});
  return printed;
}

}  // namespace

TEST_CASE("a log record is one line with time, severity, message, fields, scope and ids") {
  const std::string more = bytes(6, key_value("user_id", any("u-17"))) + bytes(6, key_value("ms", any(812))) +
                           bytes(9, id16(1)) + bytes(10, id8(2));
  CHECK(line_of(record(1'763'717'400'125'000'000, 13, "WARN", any("payment is slow"), more), "shop.pay") ==
        "2025-11-21T09:30:00.125Z WARN  payment is slow  user_id=u-17 ms=812 [shop.pay] "
        "trace=01020304050607080000000000000001 span=0000000000000002\n");
}

TEST_CASE("times are right in leap years, at the epoch and far away") {
  const auto date = [](std::uint64_t seconds) {
    return line_of(record(seconds * 1'000'000'000u, 9, "INFO", any("m"))).substr(0, 24);
  };
  CHECK(line_of(fixed(11, 1'000'000, 8) + bytes(5, any("m"))) == "1970-01-01T00:00:00.001Z -     m\n");
  CHECK(date(951'782'399) == "2000-02-28T23:59:59.000Z");
  CHECK(date(951'782'400) == "2000-02-29T00:00:00.000Z");
  CHECK(date(951'868'800) == "2000-03-01T00:00:00.000Z");
  CHECK(date(1'709'164'800) == "2024-02-29T00:00:00.000Z");
  CHECK(date(4'107'542'400) == "2100-03-01T00:00:00.000Z");
  CHECK(date(1'735'689'599) == "2024-12-31T23:59:59.000Z");
}

TEST_CASE("what a record holds cannot start a line or move the cursor") {
  const std::string more = bytes(6, key_value("k\n", any("v\x1b[2J"))) + bytes(12, "name\r");
  const std::string line = line_of(record(0, 9, "INFO", any("a\nb\x1b[31m"), more));
  CHECK(line == "1970-01-01T00:00:00.000Z INFO  (name\\r) a\\nb\\x1b[31m  k\\n=\"v\\x1b[2J\"\n");
}

TEST_CASE("severities have colours on request alone") {
  CHECK(line_of(record(0, 17, "ERROR", any("m")), "", true) == "1970-01-01T00:00:00.000Z \x1b[31mERROR\x1b[0m m\n");
  CHECK(line_of(record(0, 9, "INFO", any("m")), "", true) == "1970-01-01T00:00:00.000Z INFO  m\n");
  CHECK(line_of(record(0, 17, "ERROR", any("m"))).find('\x1b') == std::string::npos);
}

TEST_CASE("bodies that are not text are shown as values, and no body as nothing") {
  CHECK(line_of(record(0, 9, "INFO", any(42))) == "1970-01-01T00:00:00.000Z INFO  42\n");
  CHECK(line_of(fixed(1, 0, 8) + number(2, 9) + bytes(3, "INFO")) == "1970-01-01T00:00:00.000Z INFO \n");
}

TEST_CASE("lines go to the stream, whole and without colours where it is no terminal") {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  console_logs console{{.stream = file}};
  sdk::export_result result{1, sdk::drop_reason::failed};
  console.send(batch_of({record(0, 21, "FATAL", any("one")), record(0, 9, "INFO", any("two"))}),
               [&](sdk::export_result r) { result = r; });
  CHECK(result.dropped == 0);
  std::rewind(file);
  char text[200] = {};
  const std::size_t n = std::fread(text, 1, sizeof text, file);
  CHECK(std::string(text, n) == "1970-01-01T00:00:00.000Z FATAL one\n1970-01-01T00:00:00.000Z INFO  two\n");
  std::fclose(file);
  CHECK(console_logs_options{}.stream == stderr);
}

TEST_CASE("records that could not be written are dropped as failed") {
  for (const bool throws : {false, true}) {
    console_logs console{{.sink = [throws](std::string_view) -> bool {
      if (throws) throw std::runtime_error{"no"};
      return false;
    }}};
    sdk::export_result result;
    console.send(batch_of({record(0, 9, "INFO", any("m")), record(0, 9, "INFO", any("m"))}),
                 [&](sdk::export_result r) { result = r; });
    CHECK(result.dropped == 2);
    CHECK(result.reason == sdk::drop_reason::failed);
  }
}

TEST_CASE("it takes logs and nothing else") {
  const console_logs console;
  CHECK(console.accepts(sdk::signal::logs));
  CHECK(!console.accepts(sdk::signal::traces));
  CHECK(!console.accepts(sdk::signal::metrics));
}
