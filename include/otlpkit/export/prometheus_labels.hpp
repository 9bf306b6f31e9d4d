// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/value_view.hpp>
#include <otlpkit/export/prometheus_naming.hpp>
#include <otlpkit/export/prometheus_points.hpp>
#include <otlpkit/export/prometheus_values.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::prometheus::detail {

/// Labels on their way to a page: `name="value",name="value"`, sorted by name. Keys that are one label's name have
/// their values joined with `;`, in the order of the keys. A label without a value is left out: to Prometheus it is
/// the same as none.
class label_list {
 public:
  struct label {
    std::string name, key, value;
  };

  void add(std::string name, std::string_view key, std::string value) {
    if (!name.empty()) labels_.push_back({std::move(name), std::string{key}, std::move(value)});
  }
  void add(const field_view& f, const naming& n) { add(n.label(f.key), f.key, text_of(f.value)); }

  [[nodiscard]] bool has(std::string_view name) const noexcept {
    return std::ranges::any_of(labels_, [name](const label& l) { return l.name == name; });
  }

  /// Sorts and joins; what is read afterwards has each name once.
  void settle() {
    std::ranges::sort(labels_, [](const label& a, const label& b) {
      return std::pair{std::string_view{a.name}, std::string_view{a.key}} <
             std::pair{std::string_view{b.name}, std::string_view{b.key}};
    });
    std::vector<label> joined;
    for (label& l : labels_) {
      if (!joined.empty() && joined.back().name == l.name) {
        joined.back().value.append(";").append(l.value);
      } else {
        joined.push_back(std::move(l));
      }
    }
    labels_ = std::move(joined);
  }
  [[nodiscard]] const std::vector<label>& all() const noexcept { return labels_; }

  void append_to(std::string& out) const {
    for (const label& l : labels_) {
      if (l.value.empty()) continue;
      if (!out.empty()) out.push_back(',');
      append_name(out, l.name, false);
      out.append("=\"");
      append_escaped(out, l.value, true);
      out.push_back('"');
    }
  }

 private:
  std::vector<label> labels_;
};

/// The instrumentation scope as labels, which every series of it has.
struct scope_labels {
  label_list labels;
  std::string text;

  scope_labels() = default;
  /// \param head fields 1 and 3 of ScopeMetrics
  scope_labels(std::string_view head, const naming& n) {
    std::string_view scope, schema_url, name, version;
    for (wire_reader f{head}; f.next();) {
      if (f.is(1, wire_reader::len)) scope = f.bytes();
      if (f.is(3, wire_reader::len)) schema_url = f.bytes();
    }
    std::vector<field_view> attributes;
    for (wire_reader f{scope}; f.next();) {
      if (f.is(1, wire_reader::len)) name = f.bytes();
      if (f.is(2, wire_reader::len)) version = f.bytes();
      if (f.is(3, wire_reader::len)) attributes.emplace_back(f.bytes());
    }
    labels.add("otel_scope_name", "", std::string{name});
    labels.add("otel_scope_version", "", std::string{version});
    labels.add("otel_scope_schema_url", "", std::string{schema_url});
    for (const field_view& a : attributes) {
      std::string label = n.label("otel_scope_" + std::string{a.key});
      if (label == "otel_scope_name" || label == "otel_scope_version" || label == "otel_scope_schema_url") continue;
      labels.add(std::move(label), a.key, text_of(a.value));
    }
    labels.settle();
    labels.append_to(text);
  }

  /// Adds attributes of the resource.
  void add(const std::vector<field_view>& more, const naming& n) {
    for (const field_view& a : more) {
      std::string name = n.label(a.key);
      if (!labels.has(name)) labels.add(std::move(name), a.key, text_of(a.value));
    }
    labels.settle();
    text.clear();
    labels.append_to(text);
  }
};

/// The labels of one series. A label of the measurement that is called like one the page adds is renamed
/// `exported_...`, as Prometheus itself does it. \param reserved `le` or `quantile` where the kind of metric has it,
/// else ""
[[nodiscard]] inline std::string series_labels(const std::vector<field_view>& attributes, const scope_labels& scope,
                                               std::string_view reserved, const naming& n) {
  label_list labels;
  for (const field_view& a : attributes) {
    std::string name = n.label(a.key);
    if (!name.empty() && (name == reserved || scope.labels.has(name))) name.insert(0, "exported_");
    labels.add(std::move(name), a.key, text_of(a.value));
  }
  labels.settle();
  std::string out;
  labels.append_to(out);
  if (!scope.text.empty()) out.append(out.empty() ? "" : ",").append(scope.text);
  return out;
}

/// An exemplar as OpenMetrics writes it after a sample: ` # {trace_id="..."} value time`. Empty when it would have no
/// label. Attributes that do not fit into the 128 characters the format allows are left out.
[[nodiscard]] inline std::string exemplar_text(const exemplar_view& e, const naming& n) {
  constexpr std::size_t most = 128;
  constexpr char hex[] = "0123456789abcdef";
  std::size_t used = 0;
  std::string labels;
  const auto add = [&](std::string_view name, std::string_view value) {
    const std::size_t size = name.size() + utf8::count(value);
    if (value.empty() || size > most - used) return;
    used += size;
    if (!labels.empty()) labels.push_back(',');
    append_name(labels, name, false);
    labels.append("=\"");
    append_escaped(labels, value, true);
    labels.push_back('"');
  };
  const auto add_id = [&](std::string_view name, std::string_view id) {
    std::string digits;
    for (const char c : id.size() <= 16 ? id : std::string_view{})
      digits.append({hex[static_cast<unsigned char>(c) >> 4], hex[c & 15]});
    add(name, digits);
  };
  add_id("trace_id", e.trace);
  add_id("span_id", e.span);
  label_list attributes;
  for (const field_view& a : e.attributes) {
    std::string name = n.label(a.key);
    if (name != "trace_id" && name != "span_id") attributes.add(std::move(name), a.key, text_of(a.value));
  }
  attributes.settle();
  for (const label_list::label& l : attributes.all()) add(l.name, l.value);
  if (labels.empty()) return {};
  std::string out = " # {" + labels + "} ";
  if (e.value.is_integer) {
    append_number(out, e.value.integer);
  } else {
    append_number(out, e.value.real);
  }
  if (e.time != 0) {
    out.push_back(' ');
    append_number(out, e.time / 1'000'000'000);
    std::string ns = std::to_string(e.time % 1'000'000'000);
    ns.insert(0, 9 - ns.size(), '0');
    out.append(".").append(ns, 0, 3);
  }
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus::detail
