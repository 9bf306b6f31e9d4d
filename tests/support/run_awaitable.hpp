// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/co_spawn.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <utility>

namespace support {

/// Runs a coroutine (an awaitable, or a function that makes one) and what it starts to the end, on this thread.
template <class Work>
auto run(Work&& work) {
  boost::asio::io_context io;
  auto done = otlpkit::co_spawn(io, std::forward<Work>(work), boost::asio::use_future);
  io.run();
  return done.get();
}

}  // namespace support
