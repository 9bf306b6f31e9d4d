// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/lock/hold.hpp>
#include <otlpkit/lock/lock_store.hpp>
#include <otlpkit/lock/renewer.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::lock {

template <class Store>
class distributed_lock;

/// A lock that is held, until this goes or release() is called. Move-only. valid(), token and stop_token may be asked
/// from any thread; the rest is for one thread at a time.
template <class Store>
class held_lock {
 public:
  held_lock(held_lock&& other) noexcept = default;
  held_lock& operator=(held_lock&& other) noexcept {
    if (this != &other) {
      static_cast<void>(release());
      core_ = std::move(other.core_);
      hold_ = std::move(other.hold_);
    }
    return *this;
  }
  ~held_lock() { static_cast<void>(release()); }

  /// Larger than the token of everyone who had this lock before: what is protected should refuse smaller ones, because
  /// a holder may not know yet that it lost the lock.
  [[nodiscard]] std::uint64_t fencing_token() const noexcept { return hold_->id.token; }
  /// Whether the lock may be relied on now; false for ever once it was lost.
  [[nodiscard]] bool valid() const noexcept { return hold_ != nullptr && !hold_->over() && hold_->valid(); }
  /// Until when it may be relied on if it is not renewed.
  [[nodiscard]] resilience::time_point valid_until() const noexcept { return hold_->valid_until(); }
  /// Asked to stop when the loss of the lock is noticed: by a renewal, or by valid().
  [[nodiscard]] std::stop_token lost_token() const noexcept { return hold_->lost_token(); }

  /// Throws lock_lost_error unless valid(): before what must not happen without the lock.
  void ensure() const {
    if (!valid()) throw lock_lost_error{core_->telemetry.name};
  }

  /// Gives it another ttl.
  /// \return false if the lock is lost, or the store did not answer; valid() tells these apart
  bool renew() { return hold_ != nullptr && core_->renew(*hold_); }

  /// Gives it back. Never throws: a store that fails frees the lock when its time is over.
  /// \return whether it was still held
  bool release() noexcept {
    if (hold_ == nullptr) return false;
    const bool was_ours = core_->release(*hold_);
    hold_.reset();
    return was_ours;
  }

 private:
  friend class distributed_lock<Store>;
  using core = typename distributed_lock<Store>::core;
  held_lock(std::shared_ptr<core> c, std::shared_ptr<detail::hold> h) noexcept
      : core_{std::move(c)}, hold_{std::move(h)} {}

  std::shared_ptr<core> core_;
  std::shared_ptr<detail::hold> hold_;
};

/// Locks of one kind, shared by all programs that use the same store: at most one of them holds a key at a time, as
/// long as its time is not over. Thread-safe.
///
/// \code
/// otlpkit::lock::distributed_lock accounts{store, {.name = "account", .ttl = 30s}};
/// auto held = accounts.acquire("42");          // throws lock_busy_error after max_wait
/// ledger.debit("42", amount, held.fencing_token());
/// \endcode
///
/// Exceptions of the store end acquire() when it has nothing else to try; in renewals and releases they are recorded on
/// the span. The span `lock.hold NAME` lasts until the release but is not current; work() makes it so. Renewals and the
/// release are part of it, whoever asks for them.
/// \tparam Store see lock_store; an lvalue is referred to and must outlive the lock and what it gave out
template <class Store>
class distributed_lock {
 public:
  using held = held_lock<Store>;

  /// Throws config_error for options that make no sense.
  explicit distributed_lock(Store&& store, lock_options options = {})
      : core_{std::make_shared<core>(std::forward<Store>(store), std::move(options))} {
    static_assert(lock_store<Store>,
                  "a lock's store needs acquire(key, owner, ttl), renew(...) and release(key, owner)");
    if (core_->options.renew_in_background) {
      // The function does not keep the core: the thread is gone before it.
      core_->renewals = std::make_unique<detail::renewer>([c = core_.get()](detail::hold& h) { c->renew(h); },
                                                          core_->options.ttl / 20, core_->time);
    }
  }

  /// The lock, after waiting for at most max_wait, or for what the options say. Throws lock_busy_error when it stayed
  /// with others, and what the store threw when that was the last attempt.
  [[nodiscard]] held acquire(std::string_view key) { return acquire(key, core_->options.max_wait); }
  [[nodiscard]] held acquire(std::string_view key, std::chrono::nanoseconds max_wait) {
    auto found = get(key, max_wait, false, nullptr);
    if (found == nullptr) throw lock_busy_error{core_->telemetry.name};
    return held{core_, std::move(found)};
  }

  /// The lock if it is free. Throws what the store throws.
  [[nodiscard]] std::optional<held> try_acquire(std::string_view key) {
    auto found = get(key, std::chrono::nanoseconds::zero(), true, nullptr);
    if (found == nullptr) return std::nullopt;
    return held{core_, std::move(found)};
  }

