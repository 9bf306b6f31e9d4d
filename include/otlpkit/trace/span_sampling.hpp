// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/sampler.hpp>
#include <otlpkit/trace/span.hpp>

#include <cstddef>

namespace otlpkit::inline OTLPKIT_ABI {

/// Asks the sampler, now that the span has its fields.
OTLPKIT_COLD inline void span::decide(span_name name, const span_options* options) noexcept {
  live_.undecided = false;
  if (kept()) return decide_kept(name, options);
  span_context& ids = live_.entry.ids;
  sampling_decision decision = sampling_decision::record_and_sample;
  if (sampler* const chosen = detail::global_runtime.sampler.load(platform::acquire)) {
    const span_context parent = live_.parent.valid()
                                    ? span_context{ids.trace, live_.parent, ids.flags, live_.remote_parent, ids.state}
                                    : span_context{};
    const std::size_t links = options != nullptr ? options->links.size() : 0;
    sampling_changes changes{live_.record.body(), live_.record.attributes(), detail::global_runtime.span_attributes,
                             ids.state};
    decision =
        chosen->should_sample({parent, ids.trace, name.text(), live_.kind, live_.record.body().view(), links}, changes);
  }
  ids.flags = static_cast<std::uint8_t>(ids.flags & ~flag_sampled);
  if (decision == sampling_decision::record_and_sample) ids.flags |= flag_sampled;
  if (decision == sampling_decision::drop) live_.entry.recording = nullptr;
  note_state();
  if ((detail::global_runtime.mode.load(platform::relaxed) & detail::mode_count_spans) != 0) {
    count_start(decision == sampling_decision::drop          ? sampling::drop
                : decision == sampling_decision::record_only ? sampling::record_only
                                                             : sampling::record_and_sample);
  }
}

OTLPKIT_COLD inline void span::count_start(sampling decided) noexcept {
  using parent = detail::span_counts::parent;
  const detail::span_counts* const counts = detail::global_runtime.counts.load(platform::acquire);
  if (counts == nullptr) return;
  if (decided != sampling::drop) live_.ends = detail::open_span::path::counted;
  counts->started(!live_.parent.valid() ? parent::none : live_.remote_parent ? parent::remote : parent::local, decided);
}
OTLPKIT_COLD inline void span::count_end() const noexcept {
  const detail::span_counts* const counts = detail::global_runtime.counts.load(platform::acquire);
  if (counts != nullptr) counts->ended(live_.entry.ids.sampled() ? sampling::record_and_sample : sampling::record_only);
}

}  // namespace otlpkit::inline OTLPKIT_ABI
