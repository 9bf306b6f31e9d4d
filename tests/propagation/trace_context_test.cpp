// SPDX-License-Identifier: MIT
#include <otlpkit/propagation/propagation.hpp>

#include "support/span_recording.hpp"

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using headers = std::vector<std::pair<std::string, std::string>>;

constexpr const char* good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::optional<std::string> reread(std::string_view text) {
  otlpkit::span_context c;
  if (!otlpkit::parse_traceparent(text, c)) return std::nullopt;
  char out[55];
  otlpkit::detail::format_traceparent(c, out);
  return std::string{out, sizeof out};
}

/// The rules once more, one character at a time.
std::optional<std::string> oracle(std::string text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.pop_back();
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.erase(0, 1);
  const std::string form = "hh-hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh-hhhhhhhhhhhhhhhh-hh";
  if (text.size() < form.size()) return std::nullopt;
  for (std::size_t i = 0; i < form.size(); ++i) {
    const bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (form[i] == 'h' ? !hex : text[i] != '-') return std::nullopt;
  }
  const std::string version = text.substr(0, 2);
  if (version == "ff") return std::nullopt;
  if (text.size() > form.size() && (version == "00" || text[55] != '-')) return std::nullopt;
  if (text.substr(3, 32) == std::string(32, '0') || text.substr(36, 16) == std::string(16, '0')) return std::nullopt;
  const char low = text[54];
  const int flags = (low >= 'a' ? low - 'a' + 10 : low - '0') & 3;
  return "00-" + text.substr(3, 50) + "0" + std::to_string(flags);
}

std::string tracestate_of(const headers& h) { return std::string{otlpkit::extract(h).span.state.header()}; }

headers with_state(std::initializer_list<std::string> values) {
  headers h{{"traceparent", good}};
  for (const std::string& v : values) h.emplace_back("tracestate", v);
  return h;
}

std::string members(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += (i != 0 ? "," : "") + std::string{"k"} + std::to_string(i) + "=v";
  return out;
}

}  // namespace

TEST_CASE("a valid traceparent gives ids and the two known flags") {
  otlpkit::span_context c;
  REQUIRE(otlpkit::parse_traceparent(good, c));
  CHECK(support::hex(c.trace) == "0af7651916cd43dd8448eb211c80319c");
  CHECK(support::hex(c.span) == "b7ad6b7169203331");
  CHECK(c.flags == otlpkit::flag_sampled);
  CHECK(c.remote);
  for (const auto& [flags, expected] : {std::pair{"00", 0}, {"01", 1}, {"02", 2}, {"03", 3}, {"ff", 3}, {"fc", 0}}) {
    REQUIRE(otlpkit::parse_traceparent(std::string{good}.substr(0, 53) + flags, c));
    CHECK(c.flags == expected);
  }
}

TEST_CASE("a traceparent with surrounding whitespace or of a later version is read") {
  const std::string ids = "-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  for (const std::string& text : {" \t" + std::string{good}, std::string{good} + "\t ", "01" + ids, "cc" + ids,
                                  "fe" + ids, "01" + ids + "-", "cc" + ids + "-what-the-future-will-be-like"}) {
    CAPTURE(text);
    CHECK(reread(text) == good);
  }
}

TEST_CASE("an invalid traceparent is no parent, and its tracestate is not kept") {
  const std::string g = good;
  std::vector<std::string> bad{"",
                               " ",
                               "00",
                               g.substr(0, 54),
                               g + "0",
                               g + "-",
                               g + ".",
                               g + "-extra",
                               "ff" + g.substr(2),
                               "0" + g.substr(2),
                               "000" + g.substr(2),
                               "0A" + g.substr(2),
                               "zz" + g.substr(2),
                               ".0" + g.substr(2),
                               "cc" + g.substr(2) + ".what",
                               "cc" + g.substr(2) + "1",
                               "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                               "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-B7AD6B7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-010",
                               "00-0af7651916cd43dd8448eb211c80319ccc-b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033-01",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333155-01",
                               "00-.af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-.7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-.0",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0.",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0A",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-001",
                               "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
                               "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333 -01",
                               g + "," + g};
  for (std::size_t i = 0; i < g.size(); ++i) {
    for (const char c : {'g', '/', ':', '`', '@', '\0', '\x80', '\xff', 'F', ' '}) {
      std::string one = g;
      if (one[i] == c) continue;
      one[i] = c;
      if (i == 0 || i == 54) one += "x";  // at the ends a space is trimmed; keep the length wrong either way
      bad.push_back(one);
    }
  }
  for (const std::string& text : bad) {
    CAPTURE(text);
    otlpkit::span_context untouched;
    untouched.flags = 77;
    CHECK_FALSE(otlpkit::parse_traceparent(text, untouched));
    CHECK((untouched.flags == 77 && !untouched.valid() && !untouched.remote));
    const otlpkit::remote_context c = otlpkit::extract(headers{{"traceparent", text}, {"tracestate", "a=1"}});
    CHECK_FALSE(c.valid());
    CHECK(c.span.state.empty());
  }
}

