// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// What can happen to a saga; the texts of to_string() are what a journal keeps.
enum class saga_event : std::uint8_t {
  begun,                ///< its first entry
  resumed,              ///< somebody goes on with it after a crash, or tries failed compensations again
  step_done,            ///< a step is behind it
  step_failed,          ///< a step will not be done: what is behind it is undone, backwards
  step_compensated,     ///< a step is undone
  compensation_failed,  ///< a step could not be undone
  ended,                ///< nothing is left to do
};

[[nodiscard]] constexpr std::string_view to_string(saga_event e) noexcept {
  constexpr std::string_view names[] = {
      "begun", "resumed", "step_done", "step_failed", "step_compensated", "compensation_failed", "ended"};
  return names[static_cast<std::size_t>(e)];
}

/// Throws std::runtime_error for text that is none of them.
[[nodiscard]] inline saga_event saga_event_of(std::string_view text) {
  for (int i = 0; i <= static_cast<int>(saga_event::ended); ++i) {
    if (to_string(static_cast<saga_event>(i)) == text) return static_cast<saga_event>(i);
  }
  throw std::runtime_error{"a saga's journal has an unknown event"};
}

/// One line of a saga's life. Only ever appended.
struct saga_entry {
  saga_event event = saga_event::begun;
  std::string step{};     ///< by name; empty where it is about none
  std::string error{};    ///< what went wrong
  std::string state{};    ///< the saga's state, if it is kept (see saga::keep_state())
  std::string context{};  ///< traceparent, of begun and resumed
};

/// Where sagas write down what happened, so that another process can go on when this one dies. Any thread may call.
class saga_journal {
 public:
  saga_journal() = default;
  saga_journal(const saga_journal&) = delete;
  saga_journal& operator=(const saga_journal&) = delete;
  virtual ~saga_journal() = default;

  /// Keeps an entry, before it returns, as the `number`-th of this saga, counted from 0. \return false if there is an
  /// entry of this number: somebody else goes on with the saga
  virtual bool append(std::string_view saga, std::string_view id, std::size_t number, const saga_entry& entry) = 0;

  /// All there is of a saga, in order; nothing if it never began.
  [[nodiscard]] virtual std::vector<saga_entry> entries(std::string_view saga, std::string_view id) = 0;
};

/// A journal in memory, for tests. It is not bounded.
class memory_saga_journal final : public saga_journal {
 public:
  bool append(std::string_view saga, std::string_view id, std::size_t number, const saga_entry& entry) override {
    const std::lock_guard lock{mutex_};
    std::vector<saga_entry>& all = sagas_[{std::string{saga}, std::string{id}}];
    if (all.size() != number) return false;
    all.push_back(entry);
    return true;
  }

  [[nodiscard]] std::vector<saga_entry> entries(std::string_view saga, std::string_view id) override {
    const std::lock_guard lock{mutex_};
    const auto found = sagas_.find({std::string{saga}, std::string{id}});
    return found == sagas_.end() ? std::vector<saga_entry>{} : found->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::vector<saga_entry>> sagas_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
