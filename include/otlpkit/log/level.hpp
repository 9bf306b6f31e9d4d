// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/runtime.hpp>
#include <otlpkit/log/severity.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

/// Which log records are kept at run time.
namespace otlpkit::inline OTLPKIT_ABI {

/// "INFO", "WARN2", ...: the severity text of the log data model; empty for the two that are no record's.
[[nodiscard]] constexpr std::string_view to_string(severity s) noexcept {
  constexpr std::string_view names[] = {"TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4",
                                        "INFO",  "INFO2",  "INFO3",  "INFO4",  "WARN",  "WARN2",  "WARN3",  "WARN4",
                                        "ERROR", "ERROR2", "ERROR3", "ERROR4", "FATAL", "FATAL2", "FATAL3", "FATAL4"};
  const auto number = static_cast<std::size_t>(s);
  return number >= 1 && number <= 24 ? names[number - 1] : std::string_view{};
}

namespace detail {

/// Parts of runtime::mode that belong to logs: with them one load tells whether a record is kept.
enum log_mode : std::uint32_t {
  mode_log_scopes = 1u << 6,    ///< some scopes have a level of their own
  mode_log_events = 1u << 7,    ///< records are mirrored as span events
  mode_log_level = 0xFFu << 8,  ///< the least severity any scope keeps
};
inline constexpr int log_level_shift = 8;

/// The name of the scope with these bytes (field 1 of the InstrumentationScope that is field 1).
[[nodiscard]] inline std::string_view scope_name(std::string_view encoded) noexcept {
  std::string_view message;
  for (wire::reader field{encoded}; field.next();) {
    if (field.is(1, wire::reader::len)) message = field.bytes();
  }
  std::string_view name;
  for (wire::reader field{message}; field.next();) {
    if (field.is(1, wire::reader::len)) name = field.bytes();
  }
  return name;
}

/// The level of everything, and those of scopes that have one. Readers take no lock; rules are never freed, and a
/// pattern that comes again finds its own, so memory is bounded by the patterns there are.
class log_levels {
 public:
  /// What runtime::mode is to say of levels, for the telemetry object that switches recording on.
  [[nodiscard]] std::uint32_t mode() noexcept {
    platform::lock_guard lock{mutex_};
    return mode_locked();
  }

  void set(severity least) noexcept {
    join();
    platform::lock_guard lock{mutex_};
    general_.store(static_cast<std::uint8_t>(least), platform::relaxed);
    publish();
  }

  /// False when memory is out: the level is as it was.
  bool set(std::string_view pattern, severity least) noexcept {
    join();
    platform::lock_guard lock{mutex_};
    rule* r = first_.load(platform::relaxed);
    while (r != nullptr && r->pattern() != pattern) r = r->next;
    if (r == nullptr) {
      void* const memory = std::malloc(sizeof(rule) + pattern.size());
      if (memory == nullptr) return false;
      r = ::new (memory) rule{{}, pattern.size(), first_.load(platform::relaxed)};
      std::memcpy(static_cast<char*>(memory) + sizeof(rule), pattern.data(), pattern.size());
      first_.store(r, platform::release);
    }
    r->level.store(static_cast<std::uint8_t>(least), platform::relaxed);
    publish();
    return true;
  }

  /// Everything is kept, by every scope.
  void reset() noexcept {
    join();
    platform::lock_guard lock{mutex_};
    general_.store(static_cast<std::uint8_t>(severity::trace), platform::relaxed);
    for (rule* r = first_.load(platform::relaxed); r != nullptr; r = r->next) r->level.store(none, platform::relaxed);
    publish();
  }

  /// Whether the scope of this number keeps a record; asked only while there are rules.
  [[nodiscard]] OTLPKIT_NOINLINE bool keeps(std::uint16_t scope, severity s) noexcept {
    if (s == severity::unspecified) return true;
    const std::uint32_t epoch = epoch_.load(platform::acquire);
    platform::atomic<std::uint32_t>& known = known_[scope % scope_table::capacity];
    std::uint32_t entry = known.load(platform::relaxed);
    if (entry >> 8 != (epoch & 0xFFFFFF) || entry == 0) {
      entry = (epoch & 0xFFFFFF) << 8 | level_of(scope_name(global_scopes.encoded(scope)));
      known.store(entry, platform::relaxed);
    }
    return static_cast<std::uint8_t>(s) >= (entry & 0xFF);
  }

  void lock_for_fork() noexcept { mutex_.lock(); }
  void unlock_after_fork() noexcept { mutex_.unlock(); }

 private:
  static void join() noexcept;  // so that a fork finds the mutex free

