// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/trace_tree.hpp>
#include <otlpkit/testing/span_record.hpp>
#include <otlpkit/testing/text_diff.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::testing {

/// What a snapshot shows. The default: every attribute, events and links, siblings by start time.
using snapshot_options = exporters::tree_options;

/// Snapshots with these attributes only: those whose values are the same in every run.
[[nodiscard]] inline snapshot_options only_fields(std::vector<std::string> keys) {
  snapshot_options o = snapshot_options::snapshot();
  o.fields = exporters::tree_fields::listed;
  o.keys = std::move(keys);
  return o;
}

/// Snapshots of the shape alone: names, nesting, marks, errors and events.
[[nodiscard]] inline snapshot_options without_fields() { return only_fields({}); }

/// The trees of all traces among `spans`, without times and ids, the trace that started first on top, a blank line
/// between two. The same work gives the same text:
///
/// \code
/// product.view [product_id=p-1 cache_hit=false]
/// ├─ cache.get products
/// └─ product.increment_views [detached]
/// \endcode
///
/// Siblings that run in parallel start in any order: set `order` to tree_order::name where there are such.
[[nodiscard]] inline std::string snapshot(const std::vector<span_record>& spans,
                                          const snapshot_options& options = snapshot_options::snapshot()) {
  std::map<std::string_view, std::vector<exporters::tree_span>> by_trace;
  for (const span_record& s : spans) by_trace[s.trace_id].push_back({span_view{s.bytes}, s.service});
  std::vector<std::tuple<std::uint64_t, std::string>>
      trees;  // traces that start at the same time are ordered by their text
  for (const auto& [id, members] : by_trace) {
    std::uint64_t start = members.front().span.start_time();
    for (const auto& m : members) start = std::min(start, m.span.start_time());
    trees.emplace_back(start, exporters::render_tree(members, options));
  }
  std::sort(trees.begin(), trees.end());
  std::string out;
  for (const auto& [start, text] : trees) {
    if (!out.empty()) out += '\n';
    out += text;
  }
  return out;
}

/// Compares the snapshot of `spans` with what is expected.
/// \param expected indented and framed by line ends as a raw string literal likes it; that is taken off
/// \return empty when they are equal; otherwise a line-by-line difference to be printed, as from
///         `CHECK(snapshot_diff(spans, R"(...)") == "")`
[[nodiscard]] inline std::string snapshot_diff(const std::vector<span_record>& spans, std::string_view expected,
                                               const snapshot_options& options = snapshot_options::snapshot()) {
  return text_diff(dedent(expected), snapshot(spans, options));
}

/// All spans of that name, in the order of `spans`.
[[nodiscard]] inline std::vector<span_record> named(const std::vector<span_record>& spans, std::string_view name) {
  std::vector<span_record> out;
  for (const span_record& s : spans) {
    if (s.name == name) out.push_back(s);
  }
  return out;
}

/// The one span of that name. Throws std::out_of_range that says which names there are, when there is none or more than
/// one.
[[nodiscard]] inline span_record only(const std::vector<span_record>& spans, std::string_view name) {
  std::vector<span_record> found = named(spans, name);
  if (found.size() == 1) return std::move(found.front());
  std::map<std::string_view, std::size_t> names;
  for (const span_record& s : spans) ++names[s.name];
  std::string message =
      std::to_string(found.size()) + " spans are named \"" + std::string{name} + "\", not 1; there are:";
  for (const auto& [n, count] : names) message += " \"" + std::string{n} + "\" x" + std::to_string(count);
  throw std::out_of_range{message};
}

/// The spans whose parent is `parent`, in the order of `spans`.
[[nodiscard]] inline std::vector<span_record> children_of(const std::vector<span_record>& spans,
                                                          const span_record& parent) {
  std::vector<span_record> out;
  for (const span_record& s : spans) {
    if (s.trace_id == parent.trace_id && s.parent_id == parent.span_id) out.push_back(s);
  }
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::testing
