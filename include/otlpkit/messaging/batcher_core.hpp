// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/immortal.hpp>
#include <otlpkit/messaging/batch_queue.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/propagation/deadline.hpp>
#include <otlpkit/resilience/describe.hpp>
#include <otlpkit/resilience/event.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// How a batcher works. See batch_limits for what its limits mean.
struct batcher_options {
  std::string name = "batcher";  ///< in span names and metrics; of low cardinality
  std::size_t max_items = batch_limits{}.max_items;
  std::size_t max_bytes = batch_limits{}.max_bytes;
  std::chrono::nanoseconds max_delay = batch_limits{}.max_delay;
  std::size_t high_watermark = batch_limits{}.high_watermark;
  std::size_t low_watermark = batch_limits{}.low_watermark;
  overflow when_full = batch_limits{}.when_full;
  /// overflow::block: how long add() waits at most, within its task's deadline.
  std::chrono::nanoseconds max_wait = std::chrono::nanoseconds::max();
  std::chrono::nanoseconds close_timeout = std::chrono::seconds{5};  ///< what the destructor gives the rest
  std::size_t max_links = 128;                                       ///< spans of items that a batch's span links to
  resilience::time_source* time = nullptr;                           ///< nullptr: the steady clock
};

/// What became of a batcher's items so far. Those added are in exactly one of the others, or being sent.
struct batcher_counts {
  std::uint64_t added = 0;
  std::uint64_t queued = 0;
  std::uint64_t sent = 0;
  std::uint64_t failed = 0;            ///< the sink threw
  std::uint64_t dropped_oldest = 0;    ///< overflow::drop_oldest
  std::uint64_t dropped_at_close = 0;  ///< there was no time left to send them
  std::uint64_t dropped_newest = 0;    ///< never added: overflow::drop_newest, max_wait, or closed
  std::uint64_t waiting = 0;           ///< calls of add() that wait for room
};

