// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/runtime.hpp>
#include <otlpkit/testing/span_record.hpp>
#include <otlpkit/trace/limits.hpp>
#include <otlpkit/trace/sampler.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Recording without an SDK: what the foundation does by itself, with the reader in the test's own hands.
namespace support {

struct recording_options {
  otlpkit::sampler* sampler = nullptr;   ///< nullptr: always_on
  bool parent_based = true;              ///< the sampler is asked for roots only
  otlpkit::id_generator* ids = nullptr;  ///< nullptr: random
  otlpkit::span_limits limits = {};
};

/// Records spans as long as it lives, one at a time, and gives them out decoded. Queue limits are the defaults.
class recording {
 public:
  explicit recording(const recording_options& options = {}) {
    otlpkit::detail::runtime& r = otlpkit::detail::global_runtime;
    r.clock.calibrate();
    r.sampler.store(options.sampler, otlpkit::platform::relaxed);
    r.ids.store(options.ids, otlpkit::platform::relaxed);
    limit(options.limits);
    queue(std::size_t{8} << 20, 2048);
    std::uint32_t mode = otlpkit::detail::mode_traces;
    if (options.parent_based) mode |= otlpkit::detail::mode_parent_based;
    if (options.ids != nullptr) mode |= otlpkit::detail::mode_custom_ids;
    r.mode.store(mode, otlpkit::platform::release);
  }
  recording(const recording&) = delete;
  recording& operator=(const recording&) = delete;

  ~recording() {
    otlpkit::detail::runtime& r = otlpkit::detail::global_runtime;
    r.mode.store(0, otlpkit::platform::release);
    r.sampler.store(nullptr, otlpkit::platform::relaxed);
    r.ids.store(nullptr, otlpkit::platform::relaxed);
    limit({});
    r.spans.drain([](std::uint16_t, std::string_view) { return true; });
  }

  /// How much may wait to be taken.
  static void queue(std::size_t bytes, std::int64_t spans) {
    otlpkit::detail::global_runtime.spans.max_bytes.store(bytes, otlpkit::platform::relaxed);
    otlpkit::detail::global_runtime.spans.max_items.store(spans, otlpkit::platform::relaxed);
  }

  /// The spans that ended since the last call, in the order they ended on each thread.
  [[nodiscard]] std::vector<otlpkit::testing::span_record> take() {
    std::vector<otlpkit::testing::span_record> out;
    bool ok = true;
    otlpkit::detail::global_runtime.spans.drain([&](std::uint16_t scope, std::string_view record) {
      otlpkit::span_origin origin;
      origin.scope = otlpkit::scope_view{otlpkit::detail::global_scopes.encoded(scope)};
      const otlpkit::span_view span{record};
      out.push_back(otlpkit::testing::span_record::from(span, origin));
      ok = ok && span.ok();
      return true;
    });
    if (!ok) throw std::runtime_error{"a recorded span does not decode"};
    return out;
  }

  /// The one span that ended since the last call.
  [[nodiscard]] otlpkit::testing::span_record take_one() {
    std::vector<otlpkit::testing::span_record> spans = take();
    if (spans.size() != 1) throw std::runtime_error{"expected one span, got " + std::to_string(spans.size())};
    return std::move(spans.front());
  }

 private:
  static void limit(const otlpkit::span_limits& l) {
    otlpkit::detail::runtime& r = otlpkit::detail::global_runtime;
    r.span_attributes = {l.attributes, l.attribute_value_length, l.attribute_depth};
    r.event_attributes = {l.event_attributes, l.attribute_value_length, l.attribute_depth};
    r.link_attributes = {l.link_attributes, l.attribute_value_length, l.attribute_depth};
    r.max_events = l.events;
    r.max_links = l.links;
  }
};

/// Lowercase hex of an id.
template <class Id>
[[nodiscard]] std::string hex(const Id& id) {
  const otlpkit::hex_id<Id> h = otlpkit::to_hex(id);
  return {h.text, sizeof h.text};
}

/// A context as a header from another process would make it.
[[nodiscard]] inline otlpkit::span_context remote_context(bool sampled, std::string_view state = {}) {
  return {{{0x0102030405060708u, 0x1112131415161718u}},
          {0x2122232425262728u},
          sampled ? otlpkit::flag_sampled : std::uint8_t{0},
          true,
          otlpkit::trace_state{state}};
}

}  // namespace support
