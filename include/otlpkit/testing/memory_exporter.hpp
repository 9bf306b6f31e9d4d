// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/batch_logs.hpp>
#include <otlpkit/export/batch_spans.hpp>
#include <otlpkit/sdk/exporter.hpp>
#include <otlpkit/testing/log_record.hpp>
#include <otlpkit/testing/span_record.hpp>

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::testing {

/// Keeps every batch in memory, for tests that look at what was recorded.
///
/// \code
/// auto memory = std::make_shared<otlpkit::testing::memory_exporter>();
/// otlpkit::telemetry telemetry{{.service = "test", .exporters = {memory}}};
/// work();
/// telemetry.flush(1s);
/// CHECK(otlpkit::testing::only(memory->spans(), "cart.add_item").attributes["quantity"] == 2);
/// \endcode
///
/// send() comes from the pipeline's thread; everything else may be called from any.
class memory_exporter final : public sdk::exporter {
 public:
  memory_exporter() = default;

  [[nodiscard]] std::string_view name() const noexcept override { return "memory_exporter"; }
  [[nodiscard]] bool accepts(sdk::signal) const noexcept override { return true; }

  void send(std::shared_ptr<const sdk::batch> b, completion done) override {
    const std::size_t items = b->items();
    sdk::export_result result;
    {
      const std::lock_guard lock{mutex_};
      if (fail_as_ == sdk::drop_reason::none)
        batches_.push_back(std::move(b));
      else
        result = {items, fail_as_};
    }
    done(result);
  }

  /// From now on every batch is dropped for this reason; `none` ends it.
  void fail_as(sdk::drop_reason reason) {
    const std::lock_guard lock{mutex_};
    fail_as_ = reason;
  }

  /// Copies of the spans that arrived so far, in the order of arrival.
  [[nodiscard]] std::vector<span_record> spans() const {
    std::vector<span_record> out;
    for (const auto& b : batches(sdk::signal::traces)) {
      for_each_span(*b, [&out](const span_view& span, const span_origin& origin) {
        out.push_back(span_record::from(span, origin));
      });
    }
    return out;
  }

  /// Copies of the log records that arrived so far, in the order of arrival.
  [[nodiscard]] std::vector<log_record> logs() const {
    std::vector<log_record> out;
    for (const auto& b : batches(sdk::signal::logs)) {
      for_each_log(
          *b, [&out](const log_view& log, const span_origin& origin) { out.push_back(log_record::from(log, origin)); });
    }
    return out;
  }

  /// The batches of a signal that arrived so far.
  [[nodiscard]] std::vector<std::shared_ptr<const sdk::batch>> batches(sdk::signal s) const {
    const std::lock_guard lock{mutex_};
    std::vector<std::shared_ptr<const sdk::batch>> out;
    for (const auto& b : batches_) {
      if (b->kind() == s) out.push_back(b);
    }
    return out;
  }

  /// The same as complete export requests, as a receiver would get them.
  [[nodiscard]] std::vector<std::string> requests(sdk::signal s) const {
    std::vector<std::string> out;
    for (const auto& b : batches(s)) {
      std::string& request = out.emplace_back();
      request.reserve(b->bytes());
      for (const std::string_view piece : b->pieces()) request += piece;
    }
    return out;
  }

  /// Spans, log records or metric points that arrived so far.
  [[nodiscard]] std::size_t items(sdk::signal s) const {
    std::size_t n = 0;
    for (const auto& b : batches(s)) n += b->items();
    return n;
  }

  /// Forgets what arrived.
  void clear() {
    const std::lock_guard lock{mutex_};
    batches_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const sdk::batch>> batches_;
  sdk::drop_reason fail_as_ = sdk::drop_reason::none;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::testing
