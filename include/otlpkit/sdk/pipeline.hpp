// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/platform_host.hpp>
#include <otlpkit/core/runtime.hpp>
#include <otlpkit/sdk/batch_builder.hpp>
#include <otlpkit/sdk/books.hpp>
#include <otlpkit/sdk/exporter_channel.hpp>
#include <otlpkit/sdk/pipeline_options.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Takes finished records out of the threads' logs, makes batches and gives them to the exporters, on one background
/// thread.
///
/// A signal is sent when its delay has passed, when a full batch waits, and when someone flushes. While no exporter is
/// ready the records stay in the threads' logs, which are bounded. flush() and shutdown() may be called from any thread
/// and keep their deadline whatever the exporters do.
class pipeline : public std::enable_shared_from_this<pipeline> {
 public:
  using clock = exporter::clock;
  /// Of the background thread, as the system shows it.
  static constexpr const char* thread_name = "otlpkit";

  /// Lets a caller wait for the background thread, up to a deadline.
  struct latch {
    std::mutex mutex;
    std::condition_variable condition;
    bool open = false;

    void release() {
      const std::lock_guard lock{mutex};
      open = true;
      condition.notify_all();
    }
    bool wait_until(clock::time_point deadline) {
      std::unique_lock lock{mutex};
      return condition.wait_until(lock, deadline, [this] { return open; });
    }
  };

  explicit pipeline(pipeline_options options) : options_{std::move(options)} {
    exporters_ = options_.make_exporters(io_);
    for (std::size_t s = 0; s < signal_count; ++s) {
      const auto kind = static_cast<signal>(s);
      const signal_schedule& schedule = options_.signals[s];
      lane& l = lanes_[s];
      l.builder.emplace(kind, schedule.max_batch);
      l.timer.emplace(io_);
      l.queue = kind == signal::traces ? &otlpkit::detail::global_runtime.spans
                : kind == signal::logs ? &otlpkit::detail::global_runtime.logs
                                       : nullptr;
      if (!schedule.on) continue;
      for (const auto& e : exporters_) {
        if (e->accepts(kind))
          l.channels.push_back(
              std::make_unique<exporter_channel>(e, kind, schedule.max_queue, schedule.export_timeout));
      }
      l.on = !l.channels.empty();
      if (l.queue != nullptr) l.earlier_drops = l.queue->dropped();
    }
  }

  pipeline(const pipeline&) = delete;
  pipeline& operator=(const pipeline&) = delete;

  [[nodiscard]] bool sends(signal s) const noexcept { return lanes_[index(s)].on; }

  /// Starts the background thread, which keeps the pipeline alive until it ends.
  void start() {
    for (std::size_t s = 0; s < signal_count; ++s) {
      if (lanes_[s].on) arm(s);
    }
    for (const auto& e : exporters_) {
      if (e->tick_interval() > std::chrono::milliseconds{0} &&
          (tick_interval_.count() == 0 || e->tick_interval() < tick_interval_)) {
        tick_interval_ = e->tick_interval();
      }
    }
    arm_maintenance();
    // The thread's own reference goes before it says so: if that was the last one, it is the thread that destroys the
    // io_context, which waits for a host name being looked up.
    platform_host::background_thread(thread_name, [self = shared_from_this(), ended = ended_]() mutable {
      self->run();
      self.reset();
      ended->release();
    }).detach();
  }

  /// From any thread: there may be a full batch.
  void wake() noexcept {
    try {
      boost::asio::post(io_, [this] { pump_all(); });
    } catch (...) {  // out of memory: the timer comes anyway
    }
  }

  /// Exports what ended before the call. False when the deadline passed first.
  bool flush(clock::time_point deadline) {
    const auto done = std::make_shared<latch>();
    boost::asio::post(io_, [this, done] { begin_flush(done); });
    return done->wait_until(deadline);
  }

  /// Exports what it can until the deadline, counts the rest as dropped, and tells the thread to end. Recording must
  /// have been switched off. False when something was lost to the deadline.
  bool shutdown(clock::time_point deadline) {
    const auto done = std::make_shared<latch>();
    boost::asio::post(io_, [this, done, deadline] { begin_shutdown(done, deadline); });
    if (done->wait_until(deadline + std::chrono::milliseconds{50})) return !cut_off_;
    left_behind_.store(true);  // an exporter blocks the thread, which keeps the pipeline until it lets go
    io_.stop();
    settle_books(drop_reason::shutdown);
    return false;
  }

  /// Opens when the thread has ended and the pipeline with it. Keep it, give up the pipeline, then wait.
  [[nodiscard]] std::shared_ptr<latch> ended() const noexcept { return ended_; }

  /// What became of everything so far. From any thread.
  [[nodiscard]] sdk::books read_books() {
    const std::lock_guard lock{books_mutex_};
    sdk::books b = books_;
    for (std::size_t s = 0; s < signal_count; ++s) {
      if (!closed_) add_queue_drops(s, b.signals[s]);
    }
    return b;
  }

