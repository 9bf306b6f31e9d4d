// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <exception>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace shop {

/// Runs `client(0)` to `client(count - 1)` at the same time, a thread for each, and waits for all of them. Returns what
/// they threw, in no order; empty when all went well.
template <std::invocable<int> Client>
[[nodiscard]] std::vector<std::exception_ptr> at_once(int count, Client client) {
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(count));
  std::latch start{count};
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      try {
        client(i);
      } catch (...) {
        thrown[static_cast<std::size_t>(i)] = std::current_exception();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  std::erase(thrown, nullptr);
  return thrown;
}

/// What an exception says.
[[nodiscard]] inline std::string message_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "not a std::exception";
  }
}

}  // namespace shop
