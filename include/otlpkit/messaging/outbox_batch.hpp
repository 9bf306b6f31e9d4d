// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/outbox.hpp>
#include <otlpkit/resilience/outcome.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

struct outbox_relay_options {
  std::string name = "outbox";
  std::string table = "otlpkit_outbox";
  std::size_t batch = 100;  ///< messages taken at once, at most
  /// For so long nobody else sends what was taken: longer than a batch takes. A relay that died gives its messages up
  /// when it is over.
  std::chrono::nanoseconds lease = std::chrono::seconds{30};
  int max_attempts = 10;  ///< then a message is parked, and those behind it go on
  std::chrono::nanoseconds retry_delay = std::chrono::seconds{1};  ///< after the first failure; doubled each time
  std::chrono::nanoseconds max_retry_delay = std::chrono::minutes{5};
  std::chrono::nanoseconds poll_interval = std::chrono::milliseconds{500};  ///< run(): where there was nothing
  std::chrono::nanoseconds measure_interval = std::chrono::seconds{10};     ///< run(): between looks at the backlog
  bool keep_sent = true;       ///< sent messages stay in the table, for erase_sent(); else they go
  bool continue_trace = true;  ///< sending is part of the writer's trace; else it is the relay's, and links to that
  /// Which failures count as an attempt of the message's. Others are the broker's: they end the batch, and are tried
  /// again without end. Empty: all but rejections (rejected_error).
  resilience::outcome_predicate is_poison{};
  resilience::time_source* time = nullptr;  ///< how run() waits; nullptr: system_time()
  detail::unix_clock now = nullptr;         ///< nullptr: the system's clock
};

/// What one look at the outbox came to.
struct relayed {
  std::size_t taken = 0;
  std::size_t sent = 0;
  std::size_t failed = 0;        ///< to be tried again, later
  std::size_t parked = 0;        ///< not to be tried again
  std::size_t released = 0;      ///< not tried: behind one that failed, or not in time
  std::size_t lost = 0;          ///< sent, but another relay had taken them over meanwhile: they may be sent twice
  std::exception_ptr failure{};  ///< the first one
};

/// How much waits.
struct outbox_backlog {
  std::int64_t pending = 0;
  std::int64_t parked = 0;
  std::chrono::milliseconds age{0};  ///< of the oldest that is pending
};

namespace detail {

inline void check(const outbox_relay_options& o) {
  const auto text = [](std::chrono::nanoseconds d) { return std::to_string(d.count()) + " ns"; };
  using namespace std::chrono_literals;
  if (o.batch == 0 || o.batch > 10'000)
    throw config_error{"outbox_relay_options.batch", std::to_string(o.batch), "1 to 10000"};
  if (o.lease < 1ms) throw config_error{"outbox_relay_options.lease", text(o.lease), "a millisecond or more"};
  if (o.max_attempts < 1)
    throw config_error{"outbox_relay_options.max_attempts", std::to_string(o.max_attempts), "1 or more"};
  if (o.retry_delay < 0ns) throw config_error{"outbox_relay_options.retry_delay", text(o.retry_delay), "zero or more"};
  if (o.poll_interval < 1ms)
    throw config_error{"outbox_relay_options.poll_interval", text(o.poll_interval), "a millisecond or more"};
}

/// A message as it was taken from the table.
struct outbox_row {
  std::int64_t id = 0;
  std::string destination, key, body, headers;
  std::int64_t created_at = 0;
  std::int64_t attempts = 0;
};

/// Messages that were taken, and what became of each. Publishes and writes nothing itself.
class outbox_batch {
 public:
  struct failure {
    std::int64_t id, attempts;
    bool parked;
    std::int64_t available_at;
    std::string error;
  };

  /// \param end Unix milliseconds until which they are this relay's
  outbox_batch(const outbox_relay_options& o, std::vector<outbox_row> rows, std::int64_t end)
      : options_{o}, rows_{std::move(rows)}, end_{end} {
    std::sort(rows_.begin(), rows_.end(), [](const outbox_row& a, const outbox_row& b) { return a.id < b.id; });
    counts.taken = rows_.size();
  }

  /// The next message to publish; nullptr when that is all for now.
  [[nodiscard]] outbox_row* next(std::int64_t now) {
    for (; at_ < rows_.size(); ++at_) {
      if (stopped_ || now >= end_) break;
      const outbox_row& r = rows_[at_];
      if (r.key.empty() || !blocked_.contains({r.destination, r.key})) return &rows_[at_];
    }
    return nullptr;
  }

  void sent() { sent_.push_back(rows_[at_++].id); }

  /// \return whether it was parked
  bool failed(const resilience::outcome& o, std::string error, std::int64_t now) {
    const outbox_row& r = rows_[at_++];
    if (counts.failure == nullptr) counts.failure = o.exception();
    const bool poison = !o.cancelled() && (options_.is_poison ? options_.is_poison(o) : !o.threw<rejected_error>());
    const std::int64_t attempts = r.attempts + (poison ? 1 : 0);
    const bool parked = poison && attempts >= options_.max_attempts;
    failures_.push_back({r.id, attempts, parked, now + delay(attempts, o), std::move(error)});
    if (!parked && !r.key.empty()) blocked_.emplace(r.destination, r.key);
    stopped_ = stopped_ || !poison;
    ++(parked ? counts.parked : counts.failed);
    return parked;
  }

  /// A row that is no message: parked at once.
  void unreadable(std::string error) {
    const outbox_row& r = rows_[at_++];
    failures_.push_back({r.id, r.attempts + 1, true, 0, std::move(error)});
    ++counts.parked;
  }

  [[nodiscard]] const std::vector<std::int64_t>& sent_ids() const noexcept { return sent_; }
  [[nodiscard]] const std::vector<failure>& failures() const noexcept { return failures_; }
  /// The rest, to be given back.
  [[nodiscard]] std::size_t unused() const noexcept { return rows_.size() - sent_.size() - failures_.size(); }

  /// \param marked how many of the sent ones were still this relay's
  [[nodiscard]] relayed finish(std::size_t marked) {
    counts.sent = sent_.size();
    counts.released = unused();
    counts.lost = sent_.size() - std::min(marked, sent_.size());
    return counts;
  }

  relayed counts;

 private:
  [[nodiscard]] std::int64_t delay(std::int64_t attempts, const resilience::outcome& o) const {
    const auto doublings = static_cast<int>(std::clamp<std::int64_t>(attempts - 1, 0, 62));
    const double grown = std::ldexp(static_cast<double>(options_.retry_delay.count()), doublings);
    auto wait = options_.max_retry_delay;
    if (grown < static_cast<double>(wait.count())) wait = std::chrono::nanoseconds{static_cast<std::int64_t>(grown)};
    if (const auto after = o.retry_after(); after && *after > wait) wait = *after;
    return std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
  }

  const outbox_relay_options& options_;
  std::vector<outbox_row> rows_;
  std::int64_t end_;
  std::size_t at_ = 0;
  bool stopped_ = false;
  std::set<std::pair<std::string, std::string>> blocked_;
  std::vector<std::int64_t> sent_;
  std::vector<failure> failures_;
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