 private:
  /// One signal's part.
  struct lane {
    bool on = false;
    otlpkit::detail::record_queue* queue = nullptr;
    otlpkit::detail::record_drops earlier_drops;  ///< of telemetry objects before this one
    std::optional<batch_builder> builder;
    std::vector<std::unique_ptr<exporter_channel>> channels;
    std::optional<boost::asio::steady_timer> timer;
    bool everything = false;  ///< send also what does not fill a batch
    bool pumping = false;
    std::size_t under_way = 0;  ///< batches
    std::uint64_t items_under_way = 0;
  };

  static std::size_t index(signal s) noexcept { return static_cast<std::size_t>(s); }

  void run() noexcept {
    for (;;) {
      try {
        io_.run();
        return;
      } catch (const std::exception& e) {
        report(diagnostic_level::error, std::string{"the pipeline goes on after an exception: "} + e.what());
      } catch (...) {
        report(diagnostic_level::error, "the pipeline goes on after an exception of unknown type");
      }
    }
  }

  /// What one exporter throws keeps nothing from the others.
  template <class Call>
  void each_exporter(Call call) noexcept {
    for (const auto& e : exporters_) {
      try {
        call(*e);
      } catch (const std::exception& x) {
        report(diagnostic_level::error, std::string{e->name()} + " threw: " + x.what());
      } catch (...) {
        report(diagnostic_level::error, std::string{e->name()} + " threw");
      }
    }
  }

  void arm(std::size_t s) {
    lane& l = lanes_[s];
    l.timer->expires_after(options_.signals[s].delay);
    l.timer->async_wait([this, s](const boost::system::error_code& error) {
      if (error) return;
      collect_all(s);
      arm(s);
    });
  }

