// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/messaging/saga_machine.hpp>
#include <otlpkit/messaging/stored_context.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/event.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

struct saga_options {
  std::string name = "saga";
  compensation_policy when_compensation_fails = compensation_policy::go_on;
  resilience::time_source* time = nullptr;  ///< nullptr: system_time(); for metrics only
};

/// How one step differs from others.
struct saga_step_options {
  /// Undoes this step, too, when it is the one that fails: after a timeout, say, nobody knows whether it is done.
  bool compensate_if_failed = false;
};

/// What a step or compensation is told of where it stands. Valid during the call.
struct saga_step {
  std::string_view saga;
  std::string_view id;  ///< of this run; empty where none was given
  std::string_view name;
  bool compensating = false;

  /// The same for each time this step is run for this saga: with it the far end can tell a repetition.
  [[nodiscard]] std::string idempotency_key() const {
    std::string key;
    key.append(saga).append("/").append(id).append("/").append(name);
    if (compensating) key += "/compensate";
    return key;
  }
};

/// A step that could not be undone.
struct compensation_failure {
  std::string step;
  std::string what;
  std::exception_ptr cause;  ///< nullptr if it happened in another process
};

/// A saga failed. Unless compensated(), somebody must look at what is left.
class saga_failed_error : public std::runtime_error {
 public:
  saga_failed_error(const std::string& what, std::string step, std::exception_ptr cause,
                    std::vector<compensation_failure> failures)
      : std::runtime_error{what}, step_{std::move(step)}, cause_{std::move(cause)}, failures_{std::move(failures)} {}

  /// The one that failed first.
  [[nodiscard]] const std::string& step() const noexcept { return step_; }
  /// What it threw; nullptr if that happened in another process.
  [[nodiscard]] const std::exception_ptr& cause() const noexcept { return cause_; }
  [[nodiscard]] bool compensated() const noexcept { return failures_.empty(); }
  [[nodiscard]] const std::vector<compensation_failure>& compensation_failures() const noexcept { return failures_; }

 private:
  std::string step_;
  std::exception_ptr cause_;
  std::vector<compensation_failure> failures_;
};

/// Another process or thread goes on with this saga, or began one of the same id.
class saga_taken_error : public std::runtime_error {
 public:
  explicit saga_taken_error(const std::string& name) : std::runtime_error{name + ": this saga is run elsewhere"} {}
};

namespace detail {

inline constinit const histogram saga_duration{"otlpkit.saga.duration",
                                               in_seconds("Duration of sagas, undoing included")};
inline constinit const up_down_counter<std::int64_t> active_sagas{
    "otlpkit.saga.active", {.unit = "{saga}", .description = "Sagas under way in this process"}};
inline constinit const counter<std::int64_t> compensations{
    "otlpkit.saga.compensations", {.unit = "{compensation}", .description = "Steps undone, or not"}};

/// What a saga is, without what its steps do.
struct saga_definition {
  explicit saga_definition(saga_options o)
      : options{std::move(o)}, span_name{"saga.run " + options.name}, time{options.time != nullptr
                                                                               ? *options.time
                                                                               : resilience::system_time()} {
    if (options.name.empty()) throw config_error{"saga_options.name", "\"\"", "a name"};
  }

  void add(std::string name, bool can_compensate, saga_step_options o) {
    if (name.empty()) throw config_error{"saga step", "\"\"", "a name"};
    for (const saga_step_plan& p : plan) {
      if (p.name == name) throw config_error{"saga step", quoted(name), "a name of its own"};
    }
    plan.push_back({std::move(name), can_compensate, o.compensate_if_failed});
  }

  saga_options options;
  std::string span_name;
  resilience::time_source& time;
  std::vector<saga_step_plan> plan;
};

[[nodiscard]] inline std::string text_of(const std::exception_ptr& e) {
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& known) {
    return known.what();
  } catch (...) {
    return "unknown";
  }
}

/// One run of a saga: what to do next, what to write down, what is said of it. Calls neither steps nor journal.
class saga_run {
 public:
  /// \param before the entries of its journal, if it is one that was begun before. Throws saga_journal_error
  saga_run(const saga_definition& d, std::string_view id, const std::vector<saga_entry>& before)
      : definition_{d}, id_{id}, machine_{d.plan, d.options.when_compensation_fails}, began_{d.time.now()},
        span_{d.span_name, {{"otlpkit.saga.name", d.options.name}}} {
    for (const saga_entry& e : before) replay(e);
    if (!id_.empty()) span_.set("otlpkit.saga.id", id_);
    span_.set("otlpkit.saga.resumed", !before.empty());
    active_sagas.add(1, {{"otlpkit.saga.name", d.options.name}});
  }
  saga_run(const saga_run&) = delete;
  saga_run& operator=(const saga_run&) = delete;
  ~saga_run() {
    const std::string_view outcome = said_ ? to_string(machine_.outcome()) : "interrupted";
    span_.set("otlpkit.saga.outcome", outcome);
    span_.set("otlpkit.saga.steps_done", machine_.done());
    if (machine_.failed()) {
      span_.set("otlpkit.saga.failed_step", failed_step_);
      span_.set("otlpkit.saga.steps_compensated", machine_.compensated());
    }
    active_sagas.add(-1, {{"otlpkit.saga.name", name()}});
    saga_duration.record(std::chrono::duration<double>(definition_.time.now() - began_).count(),
                         {{"otlpkit.saga.name", name()}, {"otlpkit.saga.outcome", outcome}});
  }

