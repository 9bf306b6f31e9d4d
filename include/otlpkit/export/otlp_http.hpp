// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/otlp_http_options.hpp>
#include <otlpkit/export/otlp_http_sender.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <memory>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// Sends the batches of one signal as OTLP/HTTP with protobuf, on Boost.Beast (OTLP specification, "OTLP/HTTP").
///
/// - Everything runs on the io_context it was given, and on one thread: construct, call and destroy it there, or while
///   nobody runs the io_context. Nothing blocks. Destroy it before the io_context.
/// - The bytes of a batch go to the socket as they are; only gzip copies them.
/// - One keep-alive connection serves one request at a time; more are opened while ready() lets more batches in, up to
///   max_connections.
/// - Retried with back-off: 429, 502, 503, 504, no connection, a connection lost before the response was complete. A
/// lost
///   response means the receiver may get the batch twice, which OTLP accepts. Everything else is final, redirects too.
/// - A host name is resolved by Asio on a thread of its own. getaddrinfo cannot be interrupted: the export and shutdown
///   keep their deadlines, but the destructor of the io_context waits for it. Numeric addresses and "localhost" need
///   none.
/// - Trouble is told through otlpkit::report, each kind at most once per report_interval.
class otlp_http_exporter final : public sdk::exporter {
 public:
  /// \throws config_error that names the option, its value and what was expected; https without
  ///   <otlpkit/export/tls.hpp> and files that cannot be read are such errors.
  otlp_http_exporter(boost::asio::io_context& io, otlp_http_options options)
      : sender_{std::make_shared<detail::otlp_http_sender>(io, std::move(options))} {}

  /// Completes what is under way as drop_reason::shutdown; nothing of the exporter runs afterwards.
  ~otlp_http_exporter() override { sender_->abandon(); }

  [[nodiscard]] std::string_view name() const noexcept override {
    constexpr std::string_view names[sdk::signal_count] = {"otlp_http_span_exporter/0", "otlp_http_metric_exporter/0",
                                                           "otlp_http_log_exporter/0"};
    return names[static_cast<std::size_t>(sender_->signal())];
  }
  [[nodiscard]] bool accepts(sdk::signal s) const noexcept override { return s == sender_->signal(); }
  [[nodiscard]] bool ready(sdk::signal) const noexcept override { return sender_->ready(); }

  /// A batch sent while ready() says no waits here for its turn, within its timeout.
  void send(std::shared_ptr<const sdk::batch> b, completion done) override {
    sender_->submit(std::move(b), std::move(done));
  }

  /// What waits for its back-off is tried at once (unless the server asked for the wait); what is not done at
  /// `deadline` completes as drop_reason::shutdown. Idle connections are closed when nothing is under way.
  void shutdown(clock::time_point deadline) override { sender_->shutdown(deadline); }

  /// Read on the exporter's thread.
  [[nodiscard]] const otlp_http_counters& counters() const noexcept { return sender_->counters(); }
  [[nodiscard]] const url& endpoint() const noexcept { return sender_->endpoint(); }

 private:
  std::shared_ptr<detail::otlp_http_sender> sender_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
