// SPDX-License-Identifier: MIT
#pragma once

// What main() includes: the telemetry object, its settings and the exporters. It brings Boost.Asio and Beast;
// instrumented code includes otlpkit/otlpkit.hpp instead. A program with many units that include this one (tests, say)
// compiles Beast once: define OTLPKIT_SEPARATE_COMPILATION for all of them, and include otlpkit/src.hpp in one.

#include <otlpkit/otlpkit.hpp>

#ifdef OTLPKIT_DISABLE
#include <otlpkit/sdk/disabled.hpp>
#else

#include <otlpkit/core/environment.hpp>
#include <otlpkit/sdk/books.hpp>
#include <otlpkit/sdk/configuration.hpp>

#include <chrono>
#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI {

/// Switches telemetry on, for as long as it lives: one object in main().
///
///     int main() {
///       otlpkit::telemetry telemetry{{.service = "checkout"}};
///
/// Settings not given follow OTEL_* and then the defaults: OTLP over HTTP to localhost:4318. The destructor exports
/// what is left, for at most settings::shutdown_timeout; a program that ends by exit() gets the same. There may be one
/// at a time: a second one says so and does nothing. It can be shut down and made again. In a forked child telemetry
/// goes on with a thread and a service.instance.id of its own.
class [[nodiscard]] telemetry {
 public:
  /// \throws config_error for a setting given in code that cannot be used. What is wrong in the environment is reported
  ///   and passed over.
  [[nodiscard]] explicit telemetry(const settings& s = {}) : telemetry{s, otlpkit::environment{}} {}

  /// As above, with an environment of your own (tests).
  [[nodiscard]] telemetry(const settings& s, const otlpkit::environment& env);

  telemetry(const telemetry&) = delete;
  telemetry& operator=(const telemetry&) = delete;
  ~telemetry() { shutdown(); }

  /// Exports everything that ended before the call. False when `timeout` passed first, or when a shutdown that comes
  /// meanwhile loses some of it. True at once when telemetry has ended: nothing is left to send.
  bool flush(std::chrono::milliseconds timeout = std::chrono::seconds{5});

  /// As the destructor. False when something was lost to the deadline. Later calls do nothing.
  bool shutdown() noexcept { return shutdown(config_.shutdown_timeout); }
  bool shutdown(std::chrono::milliseconds timeout) noexcept;

  /// What became of spans, metric points and log records so far; final after shutdown().
  [[nodiscard]] sdk::books books() const;

  /// The port a Prometheus endpoint listens on, 0 when there is none.
  [[nodiscard]] std::uint16_t prometheus_port() const noexcept;

  /// Every setting in force and where it comes from.
  [[nodiscard]] const sdk::configuration& configuration() const noexcept { return config_; }

 private:
  sdk::configuration config_;
  std::uint64_t generation_ = 0;  // 0: disabled, or another one lives
};

}  // namespace otlpkit::inline OTLPKIT_ABI

#ifndef OTLPKIT_SEPARATE_COMPILATION
#include <otlpkit/impl/telemetry.hpp>
#endif

#endif
