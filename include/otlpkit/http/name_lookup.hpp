// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/exchange.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/error.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::http::detail {

/// What asks for the addresses of a name. It lives until the answer is there, whoever still wants it.
struct name_lookup {
  explicit name_lookup(const boost::asio::any_io_executor& ex) : resolver{ex}, time{ex} {}

  boost::asio::ip::tcp::resolver resolver;
  boost::asio::steady_timer time;
  boost::asio::ip::tcp::resolver::results_type found;
  error_code error;
  bool answered = false;
};

/// Puts the addresses of `host` into `found`, at the latest at `until`. getaddrinfo() cannot be interrupted: it is left
/// alone with its answer when time is over, or when the caller is cancelled.
/// \param strand where the caller runs
inline boost::asio::awaitable<error_code> look_up(boost::asio::any_io_executor strand, const std::string& host,
                                                  std::uint16_t port, std::chrono::steady_clock::time_point until,
                                                  std::vector<boost::asio::ip::tcp::endpoint>& found) {
  using resolver = boost::asio::ip::tcp::resolver;
  const auto asked = std::make_shared<name_lookup>(strand);
  asked->time.expires_at(until);
  asked->resolver.async_resolve(host, std::to_string(port), resolver::numeric_service,
                                [asked](const error_code& e, resolver::results_type results) {
                                  asked->answered = true;
                                  asked->error = e;
                                  asked->found = std::move(results);
                                  asked->time.cancel();
                                });
  const auto [cut] = co_await asked->time.async_wait(client_result);
  if (!asked->answered) {
    asked->resolver.cancel();
    co_return cut ? error_code{boost::asio::error::operation_aborted} : make_error_code(boost::beast::error::timeout);
  }
  for (const auto& entry : asked->found) found.push_back(entry.endpoint());
  co_return asked->error;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::http::detail
