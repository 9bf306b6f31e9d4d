// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/canary/published.hpp>
#include <otlpkit/canary/rollout.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/propagation/carrier.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::canary {

namespace detail {

inline constinit const counter<std::int64_t> decisions{
    "otlpkit.canary.decisions", {.unit = "{decision}", .description = "Which variant was chosen, and why"}};
inline constinit const counter<std::int64_t> changes{
    "otlpkit.canary.changes", {.unit = "{change}", .description = "Changes of who gets which variant"}};
inline constinit const gauge<double> shares{
    "otlpkit.canary.percentage", {.unit = "%", .description = "Share of keys that get a variant by percentage"}};

/// The reason in the words of the conventions for feature flags.
[[nodiscard]] constexpr std::string_view flag_reason(reason r) noexcept {
  constexpr std::string_view names[] = {"static", "targeting_match", "cached", "targeting_match", "split", "default"};
  return names[static_cast<std::size_t>(r)];
}

}  // namespace detail

/// What a router decided.
class decision {
 public:
  decision(std::string_view router, std::string variant, reason why, bool stable)
      : router_{router}, variant_{std::move(variant)}, why_{why}, stable_{stable} {}

  [[nodiscard]] const std::string& variant() const noexcept { return variant_; }
  [[nodiscard]] reason why() const noexcept { return why_; }
  [[nodiscard]] bool stable() const noexcept { return stable_; }
  /// Any variant but the stable one.
  [[nodiscard]] bool canary() const noexcept { return !stable_; }

  /// The current baggage with this decision, for those who are called to follow:
  /// `otlpkit::baggage_scope with{chosen.carried()}`. The router must still be there.
  [[nodiscard]] baggage carried() const {
    const std::string key = key_of(router_);
    return current_baggage().with(key, variant_);
  }
  [[nodiscard]] static std::string key_of(std::string_view router) {
    return std::string{"otlpkit.canary."}.append(router);
  }

 private:
  std::string_view router_;
  std::string variant_;
  reason why_;
  bool stable_;
};

/// Decides who gets a new version: by a header, a group or a percentage. A key stays with its variant, in every
/// process, as long as the percentages do; with one variant, raising its percentage takes it from nobody.
///
/// Thread-safe. decide() takes no lock; changes are seen as a whole, at once and by everybody.
///
/// \code
/// otlpkit::canary::router checkout{{.name = "checkout"}, {.variants = {{.percentage = 5, .groups = {"staff"}}}}};
/// if (checkout.decide({.key = user.id, .group = user.group}).canary()) return new_checkout(order);
/// \endcode
class router {
 public:
  /// Throws config_error for what makes no sense.
  explicit router(router_options options = {}, rollout first = {})
      : options_{(detail::check(options), std::move(options))}, baggage_key_{decision::key_of(options_.name)},
        seed_{resilience::hash_key(options_.salt.empty() ? options_.name : options_.salt, {})},
        rollout_{(detail::check(first, options_), std::move(first))} {
    rollout_.read([this](const rollout& r) { tell_shares(r); });
  }

  /// Decides, and says so on the current span and in the metrics.
  [[nodiscard]] decision decide(const subject& s) const {
    std::string_view carried;
    [[maybe_unused]] baggage holds;  // the text that `carried` refers to
    if (options_.follow_baggage) {
      holds = current_baggage();
      if (!holds.empty()) carried = holds.get(baggage_key_);
    }
    decision d = rollout_.read([&](const rollout& r) {
      const detail::choice c = detail::decide(r, options_, seed_, s, carried);
      const bool stable = c.variant == detail::no_variant;
      return decision{options_.name, stable ? options_.stable : r.variants[c.variant].name, c.why, stable};
    });
    tell(d);
    return d;
  }

