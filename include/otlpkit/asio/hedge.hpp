// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/asio/in_span.hpp>
#include <otlpkit/asio/task_group.hpp>
#include <otlpkit/propagation/context_scope.hpp>
#include <otlpkit/resilience/hedge.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/wait_traits.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

// hedge for functions that return an awaitable. Each attempt is a task of its own with a span of its own; all of them,
// the timer and the decisions run on one strand.
namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

/// What the caller's span is told.
struct hedge_result {
  std::size_t attempts = 0;
  std::optional<std::size_t> winner;
};

template <class T, class Executor, class F, class Handler>
class hedged_call : public std::enable_shared_from_this<hedged_call<T, Executor, F, Handler>> {
 public:
  hedged_call(const Executor& ex, std::shared_ptr<hedge_state> state, call_info call, F fn, Handler handler,
              settled<T>& ended, hedge_result& said)
      : state_{std::move(state)}, operation_{call.operation}, pipeline_{call.pipeline},
        strand_{otlpkit::detail::serial_executor(ex)}, timer_{strand_}, schedule_{state_->options.max_hedged_attempts +
                                                                                      1,
                                                                                  state_->delay()},
        fn_{std::move(fn)}, handler_{std::move(handler)}, ended_{ended}, said_{said} {
    result_.fail(std::make_exception_ptr(boost::system::system_error{boost::asio::error::operation_aborted}), true);
  }

  void start() {
    auto slot = boost::asio::get_associated_cancellation_slot(*handler_);
    if (slot.is_connected()) {
      slot.assign([call = this->weak_from_this()](boost::asio::cancellation_type type) {
        if (const auto self = call.lock()) self->caller_cancels(type);
      });
    }
    boost::asio::post(strand_, [self = this->shared_from_this()] { self->go_on(); });
  }

 private:
  using timer_type = boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, Executor>;

  [[nodiscard]] time_source& time() const noexcept {
    return state_->options.time != nullptr ? *state_->options.time : system_time();
  }
  [[nodiscard]] call_info call() const noexcept { return {operation_, pipeline_}; }

  /// Starts what is due, and waits for what will be; or, when nothing runs any more, ends.
  void go_on() {
    while (!stopped_ && schedule_.start_one(time().now())) spawn(schedule_.started() - 1);
    if (schedule_.running() == 0) return end();
    const auto next = schedule_.next_start();
    if (stopped_ || !next || next == armed_) return;
    armed_ = next;
    timer_.expires_after(time().timer_for(std::max(*next - time().now(), nanoseconds{0})));
    timer_.async_wait(boost::asio::bind_executor(
        strand_, [self = this->shared_from_this()](const boost::system::error_code& stopped) {
          if (!stopped && !self->over_) self->go_on();
        }));
  }

  void spawn(std::size_t n) {
    attempts_.emplace_back();
    if (n == 0) first_begun_ = time().now();
    try {
      if (n > 0 && state_->options.on_hedging) state_->options.on_hedging(n);
      const auto attached = attach(context_);
      auto of = otlpkit::detail::fork_task();
      const auto slot = attempts_[n].slot_of(of);
      otlpkit::detail::spawn_task(
          strand_, std::move(of), attempt(this->shared_from_this(), n),
          boost::asio::bind_cancellation_slot(slot, [self = this->shared_from_this(), n](std::exception_ptr e) {
            if (e != nullptr) self->lost_for_other_reasons(n, std::move(e));
            // Not here: this is part of the attempt's task.
            boost::asio::post(self->strand_, [self] { self->go_on(); });
          }));
    } catch (...) {
      lost_for_other_reasons(n, std::current_exception());
    }
  }

  static boost::asio::awaitable<void, Executor> attempt(std::shared_ptr<hedged_call> self, std::size_t n) {
    const std::string_view name = self->operation_.empty() ? self->state_->options.name : self->operation_;
    span_guard s{name, {{"otlpkit.hedge.attempt", static_cast<std::int64_t>(n)}}};
    otlpkit::detail::completion end{s};
    if (n > 0) {
      const hedge_options& o = self->state_->options;
      tell({"on_hedging", event_severity::warning, o.name, self->call()},
           {{"otlpkit.hedge.attempt", static_cast<std::int64_t>(n)}}, o.severity);
    }
    settled<T> ended = co_await settle<T, Executor>(self->fn_);
    end.reached();
    self->judge(n, s, std::move(ended));
  }

  void judge(std::size_t n, span& s, settled<T> ended) {
    if (n == 0 && !stopped_) state_->took(time().now() - first_begun_);
    bool good = false;
    try {
      const resilience::outcome o = ended.view();
      good = !o.cancelled() && !(state_->options.should_handle && state_->options.should_handle(o));
    } catch (...) {
      ended.fail(std::current_exception(), false);
    }
    const bool late = schedule_.winner().has_value();
    if (schedule_.ended(n, good)) {
      result_ = std::move(ended);
      return cancel(boost::asio::cancellation_type::all);
    }
    if (late) return s.set("otlpkit.hedge.loser", true);  // whatever it ended with: nobody wanted it any more
    ended.record(s);
    result_ = std::move(ended);
  }

  /// It could not start, or was destroyed.
  void lost_for_other_reasons(std::size_t n, std::exception_ptr e) {
    static_cast<void>(schedule_.ended(n, false));
    if (!schedule_.winner()) result_.fail(std::move(e), false);
  }

  void cancel(boost::asio::cancellation_type type) {
    timer_.cancel();
    for (otlpkit::detail::task_cancellation& a : attempts_) a.emit(type);
  }

  void caller_cancels(boost::asio::cancellation_type type) {
    boost::asio::dispatch(strand_, [self = this->shared_from_this(), type] {
      self->stopped_ = true;
      self->cancel(type);
    });
  }

  void end() {
    if (std::exchange(over_, true)) return;
    timer_.cancel();
    const auto ex = boost::asio::get_associated_executor(*handler_);
    boost::asio::dispatch(ex, [self = this->shared_from_this()] {
      self->said_ = {self->schedule_.started(), self->schedule_.winner()};
      self->ended_ = std::move(self->result_);
      Handler handler = std::move(*self->handler_);
      self->handler_.reset();
      std::move(handler)();
    });
  }

  std::shared_ptr<hedge_state> state_;
  std::string operation_, pipeline_;
  Executor strand_;
  timer_type timer_;
  hedge_schedule schedule_;
  std::deque<otlpkit::detail::task_cancellation> attempts_;
  std::optional<time_point> armed_;
  time_point first_begun_{};
  context context_ = context::current();
  F fn_;
  std::optional<Handler> handler_;
  settled<T> result_;
  bool stopped_ = false;  ///< by the caller: no further attempt
  bool over_ = false;
  settled<T>& ended_;
  hedge_result& said_;
};

template <>
struct awaitable_form<hedge> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(hedge strategy, call_info call, F fn) {
    const Executor ex = co_await boost::asio::this_coro::executor;
    settled<T> ended;
    hedge_result said;
    boost::asio::use_awaitable_t<Executor> token;
    co_await boost::asio::async_initiate<boost::asio::use_awaitable_t<Executor>, void()>(
        [&](auto handler) {
          using hedged = hedged_call<T, Executor, F, decltype(handler)>;
          std::make_shared<hedged>(ex, strategy.state_, call, std::move(fn), std::move(handler), ended, said)->start();
        },
        token);
    record(said);
    co_return ended.take();
  }

 private:
  static void record([[maybe_unused]] const hedge_result& said) noexcept {
#ifndef OTLPKIT_DISABLE
    span& here = current_span();
    here.set("otlpkit.hedge.attempts", static_cast<std::int64_t>(said.attempts));
    if (said.winner) here.set("otlpkit.hedge.winner", static_cast<std::int64_t>(*said.winner));
#endif
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
