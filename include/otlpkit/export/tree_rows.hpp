// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/trace_model.hpp>
#include <otlpkit/export/tree_options.hpp>
#include <otlpkit/export/tree_text.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::exporters::detail {

/// One line of the tree: a span, or several siblings that look the same.
struct tree_row {
  std::vector<std::uint32_t> spans;
  std::string gutter;  ///< what leads to the name
  std::string below;   ///< what leads to events under it
  [[nodiscard]] std::uint32_t first() const noexcept { return spans.front(); }
  [[nodiscard]] bool folded() const noexcept { return spans.size() > 1; }
};

/// The name a row shows, escaped.
[[nodiscard]] inline std::string row_name(const trace_model& model, const tree_row& row) {
  std::string name;
  append_text(name, model.span(row.first()).name(), 200);
  if (name.empty()) name = "(no name)";
  if (row.folded()) {
    name += " x";
    append_number(name, static_cast<std::int64_t>(row.spans.size()));
  }
  return name;
}

/// `key=value key=value` of the fields that `options` chooses, without those `skip(key)` leaves out.
template <typename Fields, typename Skip>
void append_fields(std::string& out, const Fields& fields, const tree_options& options, Skip&& skip) {
  std::size_t shown = 0;
  std::size_t more = 0;
  const auto show = [&](const field_view& field) {
    if (options.max_fields != 0 && shown == options.max_fields) {
      ++more;
      return;
    }
    if (shown++ > 0) out.push_back(' ');
    append_text(out, field.key, options.max_value);
    out.push_back('=');
    append_value(out, field.value, options.max_value);
  };
  if (options.fields == tree_fields::listed) {
    for (const std::string& key : options.keys) {
      for (const field_view field : fields) {
        if (field.key == key && !skip(field.key)) show(field);
      }
    }
  } else if (options.fields != tree_fields::none) {
    for (const field_view field : fields) {
      if (!skip(field.key)) show(field);
    }
  }
  if (more > 0) {
    out += " +";
    append_number(out, static_cast<std::int64_t>(more));
  }
}

[[nodiscard]] inline std::string span_fields(const span_view& span, const tree_options& options) {
  std::string out;
  append_fields(out, span.attributes(), options, [&options](std::string_view key) {
    if (key == "otlpkit.detached") return true;
    if (options.fields != tree_fields::key) return false;
    return key == "error.type" || key.starts_with("code.") || key.starts_with("thread.");
  });
  return out;
}

/// Siblings as rows: each its own, or folded where more than `fold_above` have the same shape and nothing went wrong in
/// them. Under a folded row, everything of one shape folds.
[[nodiscard]] inline std::vector<tree_row> as_rows(const trace_model& model, std::span<const std::uint32_t> siblings,
                                                   bool under_folded, const tree_options& options) {
  std::vector<tree_row> rows;
  if (options.fold_above == 0) {
    for (const std::uint32_t i : siblings) rows.push_back({{i}, {}, {}});
  } else {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> by_shape;  // shape, position
    for (std::uint32_t at = 0; at < siblings.size(); ++at) by_shape.emplace_back(model.node(siblings[at]).shape, at);
    std::sort(by_shape.begin(), by_shape.end());
    std::vector<std::pair<std::uint32_t, tree_row>> placed;  // where its first span stood
    for (std::size_t begin = 0; begin < by_shape.size();) {
      std::size_t end = begin;
      std::vector<std::uint32_t> same;
      const std::string_view name = model.span(siblings[by_shape[begin].second]).name();
      for (; end < by_shape.size() && by_shape[end].first == by_shape[begin].first; ++end) {
        const std::uint32_t i = siblings[by_shape[end].second];
        if (model.node(i).remarkable || model.span(i).name() != name) {
          placed.push_back({by_shape[end].second, {{i}, {}, {}}});
        } else {
          same.push_back(by_shape[end].second);
        }
      }
      if (under_folded || same.size() > options.fold_above) {
        if (!same.empty()) {
          tree_row row;
          for (const std::uint32_t at : same) row.spans.push_back(siblings[at]);
          placed.emplace_back(same.front(), std::move(row));
        }
      } else {
        for (const std::uint32_t at : same) placed.push_back({at, {{siblings[at]}, {}, {}}});
      }
      begin = end;
    }
    std::sort(placed.begin(), placed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [at, row] : placed) rows.push_back(std::move(row));
  }
  if (options.order == tree_order::name) {
    std::vector<std::tuple<std::string, std::string, std::size_t>> keys;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const span_view& span = model.span(rows[i].first());
      keys.emplace_back(row_name(model, rows[i]), span_fields(span, options), i);
    }
    std::sort(keys.begin(), keys.end());
    std::vector<tree_row> sorted;
    for (const auto& [name, fields, i] : keys) sorted.push_back(std::move(rows[i]));
    rows = std::move(sorted);
  }
  return rows;
}

/// All rows from top to bottom, at most `max_rows`.
/// \param[out] left_out spans that found no place
[[nodiscard]] inline std::vector<tree_row> list_rows(const trace_model& model, const tree_options& options,
                                                     std::size_t max_depth, std::size_t& left_out) {
  struct pending {
    tree_row row;
    std::size_t depth;
  };
  std::vector<tree_row> rows;
  std::vector<pending>
      stack;  // the next row on top; a stack of its own, because traces may be deeper than the thread's
  const auto push = [&](std::vector<tree_row> siblings, std::size_t depth, const std::string& prefix) {
    for (std::size_t i = siblings.size(); i-- > 0;) {
      const bool last = i + 1 == siblings.size();
      if (depth == 0) {
        // roots stand at the margin
      } else if (depth <= max_depth) {
        siblings[i].gutter = prefix + (last ? "└─ " : "├─ ");
        siblings[i].below = prefix + (last ? "   " : "│  ");
      } else {
        siblings[i].gutter = prefix + "⋮" + std::to_string(depth) + " ";
        siblings[i].below = prefix;
      }
      stack.push_back({std::move(siblings[i]), depth});
    }
  };
  push(as_rows(model, model.roots(), false, options), 0, {});
  std::size_t seen = 0;
  while (!stack.empty() && (options.max_rows == 0 || rows.size() < options.max_rows)) {
    pending top = std::move(stack.back());
    stack.pop_back();
    seen += top.row.spans.size();
    std::vector<std::uint32_t> children;
    for (const std::uint32_t i : top.row.spans) {
      children.insert(children.end(), model.children(i).begin(), model.children(i).end());
    }
    if (top.row.folded()) {
      std::sort(children.begin(), children.end(), [&](std::uint32_t a, std::uint32_t b) {
        return std::pair{model.span(a).start_time(), a} < std::pair{model.span(b).start_time(), b};
      });
    }
    push(as_rows(model, children, top.row.folded(), options), top.depth + 1, top.row.below);
    if (top.depth < max_depth) top.row.below += children.empty() ? "   " : "│  ";
    rows.push_back(std::move(top.row));
  }
  left_out = model.size() - seen;
  return rows;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters::detail
