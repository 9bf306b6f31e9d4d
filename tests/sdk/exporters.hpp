// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

/// Telemetry made for a test, and exporters that behave badly on purpose.
namespace sdk_test {

using otlpkit::sdk::drop_reason;
using otlpkit::sdk::signal;
using otlpkit::testing::memory_exporter;
using clock = std::chrono::steady_clock;

inline const otlpkit::environment no_variables{};

/// Waits until `condition` holds. \return false when it does not within `limit`
template <class Condition>
bool eventually(Condition condition, clock::duration limit = std::chrono::seconds{20}) {
  const auto end = clock::now() + limit;
  while (!condition()) {
    if (clock::now() >= end) return false;
    std::this_thread::yield();
  }
  return true;
}

/// Settings that send spans to these exporters alone, and only when a test asks for it.
inline otlpkit::settings settings_for(std::vector<std::shared_ptr<otlpkit::sdk::exporter>> exporters) {
  otlpkit::settings s;
  s.service = "test";
  s.detect_resource = false;
  s.exporters = std::move(exporters);
  s.traces.schedule_delay = std::chrono::hours{1};
  s.logs.schedule_delay = std::chrono::hours{1};
  s.metrics.interval = std::chrono::hours{1};
  s.diagnostics = [](otlpkit::diagnostic_level, std::string_view) {};
  return s;
}

inline void record(std::size_t spans) {
  for (std::size_t i = 0; i < spans; ++i) {
    OTLPKIT_SPAN("work", {"i", i});
  }
}

inline bool balanced(const otlpkit::sdk::signal_books& b) { return b.recorded == b.delivered + b.dropped(); }

/// Forgets every completion.
class silent_exporter final : public otlpkit::sdk::exporter {
 public:
  std::atomic<int> sent{0};
  [[nodiscard]] std::string_view name() const noexcept override { return "silent"; }
  [[nodiscard]] bool accepts(otlpkit::sdk::signal s) const noexcept override { return s == signal::traces; }
  void send(std::shared_ptr<const otlpkit::sdk::batch>, completion) override { ++sent; }
};

/// Holds the pipeline's thread until it is let go.
class blocking_exporter final : public otlpkit::sdk::exporter {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "blocking"; }
  [[nodiscard]] bool accepts(otlpkit::sdk::signal s) const noexcept override { return s == signal::traces; }
  void send(std::shared_ptr<const otlpkit::sdk::batch>, completion done) override {
    std::unique_lock lock{mutex_};
    entered_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    lock.unlock();
    done({});
    lock.lock();
    ++left_;
    changed_.notify_all();
  }
  void let_go() {
    const std::lock_guard lock{mutex_};
    open_ = true;
    changed_.notify_all();
  }
  bool wait_until_entered() {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::seconds{20}, [this] { return entered_; });
  }
  bool wait_until_left() {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, std::chrono::seconds{20}, [this] { return left_ != 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  bool entered_ = false;
  int left_ = 0;
};

/// Throws from everything that may throw.
class throwing_exporter final : public otlpkit::sdk::exporter {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "throwing"; }
  [[nodiscard]] bool accepts(otlpkit::sdk::signal s) const noexcept override { return s == signal::traces; }
  void send(std::shared_ptr<const otlpkit::sdk::batch>, completion) override { throw std::runtime_error{"send"}; }
  void shutdown(clock::time_point) override { throw std::runtime_error{"shutdown"}; }
  void flush() override { throw 1; }
  [[nodiscard]] std::chrono::milliseconds tick_interval() const noexcept override {
    return std::chrono::milliseconds{1};
  }
  void tick(clock::time_point) override { throw std::runtime_error{"tick"}; }
};

/// Completes every batch twice, the second time as a loss.
class twice_exporter final : public otlpkit::sdk::exporter {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "twice"; }
  [[nodiscard]] bool accepts(otlpkit::sdk::signal s) const noexcept override { return s == signal::traces; }
  void send(std::shared_ptr<const otlpkit::sdk::batch> b, completion done) override {
    done({});
    done({b->items(), drop_reason::failed});
  }
};

/// Keeps every batch under way until the next one comes: one always is.
class one_behind_exporter final : public otlpkit::sdk::exporter {
 public:
  std::atomic<int> sent{0};
  [[nodiscard]] std::string_view name() const noexcept override { return "one_behind"; }
  [[nodiscard]] bool accepts(otlpkit::sdk::signal s) const noexcept override { return s == signal::traces; }
  void send(std::shared_ptr<const otlpkit::sdk::batch>, completion done) override {
    const completion before = std::exchange(held_, std::move(done));
    if (before) before({});
    ++sent;
  }

 private:
  completion held_;
};

/// Records so many spans for every batch it takes: there is always something more to send.
class recording_exporter final : public otlpkit::sdk::exporter {
 public:
  explicit recording_exporter(std::size_t spans) : spans_{spans} {}
  [[nodiscard]] std::string_view name() const noexcept override { return "recording"; }
  [[nodiscard]] bool accepts(otlpkit::sdk::signal s) const noexcept override { return s == signal::traces; }
  void send(std::shared_ptr<const otlpkit::sdk::batch>, completion done) override {
    record(spans_);
    done({});
  }

 private:
  std::size_t spans_;
};

}  // namespace sdk_test