TEST_CASE("nothing behind the end of a header is read") {
  for (const char* version : {"00", "cc"}) {
    const std::string whole = version + std::string{good}.substr(2);
    REQUIRE(reread(whole) == good);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      CAPTURE(size);
      CHECK_FALSE(reread(std::string_view{whole}.substr(0, size)));
    }
  }
}

TEST_CASE("random headers are read as a reader of one character at a time reads them") {
  std::mt19937 random{20261121};
  const std::string_view alphabet = "0123456789abcdefABCDEFg-- \t\xff";
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random); };
  int valid = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text = good;
    for (std::size_t i = 3; i < 55; ++i) {
      if (text[i] != '-') text[i] = alphabet[pick(16)];
    }
    if (pick(4) == 0) text.replace(0, 2, {alphabet[pick(16)], alphabet[pick(16)]});
    if (pick(8) == 0) text.replace(3, 32, std::string(32, '0'));
    if (pick(8) == 0) text += pick(2) == 0 ? "-x" : " ";
    for (std::size_t changes = pick(3); changes != 0; --changes) {
      const std::size_t at = pick(text.size());
      switch (pick(3)) {
        case 0: text[at] = alphabet[pick(alphabet.size())]; break;
        case 1: text.erase(at, 1); break;
        default: text.insert(at, 1, alphabet[pick(alphabet.size())]); break;
      }
    }
    const auto expected = oracle(text);
    CAPTURE(text);
    REQUIRE(reread(text) == expected);
    if (expected) ++valid;
  }
  CHECK(valid > 20'000);
}

TEST_CASE("a repeated traceparent starts a new trace, in whatever case the names are") {
  CHECK_FALSE(otlpkit::extract(headers{{"traceparent", good}, {"traceparent", good}}).valid());
  CHECK_FALSE(otlpkit::extract(headers{{"traceparent", good}, {"TraceParent", good}}).valid());
  CHECK_FALSE(
      otlpkit::extract(std::map<std::string, std::string>{{"traceparent", good}, {"Traceparent", good}}).valid());
  CHECK(otlpkit::extract(headers{{"TRACEPARENT", good}}).valid());
  CHECK_FALSE(otlpkit::extract(headers{{"trace-parent", good}, {"trace.parent", good}}).valid());
}

TEST_CASE("tracestate members are kept in order, without empty ones and space around them") {
  const std::string k256 = std::string(256, 'k') + "=" + std::string(256, 'v');
  CHECK(tracestate_of(with_state({"foo=1,bar=2"})) == "foo=1,bar=2");
  CHECK(tracestate_of(with_state({"foo=1", "bar=2"})) == "foo=1,bar=2");
  CHECK(tracestate_of(with_state({"foo=1", "", "bar=2"})) == "foo=1,bar=2");
  CHECK(tracestate_of(with_state({"foo=1 \t , \t bar=2, \t baz=3"})) == "foo=1,bar=2,baz=3");
  CHECK(tracestate_of(with_state({",foo=1,,bar=2,"})) == "foo=1,bar=2");
  CHECK(tracestate_of(with_state({"foo= 1 2 "})) == "foo= 1 2");
  CHECK(tracestate_of(with_state({k256})) == k256);
  CHECK(tracestate_of(with_state({"0a_-*/@z=v"})) == "0a_-*/@z=v");
  CHECK(tracestate_of(with_state({"foo@=1,foo@@bar=2,t@s=3"})) == "foo@=1,foo@@bar=2,t@s=3");
  CHECK(tracestate_of(with_state({"k=!\"#$%&'()*+-./0:;<>?@[\\]^_`{|}~"})) == "k=!\"#$%&'()*+-./0:;<>?@[\\]^_`{|}~");
  CHECK(tracestate_of(with_state({members(32)})) == members(32));
  CHECK(tracestate_of(with_state({members(32) + ",,"})) == members(32));
  CHECK(tracestate_of(with_state({""})) == "");
  CHECK(tracestate_of(with_state({"foo=1,foo=2"})) == "foo=1");
  headers later = with_state({"foo=1"});
  later[0].second = "cc" + std::string{good}.substr(2) + "-x";
  CHECK(tracestate_of(later) == "foo=1");
}

