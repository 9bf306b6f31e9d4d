// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/trace_model.hpp>
#include <otlpkit/export/tree_line.hpp>
#include <otlpkit/export/tree_options.hpp>
#include <otlpkit/export/tree_rows.hpp>
#include <otlpkit/export/tree_text.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

namespace detail {

/// Draws one trace. The layout: gutter and name, `*` on the critical path, bar, duration, share of the trace, then what
/// went wrong, marks and fields as far as the line goes.
class tree_renderer {
 public:
  tree_renderer(std::span<const tree_span> spans, const tree_options& options)
      : model_{spans}, options_{options}, whole_{model_.end() - std::min(model_.start(), model_.end())} {
    for (const tree_span& s : spans) services_.insert(s.service);
  }

  [[nodiscard]] std::string render() && {
    if (model_.size() == 0) return {};
    if (options_.times) header();
    const std::size_t label_limit = options_.width == 0 ? 60 : std::max<std::size_t>(20, options_.width * 2 / 5);
    const std::size_t depth_limit = options_.times ? (label_limit - 12) / 3 : options_.max_depth;
    std::size_t left_out = 0;
    const std::vector<tree_row> rows =
        list_rows(model_, options_, std::max<std::size_t>(1, std::min(options_.max_depth, depth_limit)), left_out);
    if (options_.times) {
      for (const tree_row& row : rows)
        label_ = std::max(label_, columns_of(row.gutter) + columns_of(row_name(model_, row)));
      label_ = std::min(label_, label_limit);
    }
    for (const tree_row& row : rows) {
      options_.times ? timed_row(row) : plain_row(row);
      if (!row.folded()) notes_of(row);
    }
    if (left_out > 0) {
      line_writer line = new_line();
      line.add("… " + counted(left_out, "more span"), style::dim);
      line.end();
    }
    if (options_.times && model_.size() > 1) trailer();
    return std::move(out_);
  }

 private:
  [[nodiscard]] line_writer new_line() { return {out_, options_.width, options_.colour}; }

  [[nodiscard]] static std::string counted(std::size_t n, std::string_view noun) {
    std::string text;
    append_number(text, static_cast<std::int64_t>(n));
    text.append(" ").append(noun);
    if (n != 1) text += "s";
    return text;
  }

  [[nodiscard]] std::string escaped(std::string_view text) const {
    std::string out;
    append_text(out, text, options_.max_value);
    return out;
  }

  [[nodiscard]] std::string time_and_share(std::uint64_t ns) const {
    std::string text;
    append_duration(text, ns);
    text += " (";
    append_share(text, ns, whole_);
    return text + ")";
  }

  void header() {
    const tree_span& root = model_.source(model_.main_root());
    const bool nameless = root.service.empty() || root.service.starts_with("unknown_service");
    std::size_t errors = 0;
    for (std::uint32_t i = 0; i < model_.size(); ++i) errors += model_.span(i).is_error() ? 1 : 0;
    std::string duration;
    append_duration(duration, whole_);
    line_writer line = new_line();
    line.add(escaped(nameless && !root.span.name().empty() ? root.span.name() : root.service), style::bold);
    line.add("  " + duration + "  " + counted(model_.size(), "span"));
    line.add("  " + counted(services_.size(), "service"));
    if (errors > 0) {
      line.add("  ");
      line.add(counted(errors, "error"), style::error);
    }
    std::string id = "  trace ";
    append_hex(id, root.span.trace_id().substr(0, 16));
    line.add(id, style::dim);
    if (!options_.note.empty()) line.add("  (" + escaped(options_.note) + ")", style::dim);
    line.end();
  }

