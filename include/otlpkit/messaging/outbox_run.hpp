// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/lock/options.hpp>
#include <otlpkit/messaging/outbox_statements.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/event.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What the blocking and the awaitable relay have in common.
namespace otlpkit::inline OTLPKIT_ABI::messaging::detail {

inline constinit const counter<std::int64_t> outbox_messages{
    "otlpkit.outbox.messages",
    {.unit = "{message}", .description = "Messages taken from outboxes, by what became of them"}};
inline constinit const histogram outbox_delay{"otlpkit.outbox.delay",
                                              in_seconds("From when a message was written until it was sent")};
inline constinit const gauge<std::int64_t> outbox_pending{
    "otlpkit.outbox.backlog", {.unit = "{message}", .description = "Messages that wait, by state"}};
inline constinit const gauge<double> outbox_age{
    "otlpkit.outbox.age", {.unit = "s", .description = "Age of the oldest message that is pending"}};

[[nodiscard]] inline std::string failure_text(const resilience::outcome& o) {
  std::string text = o.exception() != nullptr ? "unknown" : "the producer returned a failure";
  o.with_exception<std::exception>([&text](const std::exception& e) { text = e.what(); });
  if (text.size() > 4096) text.resize(4096);
  return text;
}

/// Settings and texts of a relay.
struct outbox_core {
  explicit outbox_core(outbox_relay_options o)
      : options{(check(o), static_cast<void>(checked_table(o.table)), std::move(o))}, span_name{"outbox.relay " +
                                                                                                options.name},
        now{options.now != nullptr ? options.now : system_unix_ms}, time{options.time != nullptr
                                                                             ? *options.time
                                                                             : resilience::system_time()} {}

  /// Which texts depends on the database, which is known with the first connection.
  const outbox_statements& statements_for(const db::connection_info& info) {
    if (!statements) statements.emplace(options, dialect_of(info.system_name));
    return *statements;
  }

  void tell(const outbox_backlog& b) const noexcept {
    outbox_pending.set(b.pending, {{"otlpkit.outbox.name", options.name}, {"otlpkit.outbox.state", "pending"}});
    outbox_pending.set(b.parked, {{"otlpkit.outbox.name", options.name}, {"otlpkit.outbox.state", "parked"}});
    outbox_age.set(std::chrono::duration<double>(b.age).count(), {{"otlpkit.outbox.name", options.name}});
  }

  /// Of run(), whose errors nobody gets.
  void report(const std::exception_ptr& e) const noexcept {
    try {
      otlpkit::report(diagnostic_level::warning, span_name + ": " + failure_text(resilience::outcome{e}));
    } catch (...) {
      otlpkit::report(diagnostic_level::warning, "an outbox relay failed");
    }
  }

  [[nodiscard]] outbox_backlog backlog(const db::result& pending, const db::result& parked) const {
    outbox_backlog b;
    const db::row waiting{pending, 0};
    b.pending = waiting.get<std::int64_t>(0);
    b.parked = db::row{parked, 0}.get<std::int64_t>(0);
    if (b.pending > 0)
      b.age = std::chrono::milliseconds{std::max<std::int64_t>(0, now() - waiting.get<std::int64_t>(1))};
    return b;
  }

  const outbox_relay_options options;
  const std::string span_name;
  const unix_clock now;
  resilience::time_source& time;
  std::optional<outbox_statements> statements{};
};

/// One batch, and what is said of it. Publishes and writes nothing itself.
class outbox_run {
 public:
  explicit outbox_run(outbox_core& core)
      : core_{core}, token_{lock::detail::new_owner()}, span_{core.span_name,
                                                              {{"otlpkit.outbox.name", core.options.name}}} {}

  [[nodiscard]] const std::string& token() const noexcept { return token_; }
  [[nodiscard]] const outbox_statements& statements() const noexcept { return *core_.statements; }

