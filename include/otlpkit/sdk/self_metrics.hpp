// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/instrument.hpp>
#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/books.hpp>
#include <otlpkit/sdk/exporter.hpp>
#include <otlpkit/sdk/self_spans.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

namespace detail {

inline constexpr bucket_bounds single_bucket{nullptr, 0};

#define OTLPKIT_SELF_SUM(kind, id, name, unit, description) \
  OTLPKIT_VISIBLE inline constinit self_instrument id { instrument_kind::kind, false, name, unit, description }
#define OTLPKIT_SELF_DURATION(id, name, description)                         \
  OTLPKIT_VISIBLE inline constinit self_instrument id {                      \
    instrument_kind::histogram, true, name, "s", description, &single_bucket \
  }

OTLPKIT_SELF_SUM(counter, self_logs_created, "otel.sdk.log.created", "{log_record}", "Log records that were kept.");
OTLPKIT_SELF_DURATION(self_operation_duration, "otel.sdk.exporter.operation.duration",
                      "The time an export took, retries included.");
OTLPKIT_SELF_DURATION(self_collection_duration, "otel.sdk.metric_reader.collection.duration",
                      "The time a collection of the metrics took.");
OTLPKIT_SELF_SUM(counter, self_exporter_bytes, "otlpkit.exporter.bytes", "By",
                 "Size of the requests given to an exporter, before compression.");

/// What is measured of each signal.
struct self_signal {
  self_instrument inflight, exported;
};
OTLPKIT_VISIBLE inline constinit self_signal self_exporters[signal_count] = {
    {{instrument_kind::up_down_counter, false, "otel.sdk.exporter.span.inflight", "{span}",
      "Spans an exporter is working on."},
     {instrument_kind::counter, false, "otel.sdk.exporter.span.exported", "{span}", "Spans whose export has ended."}},
    {{instrument_kind::up_down_counter, false, "otel.sdk.exporter.metric_data_point.inflight", "{data_point}",
      "Data points an exporter is working on."},
     {instrument_kind::counter, false, "otel.sdk.exporter.metric_data_point.exported", "{data_point}",
      "Data points whose export has ended."}},
    {{instrument_kind::up_down_counter, false, "otel.sdk.exporter.log.inflight", "{log_record}",
      "Log records an exporter is working on."},
     {instrument_kind::counter, false, "otel.sdk.exporter.log.exported", "{log_record}",
      "Log records whose export has ended."}}};

struct self_processor {
  self_instrument size, capacity, processed;
  const char* name;
  const char* type;
};
OTLPKIT_VISIBLE inline constinit self_processor self_span_processor{
    {instrument_kind::up_down_counter, false, "otel.sdk.processor.span.queue.size", "{span}", "Ended spans that wait."},
    {instrument_kind::up_down_counter, false, "otel.sdk.processor.span.queue.capacity", "{span}",
     "Spans that may wait."},
    {instrument_kind::counter, false, "otel.sdk.processor.span.processed", "{span}",
     "Spans handed to the exporters, or dropped before."},
    "batching_span_processor/0",
    "batching_span_processor"};
OTLPKIT_VISIBLE inline constinit self_processor self_log_processor{
    {instrument_kind::up_down_counter, false, "otel.sdk.processor.log.queue.size", "{log_record}",
     "Log records that wait."},
    {instrument_kind::up_down_counter, false, "otel.sdk.processor.log.queue.capacity", "{log_record}",
     "Log records that may wait."},
    {instrument_kind::counter, false, "otel.sdk.processor.log.processed", "{log_record}",
     "Log records handed to the exporters, or dropped before."},
    "batching_log_processor/0",
    "batching_log_processor"};
#undef OTLPKIT_SELF_SUM
#undef OTLPKIT_SELF_DURATION

/// Who is measured, as the conventions name it.
struct self_component {
  std::string name;     ///< otel.component.name
  std::string type;     ///< otel.component.type
  std::string address;  ///< server.address, empty where there is no server
  std::int64_t port = 0;

