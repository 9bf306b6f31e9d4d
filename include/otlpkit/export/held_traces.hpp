// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/trace_model.hpp>
#include <otlpkit/sdk/exporter.hpp>
#include <otlpkit/trace/span_view.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::exporters::detail {

/// One send() on its way: its completion is called once, when all its spans are accounted for.
class delivery {
 public:
  using time_point = sdk::exporter::clock::time_point;

  delivery(sdk::exporter::completion done, std::size_t items, time_point since)
      : done_{std::move(done)}, left_{items}, since_{since} {}

  /// Accounts for `items` of it, `failed` of which are lost.
  void settle(std::size_t items, std::size_t failed) {
    left_ -= std::min(items, left_);
    failed_ += failed;
    if (left_ == 0) complete();
  }
  /// Completes it now; spans not accounted for yet count as delivered.
  void complete() {
    if (auto done = std::exchange(done_, nullptr)) {
      done({failed_, failed_ == 0 ? sdk::drop_reason::none : sdk::drop_reason::failed});
    }
  }
  [[nodiscard]] bool completed() const noexcept { return !done_; }
  [[nodiscard]] time_point since() const noexcept { return since_; }

 private:
  sdk::exporter::completion done_;
  std::size_t left_;
  std::size_t failed_ = 0;
  time_point since_;
};

/// The spans of one trace so far, as copies of their bytes.
struct held_trace {
  using time_point = delivery::time_point;
  struct held_span {
    std::size_t offset, size;  // in bytes
    std::size_t service;
  };
  std::string id;
  std::string bytes;
  std::vector<held_span> spans;
  std::vector<std::string> services;
  std::vector<std::pair<std::shared_ptr<delivery>, std::size_t>> deliveries;
  time_point last{};                 ///< when the latest span came
  std::uint64_t start = UINT64_MAX;  ///< of the earliest span, Unix nanoseconds
  bool local_root = false;           ///< a span without a parent has ended
  bool remote_root = false;          ///< a span whose parent is in another process has ended
  bool late = false;                 ///< the trace was printed before
  bool looked = false;               ///< whether parents_known is up to date
  bool parents_known = false;

  [[nodiscard]] std::vector<tree_span> views() const {
    std::vector<tree_span> out;
    out.reserve(spans.size());
    for (const held_span& s : spans) {
      out.push_back({span_view{std::string_view{bytes}.substr(s.offset, s.size)}, services[s.service]});
    }
    return out;
  }

  /// Its root has ended and every local parent is there.
  [[nodiscard]] bool complete() const {
    if (!local_root && !remote_root) return false;
    std::vector<std::string_view> ids, wanted;
    for (const tree_span& s : views()) {
      ids.push_back(s.span.span_id());
      if (!s.span.parent_id().empty() && !s.span.has_remote_parent()) wanted.push_back(s.span.parent_id());
    }
    std::sort(ids.begin(), ids.end());
    return std::all_of(wanted.begin(), wanted.end(),
                       [&](std::string_view parent) { return std::binary_search(ids.begin(), ids.end(), parent); });
  }
};

/// Holds spans by trace, in the order in which their first spans came, until it is time to show them.
class held_traces {
 public:
  using time_point = delivery::time_point;
  struct waits {
    std::chrono::milliseconds settle, settle_remote, patience;
  };

  explicit held_traces(waits w) : waits_{w} {}

  [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
  [[nodiscard]] std::size_t traces() const noexcept { return list_.size(); }
  [[nodiscard]] std::size_t spans() const noexcept { return spans_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  void add(const span_view& span, std::string_view service, const std::shared_ptr<delivery>& from, time_point now) {
    held_trace& trace = of(span.trace_id());
    auto known = std::find(trace.services.begin(), trace.services.end(), service);
    if (known == trace.services.end()) known = trace.services.emplace(known, service);
    trace.spans.push_back(
        {trace.bytes.size(), span.bytes().size(), static_cast<std::size_t>(known - trace.services.begin())});
    trace.bytes += span.bytes();
    if (trace.deliveries.empty() || trace.deliveries.back().first != from) trace.deliveries.emplace_back(from, 0);
    ++trace.deliveries.back().second;
    trace.last = now;
    trace.start = std::min(trace.start, span.start_time());
    trace.local_root = trace.local_root || span.parent_id().empty();
    trace.remote_root = trace.remote_root || span.has_remote_parent();
    trace.looked = false;
    ++spans_;
    bytes_ += span.bytes().size();
  }

  /// Puts the traces into the order in which they began: spans of several threads come thread by thread.
  void sort() {
    list_.sort([](const held_trace& a, const held_trace& b) { return a.start < b.start; });
  }

  /// The first trace, finished or not. There must be one.
  [[nodiscard]] held_trace take_oldest() { return take(list_.begin()); }

  /// The first trace that need not wait any longer.
  [[nodiscard]] std::optional<held_trace> take_finished(time_point now) {
    for (auto at = list_.begin(); at != list_.end(); ++at) {
      if (finished(*at, now)) return take(at);
    }
    return std::nullopt;
  }

 private:
  using list = std::list<held_trace>;

  [[nodiscard]] held_trace& of(std::string_view id) {
    const auto known = by_id_.find(id);
    if (known != by_id_.end()) return *known->second;
    held_trace& trace = list_.emplace_back();
    trace.id = id;
    trace.late = shown_.contains(id);
    by_id_.emplace(trace.id, std::prev(list_.end()));
    return trace;
  }

  [[nodiscard]] bool finished(held_trace& trace, time_point now) const {
    const auto quiet = now - trace.last;
    if (quiet >= waits_.patience) return true;
    if (quiet < (trace.local_root || trace.late ? waits_.settle : waits_.settle_remote)) return false;
    if (trace.late) return true;
    if (!trace.looked) {
      trace.looked = true;
      trace.parents_known = trace.complete();
    }
    return trace.parents_known;
  }

  [[nodiscard]] held_trace take(list::iterator at) {
    held_trace out = std::move(*at);
    by_id_.erase(out.id);
    list_.erase(at);
    spans_ -= out.spans.size();
    bytes_ -= out.bytes.size();
    if (shown_.insert(out.id).second) {
      shown_order_.push_back(out.id);
      if (shown_order_.size() > remembered) {
        shown_.erase(shown_order_.front());
        shown_order_.pop_front();
      }
    }
    return out;
  }

  static constexpr std::size_t remembered = 1024;  // traces printed lately

  waits waits_;
  list list_;
  std::map<std::string, list::iterator, std::less<>> by_id_;
  std::set<std::string, std::less<>> shown_;
  std::deque<std::string> shown_order_;
  std::size_t spans_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters::detail