  void timed_row(const tree_row& row) {
    const span_view& span = model_.span(row.first());
    const std::string_view colour = style::of_service(model_.source(row.first()).service);
    std::uint64_t from = span.start_time(), to = span.end_time(), sum = 0, longest = 0;
    bool critical = false;
    for (const std::uint32_t i : row.spans) {
      const span_view& s = model_.span(i);
      from = std::min(from, s.start_time());
      to = std::max(to, s.end_time());
      sum += s.duration();
      longest = std::max(longest, s.duration());
      critical = critical || model_.node(i).critical;
    }
    const std::size_t gutter = columns_of(row.gutter);
    std::string duration, share;
    append_duration(duration, sum);
    append_share(share, sum, whole_);

    line_writer line = new_line();
    line.add(row.gutter, style::dim);
    line.add(fit(row_name(model_, row), label_ > gutter ? label_ - gutter : 1),
             span.is_error() ? style::error : colour);
    line.pad_to(label_);
    line.add(critical ? " * " : "   ", style::bold);
    line.add(bar(from, to, model_.start(), model_.end(), options_.width != 0 && options_.width < 100 ? 12 : 20),
             colour);
    line.add_right(duration, 9);
    line.add_right(share, 6, style::dim);
    if (row.folded()) {
      std::string statistics = "  avg ";
      append_duration(statistics, sum / row.spans.size());
      statistics += " max ";
      append_duration(statistics, longest);
      line.add(statistics);
    }
    if (span.is_error()) line.add("  " + error_text(span), style::error);
    for (const std::string& mark : marks(row)) line.add("  " + mark, mark.starts_with('[') ? style::bold : style::dim);
    if (row.folded()) return line.end();
    if (const std::string fields = span_fields(span, options_); !fields.empty()) line.add("  " + fields);
    line.end();
  }

  void plain_row(const tree_row& row) {
    const span_view& span = model_.span(row.first());
    line_writer line = new_line();
    line.add(row.gutter);
    line.add(row_name(model_, row));
    const std::string fields = row.folded() ? std::string{} : span_fields(span, options_);
    if (!fields.empty()) line.add(" [" + fields + "]");
    for (const std::string& mark : marks(row)) line.add(" " + mark);
    if (span.is_error())
      line.add(span.status_message().empty() ? " !ERROR" : " !ERROR(" + escaped(span.status_message()) + ")");
    line.end();
  }

  /// "ERROR timeout: no answer in 500 ms", as much of it as the span says.
  [[nodiscard]] std::string error_text(const span_view& span) const {
    std::string text = "ERROR";
    const std::string_view type = span.attribute("error.type").as_string();
    if (!type.empty()) text += " " + escaped(type);
    if (!span.status_message().empty()) text += (type.empty() ? " " : ": ") + escaped(span.status_message());
    return text;
  }

  [[nodiscard]] std::vector<std::string> marks(const tree_row& row) const {
    std::vector<std::string> out;
    const std::uint32_t i = row.first();
    const tree_node& node = model_.node(i);
    const span_view& span = model_.span(i);
    constexpr std::string_view kinds[] = {"server", "client", "producer", "consumer"};
    if (options_.kinds && span.kind() >= 2 && span.kind() <= 5) out.emplace_back(kinds[span.kind() - 2]);
    const bool changes =
        node.parent == tree_node::none || model_.source(node.parent).service != model_.source(i).service;
    if (options_.kinds && changes && services_.size() > 1) out.push_back("@" + escaped(model_.source(i).service));
    if (node.detached) out.emplace_back("[detached]");
    if (options_.times && model_.outlives_parent(i)) out.emplace_back("[async]");
    if (node.orphan) out.emplace_back("[parent missing]");
    if (node.cyclic) out.emplace_back("[parent cycle]");
    if (row.folded()) return out;
    const auto dropped = [&out](std::uint32_t n, std::string_view what) {
      if (n != 0) out.push_back("[" + counted(n, what) + " dropped]");
    };
    dropped(span.dropped_attributes(), "attribute");
    dropped(span.dropped_events(), "event");
    dropped(span.dropped_links(), "link");
    return out;
  }

  void notes_of(const tree_row& row) {
    const span_view& span = model_.span(row.first());
    std::size_t n = 0;
    if (options_.events) {
      for (const event_view event : span.events()) {
        if (options_.max_events == 0 || n++ < options_.max_events) event_line(row, span, event);
      }
      more_line(row, n, "event");
    }
    n = 0;
    if (options_.links) {
      for (const link_view link : span.links()) {
        if (options_.max_events == 0 || n++ < options_.max_events) link_line(row, span, link);
      }
      more_line(row, n, "link");
    }
  }