  [[nodiscard]] std::vector<db::parameter> head_values() {
    now_ = core_.now();
    return {now_, static_cast<std::int64_t>(core_.options.batch)};
  }
  [[nodiscard]] std::vector<db::parameter> take_values(const db::result& heads) {
    end_ = now_ + milliseconds_of(core_.options.lease);
    return statements().take_values(token_, end_, now_, heads);
  }
  void took(const db::result& rows) { batch_.emplace(core_.options, outbox_statements::rows(rows), end_); }

  /// The next message, with the headers it was written with; nothing when that is all for now.
  [[nodiscard]] std::optional<std::pair<outbox_row*, message>> next() {
    while (outbox_row* const row = batch_->next(core_.now())) {
      message m;
      if (decode_headers(row->headers, m.headers)) {
        m.body = std::move(row->body);
#ifndef OTLPKIT_DISABLE
        if (const span_context from = extract(m.headers).span; from.valid()) span_.link(from);
#endif
        return std::pair{row, std::move(m)};
      }
      say_parked(*row, "the headers cannot be read", row->attempts + 1);
      batch_->unreadable("the headers cannot be read");
    }
    return std::nullopt;
  }

  /// What became of `row`, the one next() gave.
  void ended(const outbox_row& row, const resilience::outcome& o) {
    const std::int64_t now = core_.now();
    if (!o.failed()) {
      outbox_delay.record(static_cast<double>(now - row.created_at) / 1000,
                          {{"otlpkit.outbox.name", core_.options.name}});
      return batch_->sent();
    }
    const std::string text = failure_text(o);
    if (batch_->failed(o, text, now))
      say_parked(row, text, row.attempts + 1);
    else
      span_.event("exception", {{"exception.type", resilience::detail::error_name{o}.text()},
                                {"exception.message", text},
                                {"otlpkit.outbox.message_id", row.id}});
  }

  [[nodiscard]] const outbox_batch& batch() const noexcept { return *batch_; }
  [[nodiscard]] std::vector<db::parameter> sent_values() const {
    return statements().sent_values(token_, core_.options.keep_sent, core_.now(), batch_->sent_ids());
  }
  [[nodiscard]] std::vector<db::parameter> failed_values(const outbox_batch::failure& f) const {
    return {token_, f.attempts, f.parked ? 2 : 0, f.available_at, bytes_of(f.error), f.id};
  }
  [[nodiscard]] std::vector<db::parameter> release_values() const { return {token_, core_.now()}; }

  relayed finish(std::size_t marked) {
    const relayed r = batch_->finish(marked);
    const auto say = [&](std::string_view outcome, std::size_t n) {
      if (n == 0) return;
      outbox_messages.add(static_cast<std::int64_t>(n),
                          {{"otlpkit.outbox.name", core_.options.name}, {"otlpkit.outbox.outcome", outcome}});
    };
    say("sent", r.sent);
    say("failed", r.failed);
    say("parked", r.parked);
    say("released", r.released);
    say("lost", r.lost);
    span_.set("otlpkit.outbox.taken", r.taken);
    span_.set("otlpkit.outbox.sent", r.sent);
    if (r.failed != 0) span_.set("otlpkit.outbox.failed", r.failed);
    if (r.parked != 0) span_.set("otlpkit.outbox.parked", r.parked);
    if (r.released != 0) span_.set("otlpkit.outbox.released", r.released);
    if (r.lost != 0) span_.set("otlpkit.outbox.lost", r.lost);
    return r;
  }
  /// The database failed: what was sent and not marked will be sent again.
  void failed(const std::exception_ptr& e) noexcept { resilience::detail::record_failure(span_, e); }

 private:
  void say_parked(const outbox_row& row, std::string_view error, std::int64_t attempts) noexcept {
    span_.event("otlpkit.outbox.parked", {{"otlpkit.outbox.message_id", row.id},
                                          {"messaging.destination.name", row.destination},
                                          {"otlpkit.outbox.attempts", attempts},
                                          {"exception.message", error}});
  }

  outbox_core& core_;
  const std::string token_;
  std::int64_t now_ = 0, end_ = 0;
  std::optional<outbox_batch> batch_{};
  span_guard span_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging::detail
