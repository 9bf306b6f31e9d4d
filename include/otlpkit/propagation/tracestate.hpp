// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/context.hpp>
#include <otlpkit/propagation/text.hpp>

#include <cstddef>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

inline constexpr std::size_t tracestate_members = 32;
inline constexpr std::size_t tracestate_part = 256;  ///< longest key, longest value
inline constexpr std::size_t tracestate_room = tracestate_members * (2 * tracestate_part + 2);

/// W3C Trace Context Level 2, section 3.3.1.3.1: a letter or digit, then up to 255 of those and _ - * / @.
[[nodiscard]] constexpr bool is_tracestate_key(std::string_view key) noexcept {
  if (key.empty() || key.size() > tracestate_part) return false;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const char c = key[i];
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!plain && (i == 0 || (c != '_' && c != '-' && c != '*' && c != '/' && c != '@'))) return false;
  }
  return true;
}

/// Section 3.3.1.3.2: 1 to 256 printable characters without , and =, the last one no space.
[[nodiscard]] constexpr bool is_tracestate_value(std::string_view value) noexcept {
  if (value.empty() || value.size() > tracestate_part || value.back() == ' ') return false;
  for (const char c : value) {
    if (c < 0x20 || c > 0x7E || c == ',' || c == '=') return false;
  }
  return true;
}

struct tracestate_member {
  std::string_view key;
  std::string_view value;
  bool empty = false;  ///< nothing between two commas, which is allowed
};

/// Takes the first member off `list`.
constexpr tracestate_member take_tracestate_member(std::string_view& list) noexcept {
  const std::size_t comma = list.find(',');
  const std::string_view member = trim_ows(list.substr(0, comma));
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  const std::size_t equals = member.find('=');
  if (equals == std::string_view::npos) return {member, {}, member.empty()};
  return {member.substr(0, equals), member.substr(equals + 1)};
}

/// Puts the tracestate headers of a message together and checks them. One bad member, or one too many, discards the
/// whole list.
class tracestate_reader {
 public:
  void take(std::string_view header) noexcept {
    while (good_ && !header.empty()) {
      const tracestate_member m = take_tracestate_member(header);
      if (!m.empty) add(m);
    }
  }

  [[nodiscard]] trace_state state() const noexcept { return good_ ? trace_state{text_.view()} : trace_state{}; }

 private:
  void add(const tracestate_member& m) noexcept {
    good_ = ++count_ <= tracestate_members && is_tracestate_key(m.key) && is_tracestate_value(m.value);
    if (!good_ || has(m.key)) return;  // of equal keys the first is the newest
    if (!text_.empty()) text_.append(',');
    text_.append(m.key);
    text_.append('=');
    text_.append(m.value);
  }

  [[nodiscard]] bool has(std::string_view key) const noexcept {
    for (std::string_view rest = text_.view(); !rest.empty();) {
      if (take_tracestate_member(rest).key == key) return true;
    }
    return false;
  }

  fixed_text<tracestate_room> text_;
  std::size_t count_ = 0;
  bool good_ = true;
};

}  // namespace detail

/// Reads a tracestate header (W3C Trace Context Level 2, section 3.3). Several headers are joined with `,` first.
/// Empty when a member is not valid or there are more than 32.
[[nodiscard]] OTLPKIT_COLD inline trace_state parse_tracestate(std::string_view header) noexcept {
  detail::tracestate_reader reader;
  reader.take(header);
  return reader.state();
}

/// The value under `key`, "" when there is none. Valid as long as `state`.
[[nodiscard]] inline std::string_view tracestate_value(const trace_state& state, std::string_view key) noexcept {
  for (std::string_view rest = state.header(); !rest.empty();) {
    const detail::tracestate_member m = detail::take_tracestate_member(rest);
    if (m.key == key) return m.value;
  }
  return {};
}

/// `state` without `key`.
[[nodiscard]] OTLPKIT_COLD inline trace_state tracestate_without(const trace_state& state,
                                                                 std::string_view key) noexcept {
  detail::fixed_text<detail::tracestate_room> text;
  for (std::string_view rest = state.header(); !rest.empty();) {
    const detail::tracestate_member m = detail::take_tracestate_member(rest);
    if (m.key == key || !detail::is_tracestate_value(m.value)) continue;
    if (!text.empty()) text.append(',');
    text.append({m.key.data(), m.key.size() + 1 + m.value.size()});
  }
  return trace_state{text.view()};
}

/// `state` with `key` set to `value`, in front of the others as the standard asks; a 33rd member drops the last. A key
/// or value that is not valid changes nothing.
[[nodiscard]] OTLPKIT_COLD inline trace_state tracestate_with(const trace_state& state, std::string_view key,
                                                              std::string_view value) noexcept {
  if (!detail::is_tracestate_key(key) || !detail::is_tracestate_value(value)) return state;
  detail::fixed_text<detail::tracestate_room> text;
  text.append(key);
  text.append('=');
  text.append(value);
  std::size_t count = 1;
  for (std::string_view rest = state.header(); !rest.empty() && count < detail::tracestate_members;) {
    const detail::tracestate_member m = detail::take_tracestate_member(rest);
    if (m.key == key || !detail::is_tracestate_value(m.value)) continue;
    text.append(',');
    text.append({m.key.data(), m.key.size() + 1 + m.value.size()});
    ++count;
  }
  return trace_state{text.view()};
}

}  // namespace otlpkit::inline OTLPKIT_ABI
