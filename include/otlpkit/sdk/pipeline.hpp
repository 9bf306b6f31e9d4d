// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/platform_host.hpp>
#include <otlpkit/core/runtime.hpp>
#include <otlpkit/sdk/books.hpp>
#include <otlpkit/sdk/exporter_set.hpp>
#include <otlpkit/sdk/flush_request.hpp>
#include <otlpkit/sdk/lane.hpp>
#include <otlpkit/sdk/latch.hpp>
#include <otlpkit/sdk/ledger.hpp>
#include <otlpkit/sdk/pipeline_options.hpp>
#include <otlpkit/sdk/wake_up.hpp>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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

  explicit pipeline(pipeline_options options)
      : options_{std::move(options)}, processors_{options_.span_processors, options_.log_processors} {
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
      l.on = !l.channels.empty() || (schedule.on && processors_.take(kind));
      if (!l.on || l.queue == nullptr) continue;
      l.look.emplace(io_, *l.queue);
      ledger_.watch(kind, *l.queue);
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
      wake_up_.ask(io_, [this] { pump_all(); });
    } catch (...) {  // out of memory: the timer comes anyway
    }
  }

  /// Exports what ended before the call. False when the deadline passed first, or when a shutdown gave up what was
  /// asked for. After a shutdown it returns at once, with the answer the shutdown had.
  [[nodiscard]] bool flush(clock::time_point deadline) {
    return callers_.wait(deadline, [this](const std::shared_ptr<latch>& done) {
      boost::asio::post(io_, [this, done] { begin_flush(done); });
    });
  }

  /// Exports what it can until the deadline, counts the rest as dropped, and tells the thread to end. Recording must
  /// have been switched off. False when something was lost to the deadline.
  [[nodiscard]] bool shutdown(clock::time_point deadline) {
    const bool in_time =
        callers_.wait(deadline + std::chrono::milliseconds{50}, [this, deadline](const std::shared_ptr<latch>& done) {
          boost::asio::post(io_, [this, done, deadline] { begin_shutdown(done, deadline); });
        });
    if (stopped_.load()) return in_time;
    left_behind_.store(true);  // an exporter blocks the thread, which keeps the pipeline until it lets go
    io_.stop();
    close_books();
    callers_.end(false);
    return false;
  }

  /// Opens when the thread has ended and the pipeline with it. Keep it, give up the pipeline, then wait.
  [[nodiscard]] std::shared_ptr<latch> ended() const noexcept { return ended_; }

  /// What became of everything so far. From any thread.
  [[nodiscard]] sdk::books read_books() const { return ledger_.read(); }

 private:
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

  void arm(std::size_t s) {
    lane& l = lanes_[s];
    l.timer->expires_after(options_.signals[s].delay);
    l.timer->async_wait([this, s](const boost::system::error_code& error) {
      if (error) return;
      arm(s);  // first: what follows may throw
      if (lanes_[s].everything)
        pump(s);
      else
        collect_all(s);
    });
  }

  void arm_maintenance() {
    maintenance_.expires_after(exporters_.tick_interval(maintenance_interval));
    maintenance_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      arm_maintenance();  // first: what follows may throw
      const auto now = clock::now();
      if (now >= recalibrate_at_) {
        otlpkit::detail::global_runtime.clock.recalibrate();
        for (lane& l : lanes_) l.builder->trim();
        recalibrate_at_ = now + maintenance_interval;
      }
      exporters_.tick(now);
      for (lane& l : lanes_) {
        for (const auto& c : l.channels) c->expire(now);
      }
    });
  }

  /// Sends all there is of a signal by now.
  void collect_all(std::size_t s) {
    lane& l = lanes_[s];
    if (!l.on) return;
    if (l.queue == nullptr) {
      collect_metrics();
      return all_handed_out(s);
    }
    l.queue->mark();
    l.everything = true;
    pump(s);
  }

  void collect_metrics() {
    if (!options_.collect_metrics) return;
    auto scopes = options_.collect_metrics(otlpkit::detail::global_runtime.clock.wall_now());
    const std::size_t s = index(signal::metrics);
    split(std::move(scopes), options_.signals[s].max_batch, [&](std::vector<scope_items> part) {
      const auto b = std::make_shared<const batch>(signal::metrics, options_.resource, std::move(part));
      ledger_.recorded(signal::metrics, b->items());
      dispatch(s, b);
    });
  }

  void pump_all() {
    for (std::size_t s = 0; s < signal_count; ++s) pump(s);
  }

  /// Moves records from the threads' logs to the exporters, as long as one of them is idle.
  void pump(std::size_t s) {
    lane& l = lanes_[s];
    if (!l.on || l.queue == nullptr || l.pumping) return;
    l.pumping = true;  // an exporter may complete at once, which pumps again
    pump_on(s);
    finish_flushes();
  }

  void pump_on(std::size_t s) {
    lane& l = lanes_[s];
    struct end_of_turn {
      bool& pumping;
      ~end_of_turn() { pumping = false; }
    } const on_return{l.pumping};
    for (int turns = 0; wanted(s); ++turns) {
      if (turns == most_turns) {  // threads may record as fast as this sends: timers and flushes get their turn too
        boost::asio::post(io_, [this, s] { pump(s); });
        break;
      }
      std::size_t seen = 0, filtered = 0;
      const auto take = [&](std::uint16_t scope, std::string_view record) {
        ++seen;
        const auto fate = processors_.show(static_cast<signal>(s), scope, record);
        if (fate == record_processors::fate::filtered) ++filtered;
        return (fate != record_processors::fate::exported || l.builder->add(scope, record)) &&
               seen < options_.signals[s].max_batch;
      };
      const bool all = l.everything;
      if (all) {
        l.everything = l.queue->drain_marked(take);
      } else {
        l.queue->drain_closed(take);
        if (seen == 0) l.queue->drain(take);
      }
      ledger_.filtered(static_cast<signal>(s), filtered);
      if (const std::size_t items = l.builder->items(); items != 0) {
        ledger_.recorded(static_cast<signal>(s), items);
        dispatch(s, l.builder->take(options_.resource));
        if (!all && !left_behind_.load()) l.look->again([this, s] { pump(s); });
      }
      if (all && !l.everything) all_handed_out(s);
      if (seen == 0 && !l.everything) break;
    }
  }

  [[nodiscard]] bool wanted(std::size_t s) const noexcept {
    const lane& l = lanes_[s];
    if (left_behind_.load()) return false;  // what is recorded now belongs to a later pipeline
    if (!l.everything && l.queue->waiting() < static_cast<std::int64_t>(options_.signals[s].max_batch)) return false;
    return l.channels.empty() || std::ranges::any_of(l.channels, [](const auto& c) { return c->idle(); });
  }

  void dispatch(std::size_t s, const std::shared_ptr<const batch>& b) {
    lane& l = lanes_[s];
    struct outcome {
      std::size_t open;
      export_result worst;
    };
    const auto o = std::make_shared<outcome>(outcome{l.channels.size(), {}});
    if (l.channels.empty()) return ledger_.completed(static_cast<signal>(s), b->items(), {});  // processors had it
    const std::uint64_t number = l.batches.begin();
    for (const auto& c : l.channels) {
      c->offer(b, [this, s, o, number, items = b->items()](export_result result) {
        if (result.dropped > o->worst.dropped) o->worst = result;
        if (--o->open == 0) {
          lanes_[s].batches.end(number);
          ledger_.completed(static_cast<signal>(s), items, o->worst);
        }
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

  void begin_flush(const std::shared_ptr<latch>& done) {
    flushes_.push_back({done});
    // Metrics last: some count what became of the others.
    for (const signal s : {signal::traces, signal::logs, signal::metrics}) collect_all(index(s));
    exporters_.flush();
    finish_flushes();
  }

  /// What flushes asked for is in batches now.
  void all_handed_out(std::size_t s) {
    if (!flushes_.empty()) processors_.flush(static_cast<signal>(s));
    for (flush_request& f : flushes_) f.handed_out(s, lanes_[s].batches.last());
  }

  [[nodiscard]] bool finished(const flush_request& f) const noexcept {
    for (std::size_t s = 0; s < signal_count; ++s) {
      if (lanes_[s].on && !f.finished(s, lanes_[s].batches)) return false;
    }
    return true;
  }

  void finish_flushes() {
    if (flushes_.empty()) return;
    const auto release = [this](flush_request& f) {
      if (!finished(f)) return false;
      f.done->release();
      return true;
    };
    if (std::erase_if(flushes_, release) == 0 &&
        std::ranges::none_of(lanes_, [](const lane& l) { return l.everything; })) {
      exporters_.flush();  // what an exporter holds back is all that is missing
      std::erase_if(flushes_, release);
    }
    if (flushes_.empty() && shutting_down_) stop();
  }

  void begin_shutdown(const std::shared_ptr<latch>& done, clock::time_point deadline) {
    shutting_down_ = done;
    exporters_.shutdown(deadline);
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
    for (lane& l : lanes_) {
      for (const auto& c : l.channels) c->abandon(drop_reason::shutdown);
    }
    close_books();
    processors_.shutdown();
    flushes_.clear();
    for (lane& l : lanes_) {
      l.timer->cancel();
      if (l.look) l.look->stop();
    }
    maintenance_.cancel();
    deadline_.cancel();
    work_.reset();
    io_.stop();
    stopped_.store(true);
    std::exchange(shutting_down_, nullptr)->release(!cut_off_);
    callers_.end(!cut_off_);
  }

  /// What is still in the logs or under way is lost.
  void close_books() {
    ledger::counts left{};
    for (std::size_t s = 0; s < signal_count; ++s) {
      if (!lanes_[s].on || lanes_[s].queue == nullptr) continue;
      lanes_[s].queue->drain([&](std::uint16_t, std::string_view record) {
        if (processors_.counts(static_cast<signal>(s), record)) ++left[s];
        return true;
      });
    }
    ledger_.close(drop_reason::shutdown, left);
  }

  static constexpr std::chrono::milliseconds maintenance_interval{1000};
  static constexpr int most_turns = 16;

  pipeline_options options_;
  record_processors processors_;
  wake_up wake_up_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  boost::asio::steady_timer maintenance_{io_};
  boost::asio::steady_timer deadline_{io_};
  exporter_set exporters_{options_.make_exporters(io_)};
  std::array<lane, signal_count> lanes_;
  clock::time_point recalibrate_at_{};
  std::vector<flush_request> flushes_;
  std::shared_ptr<latch> shutting_down_;
  bool cut_off_ = false;
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> left_behind_ = false;
  waiting_callers callers_;
  std::shared_ptr<latch> ended_ = std::make_shared<latch>();
  ledger ledger_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
