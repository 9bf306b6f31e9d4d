// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

namespace detail {

/// Reads fixed pieces off the front of a date; the first mismatch makes every later step a no-op.
class date_reader {
 public:
  explicit date_reader(std::string_view text) noexcept : rest_{text} {}

  date_reader& literal(std::string_view expected) noexcept {
    if (rest_.starts_with(expected))
      rest_.remove_prefix(expected.size());
    else
      ok_ = false;
    return *this;
  }
  /// Exactly `digits` digits; a leading blank counts as a zero where `padded` says so.
  date_reader& number(std::size_t digits, int& out, bool padded = false) noexcept {
    if (!ok_ || rest_.size() < digits) return fail();
    out = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char c = padded && i == 0 && rest_[i] == ' ' ? '0' : rest_[i];
      if (c < '0' || c > '9') return fail();
      out = out * 10 + (c - '0');
    }
    rest_.remove_prefix(digits);
    return *this;
  }
  template <std::size_t N>
  date_reader& name(const std::array<std::string_view, N>& names, int& index) noexcept {
    for (std::size_t i = 0; ok_ && i < N; ++i) {
      if (!rest_.starts_with(names[i])) continue;
      rest_.remove_prefix(names[i].size());
      index = static_cast<int>(i);
      return *this;
    }
    return fail();
  }
  date_reader& time(int& h, int& m, int& s) noexcept {
    return number(2, h).literal(":").number(2, m).literal(":").number(2, s);
  }
  [[nodiscard]] bool done() const noexcept { return ok_ && rest_.empty(); }

 private:
  date_reader& fail() noexcept {
    ok_ = false;
    return *this;
  }
  std::string_view rest_;
  bool ok_ = true;
};

inline constexpr std::array<std::string_view, 12> month_names = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
inline constexpr std::array<std::string_view, 7> short_days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
inline constexpr std::array<std::string_view, 7> long_days = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                              "Thursday", "Friday", "Saturday"};
}  // namespace detail

/// Reads an HTTP date (RFC 9110, section 5.6.7) in any of its three forms:
/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
/// Two-digit years mean 1970 to 2069. The name of the day is not compared with the date.
/// \return nothing when the text is no such date.
[[nodiscard]] inline std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text) noexcept {
  using detail::date_reader;
  int weekday = 0, day = 0, month = 0, year = 0, h = 0, m = 0, s = 0;
  const auto preferred = [&] {
    return date_reader{text}
        .name(detail::short_days, weekday)
        .literal(", ")
        .number(2, day)
        .literal(" ")
        .name(detail::month_names, month)
        .literal(" ")
        .number(4, year)
        .literal(" ")
        .time(h, m, s)
        .literal(" GMT")
        .done();
  };
  const auto rfc850 = [&] {
    const bool read = date_reader{text}
                          .name(detail::long_days, weekday)
                          .literal(", ")
                          .number(2, day)
                          .literal("-")
                          .name(detail::month_names, month)
                          .literal("-")
                          .number(2, year)
                          .literal(" ")
                          .time(h, m, s)
                          .literal(" GMT")
                          .done();
    year += year < 70 ? 2000 : 1900;
    return read;
  };
  const auto asctime = [&] {
    return date_reader{text}
        .name(detail::short_days, weekday)
        .literal(" ")
        .name(detail::month_names, month)
        .literal(" ")
        .number(2, day, true)
        .literal(" ")
        .time(h, m, s)
        .literal(" ")
        .number(4, year)
        .done();
  };
  if (!preferred() && !rfc850() && !asctime()) return std::nullopt;

  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month + 1)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok() || h > 23 || m > 59 || s > 60) return std::nullopt;  // 60: a leap second
  return std::chrono::sys_days{date} + std::chrono::hours{h} + std::chrono::minutes{m} + std::chrono::seconds{s};
}

/// Reads a Retry-After value: seconds, or an HTTP date compared with `now` (a date in the past means zero).
/// Absurdly large numbers are cut to about three hundred years. \return nothing when the value is neither.
[[nodiscard]] inline std::optional<std::chrono::nanoseconds> parse_retry_after(
    std::string_view value, std::chrono::system_clock::time_point now) noexcept {
  constexpr auto longest = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::nanoseconds::max());
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  if (value.empty()) return std::nullopt;
  if (std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; })) {
    std::chrono::seconds total{};
    for (const char c : value) {
      total = total * 10 + std::chrono::seconds{c - '0'};
      if (total >= longest) return longest;
    }
    return total;
  }
  const auto date = parse_http_date(value);
  if (!date) return std::nullopt;
  const auto whole = std::chrono::floor<std::chrono::seconds>(now);
  if (*date <= whole) return std::chrono::nanoseconds::zero();
  const auto wait = std::min<std::chrono::seconds>(*date - whole, longest);
  return wait - std::chrono::duration_cast<std::chrono::nanoseconds>(now - whole);
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
