// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/export/batch_logs.hpp>
#include <otlpkit/export/terminal.hpp>
#include <otlpkit/export/tree_text.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

namespace detail {

/// "2026-11-21T09:30:00.125Z" (RFC 3339): UTC, so that lines of several machines agree. Days to dates as in Howard
/// Hinnant's "chrono-Compatible Low-Level Date Algorithms".
inline void append_utc(std::string& out, std::uint64_t unix_nanoseconds) {
  const std::uint64_t ms = unix_nanoseconds / 1'000'000;
  const std::uint64_t of_day = ms % 86'400'000;
  const std::uint64_t z = ms / 86'400'000 + 719'468;  // days since 0000-03-01
  const std::uint64_t day_of_era = z % 146'097;
  const std::uint64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::uint64_t shifted_month = (5 * day_of_year + 2) / 153;  // March is 0
  const std::uint64_t day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
  const std::uint64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const std::uint64_t year = year_of_era + z / 146'097 * 400 + (month <= 2 ? 1 : 0);
  const auto digits = [&out](std::uint64_t v, int width) {
    char text[20];
    for (int i = width - 1; i >= 0; --i, v /= 10) text[i] = static_cast<char>('0' + v % 10);
    out.append(text, static_cast<std::size_t>(width));
  };
  digits(year, 4);
  out += '-';
  digits(month, 2);
  out += '-';
  digits(day, 2);
  out += 'T';
  digits(of_day / 3'600'000, 2);
  out += ':';
  digits(of_day / 60'000 % 60, 2);
  out += ':';
  digits(of_day / 1'000 % 60, 2);
  out += '.';
  digits(of_day % 1'000, 3);
  out += 'Z';
}

/// Colour of a severity: grey for what is below INFO, none for INFO, yellow, red.
[[nodiscard]] constexpr std::string_view severity_colour(std::uint32_t number) noexcept {
  return number >= 17 ? "\x1b[31m" : number >= 13 ? "\x1b[33m" : number >= 9 || number == 0 ? "" : "\x1b[2m";
}

}  // namespace detail

/// One log record as a line of text, its end included:
/// `2026-11-21T09:30:00.125Z WARN  payment is slow  user_id=u-17 duration_ms=812 [shop.pay] trace=0af7... span=00f0...`
/// Nothing in it can move the cursor or start a new line. \param colour by severity, as terminals understand it
inline void append_log_line(std::string& out, const log_view& log, const span_origin& origin, bool colour) {
  const std::string_view tint = colour ? detail::severity_colour(log.severity_number()) : std::string_view{};
  detail::append_utc(out, log.time() != 0 ? log.time() : log.observed_time());
  out += ' ';
  out += tint;
  const std::size_t before = out.size();
  detail::append_text(out, log.severity_text().empty() ? "-" : log.severity_text(), 10);
  if (out.size() - before < 5) out.append(5 - (out.size() - before), ' ');
  if (!tint.empty()) out += "\x1b[0m";
  if (!log.event_name().empty()) {
    out += " (";
    detail::append_text(out, log.event_name());
    out += ')';
  }
  if (const value_view body = log.body(); body.kind() == value_view::type::string) {
    out += ' ';
    detail::append_text(out, body.as_string());
  } else if (body.kind() != value_view::type::empty) {
    out += ' ';
    detail::append_value(out, body, 0);
  }
  std::string_view separator = "  ";
  for (const field_view field : log.attributes()) {
    out += separator;
    detail::append_text(out, field.key);
    out += '=';
    detail::append_value(out, field.value, 0);
    separator = " ";
  }
  if (!origin.scope.name().empty()) {
    out += " [";
    detail::append_text(out, origin.scope.name());
    out += ']';
  }
  if (!log.trace_id().empty()) {
    out += " trace=";
    detail::append_hex(out, log.trace_id());
    out += " span=";
    detail::append_hex(out, log.span_id());
  }
  out += '\n';
}

/// What console_logs prints to, and how.
struct console_logs_options {
  /// Takes the lines of one batch; false when they could not be written. Empty: `stream`.
  std::function<bool(std::string_view)> sink{};
  std::FILE* stream = stderr;
  std::optional<bool> colour{};  ///< unset: as the stream and NO_COLOR say; never with a sink
};

/// Prints each log record as a line, on standard error unless told otherwise. Records that could not be written are
/// dropped as `failed`. Used from the pipeline's thread only.
class console_logs final : public sdk::exporter {
 public:
  explicit console_logs(console_logs_options options = {}) : options_{std::move(options)} {
    const terminal_traits terminal = options_.sink ? terminal_traits{} : terminal_traits::of(options_.stream);
    colour_ = options_.colour.value_or(terminal.colour);
  }

  [[nodiscard]] std::string_view name() const noexcept override { return "console_logs"; }
  [[nodiscard]] bool accepts(sdk::signal s) const noexcept override { return s == sdk::signal::logs; }

  void send(std::shared_ptr<const sdk::batch> b, completion done) override {
    std::string lines;
    for_each_log(*b,
                 [&](const log_view& log, const span_origin& origin) { append_log_line(lines, log, origin, colour_); });
    bool written = false;
    try {
      written = options_.sink ? options_.sink(lines) : write_patiently(options_.stream, lines);
    } catch (...) {
      // A sink of the user's may throw; what it was given is lost either way.
    }
    if (!written) report(diagnostic_level::warning, "log records could not be written; they count as dropped (failed)");
    done(written ? sdk::export_result{} : sdk::export_result{b->items(), sdk::drop_reason::failed});
  }

 private:
  console_logs_options options_;
  bool colour_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
