// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/http/client.hpp>

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::http {

/// http::client for code without coroutines: the calling thread waits. Spans are children of the thread's current span,
/// its deadline counts. Usable from several threads at once; connections are kept as the client keeps them.
///
///     otlpkit::http::blocking_client payment{"http://payment:8080"};
///     const auto answer = payment.post("/charge", body);
class blocking_client {
 public:
  explicit blocking_client(client_options options = {}) : client_{std::move(options)} {}
  template <std::convertible_to<std::string> Text>
  explicit blocking_client(Text&& base_url, client_options options = {})
      : client_{std::forward<Text>(base_url), std::move(options)} {}
  blocking_client(const blocking_client&) = delete;
  blocking_client& operator=(const blocking_client&) = delete;

  /// As client::send() and the others; these return when the response is there.
  response send(request::message r, std::string url, std::string url_template = {}) {
    return run(client_.send(std::move(r), std::move(url), std::move(url_template)));
  }
  response get(std::string url, std::string url_template = {}) {
    return run(client_.get(std::move(url), std::move(url_template)));
  }
  response post(std::string url, std::string body, std::string_view content_type = "application/json",
                std::string url_template = {}) {
    return run(client_.post(std::move(url), std::move(body), content_type, std::move(url_template)));
  }
  response put(std::string url, std::string body, std::string_view content_type = "application/json",
               std::string url_template = {}) {
    return run(client_.put(std::move(url), std::move(body), content_type, std::move(url_template)));
  }
  response del(std::string url, std::string url_template = {}) {
    return run(client_.del(std::move(url), std::move(url_template)));
  }

 private:
  /// Each call has an io_context to itself, and returns as soon as it is over: a look-up of a name may go on.
  response run(boost::asio::awaitable<response> work) {
    std::unique_ptr<boost::asio::io_context> io = take();
    std::optional<response> out;
    std::exception_ptr failure;
    bool over = false;
    otlpkit::co_spawn(*io, std::move(work), [&](std::exception_ptr e, response r) {
      over = true;
      failure = std::move(e);
      if (!failure) out = std::move(r);
    });
    io->restart();
    while (!over && io->run_one() != 0) {
    }
    {
      const std::lock_guard lock{mutex_};
      free_.push_back(std::move(io));
    }
    if (failure) std::rethrow_exception(failure);
    return *std::move(out);
  }

  /// The io_context another call has used last: it has that one's connections. One with a look-up under way would have
  /// the next one wait for it, so there are several, up to a number.
  std::unique_ptr<boost::asio::io_context> take() {
    const std::lock_guard lock{mutex_};
    const auto quiet = std::find_if(free_.rbegin(), free_.rend(), [](const auto& io) {
      io->restart();
      io->poll();
      return io->stopped();
    });
    auto found = free_.begin();
    if (quiet != free_.rend()) {
      found = std::prev(quiet.base());
    } else if (free_.size() < most_busy) {
      return std::make_unique<boost::asio::io_context>(1);
    }
    std::unique_ptr<boost::asio::io_context> out = std::move(*found);
    free_.erase(found);
    return out;
  }

  static constexpr std::size_t most_busy = 16;

  client client_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<boost::asio::io_context>> free_;  // last: its connections go before the client
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http
