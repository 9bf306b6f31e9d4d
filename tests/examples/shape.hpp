// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/testing/text_diff.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Trees without the spans of commands to Redis, which the stand-in for it does not have.
[[nodiscard]] inline std::string without_redis(const std::string& trees) {
  struct row {
    std::size_t depth = 0;
    std::string text;
    std::vector<std::string> events;
  };
  std::vector<row> rows;
  for (std::string_view line : otlpkit::testing::detail::lines_of(trees)) {
    std::size_t depth = 0;
    for (bool more = true; more;) {
      more = false;
      for (const std::string_view unit : {"\u2502  ", "   ", "\u251c\u2500 ", "\u2514\u2500 "}) {
        if (!line.starts_with(unit)) continue;
        line.remove_prefix(unit.size());
        ++depth;
        more = true;
        break;
      }
    }
    if (line.starts_with("\u00b7"))
      rows.back().events.emplace_back(line);
    else
      rows.push_back({depth, std::string{line}, {}});
  }
  std::erase_if(rows, [](const row& r) { return r.text.find(" [db.system.name=redis ") != std::string::npos; });

  std::string out;
  std::vector<bool> last;  // of its siblings, for each depth above
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const row& r = rows[i];
    const auto next = std::find_if(rows.begin() + static_cast<std::ptrdiff_t>(i) + 1, rows.end(),
                                   [&r](const row& other) { return other.depth <= r.depth; });
    last.resize(r.depth + 1);
    last[r.depth] = next == rows.end() || next->depth < r.depth;
    std::string indent;
    for (std::size_t d = 1; d < r.depth; ++d) indent += last[d] ? "   " : "\u2502  ";
    out += indent;
    if (r.depth > 0) {
      out += last[r.depth] ? "\u2514\u2500 " : "\u251c\u2500 ";
      indent += last[r.depth] ? "   " : "\u2502  ";
    }
    out += r.text + "\n";
    const bool parent = i + 1 < rows.size() && rows[i + 1].depth > r.depth;
    for (const std::string& event : r.events) out += indent + (parent ? "\u2502  " : "   ") + event + "\n";
  }
  return out;
}

/// A tree: its first line, and what is below it, in pieces that several trees may share.
[[nodiscard]] inline std::string tree(const std::string& root, const std::vector<std::string>& below) {
  std::string out = root + "\n";
  for (const std::string& piece : below) out += otlpkit::testing::dedent(piece);
  return out;
}

/// A scenario's program, run to its end.
struct scenario_run {
  int status = -1;
  std::string output;

  /// The trees of the act whose title contains `title`, without what the program says in between.
  [[nodiscard]] std::string whole_trees(std::string_view title) const {
    const std::size_t found = output.find(title);
    if (found == std::string::npos) return "there is no act with \"" + std::string{title} + "\"";
    std::size_t at = output.find('\n', found) + 1;
    std::string out;
    while (at < output.size()) {
      const std::size_t stop = std::min(output.find('\n', at), output.size());
      const std::string line = output.substr(at, stop - at);
      at = stop + 1;
      if (std::regex_search(line, std::regex{"^([0-9]+\\. |metrics$|[a-z_]+: [0-9]+ acts)"})) break;
      if (!line.starts_with("   ") || line.find("\u2500") != std::string::npos ||
          line.find("\u00b7") != std::string::npos)
        out += line + "\n";
    }
    while (out.ends_with("\n\n")) out.pop_back();
    return out;
  }

  /// Those trees without what changes from run to run, and what the decorators of databases, locks and HTTP say: their
  /// own tests look at that.
  [[nodiscard]] std::string trees(std::string_view title) const {
    std::string out = whole_trees(title);
    if (out.find("db.system.name=redis") != std::string::npos) out = without_redis(out);
    out = std::regex_replace(out, std::regex{"^\n+|\n(?=\n\n)|\n(?=\n$)"}, "");  // traces of such commands alone
    for (const auto& [varies, instead] :
         {std::pair{" \\[(db\\.system\\.name|http\\.request\\.method|otlpkit\\.lock\\.)[^\n]*\\]", ""},
          std::pair{"on_retry \\[[^\n]*\\]", "on_retry"}, std::pair{"(db_query_time|age)_ms=[0-9.e+-]+", "$1_ms=T"},
          std::pair{"(order|payment)-[0-9a-f]{16}", "$1-ID"}, std::pair{"otlpkit::v[0-9_]+::", "otlpkit::"}}) {
      out = std::regex_replace(out, std::regex{varies}, instead);
    }
    return out;
  }

  /// Empty if those trees are `expected`, otherwise the difference.
  [[nodiscard]] std::string diff(std::string_view title, std::string_view expected) const {
    return otlpkit::testing::text_diff(otlpkit::testing::dedent(expected), trees(title));
  }

  /// Empty if one of those trees is `expected`, for acts whose requests run on several threads; otherwise all of them.
  [[nodiscard]] std::string missing(std::string_view title, std::string_view expected) const {
    const std::string all = "\n" + trees(title) + "\n\n";
    return all.find("\n" + otlpkit::testing::dedent(expected) + "\n") == std::string::npos ? all : "";
  }
};

/// Runs an example with these arguments, trees without times, and whatever OTEL_* says kept away from it.
[[nodiscard]] inline scenario_run run_scenario(const std::string& name, const std::string& arguments = "--shape") {
  const std::string command =
      "env -u OTEL_EXPORTER_OTLP_ENDPOINT -u OTEL_TRACES_EXPORTER -u OTEL_SDK_DISABLED " OTLPKIT_EXAMPLES_DIR "/" +
      name + " " + arguments + " 2>&1";
  scenario_run run;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return run;
  std::array<char, 4096> part{};
  while (const std::size_t n = std::fread(part.data(), 1, part.size(), pipe)) run.output.append(part.data(), n);
  const int status = ::pclose(pipe);
  run.status = status < 0 ? status : (status >> 8) & 0xFF;
  return run;
}
