// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/client.hpp>

#include "support/http_service.hpp"
#include "support/scripted_server.hpp"

#include <exception>
#include <string>
#include <utility>

// A client that is run to the end of each request.
namespace http_service {

using otlpkit_test::scripted_server;
using otlpkit_test::step;
using kind = otlpkit_test::step::kind;

/// Runs `work` to its end, and says what went wrong with it.
template <class Work>
std::string error_of(asio::io_context& io, Work work) {
  std::string out;
  otlpkit::co_spawn(io, std::move(work), [&out](std::exception_ptr e) {
    try {
      if (e) std::rethrow_exception(e);
    } catch (const boost::system::system_error& x) {
      out = http::detail::error_name(x.code());
    } catch (const std::exception& x) {
      out = x.what();
    }
  });
  io.restart();
  io.run();
  return out;
}

/// The status of a GET, or what went wrong.
inline std::string get(asio::io_context& io, const http::client& client, const std::string& url) {
  std::string status;
  const std::string error = error_of(io, [&]() -> asio::awaitable<void> {
    const http::response answer = co_await client.get(url);
    status = std::to_string(answer.result_int());
  });
  return error.empty() ? status : error;
}

inline std::string post(asio::io_context& io, const http::client& client, const std::string& url,
                        const std::string& body) {
  std::string status;
  const std::string error = error_of(io, [&]() -> asio::awaitable<void> {
    const http::response answer = co_await client.post(url, body);
    status = std::to_string(answer.result_int());
  });
  return error.empty() ? status : error;
}

}  // namespace http_service
