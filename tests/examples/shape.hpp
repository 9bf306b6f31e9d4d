// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/testing/text_diff.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <regex>
#include <string>
#include <string_view>

/// A scenario's program, run to its end.
struct scenario_run {
  int status = -1;
  std::string output;

  /// The trees of the act whose title contains `title`, without what changes from run to run, what the database
  /// decorator says (its own test looks at that) and what the program says in between.
  [[nodiscard]] std::string trees(std::string_view title) const {
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
    out = std::regex_replace(out, std::regex{" \\[db\\.system\\.name[^\n]*\\]"}, "");
    return std::regex_replace(out, std::regex{"db_query_time_ms=[0-9.e+-]+"}, "db_query_time_ms=T");
  }

  /// Empty if those trees are `expected`, otherwise the difference.
  [[nodiscard]] std::string diff(std::string_view title, std::string_view expected) const {
    return otlpkit::testing::text_diff(otlpkit::testing::dedent(expected), trees(title));
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
