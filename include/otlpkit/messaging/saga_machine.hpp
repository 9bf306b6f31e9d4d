// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/saga_journal.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// What a saga does when a step could not be undone.
enum class compensation_policy : std::uint8_t {
  go_on,  ///< undoes the others all the same
  stop,   ///< leaves the rest as it is
};

enum class saga_outcome : std::uint8_t {
  running,
  completed,            ///< every step is done
  compensated,          ///< a step failed, and all behind it is undone
  compensation_failed,  ///< a step failed, and not all behind it is undone
};

[[nodiscard]] constexpr std::string_view to_string(saga_outcome o) noexcept {
  constexpr std::string_view names[] = {"running", "completed", "compensated", "compensation_failed"};
  return names[static_cast<std::size_t>(o)];
}

/// What the machine knows of a step.
struct saga_step_plan {
  std::string name;
  bool can_compensate = false;
  bool compensate_if_failed = false;  ///< undone even where it is this step that failed: it may be half done
};

/// A journal does not fit the saga it is said to be of.
class saga_journal_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a saga does next, by what happened so far. Runs, waits and writes nothing itself: it is fed with the entries of
/// a journal, old ones or new ones, which make up all of its state.
class saga_machine {
 public:
  struct order {
    std::size_t step;
    bool compensate;
  };

  /// \param plan must outlive this
  explicit saga_machine(const std::vector<saga_step_plan>& plan,
                        compensation_policy policy = compensation_policy::go_on)
      : plan_{plan}, policy_{policy}, undoing_(plan.size(), undo::none) {}

  /// The step to run or to undo; nothing when there is nothing left.
  [[nodiscard]] std::optional<order> next() const noexcept {
    if (!failed_) {
      if (done_ < plan_.size()) return order{done_, false};
      return std::nullopt;
    }
    if (halted_) return std::nullopt;
    for (std::size_t i = undoing_.size(); i-- > 0;) {
      if (undoing_[i] == undo::due) return order{i, true};
    }
    return std::nullopt;
  }

  /// Takes what happened. Throws saga_journal_error when that is not possible now; then this is as it was.
  void apply(const saga_entry& e) {
    if ((entries_ == 0) != (e.event == saga_event::begun)) refuse(e);
    switch (e.event) {
      case saga_event::begun: break;
      case saga_event::resumed:
        if (ended_ && outcome() != saga_outcome::compensation_failed) refuse(e);
        if (ended_) std::replace(undoing_.begin(), undoing_.end(), undo::failed, undo::due);
        halted_ = halted_ && !ended_;
        ended_ = false;
        break;
      case saga_event::step_done:
        expect(e, false);
        ++done_;
        break;
      case saga_event::step_failed:
        expect(e, false);
        fail();
        break;
      case saga_event::step_compensated: undoing_[expect(e, true)] = undo::done; break;
      case saga_event::compensation_failed:
        undoing_[expect(e, true)] = undo::failed;
        halted_ = policy_ == compensation_policy::stop;
        break;
      case saga_event::ended:
        if (ended_ || next()) refuse(e);
        ended_ = true;
        break;
    }
    ++entries_;
  }

  /// How it ended, or would if it ended now.
  [[nodiscard]] saga_outcome outcome() const noexcept {
    if (next()) return saga_outcome::running;
    if (!failed_) return saga_outcome::completed;
    const bool undone =
        std::none_of(undoing_.begin(), undoing_.end(), [](undo u) { return u == undo::failed || u == undo::due; });
    return undone ? saga_outcome::compensated : saga_outcome::compensation_failed;
  }

  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  /// Of the journal: the number of the next one.
  [[nodiscard]] std::size_t entries() const noexcept { return entries_; }
  /// Steps that were done, whether they are undone by now or not; the one that failed is behind them.
  [[nodiscard]] std::size_t done() const noexcept { return done_; }
  [[nodiscard]] std::size_t compensated() const noexcept {
    return static_cast<std::size_t>(std::count(undoing_.begin(), undoing_.end(), undo::done));
  }

 private:
  enum class undo : std::uint8_t { none, due, done, failed };

  void fail() {
    failed_ = true;
    for (std::size_t i = 0; i < done_; ++i) {
      if (plan_[i].can_compensate) undoing_[i] = undo::due;
    }
    if (plan_[done_].can_compensate && plan_[done_].compensate_if_failed) undoing_[done_] = undo::due;
  }

  std::size_t expect(const saga_entry& e, bool compensate) const {
    const auto due = next();
    if (ended_ || !due || due->compensate != compensate || plan_[due->step].name != e.step) refuse(e);
    return due->step;
  }
  [[noreturn]] void refuse(const saga_entry& e) const {
    throw saga_journal_error{"entry " + std::to_string(entries_) + " of a saga's journal, " +
                             std::string{to_string(e.event)} + " " + e.step.substr(0, 80) + ", does not fit its steps"};
  }

  const std::vector<saga_step_plan>& plan_;
  compensation_policy policy_;
  std::vector<undo> undoing_;
  std::size_t done_ = 0;
  std::size_t entries_ = 0;
  bool failed_ = false;
  bool halted_ = false;
  bool ended_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
