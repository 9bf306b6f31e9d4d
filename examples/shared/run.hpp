// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/co_spawn.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace shop {

/// Runs a coroutine, and what it starts, to the end on this thread. Returns what it returns, throws what it throws.
template <class T>
T run(boost::asio::awaitable<T> work) {
  boost::asio::io_context io{1};
  std::optional<T> result;
  std::exception_ptr failure;
  otlpkit::co_spawn(io, std::move(work), [&](std::exception_ptr e, T value) {
    failure = std::move(e);
    if (!failure) result = std::move(value);
  });
  io.run();
  if (failure) std::rethrow_exception(failure);
  return *std::move(result);
}

}  // namespace shop
