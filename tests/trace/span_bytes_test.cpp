// SPDX-License-Identifier: MIT
#include <otlpkit/trace/span.hpp>

#include <support/otlp_bytes.hpp>
#include <support/random_values.hpp>
#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

using namespace otlpkit;
using support::hex;
using support::recording;

namespace {

using generated::attributes;
using generated::generator;
using generated::hex_of;
using generated::json;

std::string json(const span_context& c) {
  return R"("trace_id":")" + hex(c.trace) + R"(","span_id":")" + hex(c.span) + R"(","trace_state":")" +
         std::string{c.state.header()} + '"';
}
std::string flags(const span_context& c, bool remote) {
  return R"(,"flags":)" + std::to_string(c.flags + 0x100 + (remote ? 0x200 : 0));
}

/// Records a random span; returns what it was told.
std::string record_one(generator& g) {
  static constexpr span_kind kinds[] = {span_kind::internal, span_kind::server, span_kind::client, span_kind::producer,
                                        span_kind::consumer};
  span_context parent = g.below(2) == 0 ? g.context() : span_context{};
  if (parent.valid()) parent.flags |= flag_sampled;
  const std::uint64_t start = 1 + g.below(std::size_t{1} << 62);
  const std::uint64_t end = start + g.below(std::size_t{1} << 40);
  const span_kind kind = kinds[g.below(5)];
  std::string name = g.text();

  span s{name, {}, {.kind = kind, .parent = parent, .start_time = start}};
  std::string out = "{" + json(s.context()) + flags(s.context(), parent.remote) + R"(,"parent_id":")" +
                    (parent.valid() ? hex(parent.span) : "") + '"';
  const attributes set = g.some(12);
  for (const auto& [key, v] : set) s.set(key, v);

  std::string events;
  for (std::size_t n = g.below(4); n > 0; --n) {
    const std::string event = g.text();
    const std::uint64_t time = g.word() | 1;
    const attributes f = g.some(2);
    if (f.empty()) s.event(event, {}, time);
    if (f.size() == 1) s.event(event, {{f[0].first, f[0].second}}, time);
    if (f.size() == 2) s.event(event, {{f[0].first, f[0].second}, {f[1].first, f[1].second}}, time);
    events += (events.empty() ? "" : ",") + (R"({"name":")" + hex_of(event)) + R"(","time":")" + std::to_string(time) +
              R"(","attributes":)" + json(f) + "}";
  }
  std::string links;
  for (std::size_t n = g.below(3); n > 0; --n) {
    const span_context to = g.context();
    const attributes f = g.some(1);
    if (f.empty()) s.link(to);
    if (f.size() == 1) s.link(to, {{f[0].first, f[0].second}});
    links += (links.empty() ? "{" : ",{") + json(to) + flags(to, to.remote) + R"(,"attributes":)" + json(f) + "}";
  }
  const auto status = static_cast<status_code>(g.below(3));
  const std::string description = g.text();
  s.status(status, description);
  if (g.below(4) == 0) s.rename(name = g.text());
  s.end(end);

  return out + R"(,"name":")" + hex_of(name) + R"(","kind":)" + std::to_string(static_cast<int>(kind)) +
         R"(,"start":")" + std::to_string(start) + R"(","end":")" + std::to_string(end) + R"(","attributes":)" +
         json(set) + R"(,"events":[)" + events + R"(],"links":[)" + links + R"(],"status":)" +
         std::to_string(static_cast<int>(status)) + R"(,"status_message":")" +
         (status == status_code::error ? hex_of(description) : "") + "\"}";
}

/// What waits, as the export request of a service. It is grouped by this test, not by the pipeline.
std::string request(std::string_view service) {
  std::map<std::uint16_t, std::string> scopes;
  detail::global_runtime.spans.drain([&](std::uint16_t scope, std::string_view record) {
    scopes[scope] += otlp_bytes::bytes(2, record);
    return true;
  });
  std::string out = otlp_bytes::resource(service);
  for (const auto& [scope, spans] : scopes) {
    out += otlp_bytes::bytes(2, std::string{detail::global_scopes.encoded(scope)} + spans);
  }
  return otlp_bytes::bytes(1, out);
}

int decode(const std::string& bytes, std::string_view rest, const std::string& arguments = {}) {
  return generated::decode("trace/decode_spans.py", bytes, rest, arguments);
}

struct fixed_ids final : id_generator {
  trace_id new_trace_id() noexcept override { return {}; }
  span_id new_span_id() noexcept override {
    return std::bit_cast<span_id>(std::array<unsigned char, 8>{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18});
  }
};

}  // namespace

TEST_CASE("random spans decode with the official schema to what was recorded") {
  recording spans;
  recording::queue(std::size_t{1} << 30, 1'000'000);
  generator g{20'261'120};
  std::string recorded = "[" + record_one(g);
  for (int i = 1; i < 1'500; ++i) recorded += ",\n" + record_one(g);
  CHECK(decode(request("random"), recorded + "]") == 0);
}

TEST_CASE("the decoder tells when something else was recorded") {
  recording spans;
  { span s{"op", {{"k", 1}}, {.start_time = 1}}; }
  const std::string bytes = request("shop");
  CHECK(decode(bytes, "[]", "2>/dev/null") != 0);
  CHECK(decode(bytes + otlp_bytes::number(77, 1), "[]", "2>/dev/null") != 0);
  CHECK(decode(bytes, "", "00 2>/dev/null") != 0);
}

TEST_CASE("a span has the bytes of the golden vector, but for their order") {
  fixed_ids ids;
  recording spans{{.ids = &ids}};
  static const instrumentation_scope lib{"lib", "1"};
  const auto trace =
      std::bit_cast<trace_id>(std::array<unsigned char, 16>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16});
  const auto id = [](unsigned char first) {
    std::array<unsigned char, 8> bytes{};
    for (unsigned char& b : bytes) b = first++;
    return std::bit_cast<span_id>(bytes);
  };
  const span_context parent{trace, id(0x21), flag_sampled, false, {}};
  const span_context linked{trace, id(0x31), flag_sampled, true, {}};
  {
    span s{"op",
           {{"i", -1}, {"b", false}, {"d", 0.5}},
           {.kind = span_kind::server, .parent = parent, .start_time = 1'544'712'660'000'000'000, .scope = &lib}};
    s.event("e", {}, 1'544'712'660'500'000'000);
    s.link(linked);
    s.status(status_code::error, "bad");
    s.end(1'544'712'661'000'000'000);
  }
  CHECK(decode(request("s"), "",
               "0ad0010a150a130a0c736572766963652e6e616d6512030a017312b6010a080a036c696212013112a9010a10010203040506070"
               "8090a0b0c0d"
               "0e0f1012081112131415161718220821222324252627282a026f70300239004859e3faeb6f15410012f41efbeb6f154a100a016"
               "9120b18ffff"
               "ffffffffffffff014a070a0162120210004a0e0a0164120921000000000000e03f5a0c0900ad2601fbeb6f151201656a210a100"
               "10203040506"
               "0708090a0b0c0d0e0f101208313233343536373835010300007a0712036261641802850101010000") == 0);
}
