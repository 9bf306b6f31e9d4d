// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/export/prometheus_text.hpp>
#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace otlpkit::inline OTLPKIT_ABI::prometheus {

/// Where and how metrics are served.
struct endpoint_options {
  std::string host = "localhost";  ///< an address or a name of this machine; "localhost": IPv4 and IPv6
  std::uint16_t port = 9464;       ///< 0: the system chooses
  /// Makes what a request shows, cumulative. Called on the io_context's thread.
  std::function<std::shared_ptr<const sdk::batch>()> collect{};
  page_options page{};
  std::size_t max_connections = 16;                 ///< when they are all taken, the one idle for longest is closed
  std::uint32_t max_request = 8192;                 ///< bytes of a request's head; a body is not taken
  std::chrono::milliseconds request_timeout{5000};  ///< from a request's first byte to the end of its head
  std::chrono::milliseconds write_timeout{10000};   ///< for a client to read a response
  std::chrono::milliseconds idle_timeout{
      65000};  ///< between requests on one connection; longer than most scrape intervals
};

}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus
