// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/metric_reader.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// A reader for those who ask when they like, as a Prometheus endpoint does: cumulative, independent of every other
/// reader, from any thread.
class metric_pull {
 public:
  /// \param resource fields 1 and 3 of ResourceMetrics, as sdk::batch takes them
  explicit metric_pull(std::shared_ptr<const std::string> resource, metric_reader_options options = {})
      : resource_{std::move(resource)}, reader_{std::move(options)} {}

  /// Everything measured since this was made, as of now: the pieces of the batch are an ExportMetricsServiceRequest (a
  /// MetricsData) with one ResourceMetrics. Callbacks of observable instruments run here, on the caller's thread.
  [[nodiscard]] std::shared_ptr<const batch> collect() {
    return collect(otlpkit::detail::global_runtime.clock.wall_now());
  }
  [[nodiscard]] std::shared_ptr<const batch> collect(unix_ns now) {
    const std::lock_guard turn{mutex_};
    return std::make_shared<const batch>(signal::metrics, resource_, reader_.collect(now));
  }

  /// Whether the last collection had the time to run every callback.
  [[nodiscard]] bool complete() {
    const std::lock_guard turn{mutex_};
    return reader_.complete();
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<const std::string> resource_;
  metric_reader reader_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
