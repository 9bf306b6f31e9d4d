// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/registry.hpp>
#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/metric_points.hpp>
#include <otlpkit/sdk/settings.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

struct metric_reader_options {
  temporality_preference temporality = temporality_preference::cumulative;
  std::uint32_t cardinality_limit = 2000;  ///< series of one instrument; where readers differ, the largest holds
  unix_ns start = 0;                       ///< when it begins; 0: now
};

/// Collects what all instruments of the process measured since it was made, as OTLP.
///
/// Readers do not disturb each other. collect() may be called by one thread at a time; instruments go on recording
/// meanwhile, and every measurement is in exactly one interval.
class metric_reader {
 public:
  explicit metric_reader(metric_reader_options options = {})
      : options_{options}, start_{options.start != 0 ? options.start : platform::wall_ns()}, previous_{start_} {
    platform::lock_guard turn{otlpkit::detail::global_metrics.collecting};
    begin();
    readers().push_back(this);
    agree_on_limit();
  }
  metric_reader(const metric_reader&) = delete;
  metric_reader& operator=(const metric_reader&) = delete;
  ~metric_reader() {
    platform::lock_guard turn{otlpkit::detail::global_metrics.collecting};
    std::erase(readers(), this);
    agree_on_limit();
  }

  /// Everything to report as of `now`: per scope the Metric messages, framed for ScopeMetrics.metrics. Instruments
  /// without data points are left out, as are scopes without instruments.
  [[nodiscard]] std::vector<scope_items> collect(unix_ns now) {
    platform::lock_guard turn{otlpkit::detail::global_metrics.collecting};
    if (generation_ != otlpkit::detail::global_metrics.generation.load(platform::relaxed)) {
      // The child of a fork: what was there before is the parent's.
      states_.clear();
      generation_ = otlpkit::detail::global_metrics.generation.load(platform::relaxed);
      start_ = previous_ = std::min(platform::wall_ns(), now);
    }
    points_ = 0;
    std::vector<scope_items> out;
    std::vector<std::uint16_t> scopes;
    metric_message message;
    for (otlpkit::detail::stream* s = otlpkit::detail::global_metrics.first.load(platform::acquire); s != nullptr;
         s = s->next.load(platform::acquire)) {
      const bool delta = is_delta(s->kind);
      message.begin(*s, delta);
      for (otlpkit::detail::series* x = s->first.load(platform::acquire); x != nullptr;
           x = x->next.load(platform::acquire)) {
        const series_total total = read(*x);
        series_state& state = state_of(*x);
        if (total.writes == state.reference.writes) continue;
        const bool known = x->created >= start_ && x->created <= now;
        message.add(*x, total.since(state.reference, s->floating), state.extremes,
                    delta   ? previous_
                    : known ? x->created
                            : start_,
                    now);
        if (!delta) continue;
        state.reference = total;
        state.extremes = {};
      }
      if (message.points() == 0) continue;
      const auto at = std::find(scopes.begin(), scopes.end(), s->scope);
      scope_items* items = nullptr;
      if (at == scopes.end()) {
        scopes.push_back(s->scope);
        items = &out.emplace_back();
        items->scope = otlpkit::detail::global_scopes.encoded(s->scope);
      } else {
        items = &out[static_cast<std::size_t>(at - scopes.begin())];
      }
      message.append_to(items->items);
      items->count += message.points();
      points_ += message.points();
    }
    previous_ = now;
    return out;
  }

  /// Data points of the last collection.
  [[nodiscard]] std::size_t points() const noexcept { return points_; }

 private:
  struct series_state {
    series_total reference{};              ///< what was measured before this reader, or before the interval
    otlpkit::detail::extremes extremes{};  ///< since then
  };

  /// Under the registry's `collecting`.
  [[nodiscard]] static std::vector<metric_reader*>& readers() {
    static auto* const all = new std::vector<metric_reader*>;
    return *all;
  }

  static void agree_on_limit() {
    std::uint32_t limit = readers().empty() ? 2000 : 1;
    for (const metric_reader* r : readers()) limit = std::max(limit, r->options_.cardinality_limit);
    otlpkit::detail::global_metrics.limit.store(limit, platform::relaxed);
  }

  /// Gauges have no temporality: they are always reported. Up-down counters are cumulative under every preference.
  [[nodiscard]] bool is_delta(instrument_kind kind) const noexcept {
    return options_.temporality != temporality_preference::cumulative &&
           (kind == instrument_kind::counter || kind == instrument_kind::histogram);
  }

  void begin() {
    generation_ = otlpkit::detail::global_metrics.generation.load(platform::relaxed);
    for (otlpkit::detail::stream* s = otlpkit::detail::global_metrics.first.load(platform::acquire); s != nullptr;
         s = s->next.load(platform::acquire)) {
      for (otlpkit::detail::series* x = s->first.load(platform::acquire); x != nullptr;
           x = x->next.load(platform::acquire)) {
        state_of(*x).reference = read(*x);
      }
    }
  }

  /// The total of a series. The extremes that come with it are news to every reader.
  [[nodiscard]] series_total read(otlpkit::detail::series& x) {
    otlpkit::detail::extremes fresh;
    series_total total = read_series(x, fresh);
    if (fresh.min <= fresh.max) {
      for (metric_reader* r : readers()) r->state_of(x).extremes.merge(fresh.min, fresh.max);
    }
    return total;
  }

  [[nodiscard]] series_state& state_of(const otlpkit::detail::series& x) {
    const std::size_t stream = x.owner->number;
    if (states_.size() <= stream) states_.resize(stream + 1);
    auto& all = states_[stream];
    if (all.size() <= x.ordinal) all.resize(x.ordinal + std::size_t{1});
    return all[x.ordinal];
  }

  metric_reader_options options_;
  unix_ns start_;
  unix_ns previous_;
  std::uint32_t generation_ = 0;
  std::size_t points_ = 0;
  std::vector<std::vector<series_state>> states_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