  [[nodiscard]] const std::string& name() const noexcept { return definition_.options.name; }
  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  /// The number of the entry to be written next.
  [[nodiscard]] std::size_t number() const noexcept { return machine_.entries(); }
  /// It was over when this began, and nothing is to be tried again.
  [[nodiscard]] bool over() const noexcept {
    return machine_.ended() && machine_.outcome() != saga_outcome::compensation_failed;
  }

  // Entries: to be written, and then taken by apply(), which makes them so.
  [[nodiscard]] saga_entry opening(std::string state) const {
    return {
        machine_.entries() == 0 ? saga_event::begun : saga_event::resumed, {}, {}, std::move(state), stored_context()};
  }
  [[nodiscard]] saga_entry after(const saga_machine::order& o, const std::exception_ptr& failure,
                                 std::string state) const {
    const bool ok = failure == nullptr;
    saga_entry e;
    if (o.compensate) {
      e.event = ok ? saga_event::step_compensated : saga_event::compensation_failed;
    } else {
      e.event = ok ? saga_event::step_done : saga_event::step_failed;
    }
    e.step = definition_.plan[o.step].name;
    if (!ok) e.error = text_of(failure);
    e.state = std::move(state);
    return e;
  }
  [[nodiscard]] saga_entry closing() const {
    saga_entry e;
    e.event = saga_event::ended;
    e.error = to_string(machine_.outcome());
    return e;
  }
  void apply(const saga_entry& e, const std::exception_ptr& failure = nullptr) {
    take(e, failure);
    if (e.event == saga_event::step_compensated || e.event == saga_event::compensation_failed) {
      const bool ok = e.event == saga_event::step_compensated;
      compensations.add(1, {{"otlpkit.saga.name", name()},
                            {"otlpkit.saga.step", e.step},
                            {"otlpkit.saga.outcome", ok ? "compensated" : "failed"}});
      if (!ok) {
        span_.event("otlpkit.saga.compensation_failed",
                    {{"otlpkit.saga.step", e.step}, {"exception.message", e.error}});
      }
    }
  }

  [[nodiscard]] std::optional<saga_machine::order> next() const noexcept { return machine_.next(); }
  [[nodiscard]] saga_step told(const saga_machine::order& o) const noexcept {
    return {definition_.options.name, id_, definition_.plan[o.step].name, o.compensate};
  }
  [[nodiscard]] span_guard begin(const saga_machine::order& o) const {
    const std::string& step = definition_.plan[o.step].name;
    const std::string called = (o.compensate ? "saga.compensate " : "saga.step ") + step;
    return span_guard{
        called, {{"otlpkit.saga.name", name()}, {"otlpkit.saga.step", step}, {"otlpkit.saga.step.index", o.step}}};
  }
  static void end(span& s, const std::exception_ptr& failure) noexcept {
    resilience::detail::record_failure(s, failure);
  }

  /// When nothing is left to do. Throws saga_failed_error when it failed.
  void finish() {
    said_ = true;
    if (!machine_.failed()) return;
    const std::string how = "step " + failed_step_ + " failed: " + error_;
    std::string what = name() + ": " + how;
    for (const compensation_failure& f : failures_) what += "; " + f.step + " is not undone: " + f.what;
    if (cause_ != nullptr) {
      resilience::detail::record_failure(span_, cause_);
    } else {
      span_.fail("saga_failed", how);
    }
    throw saga_failed_error{what, failed_step_, cause_, failures_};
  }
  /// The journal failed, or says that the saga is another's: what is done is done, the rest is left to a resumption.
  void interrupted(const std::exception_ptr& why) noexcept { resilience::detail::record_failure(span_, why); }

 private:
  void replay(const saga_entry& e) {
    take(e, nullptr);
    link_stored(span_, e.context);
  }
  void take(const saga_entry& e, const std::exception_ptr& failure) {
    const bool again = machine_.ended();
    machine_.apply(e);
    if (again) failures_.clear();
    if (e.event == saga_event::step_failed) {
      failed_step_ = e.step;
      error_ = e.error;
      cause_ = failure;
    } else if (e.event == saga_event::compensation_failed) {
      failures_.push_back({e.step, e.error, failure});
    }
  }

  const saga_definition& definition_;
  std::string id_;
  saga_machine machine_;
  resilience::time_point began_;
  std::string failed_step_{}, error_{};
  std::exception_ptr cause_{};
  std::vector<compensation_failure> failures_{};
  bool said_ = false;
  span_guard span_;
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