  void more_line(const tree_row& row, std::size_t n, std::string_view what) {
    if (options_.max_events == 0 || n <= options_.max_events) return;
    line_writer line = new_line();
    line.add(row.below + "· … " + counted(n - options_.max_events, std::string{"more "}.append(what)), style::dim);
    line.end();
  }

  void event_line(const tree_row& row, const span_view& span, const event_view& event) {
    const bool exception = event.name() == "exception";
    std::string text = "· ";
    if (options_.times) {
      text += "+";
      append_duration(text, event.time() > span.start_time() ? event.time() - span.start_time() : 0);
      text += " ";
    }
    text += escaped(event.name());
    if (exception) {
      std::string_view type, message;
      for (const field_view field : event.attributes()) {
        if (field.key == "exception.type") type = field.value.as_string();
        if (field.key == "exception.message") message = field.value.as_string();
      }
      if (!type.empty()) text += " " + escaped(type);
      if (!message.empty()) text += (type.empty() ? " " : ": ") + escaped(message);
    }
    std::string fields;
    append_fields(fields, event.attributes(), options_, [&](std::string_view key) {
      return exception && (key == "exception.type" || key == "exception.message" || key == "exception.stacktrace");
    });
    if (!fields.empty()) text += " [" + fields + "]";
    line_writer line = new_line();
    line.add(row.below, style::dim);
    line.add(text, exception ? style::error : style::plain);
    line.end();
  }

  void link_line(const tree_row& row, const span_view& span, const link_view& link) {
    std::string text = "↳ link";
    const std::uint32_t target = link.trace_id() == span.trace_id() ? model_.find(link.span_id()) : tree_node::none;
    if (target != tree_node::none) {
      text += " " + escaped(model_.span(target).name());
    } else if (options_.times) {
      text += " trace ";
      append_hex(text, link.trace_id().substr(0, 16));
      text += " span ";
      append_hex(text, link.span_id().substr(0, 8));
    }
    std::string fields;
    append_fields(fields, link.attributes(), options_, [](std::string_view) { return false; });
    if (!fields.empty()) text += " [" + fields + "]";
    line_writer line = new_line();
    line.add(row.below, style::dim);
    line.add(text);
    line.end();
  }

  void trailer() {
    struct total {
      std::uint64_t ns = 0;
      std::size_t spans = 0;
    };
    const auto largest_first = [](const std::map<std::string_view, total>& totals) {
      std::vector<std::pair<std::string_view, total>> out{totals.begin(), totals.end()};
      std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
        return a.second.ns != b.second.ns ? a.second.ns > b.second.ns : a.first < b.first;
      });
      return out;
    };
    std::map<std::string_view, total> on_path, self;
    for (const auto& [i, ns] : model_.critical_path()) on_path[model_.span(i).name()].ns += ns;
    for (std::uint32_t i = 0; i < model_.size(); ++i) {
      total& t = self[model_.span(i).name()];
      t.ns += model_.node(i).self;
      ++t.spans;
    }
    line_writer line = new_line();
    line.add("critical path:", style::dim);
    constexpr std::size_t most = 5;
    const auto path = largest_first(on_path);
    for (std::size_t i = 0; i < path.size() && i < most; ++i) {
      line.add((i == 0 ? " " : ", ") + escaped(path[i].first) + " " + time_and_share(path[i].second.ns));
    }
    if (path.size() > most) line.add(", …");
    line.end();

    const auto [name, slowest] = largest_first(self).front();
    std::string text = " " + escaped(name);
    if (slowest.spans > 1) text += " x" + std::to_string(slowest.spans);
    line_writer last = new_line();
    last.add("slowest self time:", style::dim);
    last.add(text + " " + time_and_share(slowest.ns));
    last.end();
  }

  trace_model model_;
  const tree_options& options_;
  std::uint64_t whole_;
  std::set<std::string_view> services_;
  std::size_t label_ = 0;
  std::string out_;
};

}  // namespace detail

/// Draws the spans of one trace as a tree, each line ending with a newline. Any input is safe: names and values are
/// escaped, orphans and cycles are shown as roots with a mark, and the cost grows with n log n.
[[nodiscard]] inline std::string render_tree(std::span<const tree_span> spans, const tree_options& options = {}) {
  return detail::tree_renderer{spans, options}.render();
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
