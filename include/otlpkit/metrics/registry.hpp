// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/runtime.hpp>
#include <otlpkit/metrics/metric_thread.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::detail {

struct callback_entry;

/// Every instrument of the process with its streams. Never destroyed: recording works at any time.
class metric_registry {
 public:
  static constexpr std::uint32_t max_instruments = 4096;
  /// Makes the streams of an instrument; what is wrong with its views is put into `complaint`.
  using planner_function = stream* (*)(instrument_entry&, short_message& complaint) noexcept;

  // Guards registration, new series, new cells and the folding of cells of threads that end; a collector holds it for
  // one series at a time. Recording into a cell that exists never takes it.
  platform::mutex guard;
  platform::mutex collecting;  ///< collectors take turns; taken before `guard`
  platform::mutex observing;   ///< held while callbacks run; taken before the others, and not across fork()
  platform::atomic<stream*> first{nullptr};  ///< all streams in force
  platform::atomic<instrument_entry*> first_entry{nullptr};
  platform::atomic<std::uint32_t> limit{2000};     ///< series of one stream, the overflow series not counted
  platform::atomic<std::uint32_t> generation{0};   ///< of the process: a fork's child begins anew
  platform::atomic<std::uint32_t> epoch{1};        ///< counts what makes threads look through their cells
  platform::atomic<std::uint32_t> collections{0};  ///< so far
  platform::atomic<bool> forgets{false};           ///< every reader wants deltas: what is idle may go
  platform::atomic<exemplars_of> exemplars{exemplars_of::none};
  platform::atomic<std::uint32_t> looking{0};  ///< threads that look into tables without the guard
  platform::atomic<bool> quiet{false};         ///< they take it meanwhile: something is about to be freed
  planner_function planner = nullptr;          ///< under the guard, as is the next
  stream* inactive = nullptr;                  ///< streams of earlier plans; handles may be bound to them
  callback_entry* callbacks = nullptr;         ///< under `observing`, or by its thread

  /// The instrument, which all that are identical share; nullptr if it cannot be, which a diagnostic has said then.
  [[nodiscard]] instrument_entry* enlist(const instrument_info& info) noexcept;

  /// Makes the plans of all instruments anew. Nothing may be recording.
  void replan(planner_function p) noexcept;

  /// A cell of this thread for the labels, or for the overflow series when there are too many; nullptr when memory is
  /// out.
  [[nodiscard]] cell* obtain(stream& s, const label_set& labels) noexcept;

  /// A series of the instrument for a handle.
  [[nodiscard]] series* bind(instrument_entry& e, const label_set& labels) noexcept;

  /// A cell of this thread for a bound series.
  [[nodiscard]] cell* own_cell(series& s) noexcept {
    platform::lock_guard lock{guard};
    return attach(s);
  }

  /// Looks through this thread's cells, if it has to.
  void sync_thread() noexcept {
    metric_thread& t = this_thread_metrics;
    if (t.epoch == epoch.load(platform::acquire)) return;
    join();
    platform::lock_guard lock{guard};
    t.exemplars = exemplars.load(platform::relaxed);
    t.epoch = t.reserve_direct(numbers_) ? epoch.load(platform::relaxed) : 0;
    t.let_go();
  }

  /// As many series as a stream may have.
  [[nodiscard]] std::uint32_t limit_of(const stream& s) const noexcept {
    return s.limit != 0 ? s.limit : limit.load(platform::relaxed);
  }
  /// Whether the stream's series may go when they are idle.
  [[nodiscard]] bool forgets_series_of(const stream& s) const noexcept {
    return forgets.load(platform::relaxed) && s.active.load(platform::relaxed) &&
           (s.entry->kind == instrument_kind::counter || s.entry->kind == instrument_kind::histogram);
  }

  // What metric_hooks calls.
  static void end_thread() noexcept;
  static void before_fork() noexcept;
  static void after_fork_in_parent() noexcept;
  static void after_fork_in_child() noexcept;

 private:
  static void join() noexcept;  // a thread that has cells has a slot and an exit hook
  [[nodiscard]] bool overflows(const stream& s, const label_set& labels, std::uint64_t hash) noexcept;
  [[nodiscard]] series* find_or_make(stream& s, const label_set& labels, std::uint64_t hash, bool& spilled) noexcept;
  [[nodiscard]] cell* attach(series& s) noexcept;
  void plan(instrument_entry& e, short_message& complaint) noexcept;
  void append(stream* chain) noexcept;
  [[nodiscard]] bool conflicts(const instrument_entry& e) const noexcept;
  static void say_overflow(stream& s) noexcept;

  /// Instruments have numbers below this. With more of them it doubles in a new epoch, so that a thread in step with
  /// the epoch need not compare a number with what it has room for.
  std::uint32_t numbers_ = 64;
  stream* last_ = nullptr;
  instrument_entry* last_entry_ = nullptr;
  std::uint32_t count_ = 0;
};

OTLPKIT_VISIBLE inline constinit metric_registry global_metrics{};
OTLPKIT_VISIBLE inline constinit participant metric_hooks{&metric_registry::end_thread, &metric_registry::before_fork,
                                                          &metric_registry::after_fork_in_parent,
                                                          &metric_registry::after_fork_in_child};

inline void metric_registry::join() noexcept {
  join_process(metric_hooks);
  static_cast<void>(current_slot());
  arm_thread_exit();
}

