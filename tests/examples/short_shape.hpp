// SPDX-License-Identifier: MIT
#pragma once

#include "examples/shape.hpp"

#include <otlpkit/testing/text_diff.hpp>

#include <algorithm>
#include <cstddef>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

/// The trees of an act as run.trees() gives them, with what is of no interest to a scenario left out: random parts of
/// ids, and attributes of messaging but for what went wrong. Traces are in the order of their text.
[[nodiscard]] inline std::string short_trees(const scenario_run& run, std::string_view title) {
  std::string out = run.trees(title);
  const auto replace = [&out](const char* what, const char* by) {
    out = std::regex_replace(out, std::regex{what}, by);
  };
  replace("-[0-9a-f]{16}", "-ID");
  replace(" \\[messaging[^\n]*error\\.type=\"?([\\w:]+)\"?\\]", " $1");
  replace(" \\[messaging[^\n]*\\]", "");
  std::vector<std::string> trees;  // several traces of an act come in any order
  while (!out.empty()) {
    const std::size_t end = out.find("\n\n");
    trees.push_back(out.substr(0, end == std::string::npos ? end : end + 1));
    out.erase(0, end == std::string::npos ? end : end + 2);
  }
  std::sort(trees.begin(), trees.end());
  for (const std::string& tree : trees) out += (out.empty() ? "" : "\n") + tree;
  return out;
}

/// Empty if those are `expected`, otherwise the difference.
[[nodiscard]] inline std::string short_diff(const scenario_run& run, std::string_view title,
                                            std::string_view expected) {
  return otlpkit::testing::text_diff(otlpkit::testing::dedent(expected), short_trees(run, title));
}
