// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/log/macros.hpp>

#include <spdlog/details/log_msg.h>
#include <spdlog/sinks/sink.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// Feeds what a program says through spdlog to otlpkit: the message as it was formatted (patterns are of text files and
/// mean nothing here), its time, the severity, the place in the code, and the current span.
///
///     auto sink = std::make_shared<otlpkit::spdlog_sink>();
///     spdlog::default_logger()->sinks().push_back(sink);
///
/// The logger's name is the instrumentation scope; for a logger without one it is "spdlog". Thread-safe, so it needs no
/// _mt and _st forms. An asynchronous logger calls it from another thread, where the caller's span is not current: its
/// records belong to no span. Without telemetry it does nothing.
class spdlog_sink final : public spdlog::sinks::sink {
 public:
  /// Names of loggers that get a scope of their own; those beyond share that of the sink.
  static constexpr std::size_t most_scopes = 256;

  void log(const spdlog::details::log_msg& message) override {
    const severity s = severity_of(message.level);
    const instrumentation_scope& scope = scope_of(message.logger_name);
    if (!log_enabled(s, scope)) return;
    const auto since_epoch = std::chrono::duration_cast<std::chrono::nanoseconds>(message.time.time_since_epoch());
    const log_options options{.time = static_cast<unix_ns>(since_epoch.count()), .scope = &scope};
    const std::string_view text{message.payload.data(), message.payload.size()};
    if (message.source.empty()) {
      otlpkit::log(s, text, {{"thread.id", message.thread_id}}, options);
    } else {
      otlpkit::log(s, text,
                   {{"thread.id", message.thread_id},
                    {"code.file.path", message.source.filename},
                    {"code.line.number", message.source.line},
                    {"code.function.name", message.source.funcname}},
                   options);
    }
  }

  /// Records leave with telemetry's own rhythm.
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

  [[nodiscard]] static constexpr severity severity_of(spdlog::level::level_enum level) noexcept {
    switch (level) {
      case spdlog::level::trace: return severity::trace;
      case spdlog::level::debug: return severity::debug;
      case spdlog::level::info: return severity::info;
      case spdlog::level::warn: return severity::warn;
      case spdlog::level::err: return severity::error;
      case spdlog::level::critical: return severity::fatal;
      default: return severity::unspecified;
    }
  }

 private:
  struct named_scope {
    explicit named_scope(std::string_view n) : name{n}, scope{name} {}
    std::string name;
    instrumentation_scope scope;
  };

  [[nodiscard]] const instrumentation_scope& scope_of(spdlog::string_view_t logger) {
    const std::string_view name{logger.data(), logger.size()};
    if (name.empty()) return unnamed_;
    {
      const std::shared_lock lock{mutex_};
      if (const auto found = scopes_.find(name); found != scopes_.end()) return found->second->scope;
    }
    const std::unique_lock lock{mutex_};
    const auto found = scopes_.find(name);
    if (found != scopes_.end()) return found->second->scope;
    if (scopes_.size() >= most_scopes) return unnamed_;
    auto made = std::make_unique<named_scope>(name);
    return scopes_.emplace(std::string{name}, std::move(made)).first->second->scope;
  }

  const instrumentation_scope unnamed_{"spdlog"};
  std::shared_mutex mutex_;
  std::map<std::string, std::unique_ptr<named_scope>, std::less<>> scopes_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