  static constexpr std::uint8_t none = 0xFF;

  struct rule {  // the pattern follows it
    platform::atomic<std::uint8_t> level{none};
    std::size_t size;
    rule* next;
    [[nodiscard]] std::string_view pattern() const noexcept {
      return {reinterpret_cast<const char*>(this) + sizeof(rule), size};
    }
  };

  /// The longest pattern counts; one without an asterisk is longer than any with.
  [[nodiscard]] std::uint8_t level_of(std::string_view name) const noexcept {
    std::uint8_t level = general_.load(platform::relaxed);
    std::size_t best = 0;
    for (const rule* r = first_.load(platform::acquire); r != nullptr; r = r->next) {
      const std::uint8_t own = r->level.load(platform::relaxed);
      if (own == none) continue;
      std::string_view pattern = r->pattern();
      const bool prefix = !pattern.empty() && pattern.back() == '*';
      if (prefix) pattern.remove_suffix(1);
      if (prefix ? name.substr(0, pattern.size()) != pattern : name != pattern) continue;
      const std::size_t weight = prefix ? 1 + pattern.size() : SIZE_MAX;
      if (weight < best) continue;
      best = weight;
      level = own;
    }
    return level;
  }

  [[nodiscard]] std::uint32_t mode_locked() const noexcept {
    std::uint32_t least = general_.load(platform::relaxed);
    std::uint32_t scopes = 0;
    for (const rule* r = first_.load(platform::relaxed); r != nullptr; r = r->next) {
      const std::uint8_t own = r->level.load(platform::relaxed);
      if (own == none) continue;
      scopes = mode_log_scopes;
      if (own < least) least = own;
    }
    return least << log_level_shift | scopes;
  }

  void publish() noexcept {
    epoch_.fetch_add(1, platform::release);
    const std::uint32_t mine = mode_locked();
    std::uint32_t mode = global_runtime.mode.load(platform::relaxed);
    std::uint32_t wanted = 0;
    do {
      if ((mode & mode_logs) == 0) return;  // the telemetry object that switches logs on asks for it
      wanted = (mode & ~std::uint32_t{mode_log_scopes | mode_log_level}) | mine;
    } while (!global_runtime.mode.compare_exchange(mode, wanted, platform::acq_rel));
  }

  platform::mutex mutex_;
  platform::atomic<std::uint8_t> general_{static_cast<std::uint8_t>(severity::trace)};
  platform::atomic<rule*> first_{nullptr};
  platform::atomic<std::uint32_t> epoch_{1};
  platform::atomic<std::uint32_t> known_[scope_table::capacity] = {};  ///< epoch and level of a scope, once asked for
};

OTLPKIT_VISIBLE inline constinit log_levels global_log_levels{};

inline void unlock_log_levels() noexcept { global_log_levels.unlock_after_fork(); }
OTLPKIT_VISIBLE inline constinit participant log_level_hooks{
    nullptr, []() noexcept { global_log_levels.lock_for_fork(); }, &unlock_log_levels, &unlock_log_levels};

inline void log_levels::join() noexcept { join_process(log_level_hooks); }

/// Whether a record of this severity may be kept: one relaxed load. Where scopes have levels of their own, they are
/// asked next.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool logs(severity s, std::uint32_t mode) noexcept {
  return (mode & mode_logs) != 0 &&
         (s == severity::unspecified || static_cast<std::uint32_t>(s) >= (mode & mode_log_level) >> log_level_shift);
}
[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool logs(severity s, const instrumentation_scope& scope) noexcept {
  const std::uint32_t mode = global_runtime.mode.load(platform::relaxed);
  return logs(s, mode) && ((mode & mode_log_scopes) == 0 || global_log_levels.keeps(scope.number(), s));
}

}  // namespace detail

/// Whether a record of this severity would be kept, to spare the work of preparing one. Thread-safe.
[[nodiscard]] inline bool log_enabled(severity s, const instrumentation_scope& scope = detail::default_scope) noexcept {
  return detail::logs(s, scope);
}

/// From now on records below `least` are not kept, except by scopes with a level of their own. severity::off: none is.
/// The next telemetry object starts from its settings again. Thread-safe.
inline void set_log_level(severity least) noexcept { detail::global_log_levels.set(least); }

/// The same for one instrumentation scope by its name, or for all whose name begins with `scope` where it ends in an
/// asterisk ("net.*"). A full name wins over a beginning, a longer beginning over a shorter one. False when memory is
/// out.
inline bool set_log_level(std::string_view scope, severity least) noexcept {
  return detail::global_log_levels.set(scope, least);
}

}  // namespace otlpkit::inline OTLPKIT_ABI
