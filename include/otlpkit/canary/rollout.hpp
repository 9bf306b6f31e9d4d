// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/resilience/key_hash.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::canary {

/// A version beside the stable one, and who gets it.
struct variant {
  std::string name = "canary";
  double percentage = 0;              ///< of all keys, [0, 100]
  std::vector<std::string> groups{};  ///< whoever is in one of these
};

/// Who gets what. Plain data: change it while the program runs by router::change().
struct rollout {
  std::vector<variant> variants{variant{}};  ///< the first one that names a group gets it
  std::string forced{};                      ///< everybody gets this one, whatever else is said; empty: nothing is
};

/// What does not change.
struct router_options {
  std::string name = "default";     ///< a token of HTTP: it is part of a baggage key
  std::string stable = "stable";    ///< the variant of everybody else
  std::string header = "x-canary";  ///< a request that has it gets the variant it names; empty: none decides
  bool follow_baggage = true;       ///< a decision that came with the request holds here too
  std::string salt{};               ///< routers of the same salt split keys in the same way; empty: the name
};

/// Whom a decision is for. Refers to text.
struct subject {
  std::string_view key{};    ///< what stays with its variant: a user, an account. Empty: no percentage
  std::string_view group{};  ///< the one it is in,
  std::span<const std::string_view> groups{};  ///< or all of them
  std::string_view header{};                   ///< the value of router_options::header
};

/// Why it was decided so, in the order the rules are asked in; its text is `otlpkit.canary.reason`.
enum class reason : std::uint8_t { forced, header, baggage, group, percentage, standard };

[[nodiscard]] constexpr std::string_view to_string(reason r) noexcept {
  constexpr std::string_view names[] = {"forced", "header", "baggage", "group", "percentage", "default"};
  return names[static_cast<std::size_t>(r)];
}

namespace detail {

inline constexpr std::size_t no_variant = static_cast<std::size_t>(-1);

/// A variant by its place, or no_variant for the stable one.
struct choice {
  std::size_t variant = no_variant;
  reason why = reason::standard;
};

[[nodiscard]] inline bool is_token(std::string_view text) noexcept {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           others.find(c) != std::string_view::npos;
  });
}

inline void check(const router_options& o) {
  if (!is_token(o.name)) throw config_error{"router_options.name", quoted(o.name), "a token"};
  if (o.stable.empty()) throw config_error{"router_options.stable", "\"\"", "a name"};
  if (!o.header.empty() && !is_token(o.header))
    throw config_error{"router_options.header", quoted(o.header), "a header's name, or nothing"};
}

inline void check(const rollout& r, const router_options& o) {
  double sum = 0;
  for (std::size_t i = 0; i < r.variants.size(); ++i) {
    const variant& v = r.variants[i];
    const std::string at = "rollout.variants[" + std::to_string(i) + "].";
    if (v.name.empty() || v.name == o.stable) throw config_error{at + "name", quoted(v.name), "a name of its own"};
    for (std::size_t j = 0; j < i; ++j) {
      if (r.variants[j].name == v.name) throw config_error{at + "name", quoted(v.name), "a name of its own"};
    }
    if (!(v.percentage >= 0 && v.percentage <= 100))
      throw config_error{at + "percentage", std::to_string(v.percentage), "a number from 0 to 100"};
    sum += v.percentage;
  }
  if (sum > 100 + 1e-9) throw config_error{"rollout.variants", std::to_string(sum) + " percent in all", "100 at most"};
  const auto known = [&](const variant& v) { return v.name == r.forced; };
  if (!r.forced.empty() && r.forced != o.stable && std::none_of(r.variants.begin(), r.variants.end(), known))
    throw config_error{"rollout.forced", quoted(r.forced), "the name of a variant"};
}

/// Finds a variant by its name. \return whether there is one
[[nodiscard]] inline bool find(const rollout& r, std::string_view stable, std::string_view name,
                               std::size_t& found) noexcept {
  if (name.empty()) return false;
  found = no_variant;
  if (name == stable) return true;
  for (std::size_t i = 0; i < r.variants.size(); ++i) {
    if (r.variants[i].name != name) continue;
    found = i;
    return true;
  }
  return false;
}

[[nodiscard]] inline bool in_group(const subject& s, std::string_view group) noexcept {
  return (!s.group.empty() && s.group == group) || std::find(s.groups.begin(), s.groups.end(), group) != s.groups.end();
}

/// Where a key stands among all keys: [0, 100), evenly, and the same in every process.
[[nodiscard]] constexpr double place_of(std::string_view key, resilience::key_hash seed) noexcept {
  return static_cast<double>(resilience::hash_key(key, seed).first >> 11) * 0x1p-53 * 100;
}

/// The rules, in their order.
/// \param carried the variant that came as baggage
[[nodiscard]] inline choice decide(const rollout& r, const router_options& o, resilience::key_hash seed,
                                   const subject& s, std::string_view carried) noexcept {
  choice c;
  if (find(r, o.stable, r.forced, c.variant)) return {c.variant, reason::forced};
  if (find(r, o.stable, s.header, c.variant)) return {c.variant, reason::header};
  if (find(r, o.stable, carried, c.variant)) return {c.variant, reason::baggage};
  for (std::size_t i = 0; i < r.variants.size(); ++i) {
    for (const std::string& group : r.variants[i].groups) {
      if (in_group(s, group)) return {i, reason::group};
    }
  }
  if (s.key.empty()) return {};
  const double place = place_of(s.key, seed);
  double end = 0;
  for (std::size_t i = 0; i < r.variants.size(); ++i) {
    end += r.variants[i].percentage;
    if (place < end) return {i, reason::percentage};
  }
  return {};
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::canary
