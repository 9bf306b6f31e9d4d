// SPDX-License-Identifier: MIT
#include <otlpkit/log/log.hpp>

#include <support/log_recording.hpp>
#include <support/otlp_bytes.hpp>
#include <support/random_values.hpp>

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

using namespace otlpkit;
using generated::any;
using generated::attributes;
using generated::generator;
using generated::hex_of;
using generated::json;
using support::log_recording;

namespace {

/// An export request with everything recorded since the last call.
std::string request(std::string_view resource) {
  std::map<std::uint16_t, std::string> scopes;
  detail::global_runtime.logs.drain([&](std::uint16_t scope, std::string_view record) {
    scopes[scope] += otlp_bytes::bytes(2, record);
    return true;
  });
  std::string out{resource};
  for (const auto& [scope, records] : scopes) {
    out += otlp_bytes::bytes(2, std::string{detail::global_scopes.encoded(scope)} + records);
  }
  return otlp_bytes::bytes(1, out);
}

int decode(const std::string& bytes, std::string_view rest, const std::string& arguments = {}) {
  return generated::decode("log/decode_logs.py", bytes, rest, arguments);
}

std::string json(const char* name, const std::string& hex) { return ",\"" + std::string{name} + "\":\"" + hex + '"'; }

template <class Id>
std::string hex(const Id& id) {
  const hex_id<Id> h = to_hex(id);
  return {h.text, sizeof h.text};
}

/// Fields whose keys are literals and whose values are simple: what most calls have.
std::string log_simple(generator& g, severity s, const std::string& message, const log_options& options) {
  static constexpr std::int64_t numbers[] = {INT64_MIN, -1, 0, 1, 127, 128, 16'383, 16'384, INT64_MAX};
  static constexpr double doubles[] = {0.0, -0.0, 0.5, 1e300, 5e-324};
  const std::string a = g.text(), b = std::string(g.below(130), 'b');
  const std::int64_t n = numbers[g.below(std::size(numbers))];
  const double d = g.below(4) == 0 ? std::nan("") : doubles[g.below(std::size(doubles))];
  const bool yes = g.below(2) == 0;
  switch (g.below(8)) {
    case 0: log(s, message, {}, options); return "[]";
    case 1: log(s, message, {{"n", n}, {"b", b}}, options); return json(attributes{{"n", {n}}, {"b", {b}}});
    case 2: log(s, message, {{"text", a}}, options); return json(attributes{{"text", {a}}});
    case 3:
      log(s, message, {{"yes", yes}, {"d", d}, {"nothing", nullptr}}, options);
      return json(attributes{{"yes", {yes}}, {"d", {d}}, {"nothing", {nullptr}}});
    case 4:  // the same key again: the last value wins
      log(s, message, {{"n", n}, {"b", b}, {"n", a}}, options);
      return json(attributes{{"b", {b}}, {"n", {a}}});
    case 5: log(s, message, {{"größe", n}, {"b", b}}, options); return json(attributes{{"größe", {n}}, {"b", {b}}});
    case 6:
      log(s, message, {{"big", UINT64_MAX}, {"b", b}}, options);
      return json(attributes{{"big", {UINT64_MAX}}, {"b", {b}}});
    default: {
      log(s, message,
          {{"k0", 0},
           {"k1", 1},
           {"k2", 2},
           {"k3", 3},
           {"k4", 4},
           {"k5", 5},
           {"k6", 6},
           {"k7", 7},
           {"k8", 8},
           {"k9", 9},
           {"k10", 10},
           {"k11", 11},
           {"k12", b}},
          options);
      attributes all;
      for (int i = 0; i < 12; ++i) all.emplace_back("k" + std::to_string(i), any{std::int64_t{i}});
      all.emplace_back("k12", any{b});
      return json(all);
    }
  }
}

/// Any keys and any values, nested ones too.
std::string log_anything(generator& g, severity s, const value& body, const log_options& options) {
  const attributes f = g.some(2);
  if (f.empty()) log(s, body, {}, options);
  if (f.size() == 1) log(s, body, {{f[0].first, f[0].second}}, options);
  if (f.size() == 2) log(s, body, {{f[0].first, f[0].second}, {f[1].first, f[1].second}}, options);
  return json(f);
}

/// Records a random log record; returns what it was told.
std::string record_one(generator& g) {
  const auto s = static_cast<severity>(g.below(25));
  const span_context context = g.below(2) == 0 ? g.context() : span_context{};
  const std::string event = g.below(4) == 0 ? g.text() : std::string{};
  const std::uint64_t time = g.word() | 1;
  const log_options options{.event_name = event, .context = context, .time = time};
  const bool belongs = context.valid();
  const any body = g.below(2) == 0 ? any{g.text()} : g.content();
  std::string recorded;
  if (const auto* text = std::get_if<std::string>(&body.content); text != nullptr && g.below(3) != 0) {
    recorded = log_simple(g, s, *text, options);
  } else {
    recorded = log_anything(g, s, value{body}, options);
  }
  return R"({"time":")" + std::to_string(time) + R"(","severity":)" + std::to_string(static_cast<int>(s)) +
         R"(,"body":)" + json(body) + R"(,"attributes":)" + recorded + R"(,"flags":)" +
         std::to_string(belongs ? context.flags : 0) + json("trace_id", belongs ? hex(context.trace) : "") +
         json("span_id", belongs ? hex(context.span) : "") + json("event_name", hex_of(event)) + "}";
}

std::uint64_t no_ticks() noexcept { return 0; }

}  // namespace

