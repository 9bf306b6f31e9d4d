// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/tree_text.hpp>
#include <otlpkit/trace/span_view.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Finished telemetry as plain values that own what they hold, for assertions.
namespace otlpkit::inline OTLPKIT_ABI::testing {

/// The value of an attribute: an AnyValue that owns its bytes. Compares with the literals a test writes, and only with
/// those of its own kind: `1` is not `1.0` is not "1".
class value {
 public:
  using type = value_view::type;

  value() : value{value_view{}} {}
  /// Arrays and maps nested deeper than 64 come out empty.
  explicit value(value_view v) : value{v, 64} {}

  [[nodiscard]] type kind() const noexcept { return type_; }
  /// The value of that kind; otherwise 0, false or empty.
  [[nodiscard]] std::int64_t as_int() const noexcept { return integer_; }
  [[nodiscard]] double as_double() const noexcept { return real_; }
  [[nodiscard]] bool as_bool() const noexcept { return boolean_; }
  /// The text of a string or the bytes of a bytes value.
  [[nodiscard]] const std::string& as_string() const noexcept { return bytes_; }
  [[nodiscard]] const std::vector<value>& elements() const noexcept { return elements_; }
  [[nodiscard]] const std::vector<std::pair<std::string, value>>& entries() const noexcept { return entries_; }
  /// As trees and snapshots show it.
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

  [[nodiscard]] friend bool operator==(const value& v, std::string_view s) noexcept {
    return v.type_ == type::string && v.bytes_ == s;
  }
  [[nodiscard]] friend bool operator==(const value& v, const char* s) noexcept { return v == std::string_view{s}; }
  [[nodiscard]] friend bool operator==(const value& v, bool b) noexcept {
    return v.type_ == type::boolean && v.boolean_ == b;
  }
  template <std::integral T>
  requires(!std::same_as<T, bool>) [[nodiscard]] friend bool operator==(const value& v, T i) noexcept {
    return v.type_ == type::integer && std::in_range<T>(v.integer_) && static_cast<T>(v.integer_) == i;
  }
  [[nodiscard]] friend bool operator==(const value& v, double d) noexcept {
    return v.type_ == type::real && v.real_ == d;
  }
  /// Doubles compare by number, so NaN differs from itself.
  [[nodiscard]] friend bool operator==(const value& a, const value& b) noexcept {
    return a.type_ == b.type_ && a.integer_ == b.integer_ && a.real_ == b.real_ && a.boolean_ == b.boolean_ &&
           a.bytes_ == b.bytes_ && a.elements_ == b.elements_ && a.entries_ == b.entries_;
  }
  friend std::ostream& operator<<(std::ostream& out, const value& v) { return out << v.text_; }

 private:
  value(value_view v, int depth)
      : type_{v.kind()}, integer_{v.as_int()}, real_{v.as_double()}, boolean_{v.as_bool()}, bytes_{
                                                                                                type_ == type::bytes
                                                                                                    ? v.as_bytes()
                                                                                                    : v.as_string()} {
    exporters::detail::append_value(text_, v, 0);
    if (depth == 0) return;
    for (const value_view element : v.elements()) elements_.push_back(value{element, depth - 1});
    for (const field_view entry : v.entries()) entries_.emplace_back(entry.key, value{entry.value, depth - 1});
  }

  type type_ = type::empty;
  std::int64_t integer_ = 0;
  double real_ = 0;
  bool boolean_ = false;
  std::string bytes_;
  std::string text_;
  std::vector<value> elements_;
  std::vector<std::pair<std::string, value>> entries_;
};

/// Attributes in the order they were recorded, duplicates and all.
class attribute_list {
 public:
  attribute_list() = default;
  template <typename Fields>
  explicit attribute_list(const Fields& fields) {
    for (const field_view field : fields) items_.emplace_back(field.key, value{field.value});
  }

  [[nodiscard]] bool contains(std::string_view key) const noexcept { return find(key) != nullptr; }
  /// The value of `key`, the last one if it is there twice. Throws std::out_of_range naming it and the keys there are.
  [[nodiscard]] const value& at(std::string_view key) const {
    if (const value* v = find(key)) return *v;
    std::string message = "no attribute \"" + std::string{key} + "\"; there are:";
    for (const auto& item : items_) message += " " + item.first;
    throw std::out_of_range{message};
  }
  [[nodiscard]] const value& operator[](std::string_view key) const { return at(key); }
  /// Like at(), but nullptr when there is none.
  [[nodiscard]] const value* find(std::string_view key) const noexcept {
    for (auto i = items_.rbegin(); i != items_.rend(); ++i) {
      if (i->first == key) return &i->second;
    }
    return nullptr;
  }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  [[nodiscard]] auto begin() const noexcept { return items_.begin(); }
  [[nodiscard]] auto end() const noexcept { return items_.end(); }