  /// The same, with the header taken from a request or message (see propagation/carrier.hpp for what can be one).
  template <carrier_reader Carrier>
  [[nodiscard]] decision decide(const Carrier& from, subject s) const {
    std::string header;
    if (!options_.header.empty()) {
      otlpkit::detail::for_each_value(from, options_.header, [&header](std::string_view value) {
        if (header.empty() && value.size() <= most_header) header = value;
      });
    }
    s.header = header;
    return decide(s);
  }

  /// Lets `fn(rollout&)` change who gets what. Returns when everybody sees it. Throws config_error for what makes no
  /// sense, and what `fn` throws; then nothing has changed. Not from within another change.
  template <class F>
  void change(F&& fn) {
    rollout before;
    rollout_.update([&](rollout& r) {
      before = r;
      std::forward<F>(fn)(r);
      detail::check(r, options_);
    });
    told_change(before);
  }
  void change(rollout to) {
    change([&to](rollout& r) { r = std::move(to); });
  }

  /// Sets the share of one variant, [0, 100].
  void set_percentage(double percentage, std::string_view name = "canary") {
    change([&](rollout& r) {
      std::size_t found = detail::no_variant;
      if (!detail::find(r, options_.stable, name, found) || found == detail::no_variant)
        throw config_error{"variant", quoted(name), "the name of a variant"};
      r.variants[found].percentage = percentage;
    });
  }
  /// Gives everybody one variant: the stable one rolls back at once. The percentages stay, for release().
  void force(std::string_view name) {
    change([name](rollout& r) { r.forced = name; });
  }
  void release() {
    change([](rollout& r) { r.forced.clear(); });
  }

  /// As it is now.
  [[nodiscard]] rollout current() const {
    return rollout_.read([](const rollout& r) { return r; });
  }
  [[nodiscard]] const router_options& options() const noexcept { return options_; }
  [[nodiscard]] std::string_view name() const noexcept { return options_.name; }

 private:
  static constexpr std::size_t most_header = 1024;

  void tell([[maybe_unused]] const decision& d) const noexcept {
#ifndef OTLPKIT_DISABLE
    const std::string_view why = to_string(d.why());
    detail::decisions.add(1, {{"otlpkit.canary.name", options_.name},
                              {"otlpkit.canary.variant", d.variant()},
                              {"otlpkit.canary.reason", why}});
    span& here = current_span();
    if (!here.recording()) return;
    here.set("otlpkit.canary.name", options_.name);
    here.set("otlpkit.canary.variant", d.variant());
    here.set("otlpkit.canary.reason", why);
    here.event("feature_flag.evaluation", {{"feature_flag.key", options_.name},
                                           {"feature_flag.result.variant", d.variant()},
                                           {"feature_flag.result.reason", detail::flag_reason(d.why())},
                                           {"feature_flag.provider.name", "otlpkit"}});
#endif
  }

  void tell_share([[maybe_unused]] const variant& v, [[maybe_unused]] double percentage) const noexcept {
#ifndef OTLPKIT_DISABLE
    detail::shares.set(percentage, {{"otlpkit.canary.name", options_.name}, {"otlpkit.canary.variant", v.name}});
#endif
  }
  void tell_shares(const rollout& r) const noexcept {
    for (const variant& v : r.variants) tell_share(v, v.percentage);
  }

  void told_change([[maybe_unused]] const rollout& before) const noexcept {
#ifndef OTLPKIT_DISABLE
    detail::changes.add(1, {{"otlpkit.canary.name", options_.name}});
    rollout_.read([&](const rollout& r) {
      for (const variant& v : before.variants) {
        std::size_t found = 0;
        if (!detail::find(r, options_.stable, v.name, found)) tell_share(v, 0);  // else it would stay as it was
      }
      tell_shares(r);
      current_span().event("otlpkit.canary.changed",
                           {{"otlpkit.canary.name", options_.name}, {"otlpkit.canary.forced", r.forced}});
    });
#endif
  }

  router_options options_;
  std::string baggage_key_;
  resilience::key_hash seed_;
  detail::published<rollout> rollout_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::canary
