// SPDX-License-Identifier: MIT
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <thread>
#include <utility>

namespace shop {

/// An io_context with a thread of its own: for a service that stub_service cannot stand in for. At its end it waits for
/// what is under way there.
class service_thread {
 public:
  service_thread() : thread_{[this] { io_.run(); }} {}
  service_thread(const service_thread&) = delete;
  service_thread& operator=(const service_thread&) = delete;
  ~service_thread() {
    work_.reset();
    thread_.join();
  }

  [[nodiscard]] boost::asio::io_context& context() noexcept { return io_; }

  /// Calls `fn` there, and returns what it returns.
  template <class F>
  auto call(F fn) {
    return boost::asio::post(io_, boost::asio::use_future(std::move(fn))).get();
  }

 private:
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  std::thread thread_;
};

}  // namespace shop
