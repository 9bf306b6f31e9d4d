// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>
#include <otlpkit/db/connection.hpp>
#include <otlpkit/db/errors.hpp>
#include <otlpkit/db/operation_duration.hpp>
#include <otlpkit/otlpkit.hpp>

#ifndef OTLPKIT_DISABLE
#include <otlpkit/db/statement_plan.hpp>
#endif

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::db::detail {

#ifdef OTLPKIT_DISABLE

struct db_operation {  // named where nothing is observed
  template <class... Ignored>
  explicit db_operation(const Ignored&...) noexcept {}
};

#else

/// One statement, or a batch of them: its span and its duration (OpenTelemetry semantic conventions, database client
/// calls). Refers to `info`, not to the statement.
class db_operation {
 public:
  /// \param slow_ns a statement that takes that long gets an event; 0: none does
  /// \param batch how often the statement is run; 1 is no batch
  db_operation(const connection_info& info, std::string_view sql, bool parameterised, std::uint64_t slow_ns,
               std::size_t batch = 1) noexcept
      : info_{&info}, slow_ns_{slow_ns}, batch_{batch} {
    if (otlpkit::detail::global_runtime.mode.load(platform::relaxed) == 0) return;
    plan_ = global_plans.find(sql, sql_dialect::of(info.system_name), parameterised);
    if (batch != 1) name_batch();
  }

  [[nodiscard]] span_guard start() noexcept {
    started_ = platform::steady_ns();
    const std::string_view name = summary().empty() ? std::string_view{info_->system_name} : summary();
    // Everything a sampler may want to see is there from the start.
    span_guard guard{
        name,
        {{"db.system.name", info_->system_name}, {"db.query.summary", summary()}, {"db.query.text", plan_.text()}},
        {.kind = info_->embedded ? span_kind::internal : span_kind::client}};
    if (!guard.recording()) return guard;
    if (!info_->name_space.empty()) guard.set("db.namespace", info_->name_space);
    if (batch_ != 1) guard.set("db.operation.batch.size", batch_);
    if (!info_->server_address.empty()) {
      guard.set("server.address", info_->server_address);
      if (info_->server_port != 0) guard.set("server.port", info_->server_port);
    }
    if (!info_->peer_address.empty()) {
      guard.set("network.peer.address", info_->peer_address);
      if (info_->peer_port != 0) guard.set("network.peer.port", info_->peer_port);
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
    ended(s, {}, {});
  }
  void succeeded(span& s) const noexcept { ended(s, {}, {}); }

  /// In a catch block. The exception goes on.
  [[nodiscard]] bool failed(span& s) const noexcept {
    try {
      throw;
    } catch (const std::exception& e) {
      const auto* const known = dynamic_cast<const error*>(&e);
      if (known != nullptr && !known->status_code().empty()) {
        const std::string_view code = known->status_code();
        s.record_exception(e);
        s.fail(code, e.what());
        s.set("db.response.status_code", code);
        ended(s, code, code);
      } else {
        record_current_exception(s);
        const platform::type_name type{typeid(e).name()};
        ended(s, type.text(), {});
      }
    } catch (...) {
      record_current_exception(s);
      ended(s, "unknown", {});
    }
    return false;
  }

 private:
  void name_batch() noexcept {
    try {
      batch_summary_ = "BATCH";
      if (!plan_.summary().empty() && plan_.summary().size() + 6 <= query_summary::max_size)
        batch_summary_.append(" ").append(plan_.summary());
    } catch (const std::exception&) {
    }
  }

  [[nodiscard]] std::string_view summary() const noexcept {
    return batch_summary_.empty() ? plan_.summary() : std::string_view{batch_summary_};
  }

  void ended(span& s, std::string_view error_type, std::string_view status) const noexcept {
    const std::uint64_t took = platform::steady_ns() - started_;
    const double seconds = static_cast<double>(took) / 1e9;
    if (slow_ns_ != 0 && took >= slow_ns_) {
      s.event("otlpkit.db.slow_query", {{"otlpkit.db.slow_query.duration", seconds},
                                        {"otlpkit.db.slow_query.threshold", static_cast<double>(slow_ns_) / 1e9}});
    }
    if (!otlpkit::detail::metrics_on()) return;
    const field system{"db.system.name", info_->system_name}, query{"db.query.summary", summary()};
    const field space{"db.namespace", info_->name_space};
    const field address{"server.address", info_->server_address}, port{"server.port", info_->server_port};
    const field type{"error.type", error_type}, code{"db.response.status_code", status};
    const auto with_error = [&](const auto&... known) {
      if (error_type.empty()) return record(seconds, {known...});
      if (status.empty()) return record(seconds, {known..., type});
      record(seconds, {known..., type, code});
    };
    const auto with_server = [&](const auto&... known) {
      if (info_->server_address.empty()) return with_error(known...);
      if (info_->server_port == 0) return with_error(known..., address);
      with_error(known..., address, port);
    };
    if (info_->name_space.empty()) return with_server(system, query);
    with_server(system, query, space);
  }

  OTLPKIT_NOINLINE static void record(double seconds, fields labels) noexcept {
    operation_duration.record(seconds, labels);
  }

  const connection_info* info_;
  plan_ref plan_;
  std::string batch_summary_;
  std::uint64_t slow_ns_;
  std::size_t batch_;
  std::uint64_t started_ = 0;
};

#endif

}  // namespace otlpkit::inline OTLPKIT_ABI::db::detail
