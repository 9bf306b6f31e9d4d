// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/lock/telemetry.hpp>
#include <otlpkit/propagation/propagation.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::lock::detail {

/// A lock that is held: until when, and what is said of it at the end. Fed with what the store answered; calls nothing
/// itself. Questions may be asked from any thread; what changes it is called with `mutex` held.
///
/// Its end is counted from before the store was asked: the store's own clock began later, so the lock is there at least
/// as long as this says.
class hold {
 public:
  struct identity {
    std::string key, owner;
    std::uint64_t token = 0;
  };

  /// \param current the span of the hold, if somebody else keeps it; nullptr: a span of its own, which is never current
  hold(const lock_telemetry& t, const lock_options& o, identity who, resilience::time_point asked,
       resilience::time_source& time, span* current)
      : id{std::move(who)}, telemetry_{t}, options_{o}, time_{time}, began_{time.now()}, span_{current} {
    extend(asked);
    if (span_ == nullptr) span_ = &own_.emplace(t.hold);
    span_->set("otlpkit.lock.name", t.name);
    span_->set("otlpkit.lock.owner", id.owner);
    span_->set("otlpkit.lock.ttl_ms", o.ttl.count() / 1'000'000);
    span_->set("otlpkit.lock.fencing_token", static_cast<std::int64_t>(id.token));
    if (o.record_key) span_->set("otlpkit.lock.key", id.key);
    active.add(1, {{"otlpkit.lock.name", t.name}, {"otlpkit.lock.state", "held"}});
  }
  hold(const hold&) = delete;
  hold& operator=(const hold&) = delete;
  ~hold() { ended(false); }

  /// Whether the lock may be relied on. Once it may not, it never may again.
  [[nodiscard]] bool valid() noexcept {
    if (lost_.load(std::memory_order_acquire)) return false;
    if (time_.now() < valid_until()) return true;
    lose(false);
    return false;
  }
  [[nodiscard]] resilience::time_point valid_until() const noexcept {
    return resilience::time_point{std::chrono::nanoseconds{until_.load(std::memory_order_acquire)}};
  }
  /// When to renew: a third of the ttl after it began.
  [[nodiscard]] resilience::time_point renew_at() const noexcept {
    return valid_until() + options_.margin - options_.ttl + options_.ttl / 3;
  }
  [[nodiscard]] std::stop_token lost_token() const noexcept { return stop_.get_token(); }
  /// Of its span, which the calls of the store about it are part of, whatever is current then.
  [[nodiscard]] remote_context context() const noexcept { return {span_->context(), {}}; }

  /// The store renewed it; it was asked at `asked`.
  /// \return false if the answer came too late
  bool renewed(resilience::time_point asked) noexcept {
    if (!valid()) return false;
    extend(asked);
    ++renewals_;
    count_renewal("renewed");
    return true;
  }
  /// The store says that the lock is not the owner's.
  void refused() noexcept {
    count_renewal("lost");
    if (!lost_.load(std::memory_order_acquire)) lose(time_.now() < valid_until());
  }
  /// The store did not answer: the lock is as good as it was.
  void renewal_failed(std::exception_ptr e) noexcept {
    count_renewal("error");
    last_error_ = std::move(e);
  }
  /// `was_ours` is the store's answer.
  void released(bool was_ours) noexcept {
    if (!was_ours && !lost_.load(std::memory_order_acquire)) lose(time_.now() < valid_until());
    ended(was_ours);
  }
  void release_failed(std::exception_ptr e) noexcept {
    last_error_ = std::move(e);
    ended(false);
  }
  /// Whether the store gave it up or away while it was relied on.
  [[nodiscard]] bool split() const noexcept { return split_.load(std::memory_order_acquire); }
  [[nodiscard]] bool over() const noexcept { return over_.load(std::memory_order_acquire); }
  /// The work under the lock ended with an exception.
  void task_failed() noexcept { task_failures.add(1, {{"otlpkit.lock.name", telemetry_.name}}); }

  const identity id;
  std::mutex mutex;

 private:
  void extend(resilience::time_point asked) noexcept {
    const auto until = asked + options_.ttl - options_.margin;
    until_.store(std::chrono::duration_cast<std::chrono::nanoseconds>(until.time_since_epoch()).count(),
                 std::memory_order_release);
  }

  /// \param relied_on its time was not over: others may have it already
  void lose(bool relied_on) noexcept {
    if (lost_.exchange(true, std::memory_order_acq_rel)) return;
    if (relied_on) {
      split_.store(true, std::memory_order_release);
      brain_splits.add(1, {{"otlpkit.lock.name", telemetry_.name}});
    } else {
      watchdog_triggers.add(1, {{"otlpkit.lock.name", telemetry_.name}});
    }
    stop_.request_stop();
  }

  void count_renewal(std::string_view outcome) noexcept {
    renewals.add(1, {{"otlpkit.lock.name", telemetry_.name}, {"otlpkit.lock.outcome", outcome}});
  }

  void ended(bool released) noexcept {
    if (over_.exchange(true, std::memory_order_acq_rel)) return;
    const bool lost = lost_.load(std::memory_order_acquire);
    resilience::detail::note_exception(*span_, last_error_);
    span_->set("otlpkit.lock.renewals", renewals_);
    span_->set("otlpkit.lock.released", released);
    span_->set("otlpkit.lock.lost", lost);
    if (lost) {
      span_->set("otlpkit.lock.brain_split", split_.load(std::memory_order_acquire));
      span_->fail("lock_lost", "the lock was lost while it was held");
    }
    hold_duration.record(std::chrono::duration<double>(time_.now() - began_).count(),
                         {{"otlpkit.lock.name", telemetry_.name}});
    active.add(-1, {{"otlpkit.lock.name", telemetry_.name}, {"otlpkit.lock.state", "held"}});
    if (own_) own_->end();
  }

  const lock_telemetry& telemetry_;
  const lock_options& options_;
  resilience::time_source& time_;
  resilience::time_point began_;
  std::atomic<std::int64_t> until_{0};
  std::atomic<bool> lost_{false};
  std::atomic<bool> split_{false};
  std::stop_source stop_;
  std::optional<span> own_;
  span* span_;
  std::exception_ptr last_error_;
  std::int64_t renewals_ = 0;
  std::atomic<bool> over_{false};
};

}  // namespace otlpkit::inline OTLPKIT_ABI::lock::detail
