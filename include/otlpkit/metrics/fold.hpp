// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/stream.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>

/// What a thread leaves to a series when it ends or lets go of it.
namespace otlpkit::inline OTLPKIT_ABI::detail {

inline void fold_cell(const stream& s, histogram_cell& from, histogram_cell& to) noexcept {
  histogram_reading reading;
  reading.take(from, s.buckets());
  if (to.asked.load(platform::relaxed) != to.turned.load(platform::relaxed))
    to.turn(to.asked.load(platform::relaxed), to.writes.load(platform::relaxed));
  extremes rest{to.min.load(platform::relaxed), to.max.load(platform::relaxed)};
  rest.merge(reading.fresh.min, reading.fresh.max);
  to.min.store(rest.min, platform::relaxed);
  to.max.store(rest.max, platform::relaxed);
  to.earlier_min.store(histogram_cell::infinity, platform::relaxed);
  to.earlier_max.store(-histogram_cell::infinity, platform::relaxed);
  for (std::size_t i = 0; i < s.buckets(); ++i) bump(to.counts()[i], reading.counts[i]);
  to.sum.store(to.sum.load(platform::relaxed) + reading.sum, platform::relaxed);
  bump(to.writes, reading.writes);
}

inline void fold_cell(exponential_cell& from, exponential_cell& to) noexcept {
  if (to.asked.load(platform::relaxed) != to.turned.load(platform::relaxed))
    to.turn(to.asked.load(platform::relaxed), to.writes.load(platform::relaxed));
  if (from.known != nullptr && from.cleared.load(platform::relaxed) != from.asked.load(platform::relaxed)) {
    if (from.writes.load(platform::relaxed) != from.collected) {
      from.buckets().subtract(*from.known);
      to.buckets().merge(from.buckets());
    }
  } else {
    to.buckets().merge(from.buckets());
  }
  bump(to.writes, from.writes.load(platform::relaxed));
}

inline void fold_cell(gauge_cell& from, gauge_cell& to) noexcept {
  if (from.writes.load(platform::relaxed) == 0) return;
  if (to.writes.load(platform::relaxed) == 0 || from.tick.load(platform::relaxed) >= to.tick.load(platform::relaxed)) {
    to.value.store(from.value.load(platform::relaxed), platform::relaxed);
    to.tick.store(from.tick.load(platform::relaxed), platform::relaxed);
  }
  bump(to.writes, from.writes.load(platform::relaxed));
}

inline void fold_cell(const stream& s, sum_cell& from, sum_cell& to) noexcept {
  const std::uint64_t bits = from.value.load(platform::relaxed);
  const std::uint64_t writes = to.writes.load(platform::relaxed) + from.writes.load(platform::relaxed);
  if (s.floating) {
    to.add(std::bit_cast<double>(bits));
  } else {
    to.add(static_cast<std::int64_t>(bits));
  }
  to.writes.store(writes, platform::relaxed);
}

/// Adds what a cell has measured to what others left, and takes it from the list of living ones. Under the registry's
/// guard, by the cell's own thread.
inline void fold(series& x, cell& c) noexcept {
  const stream& s = *x.owner;
  x.detach(c);
  cell& to = *x.ended;
  switch (s.aggregation) {
    case aggregation_kind::explicit_buckets:
      fold_cell(s, static_cast<histogram_cell&>(c), static_cast<histogram_cell&>(to));
      break;
    case aggregation_kind::exponential_buckets:
      fold_cell(static_cast<exponential_cell&>(c), static_cast<exponential_cell&>(to));
      break;
    case aggregation_kind::last_value: fold_cell(static_cast<gauge_cell&>(c), static_cast<gauge_cell&>(to)); break;
    default: fold_cell(s, static_cast<sum_cell&>(c), static_cast<sum_cell&>(to)); break;
  }
  exemplar_reservoir* const own = c.exemplars.load(platform::relaxed);
  if (own == nullptr) return;
  exemplar_reservoir* const kept = to.exemplars.load(platform::relaxed);
  if (kept == nullptr) {
    to.exemplars.store(own, platform::relaxed);
    c.exemplars.store(nullptr, platform::relaxed);
    return;
  }
  own->take([&](std::uint32_t slot, const exemplar& e, std::string_view attributes) noexcept {
    kept->keep(slot, e, attributes);
  });
}

/// Begins anew, in the child of a fork. Under the registry's guard.
inline void forget(series& x) noexcept {
  x.cells = nullptr;
  x.settled = 0;
  x.owner->destroy_cell(*x.ended);
  x.ended = x.owner->make_cell(x.ended, x);
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
