// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

/// How much a message about otlpkit itself matters.
enum class diagnostic_level : std::uint8_t { debug, info, warning, error };

/// Receives what otlpkit has to say about itself. Called from any thread, never with a lock held; must not throw.
using diagnostic_callback = void (*)(diagnostic_level, std::string_view message);

namespace detail {

/// Where diagnostics go, and how many may go.
struct diagnostics {
  static constexpr std::int64_t interval_ns = 1'000'000'000;
  static constexpr std::int64_t burst = 20;

  platform::atomic<diagnostic_callback> callback{nullptr};
  platform::atomic<diagnostic_level> least{diagnostic_level::warning};
  platform::atomic<std::int64_t> due_ns{0};  ///< when the next message is due at the sustained rate (GCRA, ITU-T I.371)
  platform::atomic<std::uint32_t> held_back{0};

  [[nodiscard]] bool admit(std::int64_t now) noexcept {
    std::int64_t due = due_ns.load(platform::relaxed);
    std::int64_t next = 0;
    do {
      if (due - now > (burst - 1) * interval_ns) return false;
      next = (due > now ? due : now) + interval_ns;
    } while (!due_ns.compare_exchange(due, next, platform::relaxed));
    return true;
  }
};

OTLPKIT_VISIBLE inline constinit diagnostics global_diagnostics{};

/// The default callback: one line on standard error.
inline void print_diagnostic(diagnostic_level, std::string_view message) noexcept {
  char line[1024] = "otlpkit: ";
  const std::size_t room = sizeof line - 10;  // the prefix and the line's end
  const std::size_t size = message.size() < room ? message.size() : room;
  for (std::size_t i = 0; i < size; ++i) {
    const char c = message[i];
    line[9 + i] =
        static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;  // values come from outside: no terminal codes
  }
  line[9 + size] = '\n';
  platform::write_stderr(line, size + 10);
}

}  // namespace detail

/// Says something about otlpkit itself through the one replaceable callback; by default warnings and errors become
/// lines on standard error. Never throws. Over all messages 20 may come at once and then one a second; how many were
/// held back is said before the next one.
inline void report(diagnostic_level level, std::string_view message) noexcept {
  detail::diagnostics& d = detail::global_diagnostics;
  if (level < d.least.load(platform::relaxed)) return;
  if (!d.admit(static_cast<std::int64_t>(platform::steady_ns()))) {
    d.held_back.fetch_add(1, platform::relaxed);
    return;
  }
  diagnostic_callback callback = d.callback.load(platform::acquire);
  if (callback == nullptr) callback = &detail::print_diagnostic;
  if (std::uint32_t held = d.held_back.exchange(0, platform::relaxed)) {
    char digits[10];
    std::size_t at = sizeof digits;
    for (; held != 0; held /= 10) digits[--at] = static_cast<char>('0' + held % 10);
    char text[64];
    std::memcpy(text, digits + at, sizeof digits - at);
    constexpr std::string_view rest = " messages were held back (rate limit)";
    std::memcpy(text + sizeof digits - at, rest.data(), rest.size());
    callback(diagnostic_level::warning, {text, sizeof digits - at + rest.size()});
  }
  callback(level, message);
}

/// Replaces the callback (nullptr: the default one) and sets the least level that reaches it. Returns the callback
/// before, nullptr if that was the default one.
inline diagnostic_callback on_diagnostic(diagnostic_callback callback,
                                         diagnostic_level least = diagnostic_level::warning) noexcept {
  detail::global_diagnostics.least.store(least, platform::relaxed);
  return detail::global_diagnostics.callback.exchange(callback, platform::acq_rel);
}

}  // namespace otlpkit::inline OTLPKIT_ABI
