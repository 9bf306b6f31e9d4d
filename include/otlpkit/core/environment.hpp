// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/environment_table.hpp>
#include <otlpkit/core/errors.hpp>
#include <otlpkit/core/key_value_list.hpp>
#include <otlpkit/core/platform_host.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI {

/// Where variables are looked up: the process's own environment, or anything that answers by name (a test's map).
class environment {
 public:
  /// \param name ends in NUL at name[size]
  using lookup = std::function<std::optional<std::string>(std::string_view name)>;

  /// The environment of the process, read at each call. As with getenv(), nothing may change it at the same time.
  environment() : find_{[](std::string_view name) { return platform_host::environment_variable(name.data()); }} {}

  explicit environment(lookup find) : find_{std::move(find)} {}

  /// These variables and no others.
  environment(std::initializer_list<std::pair<const std::string, std::string>> values)
      : find_{[map = std::map<std::string, std::string>{values}](std::string_view name) -> std::optional<std::string> {
          const auto found = map.find(std::string{name});
          return found == map.end() ? std::nullopt : std::optional{found->second};
        }} {}

  /// The value, or nothing when it is unset or empty: the specification makes no difference.
  [[nodiscard]] std::optional<std::string> get(variable v) const {
    auto value = find_(info(v).name);
    if (value && value->empty()) value.reset();
    return value;
  }

 private:
  lookup find_;
};

/// Reads variables by type. A value that cannot be used is as good as unset, and one warning names the variable, the
/// value and what was expected; a secret is never shown.
class environment_reader {
 public:
  using milliseconds = std::chrono::milliseconds;

  /// Longest value that is looked at: no variable has use for more, and everything below costs time and memory by
  /// length.
  static constexpr std::size_t max_length = 64 * 1024;
  static constexpr std::size_t max_warnings = 64;
  static constexpr std::int64_t max_integer = 0x7FFF'FFFF;

  /// Both must outlive the reader; warnings are appended to `warnings`, each once.
  environment_reader(const environment& source, std::vector<std::string>& warnings)
      : source_{source}, warnings_{warnings} {}

  [[nodiscard]] std::optional<std::string> text(variable v) {
    auto value = source_.get(v);
    if (value && value->size() > max_length) {
      warn(v, *value, "at most " + std::to_string(max_length) + " bytes");
      value.reset();
    }
    return value;
  }

  /// A value that is not "true" means false, whatever it says.
  [[nodiscard]] std::optional<bool> boolean(variable v) {
    const auto value = text(v);
    const std::string word = value ? lowered(*value) : std::string{};
    if (word.empty()) return std::nullopt;
    const bool flag = info(v).type == variable_type::flag;
    if (word == "true" || (flag && word == "1")) return true;
    if (word != "false" && !(flag && word == "0")) warn(v, *value, "true or false", "taken as false");
    return false;
  }

  /// A whole number from `least` to `most`; outside is as good as unset, never clamped.
  [[nodiscard]] std::optional<std::int64_t> integer(variable v, std::int64_t least = 0,
                                                    std::int64_t most = max_integer) {
    const auto value = text(v);
    if (!value) return std::nullopt;
    const std::string_view digits = trimmed(*value);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error == std::errc{} && end == digits.data() + digits.size() && number >= least && number <= most)
      return number;
    const char* unit = info(v).type == variable_type::integer ? "" : " of milliseconds";
    warn(v, *value,
         "a whole number" + std::string{unit} + " from " + std::to_string(least) + " to " + std::to_string(most));
    return std::nullopt;
  }

  [[nodiscard]] std::optional<milliseconds> duration(variable v, std::int64_t least = 0) {
    const auto number = integer(v, least);
    return number ? std::optional{milliseconds{*number}} : std::nullopt;
  }

  /// A number from 0 to 1.
  [[nodiscard]] std::optional<double> ratio(variable v) {
    const auto value = text(v);
    if (!value) return std::nullopt;
    const auto number = platform_host::parse_double(trimmed(*value));
    if (number && *number >= 0 && *number <= 1) return number;
    warn(v, *value, "a number from 0 to 1");
    return std::nullopt;
  }

  /// The index in `names` of the value, in any case.
  [[nodiscard]] std::optional<std::size_t> choice(variable v, std::span<const std::string_view> names) {
    const auto value = text(v);
    const std::string word = value ? lowered(*value) : std::string{};
    if (word.empty()) return std::nullopt;
    const auto found = std::ranges::find(names, std::string_view{word});
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
    std::string expected = "one of";
    for (const std::string_view name : names) expected.append(expected.size() == 6 ? " " : ", ").append(name);
    warn(v, *value, expected);
    return std::nullopt;
  }

  /// The trimmed entries, lower-cased; nothing when unset.
  [[nodiscard]] std::optional<std::vector<std::string>> list(variable v) {
    const auto value = text(v);
    const std::string words = value ? lowered(*value) : std::string{};
    if (words.empty()) return std::nullopt;
    std::vector<std::string> entries;
    for_each_entry(words, [&](std::string_view entry) { entries.emplace_back(entry); });
    return entries;
  }

  /// Adds a warning about a variable; the same one is said once.
  void warn(variable v, std::string_view value, std::string_view expected, std::string_view consequence = "ignored") {
    std::string line{info(v).name};
    switch (info(v).type) {
      case variable_type::secret_key_values: line.append(": got ").append(hidden_value); break;
      case variable_type::url: line.append(": got ").append(quoted(without_credentials(value))); break;
      default: line.append(": got ").append(quoted(value)); break;
    }
    line.append(", expected ").append(expected).append("; ").append(consequence);
    note(std::move(line));
  }

  void note(std::string line) {
    if (warnings_.size() > max_warnings || std::ranges::find(warnings_, line) != warnings_.end()) return;
    if (warnings_.size() == max_warnings) line = "more is wrong in the environment than is told here";
    warnings_.push_back(std::move(line));
  }

  /// A URL, or what was meant to be one, with user, password and query hidden.
  [[nodiscard]] static std::string without_credentials(std::string_view url) {
    const std::size_t scheme = url.find("://");
    const std::size_t at = url.rfind('@');
    const std::size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
    if (at == std::string_view::npos || at < begin) return without_query(url);
    return without_query(std::string{url.substr(0, begin)}.append("***").append(url.substr(at)));
  }

  [[nodiscard]] static std::string without_query(std::string_view url) {
    const std::size_t query = url.find('?');
    return query == std::string_view::npos ? std::string{url} : std::string{url.substr(0, query)}.append("?***");
  }

 private:
  [[nodiscard]] static std::string lowered(std::string_view text) {
    std::string out{trimmed(text)};
    for (char& c : out) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
  }

  const environment& source_;
  std::vector<std::string>& warnings_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
