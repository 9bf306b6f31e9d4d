// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/registry.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// An exponential histogram of a reader's own.
class exponential_total {
 public:
  exponential_total() noexcept = default;
  exponential_total(exponential_total&& other) noexcept : buckets_{std::exchange(other.buckets_, nullptr)} {}
  exponential_total& operator=(exponential_total&& other) noexcept {
    std::swap(buckets_, other.buckets_);
    return *this;
  }
  ~exponential_total() { reset(); }

  void merge(const otlpkit::detail::exponential_buckets& more) {
    using otlpkit::detail::exponential_buckets;
    if (buckets_ == nullptr) {
      void* const memory = std::malloc(exponential_buckets::bytes(more.size()));
      if (memory == nullptr) throw std::bad_alloc{};
      buckets_ = exponential_buckets::make(memory, more.size(), more.max_scale());
    }
    buckets_->merge(more);
  }
  void reset() noexcept {
    if (buckets_ != nullptr) buckets_->~exponential_buckets();
    std::free(std::exchange(buckets_, nullptr));
  }
  [[nodiscard]] const otlpkit::detail::exponential_buckets* get() const noexcept { return buckets_; }

 private:
  otlpkit::detail::exponential_buckets* buckets_ = nullptr;
};

/// An exemplar a reader is to report.
struct kept_exemplar {
  std::uint32_t slot = 0;
  otlpkit::detail::exemplar what{};
  unix_ns time = 0;
  std::string attributes{};  ///< framed as Exemplar.filtered_attributes
};

/// What a series has measured in all, over threads that live and that ended.
struct series_total {
  std::uint64_t writes = 0;
  std::uint64_t value = 0;  ///< of sums and gauges: an integer, or a double's bits
  double sum = 0;           ///< of histograms, as are the next
  std::vector<std::uint64_t> counts{};

  /// What came after `before`.
  [[nodiscard]] series_total since(const series_total& before, bool floating) const {
    series_total d = *this;
    d.writes -= before.writes;
    d.value = minus(value, before.value, floating);
    d.sum -= before.sum;
    if (d.counts.size() < before.counts.size()) d.counts.resize(before.counts.size());
    for (std::size_t i = 0; i < before.counts.size(); ++i) d.counts[i] -= before.counts[i];
    return d;
  }

  [[nodiscard]] static std::uint64_t minus(std::uint64_t a, std::uint64_t b, bool floating) noexcept {
    return floating ? std::bit_cast<std::uint64_t>(std::bit_cast<double>(a) - std::bit_cast<double>(b)) : a - b;
  }
  [[nodiscard]] static std::uint64_t plus(std::uint64_t a, std::uint64_t b, bool floating) noexcept {
    return floating ? std::bit_cast<std::uint64_t>(std::bit_cast<double>(a) + std::bit_cast<double>(b)) : a + b;
  }
};

/// What reading a series brought to light that no reader knew before: it is news to all of them.
struct series_news {
  otlpkit::detail::extremes extremes{};
  exponential_total exponential{};
  std::vector<kept_exemplar> exemplars{};
  std::uint32_t free_places = 0;  ///< of the reservoir, where it does not matter which an exemplar has

  [[nodiscard]] bool any() const noexcept {
    return extremes.min <= extremes.max || exponential.get() != nullptr || !exemplars.empty();
  }
};

/// What a reader knows of a series.
struct reader_state {
  series_total reference{};              ///< what was measured before this reader, or before the interval
  otlpkit::detail::extremes extremes{};  ///< since then, as are the next
  exponential_total exponential{};
  std::vector<kept_exemplar> exemplars{};

