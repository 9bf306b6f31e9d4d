// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/record_queue.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// While full batches come one after the other the background thread looks for them by itself. To wake a thread costs
/// the one that does it microseconds, as much as a hundred spans; so the threads that record do it for the first batch,
/// and then only when much waits.
class frequent_look {
 public:
  /// A queue of the default size takes as long to fill at eight million records a second; threads that record wake the
  /// reader when half of it waits.
  static constexpr std::chrono::microseconds interval{250};

  frequent_look(boost::asio::io_context& io, otlpkit::detail::record_queue& queue) : timer_{io}, queue_{queue} {
    queue_.reader_looks_again(false);  // an earlier pipeline may have been left in the middle of it
  }

  /// A full batch was taken: calls `look` after the interval.
  template <class F>
  void again(F look) {
    queue_.reader_looks_again(true);
    timer_.expires_after(interval);
    timer_.async_wait([this, look = std::move(look)](const boost::system::error_code& error) {
      if (error) return;
      queue_.reader_looks_again(false);
      look();
    });
  }

  void stop() {
    timer_.cancel();
    queue_.reader_looks_again(false);
  }

 private:
  boost::asio::steady_timer timer_;
  otlpkit::detail::record_queue& queue_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
