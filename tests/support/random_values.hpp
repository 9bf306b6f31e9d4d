// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attribute_writer.hpp>
#include <otlpkit/core/context.hpp>

#include <support/otlp_bytes.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// Random attributes, and their way to an independent decoder: what was recorded goes there as JSON, beside the bytes.
namespace generated {

struct raw_bytes {
  std::string content;
};
struct any;
using array = std::vector<any>;
using map = std::map<std::string, any>;

/// A value of any kind, nested at will.
struct any {
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, raw_bytes, array, map> content;
};

inline otlpkit::value attribute_value(const raw_bytes& b) {
  return otlpkit::byte_view{b.content.data(), b.content.size()};
}
inline otlpkit::value attribute_value(const any& a) {
  return std::visit([](const auto& v) { return otlpkit::value{v}; }, a.content);
}

using attributes = std::vector<std::pair<std::string, any>>;

inline std::string hex_of(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}
inline std::string in_quotes(std::string_view text) { return '"' + std::string{text} + '"'; }

/// What is recorded, as otlp_values.py reads it.
inline std::string json(const any& a);
inline std::string tagged(const char* kind, std::string_view content) {
  return "[" + in_quotes(kind) + "," + std::string{content} + "]";
}

struct to_json {
  std::string operator()(std::nullptr_t) const { return tagged("empty", "null"); }
  std::string operator()(bool b) const { return tagged("bool", b ? "true" : "false"); }
  std::string operator()(std::int64_t i) const { return tagged("int", in_quotes(std::to_string(i))); }
  std::string operator()(std::uint64_t i) const { return tagged("int", in_quotes(std::to_string(i))); }
  std::string operator()(double d) const {
    return tagged("double", in_quotes(hex_of(otlp_bytes::id8(std::bit_cast<std::uint64_t>(d)))));
  }
  std::string operator()(const std::string& s) const { return tagged("text", in_quotes(hex_of(s))); }
  std::string operator()(const raw_bytes& b) const { return tagged("bytes", in_quotes(hex_of(b.content))); }
  std::string operator()(const array& a) const {
    std::string out;
    for (const any& element : a) out += (out.empty() ? "" : ",") + json(element);
    return tagged("array", "[" + out + "]");
  }
  std::string operator()(const map& m) const {
    std::string out;
    for (const auto& [key, v] : m) out += (out.empty() ? "[" : ",[") + in_quotes(hex_of(key)) + "," + json(v) + "]";
    return tagged("map", "[" + out + "]");
  }
};
inline std::string json(const any& a) { return std::visit(to_json{}, a.content); }
inline std::string json(const attributes& list) {
  std::string out;
  for (const auto& [key, v] : list) out += (out.empty() ? "[" : ",[") + in_quotes(hex_of(key)) + "," + json(v) + "]";
  return "[" + out + "]";
}

/// Random content, with a liking for what breaks encoders.
class generator {
 public:
  explicit generator(std::uint64_t seed) : random_{seed} {}

  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  std::uint64_t word() { return random_(); }

  std::string text() {
    static constexpr std::size_t borders[] = {0, 1, 126, 127, 128, 129, 16'383, 16'384};
    switch (below(40)) {
      case 0: return std::string(100 * 1024, 'L');
      case 1: return std::string(borders[below(std::size(borders))], 'b');
      case 2: return {};
      case 3: return pieces({"\xFF", "\xC3", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xC0\xAF", "ok"});
      case 4: return pieces({"\xF0\x9F\x9B\x92", "\xC3\xBC", "\xE2\x82\xAC", "e\xCC\x81", "z"});
      case 5: return std::string{"\0inside\n\x7F", 9};
      default: return std::string(below(40), static_cast<char>('a' + below(26)));
    }
  }
  std::string key() {
    static constexpr const char* common[] = {"a", "b", "key", "k\xFF", "k\xFE", "http.request.method"};
    if (below(3) != 0) return common[below(std::size(common))];
    std::string k = text();
    return k.empty() ? "k" : k;
  }
  any content(int depth = 0) {
    switch (below(depth < 5 ? 12 : 9)) {
      case 0: return {nullptr};
      case 1: return {below(2) == 0};
      case 2: return {static_cast<std::int64_t>(word())};
      case 3:
        return {std::array{std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::int64_t{0},
                           std::int64_t{127}, std::int64_t{128}, std::numeric_limits<std::int64_t>::max()}[below(6)]};
      case 4: return {word() | std::uint64_t{1} << 63};
      case 5: return {std::array{std::nan(""), -0.0, 0.0, 1e-320, HUGE_VAL, -HUGE_VAL, 0.1}[below(7)]};
      case 6: return {raw_bytes{text()}};
      case 9: {
        array a;
        for (std::size_t n = below(4); n > 0; --n) a.push_back(content(depth + 1));
        return {a};
      }
      case 10: {
        map m;
        for (std::size_t n = below(4); n > 0; --n) m.insert({key(), content(depth + 1)});
        return {m};
      }
      default: return {text()};
    }
  }
  attributes some(std::size_t most) {
    attributes out;
    for (std::size_t n = below(most + 1); n > 0; --n) out.emplace_back(key(), content());
    return out;
  }
  otlpkit::span_context context() {
    return {{{word(), word() | 1}},
            {word() | 1},
            static_cast<std::uint8_t>(below(4)),
            below(2) == 0,
            below(3) == 0 ? otlpkit::trace_state{"vendor=a,other=" + std::string(below(200), 't')}
                          : otlpkit::trace_state{}};
  }

 private:
  std::string pieces(std::initializer_list<const char*> choice) {
    std::string out;
    for (std::size_t n = below(12); n > 0; --n) out += choice.begin()[below(choice.size())];
    return out;
  }

  std::mt19937_64 random_;
};

/// Exit status of a decoder (a Python script below tests/) that gets the size of `bytes`, `bytes`, and `rest`.
inline int decode(const char* script, const std::string& bytes, std::string_view rest,
                  const std::string& arguments = {}) {
  const std::string command = OTLPKIT_PYTHON " '" OTLPKIT_SOURCE_DIR "/tests/" + std::string{script} + "' " + arguments;
  std::FILE* const decoder = ::popen(command.c_str(), "w");
  if (decoder == nullptr) return -1;
  std::fprintf(decoder, "%zu\n", bytes.size());
  std::fwrite(bytes.data(), 1, bytes.size(), decoder);
  std::fwrite(rest.data(), 1, rest.size(), decoder);
  return ::pclose(decoder);
}

}  // namespace generated
