// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/sdk/pipeline.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

/// The one pipeline that may live in a process: from the telemetry object that made it to its end, across fork() and
/// exit().
///
/// Each has a number, its generation, so that a telemetry object whose pipeline ended already (by exit()) finds that
/// out.
namespace otlpkit::inline OTLPKIT_ABI::sdk::active_pipeline {

using factory = std::function<std::shared_ptr<pipeline>(bool in_forked_child)>;

namespace detail {

struct state {
  std::mutex mutex;  // guards what follows; held across fork()
  std::shared_ptr<pipeline> current;
  factory make;
  std::uint64_t last = 0;   ///< the newest generation
  std::uint64_t alive = 0;  ///< the one that lives, 0 when none does
  bool print_books = false;
  std::uint32_t mode = 0;
  std::chrono::milliseconds timeout{};
  sdk::books books;  ///< of the last one that ended

  std::atomic<pipeline*> wake_target{nullptr};
  std::atomic<int> wakers{0};        ///< threads in wake(); the target stays until they left
  std::atomic<bool> restart{false};  ///< this is a forked child without a thread yet
  otlpkit::detail::participant process;

  /// Those of the processes this one was forked from. Their threads are not here, so they can never end. Room for one
  /// more is kept, so that a fork allocates nothing.
  std::vector<std::shared_ptr<pipeline>> abandoned;
};

/// Made once and never destroyed: threads may end, and spans with them, after everything else.
OTLPKIT_VISIBLE inline state& global() {
  static state* const s = new state;
  return *s;
}

inline void wake() noexcept;

/// Lets recording begin. The mutex is held.
inline void install(state& s, std::shared_ptr<pipeline> p) {
  otlpkit::detail::runtime& r = otlpkit::detail::global_runtime;
  s.abandoned.reserve(s.abandoned.size() + 1);
  p->start();
  s.wake_target.store(p.get());
  s.current = std::move(p);
  r.spans.wake.store(&wake, platform::release);
  r.logs.wake.store(&wake, platform::release);
}

/// Shared objects that do not see each other's symbols have a copy of the runtime each. That works, but is seldom what
/// is wanted. Before the first pipeline of this copy a background thread can only be another one's.
inline void tell_of_other_copies() {
  if (!platform_host::has_thread_named(pipeline::thread_name)) return;
  report(
      diagnostic_level::warning,
      "another copy of otlpkit in this process sends telemetry too (expected one: link shared objects at start, or the "
      "program with -rdynamic); each has its own pipeline, and their traces do not connect");
}

/// In a forked child the pipeline comes back when the first record asks for it.
inline void restart_if_forked(state& s) {
  if (!s.restart.load(std::memory_order_acquire)) return;
  const std::lock_guard lock{s.mutex};
  if (!s.restart.exchange(false) || s.alive == 0) return;
  install(s, s.make(true));
}

inline void wake() noexcept {
  state& s = global();
  try {
    restart_if_forked(s);
  } catch (const std::exception& e) {
    report(diagnostic_level::error, std::string{"telemetry could not be restarted in the forked child: "} + e.what());
    otlpkit::detail::global_runtime.mode.store(0, platform::release);
  }
  s.wakers.fetch_add(1);
  if (pipeline* const p = s.wake_target.load()) p->wake();
  s.wakers.fetch_sub(1);
}

inline void before_fork() noexcept { global().mutex.lock(); }
inline void after_fork_in_parent() noexcept { global().mutex.unlock(); }
inline void after_fork_in_child() noexcept {
  state& s = global();
  if (s.current != nullptr) s.abandoned.push_back(std::move(s.current));
  s.wake_target.store(nullptr);
  s.wakers.store(0);
  s.restart.store(s.alive != 0);
  otlpkit::detail::global_runtime.spans.wake_items.store(0, platform::relaxed);  // the first record wakes
  otlpkit::detail::global_runtime.logs.wake_items.store(0, platform::relaxed);
  s.mutex.unlock();
}

}  // namespace detail

/// Ends the pipeline of this generation, if it still lives. False when something was lost to the deadline.
inline bool end(std::uint64_t generation, std::chrono::milliseconds timeout) noexcept {
  const auto deadline = pipeline::clock::now() + timeout;
  detail::state& s = detail::global();
  std::shared_ptr<pipeline> p;
  {
    const std::lock_guard lock{s.mutex};
    if (s.alive != generation || generation == 0) return true;
    s.alive = 0;
    otlpkit::detail::runtime& r = otlpkit::detail::global_runtime;
    r.mode.store(0, platform::release);
    r.spans.wake.store(nullptr, platform::release);
    r.logs.wake.store(nullptr, platform::release);
    s.wake_target.store(nullptr);
    s.restart.store(false);
    s.make = nullptr;
    p = std::exchange(s.current, nullptr);
  }
  while (s.wakers.load() != 0) std::this_thread::yield();  // each is a moment
  bool in_time = true;
  sdk::books books;
  try {
    if (p != nullptr) {
      in_time = p->shutdown(deadline);
      books = p->read_books();
      const auto ended = p->ended();
      p.reset();
      if (!ended->wait_until(deadline + std::chrono::milliseconds{80})) {
        report(diagnostic_level::warning,
               "an exporter, or the look-up of a host name, holds the background thread past the shutdown "
               "deadline: it is left behind");
      }
    }
    const std::lock_guard lock{s.mutex};
    s.books = books;
    if (s.print_books) {
      const std::string text = to_string(books);
      platform::write_stderr(text.data(), text.size());
    }
  } catch (const std::exception& e) {
    report(diagnostic_level::error, std::string{"telemetry ended in disorder: "} + e.what());
    return false;
  }
  return in_time;
}

/// Makes the pipeline. Recording begins with `mode`, once `prepare` has set the runtime up.
/// \return its generation, 0 when one lives already
inline std::uint64_t begin(factory make, std::uint32_t mode_when_sending, bool print_books,
                           std::chrono::milliseconds timeout, const std::function<void()>& prepare) {
  detail::state& s = detail::global();
  s.process.before_fork = &detail::before_fork;
  s.process.after_fork_in_parent = &detail::after_fork_in_parent;
  s.process.after_fork_in_child = &detail::after_fork_in_child;
  const bool first = !s.process.joined.load(platform::acquire);
  otlpkit::detail::join_process(s.process);
  // The state may be one that another shared object made and joined with; the thread runs the code of this one.
  platform::pin_module(reinterpret_cast<const void*>(&detail::wake));
  const std::lock_guard lock{s.mutex};
  if (s.alive != 0) {
    report(diagnostic_level::error, "a telemetry object lives already: this one does nothing (expected one at a time)");
    return 0;
  }
  if (s.last == 0) detail::tell_of_other_copies();
  auto p = make(false);
  prepare();
  std::uint32_t mode = mode_when_sending;
  if (!p->sends(signal::traces)) mode &= ~std::uint32_t{otlpkit::detail::mode_traces};
  if (!p->sends(signal::logs)) mode &= ~std::uint32_t{otlpkit::detail::mode_logs};
  if (!p->sends(signal::metrics)) mode &= ~std::uint32_t{otlpkit::detail::mode_metrics};
  detail::install(s, std::move(p));
  s.make = std::move(make);
  s.print_books = print_books;
  s.timeout = timeout;
  s.alive = ++s.last;
  otlpkit::detail::global_runtime.mode.store(mode, platform::release);
  if (first) {
    std::atexit([] {
      detail::state& state = detail::global();
      std::uint64_t alive = 0;
      std::chrono::milliseconds limit{};
      {
        const std::lock_guard state_lock{state.mutex};
        alive = state.alive;
        limit = state.timeout;
      }
      end(alive, limit);
    });
  }
  return s.alive;
}

/// The pipeline of this generation, nullptr when it ended.
[[nodiscard]] inline std::shared_ptr<pipeline> get(std::uint64_t generation) {
  detail::state& s = detail::global();
  detail::restart_if_forked(s);
  const std::lock_guard lock{s.mutex};
  return generation != 0 && s.alive == generation ? s.current : nullptr;
}

[[nodiscard]] inline sdk::books read_books(std::uint64_t generation) {
  if (const auto p = get(generation)) return p->read_books();
  detail::state& s = detail::global();
  const std::lock_guard lock{s.mutex};
  return generation != 0 && s.last == generation ? s.books : sdk::books{};
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk::active_pipeline
