// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/awaitable_forms.hpp>
#include <otlpkit/resilience/rate_limiter.hpp>

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>
#include <utility>

// rate_limiter for functions that return an awaitable. Waiting for a permit blocks no thread; a call that is cancelled
// while it waits, or destroyed, gives its permit back.
namespace otlpkit::inline OTLPKIT_ABI::resilience::detail {

template <>
struct awaitable_form<rate_limiter> {
  template <class T, class Executor, class F>
  static boost::asio::awaitable<T, Executor> run(rate_limiter limiter, call_info call, F fn) {
    {
      claim mine{*limiter.limit_, limiter.key(), call};
      if (mine.taken.wait > nanoseconds{0}) {
        co_await wait_for<Executor>(limiter.limit_->time(), mine.taken.wait);
        limiter.limit_->waited(mine.taken.wait, call);
      }
      mine.used = true;
    }
    co_return co_await fn();
  }

 private:
  /// A permit that is given back unless it is used.
  struct claim {
    claim(rate_limit& l, std::optional<std::string> k, const call_info& call)
        : limit{l}, key{std::move(k)}, taken{limit.enter(key, call)} {}
    claim(const claim&) = delete;
    claim& operator=(const claim&) = delete;
    ~claim() {
      if (!used) limit.give_back(key, taken);
    }
    rate_limit& limit;
    std::optional<std::string> key;
    taken_permit taken;
    bool used = false;
  };
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience::detail
