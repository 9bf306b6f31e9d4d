// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/asio/observed_call.hpp>
#include <otlpkit/asio/wakeable_timer.hpp>
#include <otlpkit/messaging/batcher_core.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// The batcher of messaging/batcher.hpp for coroutines: a task of its own sends the batches, and nothing here blocks a
/// thread. Its calls may come from any executor and thread.
///
/// \code
/// otlpkit::messaging::async_batcher<reading> readings{executor, {.name = "readings"}, [&](std::vector<reading>& batch)
/// {
///   return store(batch);  // may return an awaitable
/// }};
/// co_await readings.add(r);
/// \endcode
template <class Item>
class async_batcher : public batcher_view<Item> {
  class state;
  using core_type = detail::batcher_core<Item>;
  using answer = typename core_type::answer;
  using executor_type = boost::asio::any_io_executor;
  using timer = otlpkit::detail::wakeable_timer<executor_type>;
  template <class T>
  using awaitable = boost::asio::awaitable<T, executor_type>;

 public:
  /// \param place an executor or execution context
  /// \param sink as that of batcher, or one that returns an awaitable; it is kept until all is sent
  /// Throws config_error.
  template <class Place, std::invocable<std::vector<Item>&> Sink>
  async_batcher(Place&& place, batcher_options options, Sink sink, typename core_type::measure_type size_of = {})
      : async_batcher{std::make_shared<state>(std::move(options), std::move(size_of)),
                      executor_type{otlpkit::detail::executor_of(place)}, std::move(sink)} {}

  /// Takes nothing any more. The task goes on for up to close_timeout, if its executor does: use close() to wait.
  ~async_batcher() {
    const std::lock_guard lock{state_->mutex};
    state_->close(state_->options.close_timeout);
  }

  /// Adds an item. Where there is no room it waits with overflow::block, up to max_wait and within the task's deadline.
  /// \return whether it was taken; if not, or if it is cancelled while it waits, the item is counted as dropped
  [[nodiscard]] awaitable<bool> add(Item item) { return add(state_, std::move(item)); }

  /// Sends what waits, and waits until it is sent, has failed or was dropped.
  [[nodiscard]] awaitable<void> flush() { return flush(state_); }

  /// Takes nothing any more, sends what waits, and drops what cannot be sent within `timeout`: no batch begins after
  /// it. Returns by then. \return whether all was given to the sink
  [[nodiscard]] awaitable<bool> close(std::chrono::nanoseconds timeout) { return close(state_, timeout); }

 private:
  template <class Sink>
  async_batcher(std::shared_ptr<state> s, executor_type ex, Sink sink) : batcher_view<Item>{s}, state_{std::move(s)} {
    const context_scope own{context{}};
    otlpkit::co_spawn(std::move(ex), run(state_, std::move(sink)), boost::asio::detached);
  }

  class state final : public core_type {
   public:
    using core_type::core_type;

    // With the lock:
    std::vector<std::shared_ptr<timer>> waiting;
    std::shared_ptr<timer> sender;

   private:
    void wake_sender() noexcept override {
      if (sender != nullptr) sender->wake();
    }
    void wake_waiters() noexcept override {
      for (const auto& w : waiting) w->wake();
      waiting.clear();
    }
  };
  using state_ptr = std::shared_ptr<state>;

  /// Somebody who waits for a change, until this goes.
  class waiter {
   public:
    waiter(state& s, const executor_type& ex, bool adds) noexcept : state_{s}, executor_{ex}, adds_{adds} {}
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;
    ~waiter() {
      if (timer_ == nullptr) return;
      const std::lock_guard lock{state_.mutex};
      std::erase(state_.waiting, timer_);
      if (adds_) state_.wait_ends();
    }
    /// With the lock.
    const std::shared_ptr<timer>& enlist() {
      timer_ = state_.waiting.emplace_back(std::make_shared<timer>(executor_));
      if (adds_) state_.wait_begins();
      return timer_;
    }

   private:
    state& state_;
    const executor_type& executor_;
    std::shared_ptr<timer> timer_;  // once it waits
    bool adds_;
  };

