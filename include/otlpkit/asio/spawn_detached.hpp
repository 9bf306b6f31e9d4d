// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/asio/in_span.hpp>
#include <otlpkit/core/diagnostics.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// How the span of detached work is related to the span that started it.
enum class detached_relation : unsigned char {
  child,   ///< in the same trace, as its child
  linked,  ///< in a trace of its own, with a link: for work that takes long or belongs to many
};

namespace detail {

inline void report_detached_failure(const std::string& name, const char* what) noexcept {
  try {
    report(diagnostic_level::warning, "detached task " + name + " failed: " + what);
  } catch (...) {
    report(diagnostic_level::warning, "a detached task failed");
  }
}

/// Nobody waits for it, so an error ends here: on the span, or in the diagnostics where no span records.
template <class T, class Executor>
boost::asio::awaitable<void, Executor> run_detached(unstarted_span unstarted, std::string name,
                                                    detached_relation relation, span_context origin,
                                                    boost::asio::awaitable<T, Executor> work) {
  co_await boost::asio::post(boost::asio::deferred);  // not within the call that starts it
  span_guard guard = relation == detached_relation::child ? unstarted.start() : unstarted.start_linked(origin);
  completion end{guard};
  try {
    static_cast<void>(co_await std::move(work));
    end.reached();
  } catch (const std::exception& e) {
    end.reached();
    if (!guard.recording()) report_detached_failure(name, e.what());
    record_current_exception(guard);
  } catch (...) {
    end.reached();
    if (!guard.recording()) report_detached_failure(name, "not a std::exception");
    record_current_exception(guard);
  }
}

template <class Place, class T, class Executor>
void spawn_detached_on(const Place& place, span_name name, const otlpkit::field_list& attributes,
                       detached_relation relation, boost::asio::awaitable<T, Executor> work) {
  std::string text;
#ifndef OTLPKIT_DISABLE
  text = name.text();
#endif
  unstarted_span unstarted{name, attributes};
  unstarted.add({"otlpkit.detached", true});
  spawn_task(place, fork_task(),
             run_detached(std::move(unstarted), std::move(text), relation, current_context(), std::move(work)),
             boost::asio::detached);
}

}  // namespace detail

/// Starts `work` in a span called `name` and does not wait for it: `otlpkit::spawn_detached("order.fulfil",
/// fulfil(o))`.
///
/// It runs where the running task does, never within this call, and may outlive it. Its span is a child of the
/// one that is current now, or linked to it, and carries otlpkit.detached. What it throws is recorded on the span and
/// ends there; where no span records it is reported through the diagnostics. Throws std::logic_error where no task
/// runs: there, pass an executor or execution context first. Throws std::bad_alloc.
template <class T, class Executor>
void spawn_detached(detail::span_name name, const field_list& attributes, boost::asio::awaitable<T, Executor> work,
                    detached_relation relation = detached_relation::child) {
  const detail::task* const running = detail::running_task();
  if (running == nullptr || !running->executor) {
    throw std::logic_error{
        "otlpkit::spawn_detached: no task runs here. Pass an executor first, or start the caller with "
        "otlpkit::co_spawn."};
  }
  detail::spawn_detached_on(running->executor, name, attributes, relation, std::move(work));
}
template <class T, class Executor>
void spawn_detached(detail::span_name name, boost::asio::awaitable<T, Executor> work,
                    detached_relation relation = detached_relation::child) {
  spawn_detached(name, {}, std::move(work), relation);
}

/// The same on `place`, an executor or execution context.
template <class Place, class T, class Executor>
requires(detail::execution_context_like<std::remove_reference_t<Place>> ||
         boost::asio::is_executor<std::decay_t<Place>>::value ||
         boost::asio::execution::is_executor<
             std::decay_t<Place>>::value) void spawn_detached(Place&& place, detail::span_name name,
                                                              const field_list& attributes,
                                                              boost::asio::awaitable<T, Executor> work,
                                                              detached_relation relation = detached_relation::child) {
  detail::spawn_detached_on(detail::executor_of(place), name, attributes, relation, std::move(work));
}
template <class Place, class T, class Executor>
requires(detail::execution_context_like<std::remove_reference_t<Place>> ||
         boost::asio::is_executor<std::decay_t<Place>>::value ||
         boost::asio::execution::is_executor<
             std::decay_t<Place>>::value) void spawn_detached(Place&& place, detail::span_name name,
                                                              boost::asio::awaitable<T, Executor> work,
                                                              detached_relation relation = detached_relation::child) {
  detail::spawn_detached_on(detail::executor_of(place), name, {}, relation, std::move(work));
}

}  // namespace otlpkit::inline OTLPKIT_ABI