 private:
  std::vector<std::pair<std::string, value>> items_;
};

struct event_record {
  std::string name;
  std::uint64_t time = 0;  ///< Unix nanoseconds
  attribute_list attributes;
  std::uint32_t dropped_attributes = 0;
};

struct link_record {
  std::string trace_id;  ///< lowercase hex
  std::string span_id;   ///< lowercase hex
  std::string trace_state;
  std::uint32_t flags = 0;
  attribute_list attributes;
  std::uint32_t dropped_attributes = 0;
};

/// A finished span with all it holds.
struct span_record {
  std::string name;
  std::string trace_id;   ///< lowercase hex
  std::string span_id;    ///< lowercase hex
  std::string parent_id;  ///< lowercase hex, empty for a root
  std::string trace_state;
  std::uint32_t kind = 0;  ///< OTLP's number: 1 internal, 2 server, 3 client, 4 producer, 5 consumer
  std::uint32_t flags = 0;
  std::uint64_t start = 0;   ///< Unix nanoseconds
  std::uint64_t end = 0;     ///< Unix nanoseconds
  std::uint32_t status = 0;  ///< OTLP's number: 0 unset, 1 ok, 2 error
  std::string status_message;
  attribute_list attributes;
  std::vector<event_record> events;
  std::vector<link_record> links;
  std::uint32_t dropped_attributes = 0;
  std::uint32_t dropped_events = 0;
  std::uint32_t dropped_links = 0;
  std::string service;  ///< service.name of the resource
  std::string scope;    ///< name of the instrumentation scope
  std::string scope_version;
  attribute_list resource;
  std::string bytes;  ///< the encoded Span
  bool ok = true;     ///< whether it decoded to its end

  [[nodiscard]] std::uint64_t duration() const noexcept { return end > start ? end - start : 0; }
  [[nodiscard]] bool is_error() const noexcept { return status == 2; }
  [[nodiscard]] bool is_root() const noexcept { return parent_id.empty(); }
  /// The first event of that name, nullptr when there is none.
  [[nodiscard]] const event_record* event(std::string_view event_name) const noexcept {
    for (const event_record& e : events) {
      if (e.name == event_name) return &e;
    }
    return nullptr;
  }

  [[nodiscard]] static span_record from(const span_view& span, const span_origin& origin = {}) {
    const auto hex = [](std::string_view bytes) {
      std::string out;
      exporters::detail::append_hex(out, bytes);
      return out;
    };
    span_record r;
    r.name = span.name();
    r.trace_id = hex(span.trace_id());
    r.span_id = hex(span.span_id());
    r.parent_id = hex(span.parent_id());
    r.trace_state = span.trace_state();
    r.kind = span.kind();
    r.flags = span.flags();
    r.start = span.start_time();
    r.end = span.end_time();
    r.status = span.status_code();
    r.status_message = span.status_message();
    r.attributes = attribute_list{span.attributes()};
    for (const event_view e : span.events()) {
      r.events.push_back({std::string{e.name()}, e.time(), attribute_list{e.attributes()}, e.dropped_attributes()});
    }
    for (const link_view l : span.links()) {
      r.links.push_back({hex(l.trace_id()), hex(l.span_id()), std::string{l.trace_state()}, l.flags(),
                         attribute_list{l.attributes()}, l.dropped_attributes()});
    }
    r.dropped_attributes = span.dropped_attributes();
    r.dropped_events = span.dropped_events();
    r.dropped_links = span.dropped_links();
    r.service = origin.resource.service_name();
    r.scope = origin.scope.name();
    r.scope_version = origin.scope.version();
    r.resource = attribute_list{origin.resource.attributes()};
    r.bytes = span.bytes();
    r.ok = span.ok();
    return r;
  }
};

/// The spans of an ExportTraceServiceRequest.
/// Throws std::invalid_argument when it does not decode: what a test receives has to be right.
[[nodiscard]] inline std::vector<span_record> decode_spans(std::string_view request) {
  std::vector<span_record> out;
  const bool ok = for_each_span(request, [&out](const span_view& span, const span_origin& origin) {
    out.push_back(span_record::from(span, origin));
  });
  if (!ok) throw std::invalid_argument{"an ExportTraceServiceRequest does not decode"};
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::testing
