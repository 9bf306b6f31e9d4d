// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::testing {

namespace detail {
[[nodiscard]] inline std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    out.push_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return out;
}
}  // namespace detail

/// `text` without the spaces all its lines begin with, without empty lines at both ends and without spaces at the ends
/// of lines; each line ends with a newline.
[[nodiscard]] inline std::string dedent(std::string_view text) {
  std::vector<std::string_view> lines = detail::lines_of(text);
  std::size_t indent = std::string_view::npos;
  for (std::string_view& line : lines) {
    line = line.substr(0, line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) indent = std::min(indent, line.find_first_not_of(' '));
  }
  while (!lines.empty() && lines.front().empty()) lines.erase(lines.begin());
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  std::string out;
  for (const std::string_view line : lines) {
    out += line.empty() ? line : line.substr(indent);
    out += '\n';
  }
  return out;
}

/// Empty when both texts have the same lines; otherwise the lines of both, `-` before what is missing, `+` before what
/// is there instead, two spaces before what they share. Texts of more than some thousand lines are compared without
/// finding lines that moved.
[[nodiscard]] inline std::string text_diff(std::string_view expected, std::string_view actual) {
  const std::vector<std::string_view> a = detail::lines_of(expected);
  const std::vector<std::string_view> b = detail::lines_of(actual);
  if (a == b) return {};
  std::size_t head = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
  std::size_t tail = 0;
  while (tail + head < a.size() && tail + head < b.size() && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;
  const std::size_t n = a.size() - head - tail;
  const std::size_t m = b.size() - head - tail;

  std::string out = "\n";
  const auto line = [&out](const char* mark, std::string_view text) { out.append(mark).append(text).append("\n"); };
  for (std::size_t i = 0; i < head; ++i) line("  ", a[i]);
  if (n * m <= 4'000'000) {
    // Longest common subsequence of what is left, from the end, so that the walk below goes forward.
    std::vector<std::uint32_t> longest((n + 1) * (m + 1), 0);
    const auto at = [&](std::size_t i, std::size_t j) -> std::uint32_t& { return longest[i * (m + 1) + j]; };
    for (std::size_t i = n; i-- > 0;) {
      for (std::size_t j = m; j-- > 0;) {
        at(i, j) = a[head + i] == b[head + j] ? at(i + 1, j + 1) + 1 : std::max(at(i + 1, j), at(i, j + 1));
      }
    }
    std::size_t i = 0, j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && a[head + i] == b[head + j]) {
        line("  ", a[head + i++]);
        ++j;
      } else if (i < n && (j == m || at(i + 1, j) >= at(i, j + 1))) {
        line("- ", a[head + i++]);
      } else {
        line("+ ", b[head + j++]);
      }
    }
  } else {
    for (std::size_t i = 0; i < n; ++i) line("- ", a[head + i]);
    for (std::size_t j = 0; j < m; ++j) line("+ ", b[head + j]);
  }
  for (std::size_t i = 0; i < tail; ++i) line("  ", a[a.size() - tail + i]);
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::testing