  /// Runs `fn` under the lock, within the span of the hold; `fn` takes nothing, or the held_lock. Returns what it
  /// returns. Throws what acquire() and `fn` throw, and lock_lost_error when `fn` ended well without the lock: its time
  /// was over, or the store, asked to take it back, says that it had given it away.
  template <class F>
  decltype(auto) work(std::string_view key, F&& fn) {
    return work(key, core_->options.max_wait, std::forward<F>(fn));
  }
  template <class F>
  decltype(auto) work(std::string_view key, std::chrono::nanoseconds max_wait, F&& fn) {
    std::optional<span_guard> guard;
    auto found = get(key, max_wait, false, &guard);
    if (found == nullptr) throw lock_busy_error{core_->telemetry.name};
    held mine{core_, found};
    const auto call = [&]() -> decltype(auto) {
      if constexpr (std::is_invocable_v<F&&, held&>) {
        return std::forward<F>(fn)(mine);
      } else {
        return std::forward<F>(fn)();
      }
    };
    try {
      if constexpr (std::is_void_v<decltype(call())>) {
        call();
        finish(mine, *found);
      } else {
        decltype(auto) result = call();
        finish(mine, *found);
        if constexpr (std::is_reference_v<decltype(call())>)
          return static_cast<decltype(call())>(result);
        else
          return result;
      }
    } catch (...) {
      found->task_failed();
      record_current_exception(*guard);
      throw;
    }
  }

  [[nodiscard]] std::string_view name() const noexcept { return core_->telemetry.name; }

 private:
  friend class held_lock<Store>;

  struct core {
    core(Store&& s, lock_options o)
        : options{(detail::check(o), std::move(o))}, store{std::forward<Store>(s)}, telemetry{options},
          time{options.time != nullptr ? *options.time : resilience::system_time()} {}

    bool renew(detail::hold& h) noexcept {
      const std::lock_guard guard{h.mutex};
      if (h.over() || !h.valid()) return false;
      const remote_scope in_hold{h.context()};
      const auto asked = time.now();
      try {
        if (store.renew(h.id.key, h.id.owner, options.ttl)) return h.renewed(asked);
        h.refused();
      } catch (...) {
        h.renewal_failed(std::current_exception());
      }
      return false;
    }
    bool release(detail::hold& h) noexcept {
      const std::lock_guard guard{h.mutex};
      if (h.over()) return false;
      const remote_scope in_hold{h.context()};
      const bool in_time = h.valid();
      try {
        const bool was_ours = store.release(h.id.key, h.id.owner);
        h.released(was_ours);
        return was_ours && in_time;
      } catch (...) {
        h.release_failed(std::current_exception());
      }
      return false;
    }

    const lock_options options;
    Store store;
    const detail::lock_telemetry telemetry;
    resilience::time_source& time;
    std::unique_ptr<detail::renewer> renewals;  // last: its thread uses what is above
  };

  /// Whether it was there all the time: until now, and as the store says who takes it back.
  static void finish(held& mine, const detail::hold& h) {
    const bool kept = mine.valid();
    if (!mine.release() && (!kept || h.split())) throw lock_lost_error{mine.core_->telemetry.name};
  }

  /// \param expected not to get the lock is no error
  /// \return nullptr: others have it
  std::shared_ptr<detail::hold> get(std::string_view key, std::chrono::nanoseconds max_wait, bool expected,
                                    std::optional<span_guard>* current) {
    detail::hold::identity id{core_->telemetry.name + ":" + std::string{key}, detail::new_owner()};
    const auto asked = ask(id, key, max_wait, expected);
    if (!asked) return nullptr;
    return hold(std::move(id), *asked, current);
  }

  /// Within the span of the waiting, which ends before that of the hold begins.
  /// \return when the store was asked that gave the lock; nothing: others have it
  std::optional<resilience::time_point> ask(detail::hold::identity& id, std::string_view key,
                                            std::chrono::nanoseconds max_wait, bool expected) {
    core& c = *core_;
    detail::acquire_record record{c.telemetry, c.options, key, id.owner, c.time};
    detail::poll_schedule schedule{c.options, c.time.now(), max_wait};
    std::exception_ptr failure;
    bool unsure = false;  // the store may have given the lock without our knowing
    for (;;) {
      record.attempt();
      const auto asked = c.time.now();
      failure = nullptr;
      try {
        if (const auto token = c.store.acquire(id.key, id.owner, c.options.ttl)) {
          if (c.time.now() < asked + c.options.ttl - c.options.margin) {
            id.token = static_cast<std::uint64_t>(*token);
            record.acquired(id.token);
            return asked;
          }
          unsure = true;  // so late an answer is worth nothing
        } else {
          record.contended();
        }
      } catch (...) {
        failure = std::current_exception();
        unsure = true;
      }
      const auto wait = schedule.next(c.time.now());
      if (!wait) break;
      c.time.sleep_for(*wait);
    }
    if (unsure) give_back(id);
    if (failure != nullptr) {
      record.failed(failure);
      std::rethrow_exception(failure);
    }
    record.busy(expected);
    return std::nullopt;
  }

  void give_back(const detail::hold::identity& id) noexcept {
    try {
      static_cast<void>(core_->store.release(id.key, id.owner));
    } catch (...) {  // then its time will be over some day
    }
  }

  std::shared_ptr<detail::hold> hold(detail::hold::identity id, resilience::time_point asked,
                                     std::optional<span_guard>* current) {
    core& c = *core_;
    try {
      span* const guard = current != nullptr ? &current->emplace(std::string_view{c.telemetry.hold}) : nullptr;
      auto h = std::make_shared<detail::hold>(c.telemetry, c.options, id, asked, c.time, guard);
      if (c.renewals != nullptr) c.renewals->add(h);
      return h;
    } catch (...) {
      give_back(id);
      throw;
    }
  }

  std::shared_ptr<core> core_;
};

template <class Store>
distributed_lock(Store&&) -> distributed_lock<Store>;
template <class Store>
distributed_lock(Store&&, lock_options) -> distributed_lock<Store>;

}  // namespace otlpkit::inline OTLPKIT_ABI::lock