TEST_CASE("one bad member discards the whole tracestate, and only that") {
  for (const std::string& bad : {std::string{"foo"},
                                 std::string{"foo="},
                                 std::string{"=1"},
                                 std::string{"="},
                                 std::string{"foo=bar=baz"},
                                 std::string{"foo =1"},
                                 std::string{"FOO=1"},
                                 std::string{"foo.bar=1"},
                                 std::string{"@foo=1"},
                                 std::string{"_a=1"},
                                 std::string{"foo=1\x7f"},
                                 std::string{"foo=1\x1f"},
                                 std::string{"foo=\x80"},
                                 std::string{"foo=a\tb"},
                                 std::string{"foo=a\nb"},
                                 std::string("foo=a\0b", 7),
                                 std::string(257, 'k') + "=1",
                                 "k=" + std::string(257, 'v'),
                                 members(33),
                                 std::string{"foo bar=1"}}) {
    CAPTURE(bad);
    CHECK(otlpkit::extract(with_state({bad})).valid());
    CHECK(tracestate_of(with_state({bad})) == "");
    CHECK(tracestate_of(with_state({"good=1", bad, "fine=2"})) == "");
  }
}

TEST_CASE("tracestate changes go to the front, and what is not valid changes nothing") {
  const otlpkit::trace_state s = otlpkit::parse_tracestate("a=1,b=2,c=3");
  CHECK(otlpkit::tracestate_value(s, "b") == "2");
  CHECK(otlpkit::tracestate_value(s, "x").empty());
  CHECK(otlpkit::tracestate_with(s, "x", "9").header() == "x=9,a=1,b=2,c=3");
  CHECK(otlpkit::tracestate_with(s, "b", "9").header() == "b=9,a=1,c=3");
  CHECK(otlpkit::tracestate_without(s, "b").header() == "a=1,c=3");
  CHECK(otlpkit::tracestate_without(s, "x").header() == "a=1,b=2,c=3");
  CHECK(otlpkit::tracestate_without(otlpkit::parse_tracestate("a=1"), "a").empty());
  CHECK(otlpkit::tracestate_with({}, "a", "1").header() == "a=1");
  for (const auto& [key, value] :
       {std::pair{"", "1"}, {"A", "1"}, {"a", ""}, {"a", "b "}, {"a", "b,c"}, {"a", "b=c"}}) {
    CHECK(otlpkit::tracestate_with(s, key, value).header() == s.header());
  }
  const otlpkit::trace_state full = otlpkit::parse_tracestate(members(32));
  CHECK(otlpkit::tracestate_with(full, "new", "1").header() == "new=1," + members(31));
  CHECK(otlpkit::tracestate_with(otlpkit::trace_state{"broken,a=1"}, "k", "v").header() == "k=v,a=1");
}

TEST_CASE("what is read and passed on without a span in between is the same") {
  headers in = with_state({"foo=1", "bar=2"});
  in[0].second = std::string{good}.substr(0, 53) + "02";
  headers out;
  const otlpkit::remote_scope remote{otlpkit::extract(in)};
  otlpkit::inject(out);
  CHECK(out == headers{{"traceparent", in[0].second}, {"tracestate", "foo=1,bar=2"}});
}

TEST_CASE("a span between in and out keeps trace, flags and tracestate, and has an id of its own") {
  support::recording recording;
  for (const char* flags : {"01", "03", "00", "02"}) {
    headers out;
    {
      const otlpkit::remote_scope remote{
          otlpkit::extract(headers{{"traceparent", std::string{good}.substr(0, 53) + flags}, {"tracestate", "foo=1"}})};
      const otlpkit::span_guard span{"serve"};
      otlpkit::inject(out);
    }
    REQUIRE(out.size() == 2);
    CHECK(out[0].second.substr(0, 36) == std::string{good}.substr(0, 36));
    CHECK(out[0].second.substr(36, 16) != std::string{good}.substr(36, 16));
    CHECK(out[0].second.substr(53) == flags);
    CHECK(out[1].second == "foo=1");
  }
}

TEST_CASE("without a parent a root span's context is sent with the random flag, and nothing when there is no span") {
  headers out;
  otlpkit::inject(out);
  CHECK(out.empty());
  support::recording recording;
  const otlpkit::span_guard span{"root"};
  otlpkit::inject(out);
  REQUIRE(out.size() == 1);
  CHECK(out[0].second.substr(53) == "03");
}