/// A cell of this thread for the series. The guard is held.
inline cell* metric_registry::attach(series& s) noexcept {
  metric_thread& t = this_thread_metrics;
  if (cell* const c = t.find(s.hash, [&](const series& other) { return &other == &s; })) return c;
  join();
  void* const memory = std::malloc(s.owner->cell_size());
  if (memory == nullptr) return nullptr;
  cell* const c = s.owner->make_cell(memory, s);
  if (!t.insert(c, s.hash)) {
    s.owner->destroy_cell(*c);
    std::free(memory);
    return nullptr;
  }
  c->sibling = t.cells;
  t.cells = c;
  s.attach(*c);
  if (s.owner->plain && s.label_count == 0) t.insert_direct(c, s.owner->entry->number);
  return c;
}

/// Whether these labels belong to the overflow series, seen without the guard: in a flood this is asked all the time.
inline bool metric_registry::overflows(const stream& s, const label_set& labels, std::uint64_t hash) noexcept {
  if (!labels.ok()) return true;
  if (s.count.load(platform::acquire) < limit_of(s)) return false;
  if (forgets_series_of(s) && s.swept.load(platform::relaxed) != collections.load(platform::relaxed)) return false;
  looking.fetch_add(1, platform::acq_rel);
  const bool unknown = !quiet.load(platform::acquire) && s.lookup(hash, labels) == nullptr;
  looking.fetch_sub(1, platform::acq_rel);
  return unknown;
}

/// The series with these labels, or the overflow series; nullptr when memory is out. The guard is held.
inline series* metric_registry::find_or_make(stream& s, const label_set& labels, std::uint64_t hash,
                                             bool& spilled) noexcept {
  if (labels.ok()) {
    if (series* const known = s.lookup(hash, labels)) return known;
    const std::uint32_t most = limit_of(s);
    if (s.count.load(platform::relaxed) >= most && forgets_series_of(s)) {
      const std::uint32_t now = collections.load(platform::relaxed);
      if (s.swept.exchange(now, platform::relaxed) != now && s.sweep()) epoch.fetch_add(1, platform::release);
    }
    if (s.count.load(platform::relaxed) < most) return s.make(labels, hash);
  }
  spilled = true;
  return s.make_overflow();
}

inline cell* metric_registry::obtain(stream& s, const label_set& labels) noexcept {
  const std::uint64_t hash = s.hash(labels.hash());
  if (overflows(s, labels, hash)) {
    if (const series* const o = s.overflow.load(platform::acquire)) {
      cell* const c = this_thread_metrics.find(o->hash, [o](const series& x) { return &x == o; });
      if (c != nullptr) return c;
    }
  }
  bool spilled = false;
  cell* c = nullptr;
  {
    platform::lock_guard lock{guard};
    if (series* const x = find_or_make(s, labels, hash, spilled)) c = attach(*x);
  }
  if (spilled) say_overflow(s);
  return c;
}

inline series* metric_registry::bind(instrument_entry& e, const label_set& labels) noexcept {
  bool spilled = false;
  series* x = nullptr;
  stream* s = nullptr;
  {
    platform::lock_guard lock{guard};
    s = e.plan.load(platform::relaxed);
    if (s == nullptr || !s->plain) {
      s = e.bindings.load(platform::relaxed);
      if (s == nullptr) {
        s = new (std::nothrow) stream{e, {.aggregation = aggregation_kind::drop, .plain = false}};
        if (s == nullptr) return nullptr;
        s->active.store(false, platform::relaxed);
        e.bindings.store(s, platform::release);
      }
    }
    x = find_or_make(*s, labels, s->hash(labels.hash()), spilled);
    if (x != nullptr) x->pinned = true;
  }
  if (spilled) say_overflow(*s);
  return x;
}

inline void metric_registry::say_overflow(stream& s) noexcept {
  if (!first_to_say(s.said, 1)) return;
  short_message text;
  report(diagnostic_level::warning,
         (text << "instrument \"" << s.name_view()
               << "\": too many or too large label sets, further ones are counted under otel.metric.overflow")
             .view());
}

/// What the thread measured stays with the series.
inline void metric_registry::end_thread() noexcept {
  metric_thread& t = this_thread_metrics;
  cell* c = t.cells;
  while (c != nullptr) {
    cell* const next = c->sibling;
    {
      platform::lock_guard lock{global_metrics.guard};
      metric_thread::drop(*c);
    }
    c = next;
  }
  std::free(t.direct);
  std::free(t.table);
  t = {};
}

inline void metric_registry::before_fork() noexcept {
  global_metrics.collecting.lock();
  global_metrics.guard.lock();
}
inline void metric_registry::after_fork_in_parent() noexcept {
  global_metrics.guard.unlock();
  global_metrics.collecting.unlock();
}
/// What was measured before the fork is the parent's. Cells of its other threads stay allocated here, once.
inline void metric_registry::after_fork_in_child() noexcept {
  metric_registry& all = global_metrics;
  for (stream* head : {all.first.load(platform::relaxed), all.inactive}) {
    for (stream* s = head; s != nullptr; s = s->next.load(platform::relaxed)) {
      for (series* x = s->first.load(platform::relaxed); x != nullptr; x = x->next.load(platform::relaxed)) forget(*x);
    }
  }
  for (cell* c = this_thread_metrics.cells; c != nullptr; c = c->sibling) {
    cell* const sibling = c->sibling;
    series& x = *c->owner;
    x.owner->destroy_cell(*c);
    x.owner->make_cell(c, x);
    c->sibling = sibling;
    x.attach(*c);
  }
  ::new (static_cast<void*>(&all.observing)) platform::mutex;  // its thread may not be here
  all.looking.store(0, platform::relaxed);
  all.quiet.store(false, platform::relaxed);
  all.generation.fetch_add(1, platform::relaxed);
  after_fork_in_parent();
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail

#include <otlpkit/metrics/registration.hpp>