  /// Calls `use` with the attributes, and with error.type unless it is empty.
  template <class Use>
  void with(std::string_view error, Use&& use) const {
    if (address.empty() && error.empty())
      return use(fields{{"otel.component.name", name}, {"otel.component.type", type}});
    if (address.empty())
      return use(fields{{"otel.component.name", name}, {"otel.component.type", type}, {"error.type", error}});
    if (error.empty()) {
      return use(fields{{"otel.component.name", name},
                        {"otel.component.type", type},
                        {"server.address", address},
                        {"server.port", port}});
    }
    use(fields{{"otel.component.name", name},
               {"otel.component.type", type},
               {"server.address", address},
               {"server.port", port},
               {"error.type", error}});
  }
  /// As above, and with the status an HTTP server answered.
  template <class Use>
  void with(std::string_view error, unsigned http_status, Use&& use) const {
    if (error.empty()) {
      return use(fields{{"otel.component.name", name},
                        {"otel.component.type", type},
                        {"server.address", address},
                        {"server.port", port},
                        {"http.response.status_code", http_status}});
    }
    use(fields{{"otel.component.name", name},
               {"otel.component.type", type},
               {"server.address", address},
               {"server.port", port},
               {"http.response.status_code", http_status},
               {"error.type", error}});
  }
};

/// Passes everything on and measures what goes through.
class observed_exporter final : public exporter {
 public:
  observed_exporter(std::shared_ptr<exporter> inner, self_component who)
      : inner_{std::move(inner)}, who_{std::make_shared<const self_component>(std::move(who))} {}

  [[nodiscard]] std::string_view name() const noexcept override { return inner_->name(); }
  [[nodiscard]] bool accepts(signal s) const noexcept override { return inner_->accepts(s); }
  [[nodiscard]] bool ready(signal s) const noexcept override { return inner_->ready(s); }
  [[nodiscard]] std::chrono::milliseconds tick_interval() const noexcept override { return inner_->tick_interval(); }
  void tick(clock::time_point now) override { inner_->tick(now); }
  void flush() override { inner_->flush(); }
  void shutdown(clock::time_point deadline) override { inner_->shutdown(deadline); }

  void send(std::shared_ptr<const batch> b, completion done) override {
    const auto under_way = std::make_shared<operation>(who_, *b);
    inner_->send(std::move(b), [under_way, done = std::move(done)](export_result result) {
      under_way->end(result);
      done(result);
    });
  }

 private:
  /// One export. If nobody says how it ended, it has failed by the time nobody can.
  class operation {
   public:
    operation(std::shared_ptr<const self_component> who, const batch& b)
        : who_{std::move(who)}, items_{b.items()}, kind_{b.kind()} {
      who_->with({}, [&](fields labels) {
        of_signal().inflight.add(static_cast<std::int64_t>(items_), labels);
        self_exporter_bytes.add(static_cast<std::int64_t>(b.bytes()), labels);
      });
    }
    operation(const operation&) = delete;
    operation& operator=(const operation&) = delete;
    ~operation() { end({items_, drop_reason::failed}); }

    void end(export_result result) {
      if (std::exchange(ended_, true)) return;
      const std::size_t dropped = std::min(result.dropped, items_);
      const std::string_view error = dropped == 0 ? std::string_view{} : to_string(result.reason);
      const std::chrono::duration<double> took = clock::now() - begin_;
      who_->with({}, [&](fields labels) {
        of_signal().inflight.add(-static_cast<std::int64_t>(items_), labels);
        of_signal().exported.add(static_cast<std::int64_t>(items_ - dropped), labels);
      });
      who_->with(error, [&](fields labels) {
        if (dropped != 0) of_signal().exported.add(static_cast<std::int64_t>(dropped), labels);
        if (result.http_status == 0) self_operation_duration.record(took.count(), labels);
      });
      if (result.http_status != 0) {
        who_->with(error, result.http_status,
                   [&](fields labels) { self_operation_duration.record(took.count(), labels); });
      }
    }

   private:
    [[nodiscard]] const self_signal& of_signal() const noexcept {
      return self_exporters[static_cast<std::size_t>(kind_)];
    }

    std::shared_ptr<const self_component> who_;
    std::size_t items_;
    signal kind_;
    clock::time_point begin_ = clock::now();
    bool ended_ = false;
  };

  std::shared_ptr<exporter> inner_;
  std::shared_ptr<const self_component> who_;
};

}  // namespace detail

/// Measures one pipeline with otlpkit's own instruments, under the names of the semantic conventions (`otel.sdk.*`):
/// queues and processors from the books as metrics are collected, exporters as they work. All of it on the pipeline's
/// thread. Measuring makes neither spans nor log records, and metrics leave at their own times alone, so that nothing
/// feeds on itself.
class self_metrics {
 public:
  /// \param span_capacity, log_capacity items that may wait
  self_metrics(std::size_t span_capacity, std::size_t log_capacity)
      : spans_{&detail::self_span_processor, signal::traces, span_capacity}, logs_{&detail::self_log_processor,
                                                                                   signal::logs, log_capacity} {}

