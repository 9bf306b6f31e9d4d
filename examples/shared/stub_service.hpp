// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/message.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace shop {

struct stub_options {
  std::uint64_t seed = 1;                        ///< the same seed gives the same latencies
  std::chrono::microseconds min_latency{500};    ///< a request takes between this
  std::chrono::microseconds max_latency{2'000};  ///< and that
  std::uint64_t max_body_bytes = 1 << 20;
};

/// Stands in for a service of somebody else: an HTTP server on 127.0.0.1 with a thread of its own, so that real
/// requests carry the trace to it. It can be told to fail. All members may be called from any thread.
///
///     shop::stub_service ml{{{"POST", "/predict", [](const auto& request) { return otlpkit::http::reply(200, "...");
///     }}}}; client.post(ml.url() + "/predict", body);
class stub_service {
 public:
  struct route {
    std::string method;
    std::string pattern;  ///< as in otlpkit::http::router: "/objects/{key}"
    /// Called on the service's thread, one request at a time.
    std::function<otlpkit::http::response(const otlpkit::http::request&)> answer;
  };

  explicit stub_service(const std::vector<route>& routes, const stub_options& options = {});
  ~stub_service();
  stub_service(const stub_service&) = delete;
  stub_service& operator=(const stub_service&) = delete;

  /// "http://127.0.0.1:PORT"; it stays while the service is down.
  [[nodiscard]] const std::string& url() const noexcept;

  /// Down: connections are cut, and new ones refused.
  void take_down(bool down);
  /// From now on answers with this status and nothing else, `times` times or for ever; 0: as usual again.
  void answer_with(unsigned status, int times = -1);
  /// Every request takes so much longer. Requests that wait notice.
  void slow_down(std::chrono::milliseconds more);

  /// Waits until no request is being served and their spans have ended: those that clients have given up, too.
  void wait_until_idle();
  /// Requests that came in so far.
  [[nodiscard]] std::int64_t requests() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace shop
