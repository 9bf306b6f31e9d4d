// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/runtime.hpp>
#include <otlpkit/metrics/instrument.hpp>
#include <otlpkit/version.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::sdk::detail {

OTLPKIT_VISIBLE inline constinit instrumentation_scope self_scope{"otlpkit.sdk", OTLPKIT_VERSION};

/// An instrument of this library about itself. It measures whether recording is on or not: the last counts of a
/// telemetry object are known after it was switched off.
class self_instrument {
 public:
  constexpr self_instrument(instrument_kind kind, bool floating, const char* name, const char* unit,
                            const char* description, const bucket_bounds* bounds = nullptr) noexcept
      : core_{kind, floating, name, unit, description, &self_scope, bounds} {}

  void add(std::int64_t n, fields labels) const noexcept { otlpkit::detail::add_always(core_, n, labels); }
  void record(double v, fields labels) const noexcept { otlpkit::detail::record_always(core_, v, labels); }
  [[nodiscard]] otlpkit::detail::series* bind(fields labels) const noexcept { return core_.bind(labels); }

 private:
  otlpkit::detail::instrument core_;
};

/// What threads count of the spans they begin and end, while self-metrics are on. The series are looked up once.
class self_spans {
 public:
  using parent = otlpkit::detail::span_counts::parent;
  using result = otlpkit::detail::span_counts::result;

  /// Makes runtime::counts count here.
  static void install() {
    static constexpr std::string_view origins[] = {"none", "local", "remote"};
    static constexpr std::string_view results[] = {"DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE"};
    table& t = all();
    for (std::size_t r = 0; r < 3; ++r) {
      t.alive[r].store(live.bind({{"otel.span.sampling_result", results[r]}}), platform::release);
      for (std::size_t p = 0; p < 3; ++p) {
        t.begun[p][r].store(
            started.bind({{"otel.span.parent.origin", origins[p]}, {"otel.span.sampling_result", results[r]}}),
            platform::release);
      }
    }
    static constexpr otlpkit::detail::span_counts counts{&count_start, &count_end};
    otlpkit::detail::global_runtime.counts.store(&counts, platform::release);
  }

 private:
  using series = otlpkit::detail::series;
  /// Written before the pointer to `counts` is; the same every time.
  struct table {
    platform::atomic<series*> alive[3], begun[3][3];
  };
  [[nodiscard]] static table& all() noexcept {
    static constinit table t{};
    return t;
  }

  static void count_start(parent p, result r) noexcept {
    add(all().begun[static_cast<std::size_t>(p)][static_cast<std::size_t>(r)], 1);
    if (r != result::drop) add(all().alive[static_cast<std::size_t>(r)], 1);
  }
  static void count_end(result r) noexcept { add(all().alive[static_cast<std::size_t>(r)], -1); }
  static void add(const platform::atomic<series*>& to, std::int64_t n) noexcept {
    if (series* const s = to.load(platform::acquire)) otlpkit::detail::add_bound_always(s, n);
  }

  OTLPKIT_VISIBLE static constinit self_instrument live, started;
};
inline constinit self_instrument self_spans::live{instrument_kind::up_down_counter, false, "otel.sdk.span.live",
                                                  "{span}", "Recording spans that have not ended."};
inline constinit self_instrument self_spans::started{instrument_kind::counter, false, "otel.sdk.span.started", "{span}",
                                                     "Spans that began, those that are not recorded included."};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk::detail