TEST_CASE("random log records decode with the official schema to what was recorded") {
  log_recording logs;
  log_recording::queue(std::size_t{1} << 30, 1'000'000);
  generator g{20'261'121};
  std::string recorded = "[" + record_one(g);
  for (int i = 1; i < 3'000; ++i) recorded += ",\n" + record_one(g);
  CHECK(decode(request(otlp_bytes::resource("random")), recorded + "]") == 0);
}

TEST_CASE("the decoder of log records tells when something else was recorded") {
  log_recording logs;
  log(severity::info, "m", {{"k", 1}}, {.time = 1});
  const std::string bytes = request(otlp_bytes::resource("s"));
  const auto with = [](const char* body, const char* value) {
    return R"([{"time":"1","severity":9,"body":["text",")" + hex_of(body) + R"("],"attributes":[["6b",["int",")" +
           value + R"("]]],"flags":0,"trace_id":"","span_id":"","event_name":""}])";
  };
  CHECK(decode(bytes, with("m", "1"), ">/dev/null") == 0);
  CHECK(decode(bytes, with("n", "1"), "2>/dev/null") != 0);
  CHECK(decode(bytes, with("m", "2"), "2>/dev/null") != 0);
  CHECK(decode(bytes, "[]", "2>/dev/null") != 0);
}

TEST_CASE("a log record has the bytes of the golden vector, but for their order") {
  log_recording logs;
  detail::global_runtime.clock.use(&no_ticks, 2);
  static const instrumentation_scope lib{"lib"};
  const auto trace =
      std::bit_cast<trace_id>(std::array<unsigned char, 16>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  const auto span =
      std::bit_cast<span_id>(std::array<unsigned char, 8>{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18});
  const span_context context{trace, span, flag_sampled, false, {}};
  const generated::array values{{std::string{"x"}}, {std::int64_t{2}}};
  log(severity::warn, "hi", {{"a", values}}, {.event_name = "ev", .context = context, .time = 1, .scope = &lib});
  detail::global_runtime.clock.calibrate();
  CHECK(
      decode(request({}), "",
             "0a6212600a050a036c69621257090100000000000000100d1a045741524e2a040a02686932100a0161120b2a090a030a01780a02"
             "180245010000004a100102030405060708090a0b0c0d0e0f105208111213141516171859020000000000000062026576") == 0);
}
