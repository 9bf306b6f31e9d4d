// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/utf8.hpp>
#include <otlpkit/core/wire_writer.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI {

/// The value of a resource attribute: string, bool, 64-bit integer, double, or an array of strings.
class resource_value {
 public:
  using storage = std::variant<std::string, bool, std::int64_t, double, std::vector<std::string>>;

  resource_value(const char* text) : value_{std::string{text}} {}
  resource_value(std::string_view text) : value_{std::string{text}} {}
  resource_value(std::string text) : value_{std::move(text)} {}
  resource_value(std::vector<std::string> texts) : value_{std::move(texts)} {}
  resource_value(std::same_as<bool> auto b) noexcept : value_{b} {}
  /// A number beyond 2^63-1 becomes 2^63-1.
  template <std::integral T>
  requires(!std::same_as<T, bool>) resource_value(T number)
  noexcept : value_{std::in_range<std::int64_t>(number) ? static_cast<std::int64_t>(number) : INT64_MAX} {}
  resource_value(std::floating_point auto number) noexcept : value_{static_cast<double>(number)} {}

  [[nodiscard]] const storage& get() const noexcept { return value_; }
  /// The text of a string value, else "".
  [[nodiscard]] std::string_view text() const noexcept {
    const auto* string = std::get_if<std::string>(&value_);
    return string != nullptr ? std::string_view{*string} : std::string_view{};
  }
  friend bool operator==(const resource_value&, const resource_value&) = default;

 private:
  storage value_;
};

struct resource_attribute {
  std::string key;
  resource_value value;
  friend bool operator==(const resource_attribute&, const resource_attribute&) = default;
};

/// Who produced the telemetry: attributes that hold for everything a process sends (specification, resource/sdk).
/// Immutable; attributes are sorted by key and unique.
class resource {
 public:
  resource() = default;
  /// Of equal keys the last wins; attributes with an empty key are left out.
  /// \param schema_url of the semantic conventions the keys follow, or "" when none is claimed
  explicit resource(std::vector<resource_attribute> attributes, std::string schema_url = {})
      : schema_url_{std::move(schema_url)} {
    std::map<std::string, resource_value> unique;
    for (resource_attribute& a : attributes) {
      if (!a.key.empty()) unique.insert_or_assign(std::move(a.key), std::move(a.value));
    }
    attributes_.reserve(unique.size());
    while (!unique.empty()) {
      auto node = unique.extract(unique.begin());
      attributes_.push_back({std::move(node.key()), std::move(node.mapped())});
    }
  }

  [[nodiscard]] std::span<const resource_attribute> attributes() const noexcept { return attributes_; }
  [[nodiscard]] const std::string& schema_url() const noexcept { return schema_url_; }

  /// The attribute's value, or null.
  [[nodiscard]] const resource_value* find(std::string_view key) const noexcept {
    const auto at = std::ranges::lower_bound(attributes_, key, {},
                                             [](const resource_attribute& a) { return std::string_view{a.key}; });
    return at != attributes_.end() && at->key == key ? &at->value : nullptr;
  }

  friend bool operator==(const resource&, const resource&) = default;

 private:
  std::vector<resource_attribute> attributes_;
  std::string schema_url_;
};

/// All attributes of both; where both have a key, the value of `updating` wins, even an empty one. An empty schema URL
/// gives way to the other; of two different ones neither holds for all attributes, and the result has none.
[[nodiscard]] inline resource merge(const resource& old, const resource& updating) {
  std::vector<resource_attribute> all{old.attributes().begin(), old.attributes().end()};
  all.insert(all.end(), updating.attributes().begin(), updating.attributes().end());
  const std::string& a = old.schema_url();
  const std::string& b = updating.schema_url();
  return resource{std::move(all), a.empty() || a == b ? b : b.empty() ? a : std::string{}};
}

namespace detail {
inline void append_varint(std::string& out, std::uint64_t v) {
  wire::byte bytes[wire::max_varint];
  const wire::byte* end = wire::put_varint(bytes, v);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(end - bytes));
}

inline void append_bytes_field(std::string& out, char tag, std::string_view bytes) {
  out += tag;
  append_varint(out, bytes.size());
  out += bytes;
}

/// A protobuf string: bytes that are not UTF-8 (paths, host names) become U+FFFD.
inline void append_string_field(std::string& out, char tag, std::string_view text) {
  std::string clean;
  utf8::sanitize(text, [&clean](std::string_view part) { clean += part; });
  append_bytes_field(out, tag, clean);
}

/// The content of an AnyValue message.
[[nodiscard]] inline std::string encode_any_value(const resource_value& value) {
  std::string out;
  struct writer {
    std::string& out;
    void operator()(const std::string& text) const { append_string_field(out, 0x0A, text); }
    void operator()(bool b) const { out.append({0x10, b ? '\1' : '\0'}); }
    void operator()(std::int64_t number) const {
      out += 0x18;
      append_varint(out, static_cast<std::uint64_t>(number));
    }
    void operator()(double number) const {
      wire::byte bytes[8];
      wire::put_fixed(bytes, number);
      out += 0x21;
      out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
    }
    void operator()(const std::vector<std::string>& texts) const {
      std::string array;
      for (const std::string& text : texts) append_bytes_field(array, 0x0A, encode_any_value(text));
      append_bytes_field(out, 0x2A, array);
    }
  };
  std::visit(writer{out}, value.get());
  return out;
}
}  // namespace detail

/// Fields 1 (resource) and 3 (schema_url) of ResourceSpans, ResourceMetrics and ResourceLogs, as sdk::batch takes them.
[[nodiscard]] inline std::string encode(const resource& r) {
  std::string message;
  for (const resource_attribute& a : r.attributes()) {
    std::string key_value;
    detail::append_string_field(key_value, 0x0A, a.key);
    detail::append_bytes_field(key_value, 0x12, detail::encode_any_value(a.value));
    detail::append_bytes_field(message, 0x0A, key_value);
  }
  std::string out;
  detail::append_bytes_field(out, 0x0A, message);
  if (!r.schema_url().empty()) detail::append_string_field(out, 0x1A, r.schema_url());
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI
