// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/asio/task_group.hpp>
#include <otlpkit/resilience/timeout.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/wait_traits.hpp>
#include <boost/system/error_code.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

// timeout for functions that return an awaitable. When the time is over the call is cancelled, and its end is awaited:
// a call that takes no notice of its cancellation is not left behind.
namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

/// A call beside a timer. Both run on one strand, where the call can be cancelled safely. The call goes on in the task
/// of the one who waits for it, so that spans and events of the call belong where they would without a timeout.
template <class T, class Executor, class F, class Handler>
class timed_call : public std::enable_shared_from_this<timed_call<T, Executor, F, Handler>> {
 public:
  timed_call(const Executor& ex, F fn, Handler handler, settled<T>& ended, bool& expired)
      : strand_{otlpkit::detail::serial_executor(ex)}, timer_{strand_}, fn_{std::move(fn)},
        handler_{std::move(handler)}, ended_{ended}, expired_{expired} {}

  void start(nanoseconds limit) {
    auto slot = boost::asio::get_associated_cancellation_slot(*handler_);
    if (slot.is_connected()) {
      slot.assign([call = this->weak_from_this()](boost::asio::cancellation_type type) {
        if (const auto self = call.lock()) self->cancel(type);
      });
    }
    otlpkit::detail::task* const running = otlpkit::detail::running_task();
    auto of = running != nullptr ? otlpkit::detail::task_ref::borrow(*running) : otlpkit::detail::fork_task();
    boost::asio::post(strand_, [self = this->shared_from_this(), of = std::move(of), limit]() mutable {
      self->begin(std::move(of), limit);
    });
  }

 private:
  using timer_type = boost::asio::basic_waitable_timer<clock, boost::asio::wait_traits<clock>, Executor>;

  void begin(otlpkit::detail::task_ref of, nanoseconds limit) {
    timer_.expires_after(limit);
    timer_.async_wait(boost::asio::bind_executor(
        strand_, [self = this->shared_from_this()](const boost::system::error_code& stopped) {
          if (stopped || self->over_) return;
          self->timed_out_ = true;
          self->signal_.emit(boost::asio::cancellation_type::all);
        }));
    try {
      const auto place = otlpkit::detail::executor_for(strand_, of.borrow(), nullptr);
      otlpkit::detail::asio_co_spawn(
          place,
          otlpkit::detail::task_work<boost::asio::awaitable<void, Executor>>{std::move(of),
                                                                             work(this->shared_from_this())},
          boost::asio::bind_cancellation_slot(
              signal_.slot(), [self = this->shared_from_this()](std::exception_ptr e) { self->end(std::move(e)); }));
    } catch (...) {
      return end(std::current_exception());
    }
    if (early_ != boost::asio::cancellation_type::none) signal_.emit(early_);
  }

  static boost::asio::awaitable<void, Executor> work(std::shared_ptr<timed_call> self) {
    self->result_ = co_await settle<T, Executor>(self->fn_);
  }

  void cancel(boost::asio::cancellation_type type) {
    boost::asio::dispatch(strand_, [self = this->shared_from_this(), type] {
      self->early_ = self->early_ | type;
      self->signal_.emit(type);
    });
  }

  void end(std::exception_ptr e) {
    over_ = true;
    timer_.cancel();
    if (e != nullptr) result_.fail(std::move(e), early_ != boost::asio::cancellation_type::none);
    const auto ex = boost::asio::get_associated_executor(*handler_);
    boost::asio::dispatch(ex, [self = this->shared_from_this()] {
      self->ended_ = std::move(self->result_);
      self->expired_ = self->timed_out_;
      Handler handler = std::move(*self->handler_);
      self->handler_.reset();
      std::move(handler)();
    });
  }

  Executor strand_;
  timer_type timer_;
  boost::asio::cancellation_signal signal_;
  boost::asio::cancellation_type early_ = boost::asio::cancellation_type::none;  ///< what the caller asked for
  F fn_;
  std::optional<Handler> handler_;
  settled<T> result_;
  bool timed_out_ = false;
  bool over_ = false;
  settled<T>& ended_;
  bool& expired_;
};

template <>
struct awaitable_form<timeout> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(timeout strategy, call_info call, F fn) {
    const nanoseconds limit = strategy.begin(call);
    const deadline_scope deadline{limit};
    const time_point begun = strategy.time().now();
    const Executor ex = co_await boost::asio::this_coro::executor;
    settled<T> ended;
    bool expired = false;
    boost::asio::use_awaitable_t<Executor> token;
    co_await boost::asio::async_initiate<boost::asio::use_awaitable_t<Executor>, void()>(
        [&](auto handler) {
          using timed = timed_call<T, Executor, F, decltype(handler)>;
          std::make_shared<timed>(ex, std::move(fn), std::move(handler), ended, expired)
              ->start(strategy.time().timer_for(limit));
        },
        token);
    if (!expired) co_return ended.take();
    const bool late = ended.failure() == nullptr;
    strategy.told(limit, strategy.time().now() - begun, late, call);
    if (late) co_return ended.take();
    throw timed_out_error{strategy.name()};
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
