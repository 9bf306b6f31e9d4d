// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/metric_thread.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

/// How a measurement becomes an exemplar.
namespace otlpkit::inline OTLPKIT_ABI::detail {

/// A measurement on its way, of an instrument that counts integers or doubles.
struct measurement {
  std::uint64_t bits;
  bool floating;

  explicit measurement(std::int64_t v) noexcept : bits{static_cast<std::uint64_t>(v)}, floating{false} {}
  explicit measurement(double v) noexcept : bits{std::bit_cast<std::uint64_t>(v)}, floating{true} {}
  [[nodiscard]] double real() const noexcept {
    return floating ? std::bit_cast<double>(bits) : static_cast<double>(static_cast<std::int64_t>(bits));
  }
};

/// Encodes the labels for which `wanted(key)`, each framed under `tag`, up to `most` bytes.
template <class Given, class Wanted>
void encode_some(record_buffer& out, wire::byte tag, const Given* labels, std::size_t count, std::size_t most,
                 Wanted wanted) noexcept {
  const label_set all{labels, count, nullptr};
  for (std::size_t i = 0; i < all.size() && all.ok(); ++i) {
    if (!wanted(all.begin()[i].key_text())) continue;
    const std::size_t before = out.size();
    bool ok = true;
    encode_labels(out, tag, all.begin() + i, 1, ok);
    if (!ok || out.size() > most) out.shrink_to(before);
  }
}

/// What a reservoir has chosen.
template <class Given>
void fill(exemplar& e, const stream& s, measurement m, std::uint64_t tick, const Given* labels,
          std::size_t count) noexcept {
  e.tick = tick;
  e.bits = m.bits;
  const span_context* const here = sampled_here();
  const context_entry* const top = current_slot().current();
  e.trace = here != nullptr ? here->trace : top != nullptr ? top->ids.trace : trace_id{};
  e.span = here != nullptr ? here->span : top != nullptr ? top->ids.span : span_id{};
  e.size = 0;
  e.taken = true;
  if (s.filter == nullptr || count == 0) return;
  record_buffer out;
  encode_some(out, 0x3A, labels, count, exemplar::most_bytes,
              [&s](std::string_view key) { return !s.filter->passes(key); });
  e.size = static_cast<std::uint32_t>(out.size());
  if (e.size != 0) std::memcpy(static_cast<void*>(&e + 1), out.view().data(), e.size);
}

/// As offer(), where a view says which measurements are chosen.
template <class Given>
OTLPKIT_COLD void offer_to_own(cell& c, measurement m, std::uint32_t bucket, const Given* labels,
                               std::size_t count) noexcept {
  series& x = *c.owner;
  const stream& s = *x.owner;
  exemplar_reservoir* r = x.ended->exemplars.load(platform::acquire);
  if (r == nullptr) {
    exemplar_reservoir* const made = s.make_reservoir();
    if (made == nullptr) return;
    if (x.ended->exemplars.compare_exchange(r, made, platform::acq_rel)) {
      r = made;
    } else {
      exemplar_reservoir::destroy(made);  // another thread was first
    }
  }
  record_buffer encoded;
  if (count != 0) {
    encode_some(encoded, 0x3A, labels, count, label_set::max_bytes, [](std::string_view) { return true; });
  } else if (x.label_count != 0) {
    encode_some(encoded, 0x3A, x.labels, x.label_count, label_set::max_bytes, [](std::string_view) { return true; });
  }
  const context_entry* const top = current_slot().current();
  const std::uint64_t tick = global_runtime.clock.now();
  const span_context none{};
  const exemplar_candidate candidate{m.real(), top != nullptr ? top->ids : none, encoded.view(),
                                     global_runtime.clock.wall_at(tick), bucket};
  exemplar* const e = r->choose(candidate);
  if (e == nullptr) return;
  fill(*e, s, m, tick, labels, count);
  r->finish();
}

/// Keeps the measurement as an exemplar, if it is chosen.
template <class Given = field>
OTLPKIT_NOINLINE void offer(cell& c, measurement m, std::uint32_t bucket, const Given* labels = nullptr,
                            std::size_t count = 0) noexcept {
  const stream& s = *c.owner->owner;
  if (s.exemplars != nullptr) [[unlikely]] {
    if (s.exemplars->what == exemplar_plan::kind::none) return;
    if (s.exemplars->what == exemplar_plan::kind::own) return offer_to_own(c, m, bucket, labels, count);
  }
  exemplar_reservoir* r = c.exemplars.load(platform::relaxed);
  if (r == nullptr) {
    r = s.make_reservoir();
    if (r == nullptr) return;
    c.exemplars.store(r, platform::release);
  }
  exemplar* const e = r->choose(bucket);
  if (e == nullptr) return;
  fill(*e, s, m, global_runtime.clock.now(), labels, count);
  r->finish();
}

[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool wants_exemplar() noexcept {
  const exemplars_of which = this_thread_metrics.exemplars;
  if (which == exemplars_of::sampled_spans) [[likely]]
    return sampled_here() != nullptr;
  return which == exemplars_of::all;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
