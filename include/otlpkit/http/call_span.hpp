// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>
#include <otlpkit/otlpkit.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::http::detail {

/// A span whose first attributes are not all there every time. A sampler sees those that are.
class call_span : public span {
 public:
#ifdef OTLPKIT_DISABLE
  template <class Put>
  call_span(std::string_view name, const span_options& options, bool, Put&&) noexcept : span{name, {}, options} {}
#else
  /// \param put called as put(add) where the span records; it calls add(field) for each attribute, and may throw
  template <class Put>
  call_span(std::string_view name, const span_options& options, bool current, Put&& put) noexcept : span{idle_t{}} {
    start(name, options.scope, &options, current, [&](otlpkit::detail::span_record& record) {
      try {
        put([&record](const field& f) { put_all(record, {f}); });
      } catch (...) {  // out of memory: fewer attributes
      }
    });
  }
#endif

  /// set() and fail() are inlined wherever they are called; here that is more code than it is worth.
  OTLPKIT_NOINLINE void put(const field& f) noexcept { set({f}); }
};

/// The three histograms of one side of a call.
struct call_metrics {
  const histogram& duration;
  const histogram& request_size;
  const histogram& response_size;
  double seconds;
  std::uint64_t request_body;
  std::uint64_t response_body;

  OTLPKIT_NOINLINE void record(fields labels) const noexcept {
    duration.record(seconds, labels);
    request_size.record(static_cast<double>(request_body), labels);
    response_size.record(static_cast<double>(response_body), labels);
  }

  /// With the labels every call has, and those of `more` that are given: labels are a list whose length is known where
  /// it is written.
  void record(const field& a, const field& b, const field& c, std::initializer_list<const field*> more) const noexcept {
    const field* given[4] = {};
    std::size_t count = 0;
    for (const field* f : more) {
      if (f != nullptr && count < std::size(given)) given[count++] = f;
    }
    switch (count) {
      case 0: return record({a, b, c});
      case 1: return record({a, b, c, *given[0]});
      case 2: return record({a, b, c, *given[0], *given[1]});
      case 3: return record({a, b, c, *given[0], *given[1], *given[2]});
      default: return record({a, b, c, *given[0], *given[1], *given[2], *given[3]});
    }
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http::detail
