// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <list>
#include <memory>
#include <string>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// The way from the pipeline to one exporter for one signal: what waits for it, and what it is working on.
///
/// Every exporter has its own, so that a slow or failing one holds nothing back from the others: its own queue fills,
/// and what does not fit is dropped for it. Used from the pipeline's thread only.
class exporter_channel {
 public:
  using clock = exporter::clock;
  using completion = exporter::completion;

  /// \param max_items items that may wait here, and as many again that the exporter may be working on
  /// \param timeout of one export, whatever the exporter does; zero: none
  exporter_channel(std::shared_ptr<exporter> to, signal kind, std::size_t max_items, clock::duration timeout)
      : exporter_{std::move(to)}, kind_{kind}, max_items_{max_items}, timeout_{timeout} {}

  /// Whether a batch given now would start at once.
  [[nodiscard]] bool idle() const noexcept { return waiting_.empty() && may_start(); }

  /// Takes a batch; `done` is called once, now or later.
  void offer(std::shared_ptr<const batch> b, completion done) {
    if (idle()) return start(std::move(b), std::move(done));
    if (waiting_items_ + b->items() > max_items_) return done({b->items(), drop_reason::queue_full});
    waiting_items_ += b->items();
    waiting_.emplace_back(std::move(b), std::move(done));
  }

  /// Starts what waits, as far as the exporter is ready.
  void advance() {
    while (!waiting_.empty() && may_start()) {
      auto [b, done] = std::move(waiting_.front());
      waiting_.pop_front();
      waiting_items_ -= b->items();
      start(std::move(b), std::move(done));
    }
  }

  /// Gives up exports that take longer than the timeout allows: an exporter that forgets its completion loses its
  /// items, not the pipeline.
  void expire(clock::time_point now) {
    if (timeout_ == clock::duration::zero()) return;
    for (auto it = running_.begin(); it != running_.end();) {
      const auto sending = *it++;  // finishing takes it off the list
      if (now - sending->since >= timeout_) sending->finish({sending->items, drop_reason::unreachable});
    }
  }

  /// Gives up everything.
  void abandon(drop_reason why) {
    while (!waiting_.empty()) {
      auto [b, done] = std::move(waiting_.front());
      waiting_.pop_front();
      done({b->items(), why});
    }
    waiting_items_ = 0;
    while (!running_.empty()) {
      const auto sending = running_.front();
      sending->finish({sending->items, why});
    }
  }

 private:
  /// An exporter that is always ready and never done must not be fed without end.
  [[nodiscard]] bool may_start() const noexcept { return running_items_ < max_items_ && exporter_->ready(kind_); }

  struct sending_batch : std::enable_shared_from_this<sending_batch> {
    exporter_channel* channel;
    completion done;
    std::size_t items;
    clock::time_point since;
    std::list<std::shared_ptr<sending_batch>>::iterator self;

    void finish(export_result result) {
      if (!done) return;  // a second completion, or one after the timeout
      const auto keep = shared_from_this();
      channel->running_.erase(self);
      channel->running_items_ -= items;
      if (result.dropped > items) result.dropped = items;
      std::exchange(done, nullptr)(result);
    }
  };

  void start(std::shared_ptr<const batch> b, completion done) {
    const auto sending = std::make_shared<sending_batch>();
    sending->channel = this;
    sending->done = std::move(done);
    sending->items = b->items();
    sending->since = clock::now();
    sending->self = running_.insert(running_.end(), sending);
    running_items_ += sending->items;
    try {
      exporter_->send(std::move(b), [weak = std::weak_ptr{sending}](export_result result) {
        if (const auto s = weak.lock()) s->finish(result);
      });
    } catch (const std::exception& e) {
      report(diagnostic_level::error, std::string{exporter_->name()} + " threw: " + e.what());
      sending->finish({sending->items, drop_reason::failed});
    } catch (...) {
      report(diagnostic_level::error, std::string{exporter_->name()} + " threw");
      sending->finish({sending->items, drop_reason::failed});
    }
  }

  std::shared_ptr<exporter> exporter_;
  signal kind_;
  std::size_t max_items_;
  clock::duration timeout_;
  std::size_t waiting_items_ = 0;
  std::size_t running_items_ = 0;
  std::deque<std::pair<std::shared_ptr<const batch>, completion>> waiting_;
  std::list<std::shared_ptr<sending_batch>> running_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
