// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/export/batch_spans.hpp>
#include <otlpkit/export/held_traces.hpp>
#include <otlpkit/export/terminal.hpp>
#include <otlpkit/export/trace_tree.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// What console_tree prints, where, and how long it waits for a trace to be complete.
struct console_tree_options {
  tree_options tree{};
  /// Takes the text of one trace; false when it could not be written. Empty: `stream`.
  std::function<bool(std::string_view)> sink{};
  std::FILE* stream = stdout;          ///< where trees go when there is no sink
  std::optional<bool> colour{};        ///< unset: as the stream and NO_COLOR say; never with a sink
  std::optional<std::size_t> width{};  ///< columns; unset: as the stream and COLUMNS say

  /// A trace whose root has ended is printed when no further span of it came for this long.
  std::chrono::milliseconds settle{200};
  /// The same where the root's parent is in another process, which may still call again.
  std::chrono::milliseconds settle_remote{1000};
  /// A trace that is known to lack spans (its root, or the parent of a span) is printed as incomplete after this long.
  std::chrono::milliseconds patience{30'000};
  /// Spans waiting longer than this for their trace to be complete count as delivered in the books.
  std::chrono::milliseconds confirm{1000};

  std::size_t max_traces = 1000;                  ///< held at a time; the oldest is printed early, as incomplete
  std::size_t max_spans = 50'000;                 ///< the same, over all traces
  std::size_t max_bytes = std::size_t{16} << 20;  ///< the same, in bytes of encoded spans

  std::function<sdk::exporter::clock::time_point()> now{};  ///< empty: the steady clock
};

/// Prints each finished trace as a tree (see render_tree()).
///
/// Spans are held until their trace is complete: its root has ended, no parent is missing, and it has been quiet for
/// `settle`. Somebody has to say that time passes: the pipeline calls tick(); send() does it too. flush() and
/// shutdown() print whatever is there. Spans that come after their trace was printed are printed as a tree of their
/// own, marked late.
///
/// A send is completed when its spans were printed; those that could not be written are dropped as `failed`. Used from
/// the pipeline's thread only.
class console_tree final : public sdk::exporter {
 public:
  explicit console_tree(console_tree_options options = {})
      : options_{std::move(options)}, traces_{{options_.settle, options_.settle_remote, options_.patience}} {
    const terminal_traits terminal = options_.sink ? terminal_traits{} : terminal_traits::of(options_.stream);
    options_.tree.colour = options_.colour.value_or(terminal.colour);
    options_.tree.width = options_.width.value_or(terminal.width);
    if (!options_.now) options_.now = [] { return clock::now(); };
  }

  [[nodiscard]] std::string_view name() const noexcept override { return "console_tree"; }
  [[nodiscard]] bool accepts(sdk::signal s) const noexcept override { return s == sdk::signal::traces; }

  void send(std::shared_ptr<const sdk::batch> b, completion done) override {
    const clock::time_point now = options_.now();
    const auto delivery = std::make_shared<detail::delivery>(std::move(done), b->items(), now);
    deliveries_.push_back(delivery);
    std::size_t seen = 0;
    for_each_span(*b, [&](const span_view& span, const span_origin& origin) {
      if (seen++ < b->items()) traces_.add(span, origin.resource.service_name(), delivery, now);
    });
    delivery->settle(b->items() - std::min(seen, b->items()), 0);  // counted by the batch, but not there to be printed
    while (!traces_.empty() && (traces_.traces() > options_.max_traces || traces_.spans() > options_.max_spans ||
                                traces_.bytes() > options_.max_bytes)) {
      print(traces_.take_oldest());
    }
    tick(now);
  }

  [[nodiscard]] std::chrono::milliseconds tick_interval() const noexcept override {
    return std::chrono::milliseconds{100};
  }

  /// Prints the traces that are complete as of `now`.
  void tick(clock::time_point now) override {
    while (auto trace = traces_.take_finished(now)) print(*trace);
    while (!deliveries_.empty()) {
      // Taken out first: the completion may call send() or flush() again.
      const auto oldest = deliveries_.front();
      if (!oldest->completed() && now - oldest->since() < options_.confirm) break;
      deliveries_.pop_front();
      oldest->complete();
    }
  }

  /// Prints everything held, in the order in which the traces began, and completes every send.
  void flush() override {
    traces_.sort();
    while (!traces_.empty()) print(traces_.take_oldest());
    while (!deliveries_.empty()) {
      const auto oldest = deliveries_.front();
      deliveries_.pop_front();
      oldest->complete();
    }
  }

  void shutdown(clock::time_point) override { flush(); }

  /// Spans held back until their traces are complete.
  [[nodiscard]] std::size_t held() const noexcept { return traces_.spans(); }

 private:
  void print(const detail::held_trace& trace) {
    const std::vector<tree_span> spans = trace.views();
    tree_options options = options_.tree;
    if (trace.late) {
      options.note = "late: the trace was printed before these ended";
    } else if (!trace.complete()) {
      options.note = "incomplete";
    }
    bool written = false;
    try {
      const std::string text = render_tree(spans, options) + '\n';
      written = options_.sink ? options_.sink(text) : write_patiently(options_.stream, text);
    } catch (...) {
      // A sink of the user's may throw; what it was given is lost either way.
    }
    if (!written)
      report(diagnostic_level::warning, "the trace tree could not be written; its spans count as dropped (failed)");
    for (const auto& [delivery, count] : trace.deliveries) delivery->settle(count, written ? 0 : count);
  }

  console_tree_options options_;
  detail::held_traces traces_;
  std::deque<std::shared_ptr<detail::delivery>> deliveries_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
