// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/export/otlp_http.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace otlpkit_test {

/// A batch of `items` framed items of `size` bytes each; the content says which item it is.
inline std::shared_ptr<const otlpkit::sdk::batch> make_batch(otlpkit::sdk::signal kind, std::size_t items,
                                                             std::size_t size = 30) {
  otlpkit::sdk::scope_items scope;
  scope.scope = std::string("\x0a\x05\x0a\x03lib", 7);
  for (std::size_t i = 0; i < items; ++i) {
    std::string name = "item " + std::to_string(i);
    name.resize(size, '.');
    std::string message;
    otlpkit::sdk::detail::append_field(message, 0x2A, name.size());  // Span.name
    message += name;
    otlpkit::sdk::detail::append_field(scope.items, 0x12, message.size());
    scope.items += message;
  }
  scope.count = items;
  std::vector<otlpkit::sdk::scope_items> scopes;
  scopes.push_back(std::move(scope));
  return std::make_shared<otlpkit::sdk::batch>(kind, std::make_shared<const std::string>("\x0a\x02\x10\x00", 4),
                                               std::move(scopes));
}

inline std::string bytes_of(const otlpkit::sdk::batch& b) {
  std::string out;
  for (const auto piece : b.pieces()) out += piece;
  return out;
}

/// One exporter on an io_context that the test itself runs: no thread, and time passes only while it waits.
class export_client {
 public:
  using clock = std::chrono::steady_clock;

  struct sent {
    std::shared_ptr<const otlpkit::sdk::batch> batch;
    int completions = 0;
    otlpkit::sdk::export_result result;
    clock::time_point at;
  };

  explicit export_client(otlpkit::exporters::otlp_http_options options)
      : exporter_{std::make_unique<otlpkit::exporters::otlp_http_exporter>(io_, std::move(options))} {}

  std::shared_ptr<sent> send(std::shared_ptr<const otlpkit::sdk::batch> b) {
    auto s = std::make_shared<sent>();
    s->batch = b;
    exporter_->send(std::move(b), [s](otlpkit::sdk::export_result result) {
      ++s->completions;
      s->result = result;
      s->at = clock::now();
    });
    return s;
  }
  std::shared_ptr<sent> send(std::size_t items = 3) { return send(make_batch(otlpkit::sdk::signal::traces, items)); }

  /// Runs the io_context until `condition` holds. \return false when it does not within `limit`.
  template <class Condition>
  bool run_until(Condition condition, std::chrono::milliseconds limit = std::chrono::seconds{20}) {
    const auto end = clock::now() + limit;
    while (!condition()) {
      if (clock::now() >= end) return false;
      io_.restart();
      // short steps: the condition may be about the server's thread
      io_.run_one_until(std::min(end, clock::now() + std::chrono::milliseconds{5}));
    }
    return true;
  }
  bool finish(const std::shared_ptr<sent>& s) {
    return run_until([&] { return s->completions > 0; });
  }
  /// Sends and waits for the result.
  otlpkit::sdk::export_result deliver(std::size_t items = 3) {
    const auto s = send(items);
    finish(s);
    return s->result;
  }
  void run_for(std::chrono::milliseconds time) {
    run_until([] { return false; }, time);
  }

  otlpkit::exporters::otlp_http_exporter& exporter() { return *exporter_; }
  const otlpkit::exporters::otlp_http_counters& counters() const { return exporter_->counters(); }
  void destroy_exporter() { exporter_.reset(); }
  std::size_t poll() {
    io_.restart();
    return io_.poll();
  }

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  std::unique_ptr<otlpkit::exporters::otlp_http_exporter> exporter_;
};

}  // namespace otlpkit_test
