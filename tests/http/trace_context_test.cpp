// SPDX-License-Identifier: MIT
#include "support/http_service.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace http_service;

// W3C Trace Context Level 2 over the wire: what a service sends on to the next when it is asked with certain headers.
// The request goes to /relay, whose client calls /seen, which tells what came.
namespace {

using lines = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view trace = "12345678901234567890123456789012";
const std::string ids = "-12345678901234567890123456789012-1234567890123456-";

struct seen {
  std::vector<std::string> traceparent;
  std::vector<std::string> tracestate;
};

seen ask(fixture& f, const lines& headers) {
  std::string request = "GET /relay HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
  for (const auto& [name, value] : headers) request += name + ":" + value + "\r\n";
  const std::string answer = f.talk(request + "\r\n");
  REQUIRE(answer.starts_with("HTTP/1.1 200"));
  seen out;
  std::string_view rest = std::string_view{answer}.substr(answer.find("\r\n\r\n") + 4);
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.starts_with("traceparent: ")) out.traceparent.emplace_back(line.substr(13));
    if (line.starts_with("tracestate: ")) out.tracestate.emplace_back(line.substr(12));
  }
  return out;
}

/// Sends `headers`. What goes out must be one valid traceparent of version 00 with a span id of its own.
void expect(fixture& f, const lines& headers, bool continued, std::string_view state = {},
            std::string_view flags = {}) {
  std::string shown;
  for (const auto& [name, value] : headers) shown += name + ":" + value.substr(0, 200) + "\n";
  CAPTURE(shown);
  const seen out = ask(f, headers);
  REQUIRE(out.traceparent.size() == 1);
  const std::string& sent = out.traceparent[0];
  REQUIRE(sent.size() == 55);
  CHECK(sent.find_first_not_of("0123456789abcdef-") == std::string::npos);
  CHECK((sent.starts_with("00-") && sent[35] == '-' && sent[52] == '-' && sent[53] == '0'));
  CHECK(std::string_view{"0123"}.find(sent[54]) != std::string_view::npos);
  CHECK((sent.substr(3, 32) == trace) == continued);
  CHECK(sent.substr(3, 32) != std::string(32, '0'));
  CHECK(sent.substr(36, 16) != "1234567890123456");
  CHECK(sent.substr(36, 16) != std::string(16, '0'));
  if (!flags.empty()) CHECK(sent.substr(53) == flags);
  CHECK(out.tracestate.size() == (state.empty() ? 0 : 1));
  if (!state.empty() && !out.tracestate.empty()) CHECK(out.tracestate[0] == state);
}

std::string members(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += (i != 0 ? ",bar" : "bar") + std::to_string(i) + "=" + std::to_string(i);
  return out;
}

}  // namespace

TEST_CASE("a service continues valid traces, begins new ones otherwise, and passes on tracestate as W3C asks") {
  http::server_options options = fixture::quick();
  options.max_header_bytes = 64 * 1024;
  fixture f{options};
  const std::string good = "00" + ids + "01";
  const auto continues = [&f](const std::string& value, std::string_view flags = "01") {
    expect(f, {{"traceparent", value}, {"tracestate", "foo=1"}}, true, "foo=1", flags);
  };
  const auto begins = [&f](const std::string& value) {
    expect(f, {{"traceparent", value}, {"tracestate", "foo=1"}}, false, "", "03");
  };

  // No header, one, and more.
  expect(f, {}, false, "", "03");
  expect(f, {{"tracestate", "foo=1"}}, false);
  expect(f, {{"traceparent", good}, {"traceparent", good}}, false);
  expect(f, {{"traceparent", good}, {"TraceParent", "00-12345678901234567890123456789011-1234567890123456-01"}}, false);
  expect(f, {{"traceparent", good + "," + good}}, false);
  for (const char* name : {"traceparent", "TraceParent", "TRACEPARENT", "traceParent"}) {
    expect(f, {{name, good}}, true);
  }
  for (const char* name : {"trace-parent", "trace.parent", "trace_parent", "traceparent2"}) {
    expect(f, {{name, good}}, false);
  }

  // Whitespace around the value is not part of it.
  for (const char* before : {"", " ", "\t", " \t "}) {
    for (const char* after : {"", " ", "\t", " \t "}) continues(before + good + after);
  }
  begins("00 " + ids.substr(1) + "01");
  begins("00-12345678901234567890123456789012 -1234567890123456-01");

  // Version.
  for (const char* version : {"01", "0a", "cc", "fe"}) {
    continues(version + ids + "01");
    continues(version + ids + "01-what-the-future-will-be-like");
    continues(version + ids + "01-");
    begins(version + ids + "01.what-the-future-will-be-like");
    begins(version + ids + "012");
    begins(version + ids + "0");
    begins(version + std::string{"-1234567890123456789012345678901-1234567890123456-01-"});
  }
  for (const char* version : {"ff", "FF", "0A", "CC", "0", "000", "0x", ".0", "0.", "", "  "}) {
    begins(version + ids + "01");
  }
  for (const char* more : {"-", "-x", ".", "1", "-01", ",", " x"}) begins(good + more);

  // Ids.
  begins("00-00000000000000000000000000000000-1234567890123456-01");
  begins("00-12345678901234567890123456789012-0000000000000000-01");
  for (const char* id :
       {".2345678901234567890123456789012", "1234567890123456789012345678901.", "1234567890123456789012345678901",
        "123456789012345678901234567890123", "1234567890123456789012345678901A", "ABCDEFABCDEFABCDEFABCDEFABCDEFAB",
        "1234567890123456789012345678901g", ""}) {
    begins(std::string{"00-"} + id + "-1234567890123456-01");
  }
  for (const char* id : {".234567890123456", "123456789012345.", "123456789012345", "12345678901234567",
                         "123456789012345A", "ABCDEFABCDEFABCD", "123456789012345g", ""}) {
    begins("00-12345678901234567890123456789012-" + std::string{id} + "-01");
  }

  // Flags: two are known, and an unsampled parent stays so.
  for (const auto& [flags, sent] : {std::pair{"00", "00"},
                                    {"01", "01"},
                                    {"02", "02"},
                                    {"03", "03"},
                                    {"04", "00"},
                                    {"05", "01"},
                                    {"80", "00"},
                                    {"fc", "00"},
                                    {"fe", "02"},
                                    {"ff", "03"}}) {
    continues("00" + ids + flags, sent);
  }
  for (const char* flags : {".0", "0.", "0", "000", "0A", "FF", "0x", "", "zz"}) begins("00" + ids + flags);

  // Oversized.
  begins(std::string(4000, '0'));
  begins("00-" + std::string(4000, '1') + "-1234567890123456-01");
  continues("cc" + ids + "01-" + std::string(4000, 'x'));
}

TEST_CASE("a service passes on tracestate in order and whole, or not at all") {
  http::server_options options = fixture::quick();
  options.max_header_bytes = 64 * 1024;
  fixture f{options};
  const std::string good = "00" + ids + "01";
  const auto passes = [&](const std::vector<std::string>& in, const std::string& out) {
    lines headers{{"traceparent", good}};
    for (const std::string& value : in) headers.emplace_back("tracestate", value);
    expect(f, headers, true, out);
  };
  passes({"foo=1"}, "foo=1");
  passes({"foo=1,bar=2"}, "foo=1,bar=2");
  passes({"foo=1", "bar=2"}, "foo=1,bar=2");
  passes({"foo=1", "bar=2,baz=3", "q=4"}, "foo=1,bar=2,baz=3,q=4");
  passes({"foo=1", "", "bar=2"}, "foo=1,bar=2");
  passes({""}, "");
  passes({","}, "");
  passes({"foo=1,", ",bar=2"}, "foo=1,bar=2");
  passes({"foo=1,\t \t,bar=2 , \tbaz=3 "}, "foo=1,bar=2,baz=3");
  passes({" foo=1"}, "foo=1");
  passes({"foo=a b"}, "foo=a b");
  passes({"foo=  a"}, "foo=  a");
  passes({"foo=1,foo=1"}, "foo=1");
  passes({"foo=1,foo=2"}, "foo=1");
  passes({"foo=1", "foo=2"}, "foo=1");
  expect(f, {{"traceparent", good}, {"TraceState", "foo=1"}}, true, "foo=1");
  expect(f, {{"traceparent", good}, {"TRACESTATE", "foo=1"}, {"tracestate", "bar=2"}}, true, "foo=1,bar=2");
  expect(f, {{"traceparent", good}, {"trace-state", "foo=1"}}, true, "");

  // Limits.
  passes({members(32)}, members(32));
  passes({members(31), "z=1"}, members(31) + ",z=1");
  passes({members(33)}, "");
  passes({members(32), "z=1"}, "");
  const std::string long_key(256, 'k');
  const std::string long_value(256, 'v');
  passes({long_key + "=" + long_value}, long_key + "=" + long_value);
  passes({long_key + "k=1"}, "");
  passes({"k=" + long_value + "v"}, "");
  passes({"t" + std::string(240, 't') + "@v=1"}, "t" + std::string(240, 't') + "@v=1");
  std::string large;
  for (int i = 0; i < 32; ++i) large += (i != 0 ? ",k" : "k") + std::to_string(i) + "=" + std::string(250, 'v');
  passes({large}, large);

  // Keys and values.
  for (const char* key : {"a", "0", "a0_-*/@z", "foo@", "foo@@bar", "foo@bar@baz", "0foo@bar", "t@v"}) {
    passes({std::string{key} + "=1"}, std::string{key} + "=1");
  }
  for (const char* key : {"", "@", "@foo", "_foo", "-foo", "*foo", "/foo", "Foo", "FOO", "foO", "foo ", "fo o",
                          "foo.bar", "foo:bar", "foo\t", "fo\xc3\xb6"}) {
    passes({"a=1," + std::string{key} + "=2,c=3"}, "");
  }
  passes({"v=!\"#$%&'()*+-./0:;<>?@[\\]^_`{|}~"}, "v=!\"#$%&'()*+-./0:;<>?@[\\]^_`{|}~");
  for (const char* member : {"foo", "foo=", "foo==1", "foo=a=b", "foo=a\tb", "foo=\xc3\xb6"}) {
    passes({member}, "");
    passes({"a=1", member, "c=3"}, "");
  }
}
