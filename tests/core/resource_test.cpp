// SPDX-License-Identifier: MIT
#include <otlpkit/core/resource.hpp>
#include <otlpkit/core/resource_detectors.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

using namespace otlpkit;
using namespace std::string_literals;

namespace {
std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}
}  // namespace

TEST_CASE("values keep the kind they were given as") {
  CHECK(std::holds_alternative<std::string>(resource_value{"text"}.get()));
  CHECK(std::holds_alternative<bool>(resource_value{true}.get()));
  CHECK(std::get<std::int64_t>(resource_value{-7}.get()) == -7);
  CHECK(std::get<std::int64_t>(resource_value{std::size_t{7}}.get()) == 7);
  CHECK(std::get<std::int64_t>(resource_value{std::numeric_limits<std::uint64_t>::max()}.get()) == INT64_MAX);
  CHECK(std::get<double>(resource_value{0.5f}.get()) == 0.5);
  CHECK(std::holds_alternative<std::vector<std::string>>(resource_value{std::vector{"a"s, "b"s}}.get()));
}

TEST_CASE("attributes are unique with the last one winning, and an empty key is left out") {
  const resource r{{{"b", 1}, {"a", "x"}, {"", "lost"}, {"b", 2}}};
  REQUIRE(r.attributes().size() == 2);
  CHECK(r.attributes()[0].key == "a");
  CHECK(*r.find("b") == resource_value{2});
  CHECK(r.find("c") == nullptr);
}

TEST_CASE("merging lets the updating resource win, even with an empty value") {
  const resource old{{{"a", "1"}, {"b", "2"}}};
  const resource updating{{{"b", ""}, {"c", "3"}}};
  CHECK(merge(old, updating) == resource{{{"a", "1"}, {"b", ""}, {"c", "3"}}});
}

TEST_CASE("merging keeps a schema URL unless two different ones meet") {
  const resource none{{}, ""};
  const resource one{{}, "https://example.com/1"};
  const resource two{{}, "https://example.com/2"};
  CHECK(merge(none, one).schema_url() == one.schema_url());
  CHECK(merge(one, none).schema_url() == one.schema_url());
  CHECK(merge(one, one).schema_url() == one.schema_url());
  CHECK(merge(one, two).schema_url().empty());
}

TEST_CASE("the encoding is that of protobuf, for each kind of value") {
  const auto attribute = [](resource_value value) { return hex(encode(resource{{{"k", std::move(value)}}})); };
  CHECK(hex(encode(resource{})) == "0a00");
  CHECK(attribute("v") ==
        "0a0a"
        "0a08"
        "0a016b"
        "1203"
        "0a0176");
  CHECK(attribute("") ==
        "0a09"
        "0a07"
        "0a016b"
        "1202"
        "0a00");
  CHECK(attribute(true) ==
        "0a09"
        "0a07"
        "0a016b"
        "1202"
        "1001");
  CHECK(attribute(false) ==
        "0a09"
        "0a07"
        "0a016b"
        "1202"
        "1000");
  CHECK(attribute(300) ==
        "0a0a"
        "0a08"
        "0a016b"
        "1203"
        "18ac02");
  CHECK(attribute(-1) ==
        "0a12"
        "0a10"
        "0a016b"
        "120b"
        "18ffffffffffffffffff01");
  CHECK(attribute(1.0) ==
        "0a10"
        "0a0e"
        "0a016b"
        "1209"
        "21000000000000f03f");
  CHECK(attribute(std::vector{"a"s, ""s}) ==
        "0a12"
        "0a10"
        "0a016b"
        "120b"
        "2a09"
        "0a030a0161"
        "0a020a00");
  CHECK(hex(encode(resource{{}, "u"})) ==
        "0a00"
        "1a0175");
}

TEST_CASE("lengths around the border of one length byte are right") {
  for (const std::size_t size : {127u, 128u, 16383u, 16384u}) {
    const std::string text(size, 'x');
    const std::string bytes = encode(resource{{{"k", text}}});
    CHECK(bytes.ends_with(text));
    // resource tag, its length, attribute tag, its length: both lengths count what follows them.
    std::size_t at = 1;
    std::size_t length = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes[at++]);
      length |= static_cast<std::size_t>(byte & 0x7F) << shift;
      if (byte < 0x80) break;
    }
    CHECK(length == bytes.size() - at);
  }
}

TEST_CASE("bytes that are not UTF-8 are encoded as the replacement character") {
  CHECK(encode(resource{{{"k\xff", "v\xc3"}}}) == encode(resource{{{"k\xEF\xBF\xBD", "v\xEF\xBF\xBD"}}}));
}

