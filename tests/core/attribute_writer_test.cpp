// SPDX-License-Identifier: MIT
#include <otlpkit/core/attribute_writer.hpp>
#include <otlpkit/core/value_view.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace otlpkit;

namespace {

constexpr wire::byte tag = 0x4A;  // field 9, as Span.attributes

using attribute_map = std::map<std::string, std::string>;

/// What the bytes say: keys with their values as text. A key that is there twice is an error.
attribute_map decoded(const record_buffer& out, std::size_t from = 0) {
  attribute_map all;
  for (wire::reader field{out.view().substr(from)}; field.next();) {
    if (field.number() != tag >> 3) continue;
    const field_view f{field.bytes()};
    std::string text{f.value.as_string()};
    if (f.value.kind() == value_view::type::integer) text = "#" + std::to_string(f.value.as_int());
    if (f.value.kind() == value_view::type::bytes) text = "bytes " + std::string{f.value.as_bytes()};
    if (!all.emplace(std::string{f.key}, text).second) FAIL("twice: ", f.key);
  }
  return all;
}

}  // namespace

TEST_CASE("a writer that takes random attributes keeps what a map with a limit would") {
  std::mt19937 random{42};
  for (int round = 0; round < 300; ++round) {
    const auto limit = static_cast<std::uint32_t>(random() % 40);
    const attribute_limits limits{.count = limit};
    record_buffer out;
    attribute_writer writer{tag};
    attribute_map model;
    std::uint32_t dropped = 0;
    for (int i = 0; i < 200; ++i) {
      std::string key(random() % 4, 'k');  // many share the bit that stands for a key
      if (random() % 2 == 0) key += std::to_string(random() % 60);
      if (random() % 8 == 0) key += "\xC3\xBC";
      const auto number = static_cast<int>(random() % 100'000);
      const std::string text(random() % 200, 't');
      const bool is_text = random() % 2 == 0;
      writer.put(out, 0, limits, is_text ? field{key, text} : field{key, number});
      if (key.empty() || (model.count(key) == 0 && model.size() >= limit)) {
        ++dropped;
      } else {
        model[key] = is_text ? text : "#" + std::to_string(number);
      }
    }
    CHECK(decoded(out) == model);
    CHECK(writer.dropped() == dropped);
  }
}

TEST_CASE("attributes before the record's own are left alone") {
  const attribute_limits limits;
  record_buffer out;
  attribute_writer outer{tag};
  outer.put(out, 0, limits, {"key", 1});
  const std::size_t from = out.size();
  attribute_writer inner{tag};
  inner.put(out, from, limits, {"key", 2});
  inner.put(out, from, limits, {"key", 3});
  CHECK(decoded(out, from) == attribute_map{{"key", "#3"}});
  out.shrink_to(from);
  CHECK(decoded(out) == attribute_map{{"key", "#1"}});
}

TEST_CASE("lengths around the borders of a varint are right for keys and values") {
  for (const std::size_t size : {1u, 125u, 126u, 127u, 128u, 129u, 16'383u, 16'384u, 100u * 1024u}) {
    const attribute_limits limits;
    record_buffer out;
    attribute_writer writer{tag};
    const std::string key(size, 'k');
    const std::string text(size, 'v');
    const std::string broken = text + "\xFF";
    writer.put(out, 0, limits, {key, text});
    writer.put(out, 0, limits, {"list", std::vector<std::string>{text, text}});
    writer.put(out, 0, limits, {"broken", broken});
    const attribute_map all = decoded(out);
    CHECK(all.at(key) == text);
    CHECK(all.at("broken") == "bytes " + broken);
    CHECK(all.size() == 3);
  }
}

TEST_CASE("keys that differ in their invalid bytes alone replace each other") {
  const attribute_limits limits;
  record_buffer out;
  attribute_writer writer{tag};
  const std::string one = "a\xFFz";
  const std::string other = "a\xC0z";
  writer.put(out, 0, limits, {one, 1});
  writer.put(out, 0, limits, {other, 2});
  writer.put(out, 0, limits, {one, 3});
  CHECK(decoded(out) == attribute_map{{"a\xEF\xBF\xBDz", "#3"}});
  CHECK(writer.dropped() == 0);
}

TEST_CASE("what finds no room is taken back whole and counted") {
  const attribute_limits limits;
  record_buffer out;
  attribute_writer writer{tag};
  const std::string large(record_buffer::max_size / 3, 'x');
  writer.put(out, 0, limits, {"small", 1});
  writer.put(out, 0, limits, {"list", std::vector<std::string>{large, large, large}});
  writer.put(out, 0, limits, {"map", std::map<std::string, std::string>{{"a", large}, {"b", large}, {"c", large}}});
  CHECK(decoded(out) == attribute_map{{"small", "#1"}});
  writer.put(out, 0, limits, {"after", 2});
  CHECK(decoded(out) == attribute_map{{"after", "#2"}, {"small", "#1"}});
  CHECK(writer.dropped() == 2);
}
