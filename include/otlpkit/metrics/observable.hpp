// SPDX-License-Identifier: MIT
#pragma once

#ifdef OTLPKIT_DISABLE
#include <otlpkit/metrics/disabled.hpp>
#else

#include <otlpkit/metrics/instrument.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

// Instruments that are asked: a callback says what there is when metrics are collected.
//
//   otlpkit::observable_gauge<std::int64_t> depth{"queue.depth", [&](auto& out) {
//     out.observe(queue.size(), {{"queue", "orders"}});
//   }};
namespace otlpkit::inline OTLPKIT_ABI {

template <measurable T = std::int64_t>
class observable_counter;
template <measurable T = std::int64_t>
class observable_up_down_counter;
template <measurable T = double>
class observable_gauge;

/// Takes what callbacks observe. Valid during the callback.
class observer {
 public:
  using sink = void (*)(void*, detail::instrument_entry&, detail::measurement, fields);

  observer(sink take, void* to) noexcept : take_{take}, to_{to} {}

  /// The current value of an instrument, as a whole: not what was added since. Without a label set in one collection,
  /// none is exported for it.
  template <template <class> class Observable, measurable T>
  void observe(const Observable<T>& instrument, std::type_identity_t<T> v, fields labels = {}) {
    report_value(instrument.core_, v, labels);
  }

 private:
  template <measurable T>
  friend class value_observer;

  template <measurable T>
  void report_value(const detail::instrument& i, T v, fields labels) {
    detail::instrument_entry* const e = i.registered();
    const detail::measurement m{v};
    if (e != nullptr && detail::admissible(*e, m)) take_(to_, *e, m, labels);
  }

  sink take_;
  void* to_;
};

/// Takes what the callback of one instrument observes.
template <measurable T>
class value_observer {
 public:
  value_observer(observer& all, const detail::instrument& i) noexcept : all_{all}, instrument_{i} {}
  /// As observer::observe().
  template <class Number>
  requires std::is_arithmetic_v<Number>
  void observe(Number v, fields labels = {}) { all_.report_value(instrument_, static_cast<T>(v), labels); }

 private:
  observer& all_;
  const detail::instrument& instrument_;
};

namespace detail {

/// A registered callback. Under the registry's `observing`.
struct callback_entry {
  callback_entry* next = nullptr;
  bool gone = false;  ///< unregistered from within a callback: freed after it
  bool said_exception = false;
  virtual void run(observer&) = 0;
  virtual ~callback_entry() = default;
};

/// This thread is running callbacks.
OTLPKIT_VISIBLE inline constinit thread_local bool running_callbacks = false;

inline void enter_callback(callback_entry* c) noexcept {
  if (c == nullptr) return;
  join_process(metric_hooks);
  const bool nested = running_callbacks;
  if (!nested) global_metrics.observing.lock();
  c->next = global_metrics.callbacks;
  global_metrics.callbacks = c;
  if (!nested) global_metrics.observing.unlock();
}

inline void leave_callback(callback_entry* c) noexcept {
  if (c == nullptr) return;
  if (running_callbacks) {
    c->gone = true;
    return;
  }
  {
    platform::lock_guard lock{global_metrics.observing};
    callback_entry** link = &global_metrics.callbacks;
    while (*link != c) link = &(*link)->next;
    *link = c->next;
  }
  delete c;
}

template <class Function>
struct callback final : callback_entry {
  explicit callback(Function f) : function{std::move(f)} {}
  void run(observer& o) override { function(o); }
  Function function;
};

}  // namespace detail

/// Keeps a callback registered that observes several instruments at once:
///
///     otlpkit::metric_callback both{[&](otlpkit::observer& out) { out.observe(hits, n); out.observe(misses, m); }};
///
/// It runs once per collection and reader, on the collecting thread (telemetry's background thread), never twice at the
/// same time, and must not block; what it throws is reported and what it observed until then counts. It may measure,
/// and make and unmake callbacks. The destructor waits for a run that is under way. Destroy it before what it uses.
class metric_callback {
 public:
  template <std::invocable<observer&> Function>
  explicit metric_callback(Function f) : entry_{new (std::nothrow) detail::callback<Function>{std::move(f)}} {
    detail::enter_callback(entry_);
  }
  metric_callback(const metric_callback&) = delete;
  metric_callback& operator=(const metric_callback&) = delete;
  ~metric_callback() { detail::leave_callback(entry_); }

 private:
  template <measurable T>
  friend class observable_counter;
  template <measurable T>
  friend class observable_up_down_counter;
  template <measurable T>
  friend class observable_gauge;
  metric_callback() noexcept = default;

  detail::callback_entry* entry_ = nullptr;
};

#define OTLPKIT_OBSERVABLE_(type, instrument_kind_)                                                               \
  template <measurable T>                                                                                         \
  class type {                                                                                                    \
   public:                                                                                                        \
    /** Observed by a metric_callback. */                                                                         \
    explicit type(std::string_view name, instrument_options o = {}) noexcept                                      \
        : core_{instrument_kind::instrument_kind_,                                                                \
                std::same_as<T, double>,                                                                          \
                name,                                                                                             \
                o.unit,                                                                                           \
                o.description,                                                                                    \
                o.scope,                                                                                          \
                nullptr,                                                                                          \
                nullptr,                                                                                          \
                o.attributes} {}                                                                                  \
    /** Observed by a callback of its own, which gets a value_observer<T>&; see metric_callback for its rules. */ \
    template <std::invocable<value_observer<T>&> Function>                                                        \
    type(std::string_view name, Function f, instrument_options o = {})                                            \
        : core_{instrument_kind::instrument_kind_,                                                                \
                std::same_as<T, double>,                                                                          \
                name,                                                                                             \
                o.unit,                                                                                           \
                o.description,                                                                                    \
                o.scope,                                                                                          \
                nullptr,                                                                                          \
                nullptr,                                                                                          \
                o.attributes} {                                                                                   \
      auto run = [this, f = std::move(f)](observer& all) mutable {                                                \
        value_observer<T> own{all, core_};                                                                        \
        f(own);                                                                                                   \
      };                                                                                                          \
      callback_.entry_ = new (std::nothrow) detail::callback<decltype(run)>{std::move(run)};                      \
      detail::enter_callback(callback_.entry_);                                                                   \
    }                                                                                                             \
    type(const type&) = delete;                                                                                   \
    type& operator=(const type&) = delete;                                                                        \
                                                                                                                  \
   private:                                                                                                       \
    friend class observer;                                                                                        \
    detail::instrument core_;                                                                                     \
    metric_callback callback_;                                                                                    \
  }

/// A total that only goes up and is kept elsewhere: bytes the system has sent, CPU time used.
OTLPKIT_OBSERVABLE_(observable_counter, observable_counter);
/// A total that goes up and down and is kept elsewhere: connections in a pool. Those of all label sets add up.
OTLPKIT_OBSERVABLE_(observable_up_down_counter, observable_up_down_counter);
/// A value that is not to be added up: a temperature, a share.
OTLPKIT_OBSERVABLE_(observable_gauge, observable_gauge);

#undef OTLPKIT_OBSERVABLE_

}  // namespace otlpkit::inline OTLPKIT_ABI

#endif