namespace detail {

inline constinit const counter<std::int64_t> batcher_items{
    "otlpkit.batcher.items", {.unit = "{item}", .description = "Items that left batchers, by what became of them"}};
inline constinit const histogram batch_items{
    "otlpkit.batcher.batch.items",
    {.unit = "{item}", .description = "Items of batches", .bounds = {1, 5, 10, 50, 100, 500, 1000, 5000, 10'000}}};
inline constinit const histogram batch_duration{"otlpkit.batcher.flush.duration",
                                                in_seconds("Duration of sending batches")};
inline constinit const histogram batcher_wait{"otlpkit.batcher.wait.duration",
                                              in_seconds("How long adding waited for room")};

struct batcher_gauges {
  observable_gauge<std::int64_t> queued{"otlpkit.batcher.queued", {.unit = "{item}", .description = "Items that wait"}};
  observable_gauge<std::int64_t> limit{"otlpkit.batcher.limit",
                                       {.unit = "{item}", .description = "Items that may wait: the high watermark"}};
  observable_gauge<std::int64_t> pressure{
      "otlpkit.batcher.pressure", {.unit = "1", .description = "1 from the high watermark down to the low one"}};
};

/// Text has its length in bytes, all else its own size.
template <class Item>
[[nodiscard]] std::size_t own_size(const Item& item) noexcept {
  if constexpr (requires { std::string_view{item}; }) {
    return std::string_view{item}.size();
  } else {
    return sizeof item;
  }
}

/// Sending a batch: its span, and its measurements. The exception ends here, as `failed`.
class flush_operation {
 public:
  flush_operation(std::string_view span_name, const batcher_options& options, std::size_t items, std::size_t bytes,
                  batch_reason reason, const std::vector<span_context>& from, bool& failed) noexcept
      : span_name_{span_name}, options_{options}, items_{items}, bytes_{bytes}, reason_{reason}, from_{from},
        failed_{failed}, started_{resilience::clock::now()} {}

  /// A trace of its own, as nothing is current where batches are sent: a batch has no one parent.
  [[nodiscard]] span_guard start() const noexcept {
    span_guard guard{span_name_,
                     {{"otlpkit.batcher.name", options_.name},
                      {"otlpkit.batcher.batch.items", items_},
                      {"otlpkit.batcher.reason", to_string(reason_)}}};
    if (options_.max_bytes != 0) guard.set("otlpkit.batcher.batch.bytes", bytes_);
    for (const span_context& c : from_) guard.link(c);
    return guard;
  }
  void succeeded(span&) const noexcept { ended({}); }
  template <class Result>
  void succeeded(span&, const Result&) const noexcept {
    ended({});
  }
  [[nodiscard]] bool failed(span& s) const noexcept {
    failed_ = true;
    const std::exception_ptr e = std::current_exception();
    resilience::detail::record_failure(s, e);
    ended(resilience::detail::error_name{resilience::outcome{e}}.text());
    return true;
  }

 private:
  void ended(std::string_view error_type) const noexcept {
    const double seconds = std::chrono::duration<double>{resilience::clock::now() - started_}.count();
    if (error_type.empty()) {
      batch_duration.record(seconds, {{"otlpkit.batcher.name", options_.name}});
    } else {
      batch_duration.record(seconds, {{"otlpkit.batcher.name", options_.name}, {"error.type", error_type}});
    }
    batch_items.record(static_cast<double>(items_),
                       {{"otlpkit.batcher.name", options_.name}, {"otlpkit.batcher.reason", to_string(reason_)}});
  }

  std::string_view span_name_;
  const batcher_options& options_;
  std::size_t items_, bytes_;
  batch_reason reason_;
  const std::vector<span_context>& from_;
  bool& failed_;
  resilience::time_point started_;
};

/// What both forms of a batcher share: the queue and its books under one lock, and what is told of them. How somebody
/// waits is what they add.
template <class Item>
class batcher_core {
 public:
  using queue_type = batch_queue<Item>;
  using batch_type = typename queue_type::batch;
  using answer = typename queue_type::answer;
  using time_point = resilience::time_point;
  using measure_type = std::function<std::size_t(const Item&)>;

  /// What whoever sends does next.
  struct step {
    batch_type send{};                  ///< send this, if it has items; then finished()
    bool stop = false;                  ///< else this is the end,
    std::optional<time_point> until{};  ///< or sleep until then, or until woken
  };

  batcher_core(batcher_options o, measure_type size_of)
      : options{checked(std::move(o))}, span_name_{"batch.flush " + options.name}, size_of_{std::move(size_of)},
        queue_{{options.max_items, options.max_bytes, options.max_delay, options.high_watermark, options.low_watermark,
                options.when_full}} {}
  batcher_core(const batcher_core&) = delete;
  batcher_core& operator=(const batcher_core&) = delete;
  virtual ~batcher_core() = default;

  [[nodiscard]] resilience::time_source& time() const noexcept {
    return options.time != nullptr ? *options.time : resilience::system_time();
  }
  [[nodiscard]] std::size_t size_of(const Item& item) const {
    if (options.max_bytes == 0) return 0;
    return size_of_ ? size_of_(item) : own_size(item);
  }

  // With the lock:

  answer offer(Item& item, std::size_t bytes, const span_context& from) {
    const bool pressure = queue_.pressure();
    const auto now = time().now();
    const answer a = queue_.offer(item, bytes, now, from);
    if (a == answer::taken || a == answer::taken_for_oldest) {
      if (a == answer::taken_for_oldest) ++books_.dropped_oldest;
      if (queue_.size() == 1 || queue_.due(now)) wake_sender();
      pressed_ = !pressure && queue_.pressure();
    }
    return a;
  }
  /// Whether the last offer() brought the pressure on.
  [[nodiscard]] bool pressed() const noexcept { return pressed_; }

  [[nodiscard]] step next() {
    const auto now = time().now();
    if (queue_.closed() && now >= give_up_) {
      books_.dropped_at_close += lost_ = queue_.drop_all();
      wake_waiters();
    }
    step s{.send = queue_.take(now, options.max_links)};
    if (!s.send.items.empty()) {
      sending_ = s.send.items.size();
      wake_waiters();  // there is room
    } else {
      s.stop = queue_.closed();
      s.until = queue_.due_at();
    }
    return s;
  }
  void finished(const batch_type& b, bool failed) noexcept {
    (failed ? books_.failed : books_.sent) += std::exchange(sending_, 0);
    done_ = b.last;
    wake_waiters();
  }
  /// Nobody sends any more. \return items that are lost by that
  std::size_t stopped() noexcept {
    queue_.close();
    const std::size_t lost = queue_.drop_all() + std::exchange(sending_, 0);
    books_.dropped_at_close += lost;
    stopped_ = true;
    wake_waiters();
    return lost;
  }
  void close(std::chrono::nanoseconds timeout) noexcept {
    const auto now = time().now();
    if (timeout < give_up_ - now) give_up_ = now + timeout;
    queue_.close();
    wake_sender();
    wake_waiters();
  }

  std::uint64_t flush() noexcept {
    wake_sender();
    return queue_.flush();
  }
  /// Whether nothing up to that number waits or is being sent.
  [[nodiscard]] bool settled(std::uint64_t number) const noexcept {
    return stopped_ || (sending_ != 0 ? done_ : queue_.added() - queue_.size()) >= number;
  }
  [[nodiscard]] bool is_stopped() const noexcept { return stopped_; }
  [[nodiscard]] bool all_sent() const noexcept { return stopped_ && books_.dropped_at_close == 0; }
  [[nodiscard]] bool pressure() const noexcept { return queue_.pressure(); }
  [[nodiscard]] std::size_t take_lost() noexcept { return std::exchange(lost_, 0); }
  [[nodiscard]] batcher_counts counts() const noexcept {
    batcher_counts out = books_;
    out.added = queue_.added();
    out.queued = queue_.size();
    return out;
  }
  void wait_begins() noexcept { ++books_.waiting; }
  void wait_ends() noexcept { --books_.waiting; }

  // Without:

  [[nodiscard]] flush_operation operation(const batch_type& b, bool& failed) const noexcept {
    return {span_name_, options, b.items.size(), b.bytes, b.reason, b.from, failed};
  }

  /// Counts and tells an item that is not taken.
  void refuse() noexcept {
    {
      const std::lock_guard lock{mutex};
      ++books_.dropped_newest;
    }
    tell_dropped("dropped_newest");
  }
  /// Tells what became of items that were taken and will not be sent.
  void tell_dropped(std::string_view outcome, std::size_t count = 1) const noexcept {
    if (count == 0) return;
    count_items(outcome, count);
    current_span().event("otlpkit.batcher.dropped", {{"otlpkit.batcher.name", options.name},
                                                     {"otlpkit.batcher.outcome", outcome},
                                                     {"otlpkit.batcher.items", count}});
  }
  void tell_pressure() const noexcept {
    current_span().event("otlpkit.batcher.pressure",
                         {{"otlpkit.batcher.name", options.name}, {"otlpkit.batcher.limit", options.high_watermark}});
  }
  void tell_wait(time_point since) const noexcept {
    const auto d = time().now() - since;
    batcher_wait.record(std::chrono::duration<double>{d}.count(), {{"otlpkit.batcher.name", options.name}});
    current_span().event("otlpkit.batcher.waited",
                         {{"otlpkit.batcher.name", options.name},
                          {"otlpkit.batcher.wait_ms", std::chrono::duration<double, std::milli>{d}.count()}});
  }
  void count_items(std::string_view outcome, std::size_t count) const noexcept {
    batcher_items.add(static_cast<std::int64_t>(count),
                      {{"otlpkit.batcher.name", options.name}, {"otlpkit.batcher.outcome", outcome}});
  }

  /// The span whose items they are, if somebody looks at it.
  [[nodiscard]] span_context here() const noexcept {
    if (options.max_links == 0) return {};
    span_context c = current_context();
    return c.sampled() ? c : span_context{};
  }

  const batcher_options options;
  mutable std::mutex mutex;

 protected:
  /// Called with the lock: whoever sends has something to do; those that wait for room, a flush or the end may go on.
  virtual void wake_sender() noexcept = 0;
  virtual void wake_waiters() noexcept = 0;

 private:
  [[nodiscard]] static batcher_options checked(batcher_options o) {
    using resilience::detail::check_setting;
    const auto number = [](std::size_t n) { return static_cast<double>(n); };
    check_setting(o.max_items >= 1, "batcher_options.max_items", number(o.max_items), "1 or more");
    check_setting(o.max_delay.count() > 0, "batcher_options.max_delay", o.max_delay, "more than 0");
    check_setting(o.high_watermark >= o.max_items, "batcher_options.high_watermark", number(o.high_watermark),
                  "max_items or more");
    check_setting(o.low_watermark < o.high_watermark, "batcher_options.low_watermark", number(o.low_watermark),
                  "less than high_watermark");
    return o;
  }

  void observe([[maybe_unused]] observer& out) const {
#ifndef OTLPKIT_DISABLE
    std::size_t queued = 0;
    bool pressure = false;
    {
      const std::lock_guard lock{mutex};
      queued = queue_.size();
      pressure = queue_.pressure();
    }
    const auto& all = otlpkit::detail::immortal<batcher_gauges>();
    const field name{"otlpkit.batcher.name", options.name};
    out.observe(all.queued, static_cast<std::int64_t>(queued), {name});
    out.observe(all.limit, static_cast<std::int64_t>(options.high_watermark), {name});
    out.observe(all.pressure, std::int64_t{pressure}, {name});
#endif
  }

  const std::string span_name_;
  const measure_type size_of_;
  queue_type queue_;
  batcher_counts books_;
  std::size_t sending_ = 0;  ///< items
  std::size_t lost_ = 0;     ///< by close(), to be told
  std::uint64_t done_ = 0;
  time_point give_up_ = time_point::max();
  bool pressed_ = false;
  bool stopped_ = false;
  metric_callback gauges_{[this](observer& out) { observe(out); }};  // last: goes first
};

}  // namespace detail

/// What can be asked of every batcher.
template <class Item>
class batcher_view {
 public:
  batcher_view(const batcher_view&) = delete;
  batcher_view& operator=(const batcher_view&) = delete;

  /// From the high watermark down to the low one: who can should add less.
  [[nodiscard]] bool under_pressure() const {
    const std::lock_guard lock{core_->mutex};
    return core_->pressure();
  }
  [[nodiscard]] batcher_counts counts() const {
    const std::lock_guard lock{core_->mutex};
    return core_->counts();
  }
  [[nodiscard]] std::string_view name() const noexcept { return core_->options.name; }

 protected:
  explicit batcher_view(std::shared_ptr<const detail::batcher_core<Item>> core) noexcept : core_{std::move(core)} {}
  ~batcher_view() = default;

 private:
  std::shared_ptr<const detail::batcher_core<Item>> core_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
