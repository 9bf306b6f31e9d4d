// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/runtime.hpp>
#include <otlpkit/metrics/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// What a thread knows of its cells. Trivially destructible: usable before and after everything else in the thread.
struct metric_thread {
  struct entry {
    std::uint64_t hash;
    cell* own;
  };
  cell** direct;  ///< of series without labels, by the stream's number
  std::uint32_t direct_size;
  std::uint32_t used;
  entry* table;  ///< of series with labels: open addressing, at most half full
  std::uint64_t mask;
  cell* cells;  ///< all of them

  /// The cell among those with this hash for which `is(series)`, or nullptr.
  template <class Is>
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE cell* find(std::uint64_t hash, Is is) const noexcept {
    if (table == nullptr) [[unlikely]]
      return nullptr;
    for (std::uint64_t i = hash & mask; table[i].own != nullptr; i = (i + 1) & mask) {
      if (table[i].hash == hash && is(*table[i].own->owner)) [[likely]]
        return table[i].own;
    }
    return nullptr;
  }

  [[nodiscard]] bool insert(cell* c, std::uint64_t hash) noexcept {
    if (table == nullptr || used * std::uint64_t{2} > mask) {
      const std::uint64_t size = table == nullptr ? 16 : (mask + 1) * 2;
      auto* const larger = static_cast<entry*>(std::calloc(size, sizeof(entry)));
      if (larger == nullptr) return false;
      for (std::uint64_t i = 0; table != nullptr && i <= mask; ++i) {
        if (table[i].own != nullptr) place(larger, size - 1, table[i]);
      }
      std::free(table);
      table = larger;
      mask = size - 1;
    }
    place(table, mask, {hash, c});
    ++used;
    return true;
  }

  [[nodiscard]] bool insert_direct(cell* c, std::uint32_t number) noexcept {
    if (number >= direct_size) {
      const std::uint32_t size = (number + 8) * 2;
      auto* const larger = static_cast<cell**>(std::realloc(direct, size * sizeof(cell*)));
      if (larger == nullptr) return false;
      for (std::uint32_t i = direct_size; i < size; ++i) larger[i] = nullptr;
      direct = larger;
      direct_size = size;
    }
    direct[number] = c;
    return true;
  }

 private:
  static void place(entry* table, std::uint64_t mask, entry e) noexcept {
    std::uint64_t i = e.hash & mask;
    while (table[i].own != nullptr) i = (i + 1) & mask;
    table[i] = e;
  }
};

OTLPKIT_VISIBLE inline constinit thread_local metric_thread this_thread_metrics{};

/// Every instrument of the process with its series. Never destroyed: recording works at any time.
class metric_registry {
 public:
  static constexpr std::uint32_t max_streams = 4096;

  // Guards registration, new series, new cells and the folding of cells of threads that end; a collector holds it for
  // one series at a time. Recording into a cell that exists never takes it.
  platform::mutex guard;
  platform::mutex collecting;                     ///< collectors take turns; taken before `guard`
  platform::atomic<stream*> first{nullptr};       ///< in order of registration
  platform::atomic<std::uint32_t> limit{2000};    ///< series of one instrument, the overflow series not counted
  platform::atomic<std::uint32_t> generation{0};  ///< of the process: a fork's child begins anew

  /// The stream of an instrument, which it shares with all that are identical; nullptr if it cannot have one, which a
  /// diagnostic has said then.
  [[nodiscard]] stream* enlist(const instrument_info& info) noexcept;

  /// The series with these labels, or the overflow series when there are too many; nullptr when memory is out.
  [[nodiscard]] series* resolve(stream& s, const label_set& labels) noexcept {
    const std::uint64_t hash = s.hash(labels.hash());
    if (labels.ok()) {
      if (series* const known = s.lookup(hash, labels)) return known;
    }
    if (!labels.ok() || s.count.load(platform::acquire) >= limit.load(platform::relaxed)) {
      if (series* const o = s.overflow.load(platform::acquire)) return o;
    }
    bool spilled = false;
    series* found = nullptr;
    {
      platform::lock_guard lock{guard};
      found = labels.ok() ? s.lookup(hash, labels) : nullptr;
      if (found == nullptr) {
        spilled = !labels.ok() || s.count.load(platform::relaxed) >= limit.load(platform::relaxed);
        found = spilled ? s.make_overflow() : s.make(labels, hash);
      }
    }
    if (spilled && s.said_once(stream::said_overflow)) {
      short_message text;
      report(diagnostic_level::warning,
             (text << "instrument \"" << s.name.view()
                   << "\": too many or too large label sets, further ones are counted under otel.metric.overflow")
                 .view());
    }
    return found;
  }

  /// A cell of this thread for the series, entered in the thread's tables; nullptr when memory is out.
  [[nodiscard]] cell* make_cell(series& s, bool direct) noexcept;

  // What metric_hooks calls.
  static void end_thread() noexcept;
  static void before_fork() noexcept;
  static void after_fork_in_parent() noexcept;
  static void after_fork_in_child() noexcept;

 private:
  stream* last_ = nullptr;
  std::uint32_t count_ = 0;
};

OTLPKIT_VISIBLE inline constinit metric_registry global_metrics{};
OTLPKIT_VISIBLE inline constinit participant metric_hooks{&metric_registry::end_thread, &metric_registry::before_fork,
                                                          &metric_registry::after_fork_in_parent,
                                                          &metric_registry::after_fork_in_child};

inline cell* metric_registry::make_cell(series& s, bool direct) noexcept {
  join_process(metric_hooks);
  global_runtime.thread_exit.arm(&global_runtime);
  metric_thread& t = this_thread_metrics;
  cell* c = t.find(s.hash, [&](const series& other) { return &other == &s; });
  if (c == nullptr) {
    void* const memory = std::malloc(s.owner->cell_size());
    if (memory == nullptr) return nullptr;
    c = s.owner->make_cell(memory, s);
    if (!t.insert(c, s.hash)) {
      std::free(memory);
      return nullptr;
    }
    c->sibling = t.cells;
    t.cells = c;
    platform::lock_guard lock{guard};
    s.attach(*c);
  }
  if (direct && !t.insert_direct(c, s.owner->number)) return nullptr;
  return c;
}

/// What the thread measured stays with the series.
inline void metric_registry::end_thread() noexcept {
  metric_thread& t = this_thread_metrics;
  cell* c = t.cells;
  while (c != nullptr) {
    cell* const next = c->sibling;
    {
      platform::lock_guard lock{global_metrics.guard};
      c->owner->fold(*c);
    }
    std::free(c);
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
  for (stream* s = all.first.load(platform::relaxed); s != nullptr; s = s->next.load(platform::relaxed)) {
    for (series* x = s->first.load(platform::relaxed); x != nullptr; x = x->next.load(platform::relaxed)) x->forget();
  }
  for (cell* c = this_thread_metrics.cells; c != nullptr; c = c->sibling) {
    cell* const sibling = c->sibling;
    series& s = *c->owner;
    s.owner->make_cell(c, s);
    c->sibling = sibling;
    s.attach(*c);
  }
  all.generation.fetch_add(1, platform::relaxed);
  after_fork_in_parent();
}

inline stream* metric_registry::enlist(const instrument_info& info) noexcept {
  short_message text;
  if (!is_instrument_name(info.name)) {
    report(
        diagnostic_level::error,
        (text << "instrument name \"" << info.name
              << "\": expected an ASCII letter and up to 254 letters, digits, '_', '.', '-' or '/'; it records nothing")
            .view());
    return nullptr;
  }
  text << "instrument \"" << info.name << "\" ";
  bool advice = false, conflict = false, full = false, bad_bounds = false;
  stream* found = nullptr;
  {
    platform::lock_guard lock{guard};
    for (stream* s = first.load(platform::relaxed); s != nullptr && found == nullptr;
         s = s->next.load(platform::relaxed)) {
      if (s->scope != info.scope || !same_instrument_name(s->name.view(), info.name)) continue;
      if (s->kind == info.kind && s->floating == info.floating && s->unit.view() == info.unit) {
        found = s;
      } else {
        conflict = true;
      }
    }
    if (found != nullptr) {
      conflict = false;
      if (info.description.size() > found->description.view().size()) found->description.assign(info.description);
      advice =
          info.bounds != nullptr && info.bounds->given() && info.bounds->valid() && !(*info.bounds == found->bounds);
    } else if (count_ < max_streams && (found = stream::make(info, ++count_)) != nullptr) {
      bad_bounds = info.bounds != nullptr && !info.bounds->valid();
      (last_ == nullptr ? first : last_->next).store(found, platform::release);
      last_ = found;
    } else {
      full = true;
    }
  }
  if (full) text << "is one of more than 4096, or memory is out: it records nothing";
  if (bad_bounds)
    text << "has bucket bounds that are not at most 63 ascending finite numbers: it uses the default ones";
  if (advice) text << "was registered with other bucket bounds before: those stay";
  if (conflict) text << "is registered with another kind, unit or number type: both are exported";
  if (full || bad_bounds || advice || conflict) report(diagnostic_level::warning, text.view());
  return found;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
