// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/clock.hpp>
#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/exporter.hpp>
#include <otlpkit/sdk/record_processors.hpp>

#include <boost/asio/io_context.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// How one signal is sent.
struct signal_schedule {
  bool on = false;
  std::chrono::milliseconds delay{5000};  ///< longest wait of an item; for metrics the interval of collections
  std::chrono::milliseconds export_timeout{30000};  ///< of one batch by any exporter; zero: none
  std::size_t max_queue = 2048;                     ///< items waiting for one exporter
  std::size_t max_batch = 512;                      ///< items of one request
};

struct pipeline_options {
  std::array<signal_schedule, signal_count> signals;
  std::shared_ptr<const std::string> resource;
  std::vector<std::shared_ptr<span_processor>> span_processors;
  std::vector<std::shared_ptr<log_processor>> log_processors;
  /// Makes the exporters, on the caller's thread, before the pipeline's own starts.
  std::function<std::vector<std::shared_ptr<exporter>>(boost::asio::io_context&)> make_exporters;
  /// Collects the metrics; empty when there are none.
  std::function<std::vector<scope_items>(unix_ns now)> collect_metrics;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
