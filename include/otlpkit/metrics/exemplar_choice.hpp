// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

struct span_context;

/// A measurement that may become an exemplar. Valid during the call.
struct exemplar_candidate {
  double value;                 ///< of integers too; the exemplar keeps the exact number
  const span_context& context;  ///< of the span it was measured in; invalid outside of spans
  std::string_view attributes;  ///< all of the measurement, each a KeyValue under tag 7, as of a data point
  std::uint64_t time;           ///< Unix nanoseconds
  std::uint32_t bucket;         ///< of an explicit histogram, else 0
};

/// Chooses which measurements of one series become exemplars: derive from it for a choice of your own, and name it in a
/// view (`.exemplars = otlpkit::exemplars::own(...)`). There is an object for each series; calls come from any thread,
/// one at a time, and must neither block nor measure with the same instrument.
class exemplar_chooser {
 public:
  static constexpr std::uint32_t nowhere = 0xFFFF'FFFF;

  virtual ~exemplar_chooser() = default;
  /// How many exemplars it keeps, the same always; at most 1,024.
  [[nodiscard]] virtual std::uint32_t size() const noexcept = 0;
  /// The place (below size()) this measurement takes from what was there, or `nowhere`.
  [[nodiscard]] virtual std::uint32_t offer(const exemplar_candidate&) noexcept = 0;
  /// What was chosen was collected: all places are free.
  virtual void collected() noexcept {}
};

namespace detail {

/// How the exemplars of a stream are chosen where a view says so. Made once, read by all.
struct exemplar_plan {
  enum class kind : std::uint8_t { by_bucket, fixed_size, own, none };
  kind what;
  std::uint32_t size;                                       ///< of fixed_size
  exemplar_chooser* (*make)(const void* factory) noexcept;  ///< of `own`; nullptr when memory is out
  const void* factory;
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI
