// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/trace_model.hpp>
#include <otlpkit/export/tree_text.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::exporters::detail {

/// ANSI SGR parameters; empty is the terminal's own.
namespace style {
inline constexpr std::string_view plain, bold = "1", dim = "2", error = "1;31";

/// A colour for a service: the same in every run, never red.
[[nodiscard]] constexpr std::string_view of_service(std::string_view service) noexcept {
  constexpr std::string_view palette[] = {"36", "32", "33", "35", "34", "96", "92", "93", "95", "94"};
  return palette[hash(service) % (sizeof palette / sizeof *palette)];
}
}  // namespace style

/// Writes one line in parts: cuts it at the width, and adds colours only when they are wanted.
class line_writer {
 public:
  line_writer(std::string& out, std::size_t width, bool colour) : out_{out}, width_{width}, colour_{colour} {}

  /// Appends text that is escaped already.
  void add(std::string_view text, std::string_view sgr = style::plain) {
    if (full_ || text.empty()) return;
    const std::size_t columns = columns_of(text);
    std::string cut;
    if (width_ != 0 && used_ + columns > width_) {
      cut = fit(text, width_ - used_);
      text = cut;
      full_ = true;
    }
    used_ += columns;
    if (text.empty()) return;
    if (colour_ && !sgr.empty())
      out_.append("\x1b[").append(sgr).append("m").append(text).append("\x1b[0m");
    else
      out_.append(text);
  }
  void pad_to(std::size_t column) {
    if (used_ < column) add(std::string(column - used_, ' '));
  }
  /// Spaces and text, so that the text ends `columns` further on.
  void add_right(std::string_view text, std::size_t columns, std::string_view sgr = style::plain) {
    const std::size_t own = columns_of(text);
    if (own < columns) add(std::string(columns - own, ' '));
    add(text, sgr);
  }
  /// Ends the line without trailing spaces.
  void end() {
    while (!out_.empty() && out_.back() == ' ') out_.pop_back();
    out_.push_back('\n');
  }

 private:
  std::string& out_;
  std::size_t width_;
  std::size_t used_ = 0;
  bool colour_;
  bool full_ = false;
};

/// A bar of `columns` for the part [from, to] of [start, end], in eighths of a column.
[[nodiscard]] inline std::string bar(std::uint64_t from, std::uint64_t to, std::uint64_t start, std::uint64_t end,
                                     std::size_t columns) {
  const double whole = end > start ? static_cast<double>(end - start) : 1.0;
  const auto scale = [&](std::uint64_t t) {
    const double eighths = static_cast<double>(std::clamp(t, start, std::max(start, end)) - start) / whole *
                           static_cast<double>(columns) * 8;
    return std::min(static_cast<std::size_t>(eighths), columns * 8);
  };
  std::size_t left = scale(from);
  const std::size_t right = std::max(scale(to), std::min(left + 1, columns * 8));
  left = std::min(left, columns * 8 - 1);
  constexpr std::string_view left_blocks[] = {"▏", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
  std::string out(left / 8, ' ');
  std::size_t used = left / 8;
  if (left % 8 >= 4 && right >= (left / 8 + 1) * 8) {  // there is a right half block, but no finer one
    out += "▐";
    ++used;
  }
  for (; used < columns && right >= (used + 1) * 8; ++used) out += "█";
  if (used < columns && (right > used * 8 || used == left / 8)) {
    out += left_blocks[right > used * 8 ? right - used * 8 : 1];
    ++used;
  }
  out.append(columns - used, ' ');
  return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters::detail
