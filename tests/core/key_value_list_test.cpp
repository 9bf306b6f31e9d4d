// SPDX-License-Identifier: MIT
#include <otlpkit/core/errors.hpp>
#include <otlpkit/core/key_value_list.hpp>
#include <otlpkit/core/percent.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace otlpkit;

TEST_CASE("percent-decoding takes two hexadecimal digits in any case and leaves everything else") {
  CHECK(percent_decode("") == "");
  CHECK(percent_decode("a%2Cb%3dc+d") == "a,b=c+d");
  CHECK(percent_decode("%C3%A9") == "\xC3\xA9");
  CHECK(percent_decode("%00") == std::string(1, '\0'));
  for (const char* bad : {"%", "%2", "a%2", "%G0", "%0g", "%%20", "% 20"}) {
    CAPTURE(bad);
    CHECK_FALSE(percent_decode(bad));
  }
}

TEST_CASE("resource attributes are split, trimmed and decoded") {
  const auto list = parse_resource_attributes(" a=1 , b%2Cc = x%3Dy%25 ,, empty=");
  CHECK(list.problems.empty());
  CHECK(list.pairs == key_value_pairs{{"a", "1"}, {"b,c", "x=y%"}, {"empty", ""}});
}

TEST_CASE("one error in the resource attributes discards them all") {
  for (const char* bad :
       {"a=1,b", "a=1,=2", "a=1,b=%", "a=1,b=%zz", "a=1,b=c=d", "a=1,b=%FF", "a=1,%FF=b", "a=1,b=\xC3"}) {
    CAPTURE(bad);
    const auto list = parse_resource_attributes(bad);
    CHECK(list.pairs.empty());
    REQUIRE(list.problems.size() == 1);
    CHECK(list.problems[0].ends_with("(entry 2)"));
  }
}

TEST_CASE("headers keep further equal signs, are decoded, and have lower-case names") {
  const auto list = parse_otlp_headers("Authorization=Basic dXNlcg==, x-team = a%2Cb , api-key=%20secret");
  CHECK(list.problems.empty());
  CHECK(list.pairs == key_value_pairs{{"authorization", "Basic dXNlcg=="}, {"x-team", "a,b"}, {"api-key", " secret"}});
}

TEST_CASE("of equal header names in any case the last wins") {
  CHECK(parse_otlp_headers("A=1,b=2,a=3").pairs == key_value_pairs{{"b", "2"}, {"a", "3"}});
}

TEST_CASE("a wrong header is left out, the others stay, and no problem shows a value") {
  const auto list = parse_otlp_headers("good=1,s3cret,na me=s3cret,k=s3cret%,inject=s3cret%0D%0Ax: y,also=2");
  CHECK(list.pairs == key_value_pairs{{"good", "1"}, {"also", "2"}});
  CHECK(list.problems.size() == 4);
  for (const std::string& problem : list.problems) CHECK(problem.find("s3cret") == std::string::npos);
}

TEST_CASE("a quoted value is one short printable line") {
  CHECK(quoted("abc") == "\"abc\"");
  CHECK(quoted("a\"b\\") == "\"a\\\"b\\\\\"");
  CHECK(quoted("\n\xff") == "\"\\x0a\\xff\"");
  CHECK(quoted(std::string(1000, 'x'), 3) == "\"xxx\"... (1000 bytes)");
}

TEST_CASE("a configuration error names the setting, the value and what was expected") {
  const config_error error{"traces.max_queue_size", "0", "1 to 10"};
  CHECK(std::string_view{error.what()} == "traces.max_queue_size: got 0, expected 1 to 10");
  CHECK(error.setting() == "traces.max_queue_size");
  CHECK(error.value() == "0");
  CHECK(error.expected() == "1 to 10");
}
