// SPDX-License-Identifier: MIT
#pragma once

#include <doctest/doctest.h>

#include <asio/checks.hpp>
#include <resilience/down.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <stdexcept>
#include <utility>

/// Calls for strategies to run, and what cancelling one does.
inline awaitable<int> soon(int n) {
  co_await asio::post(asio::use_awaitable);
  co_return n;
}
inline awaitable<int> never() {
  co_await wait_for_ever();
  co_return 0;
}

/// Runs `work` until nothing is left to do but to wait, then cancels it; whether it was the cancellation that ended it.
inline bool ends_when_cancelled(awaitable<void> work) {
  asio::io_context io;
  asio::cancellation_signal signal;
  bool ended = false, aborted = false;
  otlpkit::co_spawn(io, std::move(work), asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) {
                      ended = true;
                      try {
                        if (e) std::rethrow_exception(e);
                      } catch (const boost::system::system_error& s) {
                        aborted = s.code() == asio::error::operation_aborted;
                      } catch (...) {
                      }
                    }));
  while (io.poll() != 0) {
  }
  CHECK_FALSE(ended);
  signal.emit(asio::cancellation_type::all);
  while (io.poll() != 0) {
  }
  CHECK(ended);
  return aborted;
}
