// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/saga_run.hpp>
#include <otlpkit/resilience/execute.hpp>

#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// Stands where a step has nothing that would undo it.
struct no_compensation_t {};
inline constexpr no_compensation_t no_compensation{};

namespace detail {

template <class F, class State>
decltype(auto) call_step(const F& fn, State& state, const saga_step& where) {
  if constexpr (std::is_invocable_v<const F&, State&, const saga_step&>) {
    return std::invoke(fn, state, where);
  } else {
    static_assert(std::is_invocable_v<const F&, State&>, "a step takes the saga's state, and may take a saga_step");
    return std::invoke(fn, state);
  }
}

/// The steps of a saga, whose functions return `Result`: nothing, or what is awaited. Derived is what add functions
/// return.
template <class Derived, class State, class Result>
class saga_steps {
 public:
  /// Throws config_error for options that make no sense.
  explicit saga_steps(saga_options options) : definition_{std::move(options)} {}

  /// Adds a step: `run(state)` does it, `compensate(state)` undoes it once it is done (see no_compensation). Both may
  /// take a saga_step as well. They are called from whatever thread runs the saga, by several at once if it is run so.
  template <class Run, class Compensate = no_compensation_t>
  requires(!resilience::strategy<Run>) Derived& step(std::string name, Run run, Compensate compensate = {},
                                                     saga_step_options options = {}) {
    add(std::move(name), function(std::move(run)), function(std::move(compensate)), options);
    return static_cast<Derived&>(*this);
  }
  /// The same where both are called under a strategy, such as a pipeline with a retry.
  template <resilience::strategy Strategy, class Run, class Compensate = no_compensation_t>
  Derived& step(std::string name, Strategy strategy, Run run, Compensate compensate = {},
                saga_step_options options = {}) {
    add(std::move(name), under(strategy, function(std::move(run))), under(strategy, function(std::move(compensate))),
        options);
    return static_cast<Derived&>(*this);
  }

  /// Lets the journal keep the state: `encode(state)` before the first step and after each one, `restore(state, text)`
  /// when the saga is resumed.
  Derived& keep_state(std::function<std::string(const State&)> encode,
                      std::function<void(State&, std::string_view)> restore) {
    encode_ = std::move(encode);
    restore_ = std::move(restore);
    return static_cast<Derived&>(*this);
  }

  [[nodiscard]] std::string_view name() const noexcept { return definition_.options.name; }

 protected:
  using step_function = std::function<Result(State&, const saga_step&)>;
  struct functions {
    step_function run, compensate;
  };

  [[nodiscard]] const saga_definition& definition() const noexcept { return definition_; }
  [[nodiscard]] const step_function& function_of(const saga_machine::order& o) const noexcept {
    return o.compensate ? functions_[o.step].compensate : functions_[o.step].run;
  }
  /// For the journal, if there is one.
  [[nodiscard]] std::string encoded(const State& s, const void* journal) const {
    return journal != nullptr && encode_ ? encode_(s) : std::string{};
  }
  /// As it was last written down.
  void restore(State& s, const std::vector<saga_entry>& entries) const {
    if (!restore_) return;
    for (auto e = entries.rbegin(); e != entries.rend(); ++e) {
      if (e->event == saga_event::ended) continue;
      return restore_(s, e->state);
    }
  }

 private:
  template <class F>
  static step_function function(F fn) {
    if constexpr (std::is_same_v<F, no_compensation_t>) {
      return {};
    } else {
      return [fn = std::move(fn)](State& s, const saga_step& where) -> Result { return call_step(fn, s, where); };
    }
  }
  template <class Strategy>
  static step_function under(const Strategy& strategy, step_function fn) {
    if (!fn) return {};
    return [strategy, fn = std::move(fn)](State& s, const saga_step& where) -> Result {
      return strategy.execute(where.name, [&fn, &s, &where] { return fn(s, where); });
    };
  }
  void add(std::string name, step_function run, step_function compensate, saga_step_options options) {
    definition_.add(std::move(name), static_cast<bool>(compensate), options);
    functions_.push_back({std::move(run), std::move(compensate)});
  }

  saga_definition definition_;
  std::vector<functions> functions_;
  std::function<std::string(const State&)> encode_;
  std::function<void(State&, std::string_view)> restore_;
};

}  // namespace detail

/// Steps that are done one after the other or not at all: when one fails, those behind it are undone, the last one
/// first. Made once, and run any number of times, by any threads at once; steps are not added meanwhile.
///
/// \code
/// otlpkit::messaging::saga<order> place{{.name = "order.place"}};
/// place.step("reserve", [](order& o) { stock.reserve(o); }, [](order& o) { stock.release(o); })
///     .step("charge", payment_policy, [](order& o) { bank.charge(o); }, [](order& o) { bank.refund(o); })
///     .step("ship", [](order& o) { carrier.book(o); });
/// place.run(my_order);            // throws saga_failed_error
/// \endcode
///
/// With a journal a saga survives the death of its process: what is written there can be resumed by another one. The
/// step that was under way then is run again, so steps take saga_step::idempotency_key() along.
template <class State>
class saga : public detail::saga_steps<saga<State>, State, void> {
  using base = detail::saga_steps<saga<State>, State, void>;

 public:
  explicit saga(saga_options options = {}) : base{std::move(options)} {}

  /// Runs it. Throws saga_failed_error.
  /// \param id for the steps and the span
  void run(State& state, std::string_view id = {}) const { drive(state, nullptr, id, {}); }

  /// Runs it, and writes down what happens. Throws saga_failed_error, saga_taken_error when there is a saga of this id,
  /// and what the journal throws: then the saga stays where it is, to be resumed.
  void run(State& state, saga_journal& journal, std::string_view id) const { drive(state, &journal, id, {}); }

  /// Goes on where the journal ends; compensations that had failed are tried again. For after a crash, or while
  /// another may still be at work: then that one gets saga_taken_error.
  /// \param state is restored if the journal keeps it (keep_state()), and else must be as it was then
  /// \return false if there is no such saga, or it is over
  bool resume(State& state, saga_journal& journal, std::string_view id) const {
    const auto entries = journal.entries(this->name(), id);
    if (entries.empty()) return false;
    this->restore(state, entries);
    return drive(state, &journal, id, entries);
  }

 private:
  bool drive(State& state, saga_journal* journal, std::string_view id, const std::vector<saga_entry>& before) const {
    detail::saga_run run{this->definition(), id, before};
    if (run.over()) return false;
    try {
      write(run, journal, run.opening(this->encoded(state, journal)), nullptr);
      while (const auto due = run.next()) {
        const std::exception_ptr failure = call(run, *due, state);
        write(run, journal, run.after(*due, failure, this->encoded(state, journal)), failure);
      }
      write(run, journal, run.closing(), nullptr);
    } catch (...) {
      run.interrupted(std::current_exception());
      throw;
    }
    run.finish();
    return true;
  }

  std::exception_ptr call(const detail::saga_run& run, const saga_machine::order& due, State& state) const {
    span_guard span = run.begin(due);
    std::exception_ptr failure;
    try {
      this->function_of(due)(state, run.told(due));
    } catch (...) {
      failure = std::current_exception();
    }
    detail::saga_run::end(span, failure);
    return failure;
  }

  static void write(detail::saga_run& run, saga_journal* journal, const saga_entry& e,
                    const std::exception_ptr& failure) {
    if (journal != nullptr && !journal->append(run.name(), run.id(), run.number(), e))
      throw saga_taken_error{run.name()};
    run.apply(e, failure);
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
