// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/lock/options.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/event.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::lock::detail {

inline constinit const counter<std::int64_t> acquisitions{
    "otlpkit.lock.acquisitions", {.unit = "{acquisition}", .description = "Attempts to get a lock, by how they ended"}};
inline constinit const histogram wait_duration{"otlpkit.lock.wait.duration",
                                               in_seconds("How long callers waited for a lock")};
inline constinit const histogram hold_duration{"otlpkit.lock.hold.duration", in_seconds("How long locks were held")};
inline constinit const up_down_counter<std::int64_t> active{
    "otlpkit.lock.active", {.unit = "{lock}", .description = "Locks that are held, and callers that wait for one"}};
inline constinit const counter<std::int64_t> renewals{
    "otlpkit.lock.renewals", {.unit = "{renewal}", .description = "Renewals of held locks, by how they ended"}};
inline constinit const counter<std::int64_t> watchdog_triggers{
    "otlpkit.lock.watchdog_triggers",
    {.unit = "{lock}", .description = "Locks lost because they were not renewed in time"}};
inline constinit const counter<std::int64_t> brain_splits{
    "otlpkit.lock.brain_splits",
    {.unit = "{lock}", .description = "Locks that the store gave up or away while their holder relied on them"}};
inline constinit const counter<std::int64_t> task_failures{
    "otlpkit.lock.task_failures", {.unit = "{task}", .description = "Work under a lock that ended with an exception"}};

/// What locks of one kind are called in telemetry.
struct lock_telemetry {
  explicit lock_telemetry(const lock_options& o)
      : name{o.name}, acquire{"lock.acquire " + o.name}, hold{"lock.hold " + o.name} {}

  std::string name;
  std::string acquire, hold;  // the spans' names
};

/// The span of waiting for a lock. Says how it ended once.
class acquire_record {
 public:
  acquire_record(const lock_telemetry& t, const lock_options& o, std::string_view key, std::string_view owner,
                 resilience::time_source& time) noexcept
      : telemetry_{t}, time_{time}, began_{time.now()}, span_{t.acquire,
                                                              {{"otlpkit.lock.name", t.name},
                                                               {"otlpkit.lock.owner", owner},
                                                               {"otlpkit.lock.ttl_ms", o.ttl.count() / 1'000'000}}} {
    if (o.record_key) span_.set("otlpkit.lock.key", key);
    active.add(1, {{"otlpkit.lock.name", t.name}, {"otlpkit.lock.state", "waiting"}});
  }
  acquire_record(const acquire_record&) = delete;
  acquire_record& operator=(const acquire_record&) = delete;
  ~acquire_record() {
    if (!said_) ended("abandoned");
  }

  /// Another has the lock, as far as the last attempt saw.
  void contended() noexcept { contended_ = true; }
  void attempt() noexcept { ++attempts_; }

  void acquired(std::uint64_t token) noexcept {
    span_.set("otlpkit.lock.fencing_token", static_cast<std::int64_t>(token));
    ended("acquired");
  }
  void busy(bool expected) noexcept {
    if (!expected) span_.fail("timed_out", "the lock is held elsewhere");
    ended("timeout");
  }
  void failed(const std::exception_ptr& e) noexcept {
    resilience::detail::record_failure(span_, e);
    ended("error");
  }

 private:
  void ended(std::string_view outcome) noexcept {
    said_ = true;
    span_.set("otlpkit.lock.outcome", outcome);
    span_.set("otlpkit.lock.attempts", attempts_);
    span_.set("otlpkit.lock.contended", contended_);
    const double seconds = std::chrono::duration<double>(time_.now() - began_).count();
    active.add(-1, {{"otlpkit.lock.name", telemetry_.name}, {"otlpkit.lock.state", "waiting"}});
    acquisitions.add(1, {{"otlpkit.lock.name", telemetry_.name}, {"otlpkit.lock.outcome", outcome}});
    wait_duration.record(seconds, {{"otlpkit.lock.name", telemetry_.name}, {"otlpkit.lock.outcome", outcome}});
  }

  const lock_telemetry& telemetry_;
  resilience::time_source& time_;
  resilience::time_point began_;
  span_guard span_;
  std::int64_t attempts_ = 0;
  bool contended_ = false;
  bool said_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::lock::detail
