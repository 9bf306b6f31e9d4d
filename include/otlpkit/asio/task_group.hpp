// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/co_spawn.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// An executor for tasks that may be cancelled by others. Asio's cancellation is not safe against the cancelled task
/// being at work on another thread, so each gets a strand, unless all are on one already.
inline boost::asio::any_io_executor serial_executor(const boost::asio::any_io_executor& ex) {
  task_inquiry inquiry;
  inquire(ex, inquiry);
  const boost::asio::any_io_executor bare = inquiry.traced ? inquiry.bare : ex;
  using io_strand = boost::asio::strand<io_executor>;
  using any_strand = boost::asio::strand<boost::asio::any_io_executor>;
  if (inquiry.serial || bare.target<io_strand>() != nullptr || bare.target<any_strand>() != nullptr) return bare;
  if (const auto* const io = bare.target<io_executor>()) return boost::asio::make_strand(*io);
  return boost::asio::make_strand(bare);
}

/// A typed executor stays what its owner chose.
template <class Executor>
Executor serial_executor(const Executor& ex) {
  return ex;
}

/// Cancels one task. Its spans learn of it first: what leaves them from then on is no failure. To be used where the
/// task runs.
class task_cancellation {
 public:
  /// The slot `of` is to be started with.
  [[nodiscard]] boost::asio::cancellation_slot slot_of(const task_ref& of) noexcept {
    of_ = of.borrow();
    return signal_.slot();
  }
  void emit(boost::asio::cancellation_type_t type) {
    if ((type & boost::asio::cancellation_type_t::terminal) != boost::asio::cancellation_type_t::none)
      note_cancelled(of_);
    signal_.emit(type);
  }

 private:
  task_ref of_;
  boost::asio::cancellation_signal signal_;
};

/// When a group of tasks has what it waits for, and cancels those that are left.
enum class group_goal : unsigned char { all_succeed, one_succeeds };

/// Tasks that are awaited together, each at a place of its own. The one that waits goes on when all are over, cancelled
/// ones included.
template <class Executor, class Place, class Handler>
class task_group : public std::enable_shared_from_this<task_group<Executor, Place, Handler>> {
 public:
  task_group(Handler handler, group_goal goal, std::size_t& winner)
      : handler_{std::move(handler)}, goal_{goal}, winner_{winner} {}

  void start(const std::vector<Place>& places, std::vector<boost::asio::awaitable<void, Executor>> work) {
    running_ = work.size() + 1;  // the one too many is this function
    forward_cancellation();
    for (const Place& place : places) members_.emplace_back(place);
    for (std::size_t i = 0; i < work.size(); ++i) {
      try {
        task_ref of = fork_task();
        const auto slot = members_[i].cancellation.slot_of(of);
        spawn_task(
            members_[i].executor, std::move(of), std::move(work[i]),
            boost::asio::bind_cancellation_slot(
                slot, [self = this->shared_from_this(), i](std::exception_ptr e) { self->ended(i, std::move(e)); }));
      } catch (...) {
        ended(i, std::current_exception());
      }
    }
    boost::asio::cancellation_type_t asked{};
    {
      const std::lock_guard lock{mutex_};
      started_ = true;
      asked = asked_;
    }
    if (asked != boost::asio::cancellation_type_t::none) emit(asked);
    ended_one();
  }

 private:
  struct member {
    explicit member(Place ex) : executor{std::move(ex)} {}
    Place executor;
    task_cancellation cancellation;
  };

  /// Whoever cancels the waiting task cancels all of these. The slot may outlive the group.
  void forward_cancellation() {
    auto slot = boost::asio::get_associated_cancellation_slot(*handler_);
    if (!slot.is_connected()) return;
    slot.assign([group = this->weak_from_this()](boost::asio::cancellation_type_t type) {
      if (const auto self = group.lock()) self->cancel(type);
    });
  }

  void ended(std::size_t index, std::exception_ptr e) {
    bool decided = false;
    {
      const std::lock_guard lock{mutex_};
      const bool failed = e != nullptr;
      if (failed && failure_ == nullptr) failure_ = std::move(e);
      if (failed == (goal_ == group_goal::all_succeed) && !decided_) {
        decided_ = decided = true;
        winner_ = index;
      }
    }
    if (decided) cancel(boost::asio::cancellation_type_t::all);
    ended_one();
  }

  void ended_one() {
    {
      const std::lock_guard lock{mutex_};
      if (--running_ != 0) return;
    }
    const bool ok = decided_ == (goal_ == group_goal::one_succeeds);
    const auto ex = boost::asio::get_associated_executor(*handler_);  // the waiting task's: this runs in another one
    boost::asio::dispatch(ex, [handler = std::move(*handler_), failure = ok ? nullptr : failure_]() mutable {
      std::move(handler)(std::move(failure));
    });
  }

  void cancel(boost::asio::cancellation_type_t type) {
    {
      const std::lock_guard lock{mutex_};
      if (!started_) {
        asked_ = asked_ | type;
        return;
      }
    }
    emit(type);
  }

  void emit(boost::asio::cancellation_type_t type) {
    for (member& m : members_) {
      boost::asio::dispatch(m.executor,
                            [self = this->shared_from_this(), one = &m.cancellation, type] { one->emit(type); });
    }
  }

  std::mutex mutex_;
  std::optional<Handler> handler_;
  group_goal goal_;
  std::size_t& winner_;
  std::deque<member> members_;
  std::size_t running_ = 0;
  bool started_ = false;
  bool decided_ = false;
  boost::asio::cancellation_type_t asked_ = boost::asio::cancellation_type_t::none;
  std::exception_ptr failure_;
};

/// Runs `work`, each as a task of its own and child of the span that is current when this starts, at these places.
/// Returns which one decided; throws the first exception if the goal was missed.
template <class Executor, class Place>
boost::asio::awaitable<std::size_t, Executor> run_group_at(std::vector<Place> places,
                                                           std::vector<boost::asio::awaitable<void, Executor>> work,
                                                           group_goal goal) {
  std::size_t winner = 0;
  boost::asio::use_awaitable_t<Executor> token;
  co_await boost::asio::async_initiate<boost::asio::use_awaitable_t<Executor>, void(std::exception_ptr)>(
      [&places, &work, &winner, goal](auto handler) {
        using group = task_group<Executor, Place, decltype(handler)>;
        std::make_shared<group>(std::move(handler), goal, winner)->start(places, std::move(work));
      },
      token);
  co_return winner;
}

/// The same beside the caller: on its executor.
template <class Executor>
boost::asio::awaitable<std::size_t, Executor> run_group(std::vector<boost::asio::awaitable<void, Executor>> work,
                                                        group_goal goal) {
  const Executor ex = co_await boost::asio::this_coro::executor;
  std::vector<Executor> places;
  places.reserve(work.size());
  while (places.size() < work.size()) places.push_back(serial_executor(ex));
  co_return co_await run_group_at(std::move(places), std::move(work), goal);
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
