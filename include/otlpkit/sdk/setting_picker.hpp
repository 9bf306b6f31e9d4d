// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/environment.hpp>
#include <otlpkit/core/errors.hpp>
#include <otlpkit/sdk/configuration.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk::detail {

[[nodiscard]] inline std::optional<std::size_t> index_of(std::span<const std::string_view> names,
                                                         std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return i;
  }
  return std::nullopt;
}

[[nodiscard]] inline std::string joined(std::span<const std::string_view> names) {
  std::string out;
  for (const std::string_view name : names) out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

/// A text as the banner prints it: as it is when it is short and printable.
[[nodiscard]] inline std::string shown_text(std::string_view text) {
  const std::string safe = quoted(text, 200);
  return safe.size() == text.size() + 2 && !text.empty() ? std::string{text} : safe;
}

[[nodiscard]] inline std::string shown(std::chrono::milliseconds time) {
  return time == no_time_limit ? std::string{"no limit"} : std::to_string(time.count()) + " ms";
}

/// Chooses single values by precedence (code, environment, default) and notes where each came from.
class setting_picker {
 public:
  using milliseconds = std::chrono::milliseconds;
  static constexpr std::uint32_t max_number = 0x7FFF'FFFF;

  setting_picker(const environment& source, configuration& c) : env{source, c.warnings}, described_{c.described} {}

  environment_reader env;

  void note(std::string name, std::string value, origin from) {
    described_.push_back({std::move(name), std::move(value), from});
  }

  [[nodiscard]] bool boolean(std::string name, std::optional<bool> code, variable v, bool fallback = false) {
    origin from{origin::source::code};
    if (!code) {
      code = env.boolean(v);
      from = code ? origin{origin::source::environment, v} : origin{};
    }
    note(std::move(name), code.value_or(fallback) ? "true" : "false", from);
    return code.value_or(fallback);
  }

  /// A time, from the code or the first variable that has one. A timeout of 0 becomes no_time_limit.
  [[nodiscard]] milliseconds time(std::string name, std::optional<milliseconds> code,
                                  std::initializer_list<variable> variables, milliseconds fallback,
                                  std::int64_t least = 0) {
    origin from{origin::source::code};
    milliseconds value = fallback;
    const bool zero_is_forever = info(*variables.begin()).type == variable_type::timeout;
    if (code) {
      if (code->count() < least || code->count() > max_number) {
        throw config_error{name, std::to_string(code->count()) + " ms",
                           std::to_string(least) + " to " + std::to_string(max_number) + " ms"};
      }
      value = *code;
    } else {
      from = {};
      for (const variable v : variables) {
        const auto set = env.duration(v, least);
        if (!set) continue;
        value = *set;
        from = {origin::source::environment, v};
        break;
      }
    }
    if (zero_is_forever && value.count() == 0) value = no_time_limit;
    note(std::move(name), shown(value), from);
    return value;
  }

  /// A number above zero with its origin. Nothing is noted: sizes depend on each other first.
  [[nodiscard]] std::pair<std::uint32_t, origin> size(const std::string& name, std::optional<std::uint32_t> code,
                                                      variable v) {
    if (code) {
      if (*code == 0 || *code > max_number) {
        throw config_error{name, std::to_string(*code), "1 to " + std::to_string(max_number)};
      }
      return {*code, origin{origin::source::code}};
    }
    if (const auto set = env.integer(v, 1)) return {static_cast<std::uint32_t>(*set), {origin::source::environment, v}};
    return {static_cast<std::uint32_t>(default_number(v)), origin{}};
  }

  /// A limit; no default in the table means unlimited.
  [[nodiscard]] std::uint32_t limit(std::string name, std::optional<std::uint32_t> code, variable own,
                                    std::optional<variable> general) {
    origin from{origin::source::code};
    if (!code) {
      for (const std::optional<variable> v : {std::optional{own}, general}) {
        const auto set = v ? env.integer(*v) : std::nullopt;
        if (!set) continue;
        code = static_cast<std::uint32_t>(*set);
        from = {origin::source::environment, *v};
        break;
      }
    }
    if (!code) {
      from = {};
      code = info(own).default_text.empty() ? unlimited : static_cast<std::uint32_t>(default_number(own));
    }
    note(std::move(name), *code == unlimited ? "no limit" : std::to_string(*code), from);
    return *code;
  }

  /// One of several words, whose indexes are the values of E.
  template <typename E>
  [[nodiscard]] E choice(std::string name, std::optional<E> code, std::initializer_list<variable> variables,
                         std::span<const std::string_view> names, E fallback) {
    origin from{origin::source::code};
    if (code && static_cast<std::size_t>(*code) >= names.size()) {
      throw config_error{name, std::to_string(static_cast<unsigned>(*code)), "one of " + joined(names)};
    }
    if (!code) {
      from = {};
      code = fallback;
      for (const variable v : variables) {
        const auto index = env.choice(v, names);
        if (!index) continue;
        code = static_cast<E>(*index);
        from = {origin::source::environment, v};
        break;
      }
    }
    note(std::move(name), std::string{names[static_cast<std::size_t>(*code)]}, from);
    return *code;
  }

  /// A path: the first of the texts that is not empty, else the first variable.
  [[nodiscard]] std::string file(std::string name, std::initializer_list<const std::string*> code,
                                 std::initializer_list<variable> variables) {
    for (const std::string* text : code) {
      if (text->empty()) continue;
      note(std::move(name), shown_text(*text), {origin::source::code});
      return *text;
    }
    for (const variable v : variables) {
      auto text = env.text(v);
      if (!text) continue;
      note(std::move(name), shown_text(*text), {origin::source::environment, v});
      return *std::move(text);
    }
    note(std::move(name), "none", {});
    return {};
  }

 private:
  std::vector<described_setting>& described_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk::detail