TEST_CASE("a random UUID has version 4 and variant 1, and no two are equal") {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = random_uuid();
    REQUIRE(id.size() == 36);
    CHECK(id[8] == '-');
    CHECK(id[13] == '-');
    CHECK(id[14] == '4');
    CHECK(std::string_view{"89ab"}.find(id[19]) != std::string_view::npos);
    CHECK(id.find_first_not_of("0123456789abcdef-") == std::string::npos);
    CHECK(seen.insert(id).second);
  }
}

TEST_CASE("times are written as RFC 3339 in UTC") {
  CHECK(detail::rfc3339(1) == "1970-01-01T00:00:01.000Z");
  CHECK(detail::rfc3339(951782400.5) == "2000-02-29T00:00:00.500Z");
  CHECK(detail::rfc3339(4107542399) == "2100-02-28T23:59:59.000Z");
  CHECK(detail::rfc3339(4107542400) == "2100-03-01T00:00:00.000Z");
  CHECK(detail::rfc3339(1767225599.25) == "2025-12-31T23:59:59.250Z");
  CHECK(detail::rfc3339(253402300799) == "9999-12-31T23:59:59.000Z");
  for (const double bad : {0.0, -1.0, 253402300800.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(detail::rfc3339(bad).empty());
  }
}

TEST_CASE("os-release values come without quotes and backslashes, by their exact key") {
  const std::string_view text =
      "PRETTY_NAME=\"A \\\"quoted\\\" name\"\nNAME='Linux'\nVERSION_ID=12\r\nNAME_X=no\n#VERSION=1\nEMPTY=";
  CHECK(platform_host::os_release_value(text, "PRETTY_NAME") == "A \"quoted\" name");
  CHECK(platform_host::os_release_value(text, "NAME") == "Linux");
  CHECK(platform_host::os_release_value(text, "VERSION_ID") == "12");
  CHECK(platform_host::os_release_value(text, "VERSION").empty());
  CHECK(platform_host::os_release_value(text, "EMPTY").empty());
  CHECK(platform_host::os_release_value("", "NAME").empty());
}

TEST_CASE("the detectors name the SDK, the process, the host and the service, and their schema") {
  const resource all = merge(merge(detect_sdk(), detect_process()), merge(detect_host(), detect_service()));
  CHECK(all.schema_url() == "https://opentelemetry.io/schemas/1.44.0");
  CHECK(all.find("telemetry.sdk.name")->text() == "otlpkit");
  CHECK(all.find("telemetry.sdk.language")->text() == "cpp");
  CHECK(all.find("telemetry.sdk.version")->text() == OTLPKIT_VERSION);
  CHECK(*all.find("process.pid") == resource_value{platform_host::process_id()});
  CHECK(all.find("service.name")->text().starts_with("unknown_service"));
  CHECK(all.find("service.instance.id")->text().size() == 36);
  for (const resource_attribute& a : all.attributes()) {
    CAPTURE(a.key);
    CHECK((std::holds_alternative<std::int64_t>(a.value.get()) || !a.value.text().empty()));
  }
}

#if defined(__linux__)
TEST_CASE("on Linux the process and the host are described") {
  const resource process = detect_process();
  CHECK(process.find("process.executable.name")->text().starts_with("resource_test"));
  CHECK(process.find("process.executable.path")->text().starts_with("/"));
  REQUIRE(process.find("process.creation.time") != nullptr);
  CHECK(process.find("process.creation.time")->text().ends_with("Z"));
  // The start is in the past, and not before this test was written.
  const double started = platform_host::process_start();
  CHECK(started > 1.7e9);
  CHECK(started < static_cast<double>(platform::wall_ns()) / 1e9 + 1);
  CHECK(detect_host().find("os.type")->text() == "linux");
  CHECK(detect_host().find("host.name") != nullptr);
}
#endif

TEST_CASE("a forked child gets another instance id unless the user gave one") {
  const resource parent{{{"service.instance.id", "first"}, {"process.pid", 1}, {"service.name", "shop"}}, "schema"};
  const resource child = after_fork(parent, true);
  CHECK(child.find("service.instance.id")->text() != "first");
  CHECK(*child.find("process.pid") == resource_value{platform_host::process_id()});
  CHECK(child.find("service.name")->text() == "shop");
  CHECK(child.schema_url() == "schema");
  CHECK(after_fork(parent, false).find("service.instance.id")->text() == "first");
  CHECK(after_fork(resource{}, false).attributes().empty());
}
