// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/errors.hpp>
#include <otlpkit/export/prometheus_connection.hpp>
#include <otlpkit/export/prometheus_listener.hpp>

#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::prometheus {

namespace detail {

/// The moving part of an endpoint; its handlers keep it alive.
class acceptor_loop : public std::enable_shared_from_this<acceptor_loop> {
 public:
  acceptor_loop(net::io_context& io, endpoint_options options)
      : io_{io}, options_{std::make_shared<const endpoint_options>(std::move(options))},
        pages_{std::make_shared<page_source>(options_)}, listeners_{listen(io, *options_)} {}

  [[nodiscard]] std::uint16_t port() const { return listeners_.front()->local_port(); }

  void start() {
    for (std::size_t i = 0; i < listeners_.size(); ++i) accept(i);
  }

  void close() noexcept {
    closed_ = true;
    for (const auto& l : listeners_) l->close();
    for (const auto& weak : connections_) {
      if (const auto c = weak.lock()) c->close();
    }
  }

 private:
  void accept(std::size_t i) {
    listeners_[i]->acceptor().async_accept([self = shared_from_this(), i](error_code ec, tcp::socket socket) {
      if (self->closed_) return;
      if (!ec) {
        self->serve(std::move(socket));
      } else if (ec != net::error::connection_aborted) {
        // Out of descriptors, most likely: that passes, and must not become a loop that eats the thread.
        self->retry_.expires_after(std::chrono::milliseconds{100});
        self->retry_.async_wait([self, i](error_code stopped) {
          if (!stopped && !self->closed_) self->accept(i);
        });
        return;
      }
      self->accept(i);
    });
  }

  void serve(tcp::socket socket) {
    std::erase_if(connections_, [](const auto& weak) {
      const auto c = weak.lock();
      return c == nullptr || c->is_closed();
    });
    if (connections_.size() >= options_->max_connections) {
      // The one that has been silent for longest makes room; they are in the order they came.
      const auto idle = std::ranges::find_if(connections_, [](const auto& weak) {
        const auto c = weak.lock();
        return c != nullptr && c->is_idle();
      });
      if (idle == connections_.end()) return;  // all are busy: the new one is closed
      idle->lock()->close();
      connections_.erase(idle);
    }
    const auto c = std::make_shared<connection>(std::move(socket), options_, pages_);
    connections_.push_back(c);
    c->start();
  }

  net::io_context& io_;
  std::shared_ptr<const endpoint_options> options_;
  std::shared_ptr<page_source> pages_;
  std::vector<std::unique_ptr<listener>> listeners_;
  std::vector<std::weak_ptr<connection>> connections_;
  net::steady_timer retry_{io_};
  bool closed_ = false;
};

}  // namespace detail

/// Answers `GET /metrics` for Prometheus, on the pipeline's thread and io_context.
///
/// It is an exporter, but what it shows it collects itself when asked: batches that others receive pass by it. Bounded
/// in connections, in the size of a request and in the time a client may take; only GET and HEAD of /metrics are
/// answered, everything else with a clear error.
class endpoint final : public sdk::exporter {
 public:
  /// Listens at once.
  /// \throws config_error when the address cannot be listened on
  endpoint(boost::asio::io_context& io, endpoint_options options)
      : loop_{std::make_shared<detail::acceptor_loop>(io, std::move(options))} {
    loop_->start();
    detail::port_of_endpoint.store(loop_->port(), platform::release);
  }
  ~endpoint() override { stop(); }

  [[nodiscard]] std::string_view name() const noexcept override { return "prometheus_http_text_metric_exporter/0"; }
  [[nodiscard]] bool accepts(sdk::signal s) const noexcept override { return s == sdk::signal::metrics; }
  void send(std::shared_ptr<const sdk::batch>, completion done) override { done({}); }
  void shutdown(clock::time_point) override { stop(); }

  /// The port it listens on: that of the options, or the one the system chose for 0.
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void stop() noexcept {
    loop_->close();
    detail::port_of_endpoint.store(0, platform::release);
  }

  std::shared_ptr<detail::acceptor_loop> loop_;
  std::uint16_t port_ = loop_->port();
};

}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus
