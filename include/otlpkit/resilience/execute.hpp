// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/resilience/event.hpp>
#include <otlpkit/resilience/settled.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <concepts>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

// How every strategy is called, and how it is written.
//
// A strategy is a copyable handle: copies share one state, and may be used by any number of threads and coroutines. It
// has
//   template <class F> decltype(auto) run(const call_info& call, F& fn) const;   // the blocking form
//   std::string_view name() const;   std::string describe() const;
// and derives from strategy_base<itself>, which adds execute(). The awaitable form is a specialisation of
// awaitable_form<Strategy> in otlpkit/asio/, found at compile time when `fn` returns an awaitable:
//   template <class T, class Executor, class F>
//   static awaitable<T, Executor> run(Strategy strategy, call_info call, F fn);
// It takes copies, so that the awaitable depends on nothing but the text that `call` refers to.
namespace otlpkit::inline OTLPKIT_ABI::resilience {

namespace detail {

/// The awaitable form of a strategy, specialised in otlpkit/asio/.
template <class Strategy>
struct awaitable_form;

/// Awaitables that the forms in otlpkit/asio/ know: specialised there for boost::asio::awaitable. `start` calls a
/// form, `keep` makes the texts of a call last as long as the awaitable.
template <class Awaitable>
struct awaitable_forms {
  static_assert(sizeof(Awaitable) == 0,
                "otlpkit: this function returns an awaitable. Include otlpkit/asio/resilience.hpp, or the header of "
                "the strategy in otlpkit/asio/.");
};

/// Runs `fn` under `strategy`: at once, or as an awaitable that does when it is awaited.
template <class Strategy, class F>
decltype(auto) run_strategy(const Strategy& strategy, const call_info& call, F&& fn) {
  using result = std::invoke_result_t<std::remove_reference_t<F>&>;
  if constexpr (awaitable_like<std::remove_reference_t<result>>) {
    return awaitable_forms<result>::start(strategy, call, std::forward<F>(fn));
  } else {
    return strategy.run(call, fn);
  }
}

}  // namespace detail

/// A strategy's calls. `fn` takes nothing; what it returns is returned, what it throws is thrown. If it returns an
/// awaitable, so does execute(), which keeps `fn` and a copy of the strategy until the end.
template <class Strategy>
class strategy_base {
 public:
  /// Makes a call under this strategy. `operation` says what is done, for spans and metrics; copied where needed.
  template <class F>
  decltype(auto) execute(std::string_view operation, F&& fn) const {
    using result = std::invoke_result_t<std::remove_reference_t<F>&>;
    if constexpr (awaitable_like<std::remove_reference_t<result>>) {
      return detail::awaitable_forms<result>::keep(self(), std::string{operation}, std::forward<F>(fn));
    } else {
      return self().run(call_info{.operation = operation}, fn);
    }
  }
  template <class F>
  decltype(auto) execute(F&& fn) const {
    return execute(std::string_view{}, std::forward<F>(fn));
  }

  /// As execute(), where a rejection sets `rejected` instead of being thrown; then a value-initialised result is
  /// returned. Other exceptions are thrown as they are. For awaitables `rejected` must live until the end.
  template <class F>
  auto execute(std::string_view operation, std::error_code& rejected, F&& fn) const {
    using result = std::invoke_result_t<std::remove_reference_t<F>&>;
    rejected.clear();
    if constexpr (awaitable_like<result>) {
      return detail::awaitable_forms<result>::fill_code(execute(operation, std::forward<F>(fn)), rejected);
    } else {
      static_assert(std::is_void_v<result> || std::default_initializable<result>,
                    "otlpkit: the form with an error_code returns a value-initialised result when it rejects");
      try {
        return execute(operation, std::forward<F>(fn));
      } catch (const rejected_error& e) {
        rejected = e.code();
        return result();
      }
    }
  }
  template <class F>
  auto execute(std::error_code& rejected, F&& fn) const {
    return execute(std::string_view{}, rejected, std::forward<F>(fn));
  }

 private:
  [[nodiscard]] const Strategy& self() const noexcept { return static_cast<const Strategy&>(*this); }
};

/// Something pipeline can be made of.
template <class S>
concept strategy = std::copy_constructible<S> && requires(const S& s) {
  { s.name() } -> std::convertible_to<std::string_view>;
  { s.describe() } -> std::convertible_to<std::string>;
  requires std::derived_from<S, strategy_base<S>>;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::resilience
