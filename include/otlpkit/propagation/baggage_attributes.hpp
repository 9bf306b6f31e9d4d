// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/propagation/carried.hpp>
#include <otlpkit/trace/sampler.hpp>
#include <otlpkit/trace/span.hpp>

#include <cstddef>
#include <initializer_list>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// Whether a baggage key is wanted: by its name, or by the beginning of it, `tenant.*`. The texts must live as long as
/// the filter; it holds up to 16 of them, more are not looked at.
class baggage_filter {
 public:
  constexpr baggage_filter(std::initializer_list<std::string_view> patterns) noexcept {
    for (const std::string_view p : patterns) {
      if (count_ < most) patterns_[count_++] = p;
    }
  }

  [[nodiscard]] constexpr bool operator()(std::string_view key) const noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      const std::string_view p = patterns_[i];
      const bool open = !p.empty() && p.back() == '*';
      if (open ? key.substr(0, p.size() - 1) == p.substr(0, p.size() - 1) : key == p) return true;
    }
    return false;
  }

 private:
  static constexpr std::size_t most = 16;
  std::string_view patterns_[most];
  std::size_t count_ = 0;
};

/// Records the current baggage's entries for which `filter(key)` is true as attributes of `to`, under their own keys.
/// Baggage comes from callers: choose keys by name, never all of them, where callers are not your own.
template <class Filter>
void record_baggage(span& to, const Filter& filter) noexcept {
  const detail::carried_entry* const carried = detail::carried_entry::current();
  if (carried == nullptr || !to.recording()) return;
  for (const baggage_entry& e : carried->baggage) {
    if (filter(e.key)) to.set(e.key, e.value);
  }
}

/// A sampler that records baggage on every span that starts, and leaves the decision to `delegate`:
///
///     constexpr otlpkit::baggage_filter wanted{"tenant.id", "order.*"};
///     otlpkit::telemetry telemetry{{.sampler = {.custom =
///         std::make_shared<otlpkit::baggage_sampler<otlpkit::baggage_filter>>(wanted)}}};
///
/// Without a delegate spans follow their parent and roots are recorded. An attribute given at the span's start wins
/// over baggage of the same key only if it is set again later: baggage is written last.
template <class Filter>
class baggage_sampler final : public sampler {
 public:
  explicit baggage_sampler(Filter filter, sampler* delegate = nullptr) noexcept
      : filter_{std::move(filter)}, delegate_{delegate} {}

  sampling_decision should_sample(const sampling_parameters& span, sampling_changes& changes) noexcept override {
    sampling_decision decision = sampling_decision::record_and_sample;
    if (delegate_ != nullptr) {
      decision = delegate_->should_sample(span, changes);
    } else if (span.parent.valid() && !span.parent.sampled()) {
      decision = sampling_decision::drop;
    }
    const detail::carried_entry* const carried = detail::carried_entry::current();
    if (carried == nullptr || decision == sampling_decision::drop) return decision;
    for (const baggage_entry& e : carried->baggage) {
      if (filter_(e.key)) changes.set(e.key, e.value);
    }
    return decision;
  }

  std::string_view description() const noexcept override { return "BaggageSampler"; }

 private:
  Filter filter_;
  sampler* delegate_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