  /// An exporter that does what `e` does, measured. Where it sends to a server, its address and port belong here.
  [[nodiscard]] static std::shared_ptr<exporter> observe(std::shared_ptr<exporter> e, std::string address = {},
                                                         std::uint16_t port = 0) {
    const std::string_view name = e->name();
    detail::self_component who{std::string{name}, std::string{name.substr(0, name.find('/'))}, std::move(address),
                               port};
    if (name.find('/') == std::string_view::npos) who.name += "/0";
    return std::make_shared<detail::observed_exporter>(std::move(e), std::move(who));
  }

  /// Where the books are; nothing is read before. `read` may find them gone: then it returns none.
  void watch(std::function<books()> read) {
    read_ = std::move(read);
    spans_.begin(otlpkit::detail::global_runtime.spans);
    logs_.begin(otlpkit::detail::global_runtime.logs);
    detail::self_spans::install();
  }

  /// Brings the instruments up to date, then collects, and measures how long that takes.
  /// \param type otel.component.type of the reader
  /// \param complete asked afterwards: whether everything could be collected in time
  template <class Collect, class Complete>
  [[nodiscard]] auto around(std::string_view type, Collect&& collect, Complete&& complete) {
    update();
    const std::string name = std::string{type} + "/0";
    const auto begin = std::chrono::steady_clock::now();
    const auto measure = [&](std::string_view error) {
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      if (error.empty()) {
        detail::self_collection_duration.record(took.count(),
                                                {{"otel.component.name", name}, {"otel.component.type", type}});
      } else {
        detail::self_collection_duration.record(
            took.count(), {{"otel.component.name", name}, {"otel.component.type", type}, {"error.type", error}});
      }
    };
    try {
      auto collected = collect();
      measure(complete() ? "" : "timeout");
      return collected;
    } catch (...) {
      measure("failed");
      throw;
    }
  }

  /// Measures what changed since the last call.
  void update() {
    if (!read_) return;
    const books now = read_();
    logs_created_.rise_to(now.log_records().recorded, [](std::int64_t n) { detail::self_logs_created.add(n, {}); });
    spans_.update(now, otlpkit::detail::global_runtime.spans);
    logs_.update(now, otlpkit::detail::global_runtime.logs);
  }

 private:
  /// A count that only rises, of which the instrument has got `known` so far.
  struct rising {
    std::uint64_t known = 0;
    template <class Add>
    void rise_to(std::uint64_t total, Add&& add) {
      if (total < known) return;
      add(static_cast<std::int64_t>(total - known));
      known = total;
    }
  };

  struct processor {
    const detail::self_processor* to;
    signal kind;
    std::size_t capacity;
    std::int64_t size = 0;
    bool told_capacity = false;
    rising handed_on{}, queue_full{}, too_large{};
    std::uint64_t large_before = 0;  ///< what the queue dropped before this pipeline

    void begin(otlpkit::detail::record_queue& queue) { large_before = queue.dropped().too_large; }

    void update(const books& all, otlpkit::detail::record_queue& queue) {
      const signal_books& b = all.of(kind);
      const std::uint64_t full = b.dropped(drop_reason::queue_full);
      const std::uint64_t large = queue.dropped().too_large - large_before;  // the books have those of exporters, too
      const fields labels{{"otel.component.name", to->name}, {"otel.component.type", to->type}};
      const std::int64_t waiting = queue.unread();
      to->size.add(waiting - std::exchange(size, waiting), labels);
      if (!std::exchange(told_capacity, true)) to->capacity.add(static_cast<std::int64_t>(capacity), labels);
      handed_on.rise_to(b.recorded - std::min(b.recorded, full + large),
                        [&](std::int64_t n) { to->processed.add(n, labels); });
      lost(queue_full, full, drop_reason::queue_full);
      lost(too_large, large, drop_reason::too_large);
    }

    void lost(rising& known, std::uint64_t total, drop_reason why) {
      if (total == 0) return;
      known.rise_to(total, [&](std::int64_t n) {
        to->processed.add(
            n, {{"otel.component.name", to->name}, {"otel.component.type", to->type}, {"error.type", to_string(why)}});
      });
    }
  };

  std::function<books()> read_;
  rising logs_created_;
  processor spans_;
  processor logs_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