  void take(const series_news& news) {
    if (news.extremes.min <= news.extremes.max) extremes.merge(news.extremes.min, news.extremes.max);
    if (news.exponential.get() != nullptr) exponential.merge(*news.exponential.get());
    for (const kept_exemplar& e : news.exemplars) keep(e, news.free_places);
  }
  /// One for each slot: of those that came together from several threads the last. Where any slot will do, one that
  /// is free.
  /// \param free_places slots there are, where it does not matter which; else 0
  void keep(kept_exemplar e, std::uint32_t free_places) {
    const auto in = [this](std::uint32_t slot) {
      return std::find_if(exemplars.begin(), exemplars.end(), [slot](const auto& k) { return k.slot == slot; });
    };
    auto same = in(e.slot);
    for (std::uint32_t slot = 0; same != exemplars.end() && exemplars.size() < free_places; ++slot) {
      if (in(slot) != exemplars.end()) continue;
      e.slot = slot;
      same = exemplars.end();
    }
    if (same == exemplars.end()) {
      exemplars.push_back(e);
    } else if (same->time <= e.time) {
      *same = e;
    }
  }
};

namespace detail {

inline void read_exemplars(otlpkit::detail::cell& c, series_news& news) {
  otlpkit::detail::exemplar_reservoir* const r = c.exemplars.load(platform::acquire);
  if (r == nullptr) return;
  r->take([&](std::uint32_t slot, const otlpkit::detail::exemplar& e, std::string_view attributes) {
    news.exemplars.push_back({slot, e, otlpkit::detail::global_runtime.clock.wall_at(e.tick), std::string{attributes}});
  });
}

inline void read_cell(const otlpkit::detail::stream& s, otlpkit::detail::histogram_cell& h, series_total& total,
                      series_news& news) {
  otlpkit::detail::histogram_reading r;
  r.take(h, s.buckets());
  r.collected(h);
  news.extremes.merge(r.fresh.min, r.fresh.max);
  total.writes += r.writes;
  total.sum += r.sum;
  for (std::size_t i = 0; i < s.buckets(); ++i) total.counts[i] += r.counts[i];
}

}  // namespace detail

/// Adds the cells of a series up, and takes what nobody has taken yet.
[[nodiscard]] inline series_total read_series(otlpkit::detail::series& x, series_news& news) {
  namespace core = otlpkit::detail;
  const core::stream& s = *x.owner;
  series_total total;
  news.free_places = s.any_place();
  if (s.aggregation == aggregation_kind::explicit_buckets) total.counts.resize(s.buckets());
  std::uint64_t latest = 0;
  bool any = false;
  const auto read = [&](core::cell& c) {
    detail::read_exemplars(c, news);
    switch (s.aggregation) {
      case aggregation_kind::explicit_buckets:
        detail::read_cell(s, static_cast<core::histogram_cell&>(c), total, news);
        break;
      case aggregation_kind::exponential_buckets: {
        auto& e = static_cast<core::exponential_cell&>(c);
        if (e.writes.load(platform::acquire) != e.collected) {
          core::exponential_reading r{s.exponential_size, s.exponential_scale};
          if (r.take(e)) news.exponential.merge(r.fresh());
        }
        total.writes += e.collected;
        break;
      }
      case aggregation_kind::last_value: {
        const auto& g = static_cast<const core::gauge_cell&>(c);
        std::uint64_t value = 0, tick = 0;
        const std::uint64_t writes = core::read_cell(g, [&] {
          value = g.value.load(platform::acquire);
          tick = g.tick.load(platform::acquire);
        });
        total.writes += writes;
        if (writes == 0 || (any && tick < latest)) break;
        any = true;
        latest = tick;
        total.value = value;
        break;
      }
      default: {
        const auto& sum = static_cast<const core::sum_cell&>(c);
        const std::uint64_t value = sum.value.load(platform::relaxed);
        total.writes += sum.writes.load(platform::relaxed) + (x.counts ? value : 0);
        total.value = series_total::plus(total.value, value, s.floating);
      }
    }
  };
  platform::lock_guard lock{core::global_metrics.guard};
  read(*x.ended);
  for (core::cell* c = x.cells; c != nullptr; c = c->next) read(*c);
  return total;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
