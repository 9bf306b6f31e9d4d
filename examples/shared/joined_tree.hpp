// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/export/console_tree.hpp>
#include <otlpkit/sdk/exporter.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

namespace shop {

/// The terminal tree, which spans of other processes may join until it is printed.
class joined_tree final : public otlpkit::sdk::exporter {
 public:
  explicit joined_tree(otlpkit::exporters::console_tree_options options) : tree_{std::move(options)} {}

  /// From any thread. They are shown with the next flush.
  void join(std::shared_ptr<const otlpkit::sdk::batch> spans) {
    const std::lock_guard lock{mutex_};
    joined_.push_back(std::move(spans));
  }

  [[nodiscard]] std::string_view name() const noexcept override { return tree_.name(); }
  [[nodiscard]] bool accepts(otlpkit::sdk::signal s) const noexcept override { return tree_.accepts(s); }
  void send(std::shared_ptr<const otlpkit::sdk::batch> b, completion done) override {
    tree_.send(std::move(b), std::move(done));
  }
  [[nodiscard]] std::chrono::milliseconds tick_interval() const noexcept override { return tree_.tick_interval(); }
  void tick(clock::time_point now) override { tree_.tick(now); }
  void flush() override {
    std::vector<std::shared_ptr<const otlpkit::sdk::batch>> joined;
    {
      const std::lock_guard lock{mutex_};
      joined.swap(joined_);
    }
    for (auto& spans : joined) tree_.send(std::move(spans), [](otlpkit::sdk::export_result) {});
    tree_.flush();
  }
  void shutdown(clock::time_point) override { flush(); }

 private:
  otlpkit::exporters::console_tree tree_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const otlpkit::sdk::batch>> joined_;
};

}  // namespace shop
