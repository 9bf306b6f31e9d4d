// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/batcher_core.hpp>
#include <otlpkit/trace/observed_call.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// Collects items and sends them together: when there are enough of them, or enough bytes, or the first one has waited
/// long enough, whichever comes first. One thread of its own calls the sink, with one batch at a time; its span
/// `batch.flush NAME` links to the spans the items were added in. The queue is bounded; what happens when it is full is
/// `when_full`. Thread-safe.
///
/// \code
/// otlpkit::messaging::batcher<reading> readings{{.name = "readings", .max_items = 500},
///                                               [&](std::vector<reading>& batch) { store(batch); }};
/// readings.add(r);
/// \endcode
template <class Item>
class batcher : public batcher_view<Item> {
  class state;
  using core_type = detail::batcher_core<Item>;
  using answer = typename core_type::answer;

 public:
  /// `sink` takes an std::vector<Item>&, as it is or as a span. What it throws is recorded, and the batch's items are
  /// counted as failed: to try again is the sink's own business. It must not call this batcher.
  /// \param size_of bytes of an item, where max_bytes is set; without: the length of text, sizeof of all else
  /// Throws config_error, and std::system_error when there can be no thread.
  template <std::invocable<std::vector<Item>&> Sink>
  batcher(batcher_options options, Sink sink, typename core_type::measure_type size_of = {})
      : batcher{std::move(sink), std::make_shared<state>(std::move(options), std::move(size_of))} {}

  /// Closes it as close(close_timeout) does, and waits for the end of a call of the sink that is under way.
  ~batcher() {
    static_cast<void>(close(state_->options.close_timeout));
    thread_.join();
  }

  /// Adds an item. Where there is no room it waits with overflow::block, up to max_wait and within the task's deadline.
  /// \return whether it was taken; if not, it is counted as dropped
  bool add(Item item) {
    state& s = *state_;
    const std::size_t bytes = s.size_of(item);
    const span_context from = s.here();
    answer a{};
    bool pressed = false;
    std::optional<resilience::time_point> waited;
    {
      std::unique_lock lock{s.mutex};
      a = s.offer(item, bytes, from);
      if (a == answer::wait) a = wait(s, lock, item, bytes, from, waited.emplace(s.time().now()));
      pressed = s.pressed();
    }
    if (waited) s.tell_wait(*waited);
    if (a == answer::taken || a == answer::taken_for_oldest) {
      if (a == answer::taken_for_oldest) s.tell_dropped("dropped_oldest");
      if (pressed) s.tell_pressure();
      return true;
    }
    s.refuse();
    return false;
  }

  /// Sends what waits, and waits until it is sent, has failed or was dropped.
  void flush() {
    std::unique_lock lock{state_->mutex};
    const std::uint64_t target = state_->flush();
    state_->changed.wait(lock, [&] { return state_->settled(target); });
  }

  /// Takes nothing any more, sends what waits, and drops what cannot be sent within `timeout`: no batch begins after
  /// it. Returns by then. \return whether all was given to the sink
  bool close(std::chrono::nanoseconds timeout) {
    std::unique_lock lock{state_->mutex};
    state_->close(timeout);
    const auto over = [this] { return state_->is_stopped(); };
    if (timeout > std::chrono::hours{24}) {
      state_->changed.wait(lock, over);
    } else {
      static_cast<void>(state_->changed.wait_for(lock, timeout, over));
    }
    return state_->all_sent();
  }

 private:
  template <class Sink>
  batcher(Sink sink, std::shared_ptr<state> s)
      : batcher_view<Item>{s}, state_{std::move(s)}, thread_{[&s = *state_, send = std::move(sink)]() mutable {
          run(s, send);
        }} {}

  class state final : public core_type {
   public:
    using core_type::core_type;
    std::condition_variable work;     ///< the thread waits
    std::condition_variable changed;  ///< callers wait

   private:
    void wake_sender() noexcept override { work.notify_one(); }
    void wake_waiters() noexcept override { changed.notify_all(); }
  };

  static answer wait(state& s, std::unique_lock<std::mutex>& lock, Item& item, std::size_t bytes,
                     const span_context& from, resilience::time_point begun) {
    const auto longest = within_deadline(s.options.max_wait);
    const struct counted {
      state& s;
      ~counted() { s.wait_ends(); }
    } waiting{(s.wait_begins(), s)};
    for (;;) {
      const auto passed = s.time().now() - begun;
      if (passed >= longest) return answer::wait;
      if (longest == std::chrono::nanoseconds::max()) {
        s.changed.wait(lock);
      } else {
        static_cast<void>(s.changed.wait_for(lock, s.time().timer_for(longest - passed)));
      }
      if (const answer a = s.offer(item, bytes, from); a != answer::wait) return a;
    }
  }

  template <class Sink>
  static void run(state& s, Sink& sink) {
    std::unique_lock lock{s.mutex};
    for (;;) {
      auto step = s.next();
      const std::size_t lost = s.take_lost();
      if (!step.send.items.empty() || lost != 0) {
        lock.unlock();
        s.tell_dropped("dropped_at_close", lost);
        if (!step.send.items.empty()) send(s, step.send, sink);
        lock.lock();
      } else if (step.stop) {
        static_cast<void>(s.stopped());
        return;
      } else if (step.until) {
        const auto now = s.time().now();
        static_cast<void>(
            s.work.wait_for(lock, s.time().timer_for(std::max(*step.until - now, resilience::nanoseconds{0}))));
      } else {
        s.work.wait(lock);
      }
    }
  }

  template <class Sink>
  static void send(state& s, typename core_type::batch_type& b, Sink& sink) {
    const std::size_t count = b.items.size();
    bool failed = false;
    otlpkit::detail::observe(s.operation(b, failed), [&] { static_cast<void>(sink(b.items)); });
    s.count_items(failed ? "failed" : "sent", count);
    const std::lock_guard lock{s.mutex};
    s.finished(b, failed);
  }

  std::shared_ptr<state> state_;
  std::thread thread_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
