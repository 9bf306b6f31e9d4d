// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>
#include <otlpkit/db/connection.hpp>
#include <otlpkit/db/query_summary.hpp>
#include <otlpkit/db/query_text.hpp>
#include <otlpkit/otlpkit.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::db::detail {

inline constinit const histogram operation_duration{"db.client.operation.duration",
                                                    {.unit = "s",
                                                     .description = "Duration of database client operations",
                                                     .bounds = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}}};

/// One statement: its span and its duration (OpenTelemetry semantic conventions, database client calls). Refers to
/// `info` and `sql`.
class db_operation {
 public:
  db_operation(const connection_info& info, std::string_view sql, bool parameterised)
      : info_{&info}, sql_{sql}, summary_{sql, sql_dialect::of(info.system_name)}, parameterised_{parameterised} {}

  [[nodiscard]] span_guard start() {
    started_ = platform::steady_ns();
    const std::string_view summary = summary_.text();
    const std::string_view name = summary.empty() ? std::string_view{info_->system_name} : summary;
    const std::string replaced =
        parameterised_ ? std::string{} : without_literals(sql_, sql_dialect::of(info_->system_name));
    // Everything a sampler may want to see is there from the start.
    span_guard guard{name,
                     {{"db.system.name", info_->system_name},
                      {"db.query.summary", summary},
                      {"db.query.text", parameterised_ ? sql_ : std::string_view{replaced}}},
                     {.kind = info_->embedded ? span_kind::internal : span_kind::client}};
    if (!info_->name_space.empty()) guard.set("db.namespace", info_->name_space);
    if (!info_->server_address.empty()) {
      guard.set("server.address", info_->server_address);
      if (info_->server_port != 0) guard.set("server.port", info_->server_port);
    }
    return guard;
  }

  template <class Result>
  void succeeded(span& s, const Result& rows) const noexcept {
    if constexpr (requires {
                    { rows.columns() } -> std::convertible_to<std::size_t>;
                  }) {
      s.set("db.response.returned_rows", rows.size());
    }
    duration({}, {});
  }
  void succeeded(span&) const noexcept { duration({}, {}); }

  /// In a catch block. The exception goes on.
  [[nodiscard]] bool failed(span& s) const noexcept {
    try {
      throw;
    } catch (const error& e) {
      record_current_exception(s);
      s.set("db.response.status_code", e.status_code());
      s.set("error.type", e.status_code());
      duration(e.status_code(), e.status_code());
    } catch (const std::exception& e) {
      record_current_exception(s);
      const platform::type_name type{typeid(e).name()};
      duration(type.text(), {});
    } catch (...) {
      record_current_exception(s);
      duration("unknown", {});
    }
    return false;
  }

 private:
  void duration(std::string_view error_type, std::string_view status) const noexcept {
    const double seconds = static_cast<double>(platform::steady_ns() - started_) / 1e9;
    const field system{"db.system.name", info_->system_name}, space{"db.namespace", info_->name_space};
    const field summary{"db.query.summary", summary_.text()};
    if (error_type.empty()) {
      operation_duration.record(seconds, {system, space, summary});
    } else if (status.empty()) {
      operation_duration.record(seconds, {system, space, summary, {"error.type", error_type}});
    } else {
      operation_duration.record(
          seconds, {system, space, summary, {"error.type", error_type}, {"db.response.status_code", status}});
    }
  }

  const connection_info* info_;
  std::string_view sql_;
  query_summary summary_;
  bool parameterised_;
  std::uint64_t started_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::db::detail
