// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/registry.hpp>

#include <new>
#include <string_view>

/// How instruments get their streams.
namespace otlpkit::inline OTLPKIT_ABI::detail {

/// The streams in force end with those of `chain`.
inline void metric_registry::append(stream* chain) noexcept {
  for (stream* s = chain; s != nullptr; s = s->also) {
    (last_ == nullptr ? first : last_->next).store(s, platform::release);
    last_ = s;
  }
}

/// Under the guard, as is the next.
inline void metric_registry::plan(instrument_entry& e, short_message& complaint) noexcept {
  const label_filter* const advised = e.attributes.filter();
  stream* const chain =
      planner != nullptr
          ? planner(e, complaint)
          : new (std::nothrow)
                stream{e, {.aggregation = natural_aggregation(e.kind), .filter = advised, .plain = advised == nullptr}};
  append(chain);
  e.plan.store(chain, platform::release);
}

/// Whether one of its streams has a name that another instrument of the scope has already.
inline bool metric_registry::conflicts(const instrument_entry& e) const noexcept {
  for (const stream* own = e.plan.load(platform::relaxed); own != nullptr; own = own->also) {
    for (const stream* s = first.load(platform::relaxed); s != nullptr; s = s->next.load(platform::relaxed)) {
      if (s == own || s->entry->scope != e.scope || !same_instrument_name(s->name_view(), own->name_view())) continue;
      return true;
    }
  }
  return false;
}

inline void metric_registry::replan(planner_function p) noexcept {
  short_message complaint;
  {
    platform::lock_guard turn{collecting};
    platform::lock_guard lock{guard};
    if (p == nullptr && planner == nullptr) return;
    planner = p;
    for (stream* s = first.load(platform::relaxed); s != nullptr;) {
      stream* const next = s->next.load(platform::relaxed);
      s->active.store(false, platform::release);
      s->next.store(inactive, platform::relaxed);
      inactive = s;
      s = next;
    }
    first.store(nullptr, platform::relaxed);
    last_ = nullptr;
    for (instrument_entry* e = first_entry.load(platform::relaxed); e != nullptr; e = e->next.load(platform::relaxed))
      plan(*e, complaint);
    epoch.fetch_add(1, platform::release);
  }
  if (!complaint.view().empty()) report(diagnostic_level::warning, complaint.view());
}

inline instrument_entry* metric_registry::enlist(const instrument_info& info) noexcept {
  short_message text, complaint;
  if (!is_instrument_name(info.name)) {
    report(
        diagnostic_level::error,
        (text << "instrument name \"" << info.name
              << "\": expected an ASCII letter and up to 254 letters, digits, '_', '.', '-' or '/'; it records nothing")
            .view());
    return nullptr;
  }
  text << "instrument \"" << info.name << "\" ";
  bool advice = false, keys = false, described = false, conflict = false, full = false, bad_bounds = false;
  instrument_entry* found = nullptr;
  {
    platform::lock_guard lock{guard};
    for (instrument_entry* e = first_entry.load(platform::relaxed); e != nullptr && found == nullptr;
         e = e->next.load(platform::relaxed)) {
      if (e->scope == info.scope && e->kind == info.kind && e->floating == info.floating &&
          e->unit.view() == info.unit && same_instrument_name(e->name.view(), info.name))
        found = e;
    }
    if (found != nullptr) {
      const std::string_view known = found->description.view();
      described = !known.empty() && !info.description.empty() && known != info.description;
      if (info.description.size() > known.size()) found->description.assign(info.description);
      advice =
          info.bounds != nullptr && info.bounds->given() && info.bounds->valid() && !(*info.bounds == found->bounds);
      keys = info.attributes.size() != 0 && !found->attributes.same(info.attributes);
    } else if (count_ < max_instruments && (found = new (std::nothrow) instrument_entry{info, count_ + 1}) != nullptr) {
      if (++count_ == numbers_) {
        numbers_ *= 2;
        epoch.fetch_add(1, platform::release);
      }
      bad_bounds = info.bounds != nullptr && !info.bounds->valid();
      (last_entry_ == nullptr ? first_entry : last_entry_->next).store(found, platform::release);
      last_entry_ = found;
      plan(*found, complaint);
      conflict = conflicts(*found);
    } else {
      full = true;
    }
  }
  if (full) text << "is one of more than 4096, or memory is out: it records nothing";
  if (bad_bounds)
    text << "has bucket bounds that are not at most 63 ascending finite numbers: it uses the default ones";
  if (advice) text << "was registered with other bucket bounds before: those stay";
  if (keys) text << "was registered with other advised attributes, or none, before: those stay";
  if (described) text << "is registered with several descriptions: the longest is exported";
  if (conflict) text << "is registered with another kind, unit or number type: both are exported";
  if (full || bad_bounds || advice || keys || described || conflict) report(diagnostic_level::warning, text.view());
  if (!complaint.view().empty()) report(diagnostic_level::warning, complaint.view());
  return found;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