  void arm_maintenance() {
    const auto every =
        tick_interval_.count() > 0 ? std::min(tick_interval_, maintenance_interval) : maintenance_interval;
    maintenance_.expires_after(every);
    maintenance_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      const auto now = clock::now();
      if (now >= recalibrate_at_) {
        otlpkit::detail::global_runtime.clock.recalibrate();
        recalibrate_at_ = now + maintenance_interval;
      }
      each_exporter([now](exporter& e) { e.tick(now); });
      for (lane& l : lanes_) {
        for (const auto& c : l.channels) c->expire(now);
      }
      arm_maintenance();
    });
  }

  /// Sends all there is of a signal.
  void collect_all(std::size_t s) {
    lane& l = lanes_[s];
    if (!l.on) return;
    if (l.queue == nullptr) return collect_metrics();
    l.everything = true;
    pump(s);
  }

  void collect_metrics() {
    if (!options_.collect_metrics) return;
    auto scopes = options_.collect_metrics(otlpkit::detail::global_runtime.clock.wall_now());
    std::erase_if(scopes, [](const scope_items& items) { return items.count == 0; });
    if (scopes.empty()) return;
    const auto b = std::make_shared<const batch>(signal::metrics, options_.resource, std::move(scopes));
    count_recorded(index(signal::metrics), b->items());
    dispatch(index(signal::metrics), b);
  }

  void pump_all() {
    for (std::size_t s = 0; s < signal_count; ++s) pump(s);
  }

  /// Moves records from the threads' logs to the exporters, as long as one of them is idle.
  void pump(std::size_t s) {
    lane& l = lanes_[s];
    if (!l.on || l.queue == nullptr || l.pumping) return;
    l.pumping = true;  // an exporter may complete at once, which pumps again
    for (int turns = 0; wanted(s); ++turns) {
      if (turns == most_turns) {  // threads may record as fast as this sends: timers and flushes get their turn too
        boost::asio::post(io_, [this, s] { pump(s); });
        break;
      }
      bool full = false;
      l.queue->drain([&](std::uint16_t scope, std::string_view record) {
        full = !l.builder->add(scope, record);
        return !full;
      });
      if (!full) l.everything = false;  // all that had ended by now is taken
      const std::size_t items = l.builder->items();
      if (items == 0) break;
      count_recorded(s, items);
      dispatch(s, l.builder->take(options_.resource));
    }
    l.pumping = false;
    finish_flushes();
  }

  [[nodiscard]] bool wanted(std::size_t s) const noexcept {
    const lane& l = lanes_[s];
    if (left_behind_.load()) return false;  // what is recorded now belongs to a later pipeline
    if (!l.everything && l.queue->waiting() < static_cast<std::int64_t>(options_.signals[s].max_batch)) return false;
    return std::ranges::any_of(l.channels, [](const auto& c) { return c->idle(); });
  }

  void dispatch(std::size_t s, const std::shared_ptr<const batch>& b) {
    lane& l = lanes_[s];
    struct outcome {
      std::size_t open;
      export_result worst;
    };
    const auto o = std::make_shared<outcome>(outcome{l.channels.size(), {}});
    ++l.under_way;
    l.items_under_way += b->items();
    for (const auto& c : l.channels) {
      c->offer(b, [this, s, o, items = b->items()](export_result result) {
        if (result.dropped > o->worst.dropped) o->worst = result;
        if (--o->open == 0) complete(s, items, o->worst);
        // Not from within the exporter's own completion: it may not be ready before that returns.
        boost::asio::post(io_, [this, s] { advance(s); });
      });
    }
  }

  void advance(std::size_t s) {
    for (const auto& c : lanes_[s].channels) c->advance();
    pump(s);
    finish_flushes();
  }

  void complete(std::size_t s, std::size_t items, export_result result) {
    lane& l = lanes_[s];
    --l.under_way;
    l.items_under_way -= items;
    const std::lock_guard lock{books_mutex_};
    if (closed_) return;
    books_.signals[s].delivered += items - result.dropped;
    books_.signals[s].dropped_by[static_cast<std::size_t>(result.reason)] += result.dropped;
  }

  [[nodiscard]] bool at_rest() const noexcept {
    return std::ranges::all_of(lanes_, [](const lane& l) { return !l.everything && l.under_way == 0; });
  }

  void begin_flush(const std::shared_ptr<latch>& done) {
    flushes_.push_back(done);
    for (std::size_t s = 0; s < signal_count; ++s) collect_all(s);
    each_exporter([](exporter& e) { e.flush(); });
    finish_flushes();
  }

  void finish_flushes() {
    if (flushes_.empty()) return;
    if (!at_rest()) {
      if (std::ranges::none_of(lanes_, [](const lane& l) { return l.everything; })) {
        each_exporter(
            [](exporter& e) { e.flush(); });  // all is handed out; what an exporter holds back is all that is missing
      }
      if (!at_rest()) return;
    }
    for (const auto& waiter : std::exchange(flushes_, {})) waiter->release();
    if (shutting_down_) stop();
  }

  void begin_shutdown(const std::shared_ptr<latch>& done, clock::time_point deadline) {
    shutting_down_ = done;
    each_exporter([deadline](exporter& e) { e.shutdown(deadline); });
    deadline_.expires_at(deadline);
    deadline_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      cut_off_ = true;
      stop();
    });
    begin_flush(std::make_shared<latch>());
  }

  /// Ends the thread; what is left is dropped, and counted.
  void stop() {
    if (!shutting_down_) return;
    const auto done = std::exchange(shutting_down_, nullptr);
    for (lane& l : lanes_) {
      for (const auto& c : l.channels) c->abandon(drop_reason::shutdown);
    }
    settle_books(drop_reason::shutdown);
    flushes_.clear();
    for (lane& l : lanes_) l.timer->cancel();
    maintenance_.cancel();
    deadline_.cancel();
    work_.reset();
    io_.stop();
    done->release();
  }

  /// Closes the books: what is still in the logs or under way is lost.
  void settle_books(drop_reason why) {
    std::array<std::uint64_t, signal_count> left{};
    for (std::size_t s = 0; s < signal_count; ++s) {
      if (lanes_[s].on && lanes_[s].queue != nullptr) {
        lanes_[s].queue->drain([&](std::uint16_t, std::string_view) {
          ++left[s];
          return true;
        });
      }
    }
    const std::lock_guard lock{books_mutex_};
    if (closed_) return;
    closed_ = true;
    for (std::size_t s = 0; s < signal_count; ++s) {
      signal_books& b = books_.signals[s];
      b.recorded += left[s];
      const std::uint64_t pending = b.recorded - b.delivered - b.dropped();
      b.dropped_by[static_cast<std::size_t>(why)] += pending;
      add_queue_drops(s, b);
    }
  }

  void count_recorded(std::size_t s, std::size_t items) {
    const std::lock_guard lock{books_mutex_};
    books_.signals[s].recorded += items;
    if (closed_) books_.signals[s].dropped_by[static_cast<std::size_t>(drop_reason::shutdown)] += items;
  }

  /// What threads dropped before it reached the pipeline.
  void add_queue_drops(std::size_t s, signal_books& b) {
    const lane& l = lanes_[s];
    if (!l.on || l.queue == nullptr) return;
    const otlpkit::detail::record_drops now = l.queue->dropped();
    const std::uint64_t full = now.queue_full - l.earlier_drops.queue_full;
    const std::uint64_t large = now.too_large - l.earlier_drops.too_large;
    b.recorded += full + large;
    b.dropped_by[static_cast<std::size_t>(drop_reason::queue_full)] += full;
    b.dropped_by[static_cast<std::size_t>(drop_reason::too_large)] += large;
  }

  static constexpr std::chrono::milliseconds maintenance_interval{1000};
  static constexpr int most_turns = 16;

  pipeline_options options_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  boost::asio::steady_timer maintenance_{io_};
  boost::asio::steady_timer deadline_{io_};
  std::vector<std::shared_ptr<exporter>> exporters_;
  std::array<lane, signal_count> lanes_;
  std::chrono::milliseconds tick_interval_{0};
  clock::time_point recalibrate_at_{};
  std::vector<std::shared_ptr<latch>> flushes_;
  std::shared_ptr<latch> shutting_down_;
  std::atomic<bool> cut_off_ = false;
  std::atomic<bool> left_behind_ = false;
  std::shared_ptr<latch> ended_ = std::make_shared<latch>();

  std::mutex books_mutex_;
  sdk::books books_;
  bool closed_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
