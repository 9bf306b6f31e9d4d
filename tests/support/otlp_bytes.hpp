// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <otlpkit/sdk/batch.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A protobuf writer of its own, plain and slow, so tests of the readers do not lean on the library's writer.
namespace otlp_bytes {

inline void varint(std::string& out, std::uint64_t v) {
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
  out.push_back(static_cast<char>(v));
}
inline std::string number(std::uint32_t field, std::uint64_t v) {
  std::string out;
  varint(out, std::uint64_t{field} << 3);
  varint(out, v);
  return out;
}
inline std::string fixed(std::uint32_t field, std::uint64_t v, int width) {
  std::string out;
  varint(out, std::uint64_t{field} << 3 | (width == 8 ? 1u : 5u));
  for (int i = 0; i < width; ++i) out.push_back(static_cast<char>(v >> (8 * i)));
  return out;
}
inline std::string bytes(std::uint32_t field, std::string_view content) {
  std::string out;
  varint(out, std::uint64_t{field} << 3 | 2);
  varint(out, content.size());
  return out.append(content);
}

inline std::string any(std::string_view text) { return bytes(1, text); }
inline std::string any(const char* text) { return bytes(1, text); }
inline std::string any(bool b) { return number(2, b ? 1 : 0); }
inline std::string any(int i) { return number(3, static_cast<std::uint64_t>(std::int64_t{i})); }
inline std::string any(double d) { return fixed(4, std::bit_cast<std::uint64_t>(d), 8); }

/// A KeyValue whose value is an encoded AnyValue.
inline std::string key_value(std::string_view key, std::string_view value) { return bytes(1, key) + bytes(2, value); }

/// An encoded Span.Event and Span.Link.
inline std::string event(std::string_view name, std::uint64_t time,
                         std::initializer_list<std::pair<const char*, std::string>> fields = {}) {
  std::string out = fixed(1, time, 8) + bytes(2, name);
  for (const auto& [key, value] : fields) out += bytes(3, key_value(key, value));
  return out;
}

/// Eight bytes that spell `id`, sixteen for a trace.
inline std::string id8(std::uint64_t id) {
  std::string out(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) out[7 - i] = static_cast<char>(id >> (8 * i));
  return out;
}
inline std::string id16(std::uint64_t id) { return id8(0x0102030405060708u) + id8(id); }

inline constexpr std::uint64_t ms = 1'000'000;
inline constexpr std::uint64_t epoch = 1'700'000'000'000'000'000;  ///< where the times of spans count from

struct span {
  std::uint64_t id = 1;
  std::uint64_t parent = 0;  ///< 0: none
  std::string name = "op";
  std::uint64_t start = 0;  ///< nanoseconds after `epoch`
  std::uint64_t end = 0;
  std::vector<std::pair<std::string, std::string>> fields{};  ///< key, encoded AnyValue
  std::string error{};                                        ///< status message, "-" for none
  std::vector<std::string> events{};
  std::vector<std::string> links{};
  std::uint32_t kind = 1;
  bool remote = false;
  std::uint64_t trace = 1;

  /// An encoded Span.
  [[nodiscard]] std::string encoded() const {
    std::string out = bytes(1, id16(trace)) + bytes(2, id8(id));
    if (parent != 0) out += bytes(4, id8(parent));
    out += bytes(5, name) + number(6, kind) + fixed(7, epoch + start, 8) + fixed(8, epoch + end, 8);
    for (const auto& [key, value] : fields) out += bytes(9, key_value(key, value));
    for (const std::string& e : events) out += bytes(11, e);
    for (const std::string& l : links) out += bytes(13, l);
    if (!error.empty()) out += bytes(15, (error == "-" ? std::string{} : bytes(2, error)) + number(3, 2));
    return out + fixed(16, remote ? 0x301 : 0x101, 4);
  }
};

/// Fields of ResourceSpans and ScopeSpans.
inline std::string resource(std::string_view service) {
  return bytes(1, bytes(1, key_value("service.name", any(service))));
}
inline std::string scope(std::string_view name) { return bytes(1, bytes(1, name)); }

inline std::shared_ptr<const otlpkit::sdk::batch> batch(const std::vector<span>& spans,
                                                        std::string_view service = "shop") {
  otlpkit::sdk::scope_items items{scope("test"), {}, spans.size()};
  for (const span& s : spans) items.items += bytes(2, s.encoded());
  return std::make_shared<const otlpkit::sdk::batch>(
      otlpkit::sdk::signal::traces, std::make_shared<const std::string>(resource(service)), std::vector{items});
}

/// Bytes spelled in hexadecimal.
inline std::string unhex(std::string_view text) {
  std::string out;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    out.push_back(static_cast<char>(digit(text[i]) * 16 + digit(text[i + 1])));
  return out;
}

}  // namespace otlp_bytes
