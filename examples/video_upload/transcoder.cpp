// SPDX-License-Identifier: MIT
#include "video_upload/transcoder.hpp"

#include "video_upload/video_upload.hpp"

#include <otlpkit/otlpkit.hpp>

#include <stdexcept>

namespace messaging = otlpkit::messaging;

namespace video {

messaging::consumed transcoder::work(std::chrono::milliseconds wait) {
  return in_.consume([this](const messaging::message& m) { transcode(m); }, {.most = 10, .wait = wait});
}

void transcoder::transcode(const messaging::message& m) {
  const auto task = shop::from_json<transcoding_task>(m.body);
  OTLPKIT_SPAN("video.transcode", {"video_id", task.video_id}, {"again", m.redelivered});
  if (failures_ > 0) {
    --failures_;
    throw std::runtime_error{"the encoder has crashed"};
  }
  db_.execute("UPDATE videos SET status = 'ready' WHERE id = $1 AND status = 'processing'", task.video_id);
}

}  // namespace video