  static awaitable<bool> add(state_ptr s, Item item) {
    const std::size_t bytes = s->size_of(item);
    const span_context from = s->here();
    const auto longest = within_deadline(s->options.max_wait);
    const executor_type ex = co_await boost::asio::this_coro::executor;
    std::optional<resilience::time_point> waited;
    for (;;) {
      waiter mine{*s, ex, true};
      std::shared_ptr<timer> sleeps;
      answer a{};
      bool pressed = false;
      const bool over = waited && s->time().now() - *waited >= longest;
      {
        const std::lock_guard lock{s->mutex};
        a = s->offer(item, bytes, from);
        pressed = s->pressed();
        if (a == answer::wait && !over) sleeps = mine.enlist();
      }
      if (sleeps != nullptr) {
        if (!waited) waited = s->time().now();
        try {
          co_await sleep(*s, std::move(sleeps), *waited, longest);
        } catch (...) {  // cancelled
          s->refuse();
          throw;
        }
        continue;
      }
      if (waited) s->tell_wait(*waited);
      if (a == answer::taken_for_oldest) s->tell_dropped("dropped_oldest");
      if (a == answer::taken || a == answer::taken_for_oldest) {
        if (pressed) s->tell_pressure();
        co_return true;
      }
      s->refuse();
      co_return false;
    }
  }

  static awaitable<void> sleep(state& s, std::shared_ptr<timer> t, resilience::time_point begun,
                               std::chrono::nanoseconds longest) {
    auto end = resilience::time_point::max();
    if (longest != std::chrono::nanoseconds::max()) {
      const auto left = std::max(begun + longest - s.time().now(), std::chrono::nanoseconds{0});
      end = resilience::clock::now() + s.time().timer_for(left);
    }
    static_cast<void>(co_await timer::wait(std::move(t), end));
  }

  /// Waits until done(state), which is asked with the lock, or the time is over.
  template <class Done>
  static awaitable<void> wait(state_ptr s, Done done, std::chrono::nanoseconds longest) {
    const executor_type ex = co_await boost::asio::this_coro::executor;
    const auto begun = s->time().now();
    for (;;) {
      waiter mine{*s, ex, false};
      std::shared_ptr<timer> sleeps;
      {
        const std::lock_guard lock{s->mutex};
        if (done(*s)) co_return;
        if (s->time().now() - begun >= longest) co_return;
        sleeps = mine.enlist();
      }
      co_await sleep(*s, std::move(sleeps), begun, longest);
    }
  }

  static awaitable<void> flush(state_ptr s) {
    std::uint64_t target = 0;
    {
      const std::lock_guard lock{s->mutex};
      target = s->flush();
    }
    co_await wait(
        s, [target](state& now) { return now.settled(target); }, std::chrono::nanoseconds::max());
  }

  static awaitable<bool> close(state_ptr s, std::chrono::nanoseconds timeout) {
    {
      const std::lock_guard lock{s->mutex};
      s->close(timeout);
    }
    co_await wait(
        s, [](state& now) { return now.is_stopped(); }, timeout);
    const std::lock_guard lock{s->mutex};
    co_return s->all_sent();
  }

  /// The task that sends. Destroyed with its executor, it drops what is left.
  template <class Sink>
  static awaitable<void> run(state_ptr s, Sink sink) {
    const at_end books{*s};
    const executor_type ex = co_await boost::asio::this_coro::executor;
    for (;;) {
      std::shared_ptr<timer> sleeps;
      typename core_type::step step;
      std::size_t lost = 0;
      {
        const std::lock_guard lock{s->mutex};
        step = s->next();
        lost = s->take_lost();
        const bool idle = step.send.items.empty() && !step.stop;
        if (idle) sleeps = std::make_shared<timer>(ex);
        s->sender = sleeps;
      }
      s->tell_dropped("dropped_at_close", lost);
      if (!step.send.items.empty()) {
        co_await send(*s, step.send, sink);
      } else if (step.stop) {
        co_return;
      } else {
        auto end = resilience::time_point::max();
        if (step.until) {
          const auto left = std::max(*step.until - s->time().now(), resilience::nanoseconds{0});
          end = resilience::clock::now() + s->time().timer_for(left);
        }
        static_cast<void>(co_await timer::wait(std::move(sleeps), end));
      }
    }
  }

  struct at_end {
    state& s;
    ~at_end() {
      std::size_t lost = 0;
      {
        const std::lock_guard lock{s.mutex};
        s.sender.reset();  // it must not outlive the executor
        lost = s.stopped();
      }
      s.tell_dropped("dropped_at_close", lost);
    }
  };

  template <class Sink>
  static awaitable<void> send(state& s, typename core_type::batch_type& b, Sink& sink) {
    const std::size_t count = b.items.size();
    bool failed = false;
    if constexpr (awaitable_like<std::invoke_result_t<Sink&, std::vector<Item>&>>) {
      auto work = otlpkit::detail::observe(s.operation(b, failed), [&] { return sink(b.items); });
      co_await std::move(work);
    } else {
      otlpkit::detail::observe(s.operation(b, failed), [&] { static_cast<void>(sink(b.items)); });
    }
    s.count_items(failed ? "failed" : "sent", count);
    const std::lock_guard lock{s.mutex};
    s.finished(b, failed);
  }

  state_ptr state_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
