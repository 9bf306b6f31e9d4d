// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database.hpp"
#include "shared/message_broker.hpp"

#include <otlpkit/messaging/consumer.hpp>

#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

namespace video {

/// Takes transcoding tasks, makes videos ready and says so in the database. Its spans continue the trace of the upload.
/// A task that fails comes again; one that comes twice is done once.
class transcoder {
 public:
  transcoder(shop::message_broker& broker, shop::store db, std::string_view name)
      : tasks_{broker.subscribe("transcoding", "transcoders", name)}, db_{std::move(db)} {}

  /// Does what there is to do, and waits so long for something.
  otlpkit::messaging::consumed work(std::chrono::milliseconds wait);

  /// The next tasks fail, so many of them.
  void fail(int times) noexcept { failures_ = times; }

 private:
  void transcode(const otlpkit::messaging::message& task);

  std::unique_ptr<otlpkit::messaging::subscription> tasks_;
  otlpkit::messaging::traced_consumer<otlpkit::messaging::subscription&> in_{
      *tasks_, {.relation = otlpkit::messaging::relation::continued}};
  shop::store db_;
  int failures_ = 0;
};

}  // namespace video
