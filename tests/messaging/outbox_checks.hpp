// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/message.hpp>
#include <otlpkit/messaging/outbox.hpp>
#include <otlpkit/resilience/rejected_error.hpp>

#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A broker that keeps what it gets, and fails as it is told. Any thread may publish.
struct recording_producer {
  std::mutex mutex{};
  std::vector<otlpkit::messaging::message> sent{};
  std::map<std::string, int> failures{};  ///< by body: how often it is refused
  bool down = false;
  int calls = 0;
  std::function<void()> during{};

  void publish(std::string_view, otlpkit::messaging::message m) {
    {
      const std::lock_guard lock{mutex};
      ++calls;
      if (down) throw otlpkit::broken_circuit_error{"broker"};
      if (const auto found = failures.find(m.body); found != failures.end() && found->second > 0) {
        --found->second;
        throw std::runtime_error{m.body + " is refused"};
      }
      sent.push_back(std::move(m));
    }
    if (const auto then = during) then();
  }

  [[nodiscard]] std::string bodies() {
    const std::lock_guard lock{mutex};
    std::string out;
    for (const auto& m : sent) out.append(out.empty() ? "" : " ").append(m.body);
    return out;
  }
};

/// Writes `each` messages for each of `keys` keys, `k3:17`.
template <class Db>
void write_numbered(const otlpkit::messaging::outbox& box, Db& db, int keys, int each) {
  for (int n = 0; n < each; ++n) {
    for (int k = 0; k < keys; ++k) {
      const std::string key = "k" + std::to_string(k);
      box.write(db, {.destination = "orders", .key = key, .body = key + ":" + std::to_string(n)});
    }
  }
}

/// Whether every message came, and of each key first deliveries in order; repetitions are allowed.
[[nodiscard]] inline bool in_order(const std::vector<otlpkit::messaging::message>& sent, int keys, int each) {
  std::map<std::string, int> next;
  for (const auto& m : sent) {
    const auto colon = m.body.find(':');
    int& expected = next[m.body.substr(0, colon)];
    const int number = std::stoi(m.body.substr(colon + 1));
    if (number > expected) return false;
    if (number == expected) ++expected;
  }
  if (next.size() != static_cast<std::size_t>(keys)) return false;
  for (const auto& [key, count] : next) {
    if (count != each) return false;
  }
  return true;
}
