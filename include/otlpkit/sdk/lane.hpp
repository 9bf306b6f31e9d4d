// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/sdk/batch_builder.hpp>
#include <otlpkit/sdk/exporter_channel.hpp>
#include <otlpkit/sdk/flush_request.hpp>
#include <otlpkit/sdk/frequent_look.hpp>

#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// One signal's part of the pipeline.
struct lane {
  bool on = false;
  otlpkit::detail::record_queue* queue = nullptr;
  std::optional<batch_builder> builder;
  std::vector<std::unique_ptr<exporter_channel>> channels;
  std::optional<boost::asio::steady_timer> timer;
  std::optional<frequent_look> look;
  bool everything = false;  ///< send what is marked in the queue, also what does not fill a batch
  bool pumping = false;
  batch_numbers batches;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
