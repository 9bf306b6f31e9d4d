// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/cache/lookup.hpp>
#include <otlpkit/cache/tiered_options.hpp>
#include <otlpkit/metrics/observable.hpp>
#include <otlpkit/otlpkit.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <typeinfo>

namespace otlpkit::inline OTLPKIT_ABI::cache::detail {

inline constinit const counter<std::int64_t> tiered_lookups{
    "otlpkit.cache.lookups", {.unit = "{lookup}", .description = "Values asked for, by whether the cache had them"}};
inline constinit const histogram load_duration{"otlpkit.cache.load.duration",
                                               in_seconds("Duration of loads of values that no cache had")};
inline constinit const counter<std::int64_t> tiered_errors{
    "otlpkit.cache.errors", {.unit = "{error}", .description = "Calls on a level of a cache that failed"}};

/// The instruments that are asked.
struct tiered_instruments {
  observable_up_down_counter<std::int64_t> entries{"otlpkit.cache.entries",
                                                   {.unit = "{entry}", .description = "Entries held in the process"}};
  observable_counter<std::int64_t> evictions{"otlpkit.cache.evictions",
                                             {.unit = "{entry}", .description = "Entries that left, by why"}};
  observable_up_down_counter<std::int64_t> loads{"otlpkit.cache.inflight_loads",
                                                 {.unit = "{load}", .description = "Loads under way"}};
};

/// What a tiered cache says of itself on spans and in counters.
class tiered_telemetry {
 public:
  explicit tiered_telemetry(const tiered_cache_options& o)
      : name_{o.name}, get_{"cache.get " + o.name}, set_{"cache.set " + o.name}, erase_{"cache.erase " + o.name},
        refresh_{"cache.refresh " + o.name}, record_key_hash_{o.record_key_hash} {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  [[nodiscard]] span_guard get(std::string_view key) const noexcept { return start(get_, key); }
  [[nodiscard]] span_guard set(std::string_view key) const noexcept { return start(set_, key); }
  [[nodiscard]] span_guard erase(std::string_view key) const noexcept { return start(erase_, key); }
  [[nodiscard]] span_guard refresh(std::string_view key) const noexcept { return start(refresh_, key); }
  /// The same on behalf of a caller that does not wait.
  [[nodiscard]] span_guard detached_refresh(std::string_view key, const span_context& parent) const noexcept {
    span_guard guard{refresh_, {{"otlpkit.cache.name", name_}, {"otlpkit.detached", true}}, {.parent = parent}};
    hash(guard, key);
    return guard;
  }

  template <class Value>
  lookup<Value> ended(span& s, lookup<Value> found) const {
    const std::string_view outcome = to_string(found.outcome()), level = to_string(found.level());
    s.set("otlpkit.cache.outcome", outcome);
    s.set("otlpkit.cache.level", level);
    if (found.shared_flight()) s.set("otlpkit.cache.shared_flight", true);
    if (found.level() == lookup_level::l1) s.set("otlpkit.cache.age_ms", found.age_ns() / 1'000'000);
    tiered_lookups.add(
        1, {{"otlpkit.cache.name", name_}, {"otlpkit.cache.outcome", outcome}, {"otlpkit.cache.level", level}});
    return found;
  }

  /// In a catch block: loading failed, and there is nothing else to give out.
  void failed(span& s, bool shared_flight) const noexcept {
    record_current_exception(s);
    s.set("otlpkit.cache.outcome", "error");
    s.set("otlpkit.cache.level", "L3");
    if (shared_flight) s.set("otlpkit.cache.shared_flight", true);
    tiered_lookups.add(
        1, {{"otlpkit.cache.name", name_}, {"otlpkit.cache.outcome", "error"}, {"otlpkit.cache.level", "L3"}});
  }

  /// In a catch block: a level failed, and the cache goes on without it. The span's status is not touched.
  void tolerated(span& s, lookup_level where, std::string_view operation) const noexcept {
    const std::string_view level = to_string(where);
    try {
      throw;
    } catch (const std::exception& e) {
      s.record_exception(e, {{"otlpkit.cache.level", level}});
      count_error(platform::type_name{typeid(e).name()}.text(), level, operation);
    } catch (...) {
      s.event("exception", {{"exception.type", "unknown"}, {"otlpkit.cache.level", level}});
      count_error("unknown", level, operation);
    }
  }

  /// In a catch block: what the span stands for failed, and nobody is told by an exception.
  void failed_call(span& s) const noexcept {
    try {
      throw;
    } catch (const std::exception& e) {
      s.fail(platform::type_name{typeid(e).name()}.text(), e.what());
    } catch (...) {
      s.fail("unknown");
    }
  }
  void refresh_failed(span& s) const noexcept {
    tolerated(s, lookup_level::l3, "refresh");
    failed_call(s);
  }

  void loaded(std::uint64_t duration_ns, bool failed) const noexcept {
    const double seconds = static_cast<double>(duration_ns) / 1e9;
    load_duration.record(seconds,
                         {{"otlpkit.cache.name", name_}, {"otlpkit.cache.outcome", failed ? "error" : "miss"}});
  }

 private:
  [[nodiscard]] span_guard start(const std::string& span_name, std::string_view key) const noexcept {
    span_guard guard{span_name, {{"otlpkit.cache.name", name_}}};
    hash(guard, key);
    return guard;
  }
  void hash(span& s, std::string_view key) const noexcept {
    if (!record_key_hash_ || !s.recording()) return;
    try {
      s.set("otlpkit.cache.key_hash", key_hash(key));
    } catch (...) {  // no memory: the span goes without
    }
  }
  void count_error(std::string_view type, std::string_view level, std::string_view operation) const noexcept {
    tiered_errors.add(1, {{"otlpkit.cache.name", name_},
                          {"otlpkit.cache.level", level},
                          {"otlpkit.cache.operation", operation},
                          {"error.type", type}});
  }

  std::string name_;
  std::string get_, set_, erase_, refresh_;  // the spans' names, put together once
  bool record_key_hash_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::cache::detail
