// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/export/connector.hpp>
#include <otlpkit/export/gzip.hpp>
#include <otlpkit/export/http_exchange.hpp>
#include <otlpkit/export/otlp_http_options.hpp>
#include <otlpkit/export/otlp_http_verdict.hpp>
#include <otlpkit/export/trouble_log.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <exception>
#include <random>

namespace otlpkit::inline OTLPKIT_ABI::exporters::detail {

/// One batch on its way. Its coroutine may outlive its completion: at the deadline `done` is called at once, and the
/// coroutine finds `finished` when whatever it waited for has been cancelled.
struct export_job {
  using clock = std::chrono::steady_clock;

  std::shared_ptr<const sdk::batch> batch;
  sdk::exporter::completion done;
  retry_schedule schedule;
  net::steady_timer deadline;
  net::steady_timer backoff;
  std::shared_ptr<connecting> link;  ///< also holds the connection in use
  std::string compressed;
  std::string head;
  std::vector<net::const_buffer> request;
  std::size_t body_bytes = 0;
  std::string trouble;  ///< what went wrong last
  bool finished = false;
  bool may_hurry = false;  ///< waits by its own choice: shutdown tries again at once

  export_job(net::io_context& io, std::shared_ptr<const sdk::batch> b, sdk::exporter::completion d, retry_schedule s)
      : batch{std::move(b)}, done{std::move(d)}, schedule{s}, deadline{io}, backoff{io},
        link{std::make_shared<connecting>(io)} {}
};

/// The moving part behind otlp_http_exporter. Kept alive by its coroutines, so that the exporter can go at any time.
class otlp_http_sender : public std::enable_shared_from_this<otlp_http_sender> {
 public:
  using clock = std::chrono::steady_clock;

  otlp_http_sender(net::io_context& io, otlp_http_options options)
      : io_{io}, options_{std::move(options)}, to_{endpoint_of(options_)}, head_{request_head(to_, options_)},
        make_transport_{transports_of(to_, options_)}, troubles_{options_.report_interval},
        label_{std::string{to_string(options_.signal)} + " to " + to_.text()} {
    options_.max_connections = std::max<std::size_t>(options_.max_connections, 1);
  }

  [[nodiscard]] bool ready() const noexcept { return jobs_.size() < options_.max_connections; }
  [[nodiscard]] const otlp_http_counters& counters() const noexcept { return counters_; }
  [[nodiscard]] sdk::signal signal() const noexcept { return options_.signal; }
  [[nodiscard]] const url& endpoint() const noexcept { return to_; }

  void submit(std::shared_ptr<const sdk::batch> b, sdk::exporter::completion done) {
    ++counters_.batches;
    const clock::time_point now = clock::now();
    const bool limited =
        options_.timeout > std::chrono::nanoseconds::zero() && options_.timeout < std::chrono::hours{24 * 3650};
    retry_schedule schedule{options_.retry, limited ? now + options_.timeout : clock::time_point::max()};
    schedule.tighten(shutdown_deadline_);
    auto j = std::make_shared<export_job>(io_, std::move(b), std::move(done), schedule);
    if (j->batch->items() == 0) return finish(j, {});
    if (j->batch->bytes() > options_.max_request_bytes) {
      return lose(j, sdk::drop_reason::too_large, "too_large",
                  std::to_string(j->batch->bytes()) + " bytes exceed the limit of " +
                      std::to_string(options_.max_request_bytes));
    }
    if (now >= j->schedule.deadline())
      return lose(j, sdk::drop_reason::shutdown, "shutdown", "the shutdown deadline has passed");
    arm_deadline(j);
    if (ready())
      start(j);
    else
      waiting_.push_back(j);
  }

  void shutdown(clock::time_point deadline) {
    leaving_ = true;
    shutdown_deadline_ = std::min(shutdown_deadline_, deadline);
    for (const auto& j : jobs_) tighten(j);
    for (const auto& j : waiting_) tighten(j);
    close_idle_when_quiet();
  }

  /// Ends everything now: what is under way is lost as `shutdown`.
  void abandon() {
    abandoned_ = true;
    idle_.clear();
    for (const auto& t : leaving_transports_) {
      if (const auto open = t.lock()) open->close();
    }
    const auto running = jobs_;
    const auto queued = waiting_;
    for (const auto& j : running) lose(j, sdk::drop_reason::shutdown, "shutdown", "the exporter was destroyed");
    for (const auto& j : queued) lose(j, sdk::drop_reason::shutdown, "shutdown", "the exporter was destroyed");
  }

 private:
  using job_ptr = std::shared_ptr<export_job>;
  struct idle_connection {
    std::shared_ptr<transport> connection;
    clock::time_point since;
  };

  // --- one batch from start to completion
  // -----------------------------------------------------------------------------

  void start(const job_ptr& j) {
    jobs_.push_back(j);
    net::co_spawn(io_, run(shared_from_this(), j), [self = shared_from_this(), j](std::exception_ptr failure) {
      if (failure) self->lose(j, sdk::drop_reason::failed, "failed", describe(failure));
    });
  }

  static net::awaitable<void> run(std::shared_ptr<otlp_http_sender> self, job_ptr j) {
    if (self->options_.compression == compression::gzip) co_await compress(j);
    if (!j->finished) self->compose(*j);
    while (!j->finished) {
      const attempt_end end = co_await self->attempt(j);
      if (j->finished) co_return;
      if (!end.retry) {
        self->conclude(j, end);
        co_return;
      }
      const auto step = j->schedule.failed(clock::now(), self->random(), end.retry_after);
      if (step.what != retry_schedule::decision::retry) {
        self->give_up(j, end, step);
        co_return;
      }
      self->tell_retry(*j, end, step);
      j->may_hurry = !step.asked && !self->leaving_;
      j->backoff.expires_after(std::chrono::duration_cast<clock::duration>(step.delay));
      error_code cancelled;
      co_await j->backoff.async_wait(net::redirect_error(net::use_awaitable, cancelled));
      j->may_hurry = false;
    }
  }

  /// Compresses once per batch, and lets others run in between: a large batch takes longer than a heartbeat.
  static net::awaitable<void> compress(job_ptr j) {
    constexpr std::size_t stretch = 256 * 1024;
    gzip_writer gzip;
    std::size_t since_pause = 0;
    for (std::string_view piece : j->batch->pieces()) {
      while (!piece.empty()) {
        const std::string_view part = piece.substr(0, stretch);
        gzip.write(part);
        piece.remove_prefix(part.size());
        since_pause += part.size();
        if (since_pause < stretch) continue;
        since_pause = 0;
        co_await net::post(net::use_awaitable);
        if (j->finished) co_return;
      }
    }
    j->compressed = gzip.finish();
  }

  void compose(export_job& j) const {
    const bool gzip = options_.compression == compression::gzip;
    j.body_bytes = gzip ? j.compressed.size() : j.batch->bytes();
    j.head = head_ + "Content-Length: " + std::to_string(j.body_bytes) + "\r\n\r\n";
    j.request.push_back(net::buffer(j.head));
    if (gzip) {
      j.request.push_back(net::buffer(j.compressed));
    } else {
      for (const std::string_view piece : j.batch->pieces()) {
        if (!piece.empty()) j.request.emplace_back(piece.data(), piece.size());
      }
    }
  }

  net::awaitable<attempt_end> attempt(job_ptr j) {
    attempt_end end;
    j->link->connection = take_idle();
    bool reused = j->link->connection != nullptr;
    for (;;) {
      if (!j->link->connection) {
        connect_failure why;
        const auto made = co_await connect(io_, to_, make_transport_, options_.connect_timeout, j->link, why);
        if (!made) {
          end.retry = !why.final;
          end.result = {j->batch->items(), sdk::drop_reason::unreachable};
          end.trouble = std::move(why.text);
          end.kind = "connect";
          co_return end;
        }
        ++counters_.connections;
      }
      const std::shared_ptr<transport> connection = j->link->connection;
      ++counters_.requests;
      counters_.bytes += j->body_bytes;
      const http_reply reply = co_await exchange(connection, j->request, j, options_.max_response_bytes);
      if (j->finished) co_return end;
      j->link->connection = nullptr;
      if (reply.what == http_reply::result::answered && reply.reusable)
        keep(connection);
      else
        connection->close();
      // The server may close a kept connection just as the request sets out: that is no failure of the server.
      if (reused && reply.what == http_reply::result::lost && !reply.any_byte) {
        reused = false;
        continue;
      }
      end = judge(reply, *connection, j->batch->items(), options_.max_response_bytes);
      co_return end;
    }
  }

  // --- endings
  // ----------------------------------------------------------------------------------------------------------

  void conclude(const job_ptr& j, const attempt_end& end) {
    if (!end.trouble.empty()) tell(end.kind, end.trouble, end.result);
    finish(j, end.result);
  }
  void give_up(const job_ptr& j, const attempt_end& end, const retry_schedule::step& step) {
    std::string text = end.trouble;
    text += (step.asked ? ", to be retried after " : ", next try in ") + seconds_text(step.delay);
    lose(j, reason_of_deadline(*j), end.kind, text + "; " + what_ends(*j) + " leaves no time for that",
         end.result.http_status);
  }
  void expire(const job_ptr& j) {
    std::string text = what_ends(*j) + " has passed";
    if (!j->trouble.empty()) text += " (before: " + j->trouble + ")";
    lose(j, reason_of_deadline(*j), "deadline", text);
  }
  void lose(const job_ptr& j, sdk::drop_reason reason, std::string_view kind, const std::string& why,
            unsigned http_status = 0) {
    if (j->finished) return;
    const sdk::export_result result{j->batch->items(), reason, http_status};
    tell(kind, why, result);
    finish(j, result);
  }

  /// The one place that calls `done`. Nothing of the sender is touched after it: it may send the next batch, or destroy
  /// the exporter.
  void finish(const job_ptr& j, sdk::export_result result) {
    if (j->finished) return;
    const auto keep_alive = shared_from_this();
    j->finished = true;
    j->deadline.cancel();
    j->backoff.cancel();
    j->link->abandon();
    counters_.delivered += j->batch->items() - result.dropped;
    counters_.dropped[static_cast<std::size_t>(result.reason)] += result.dropped;
    std::erase(jobs_, j);
    std::erase(waiting_, j);
    if (!abandoned_ && !waiting_.empty() && ready()) {
      const job_ptr next = waiting_.front();
      waiting_.pop_front();
      start(next);
    }
    if (leaving_) close_idle_when_quiet();
    const auto done = std::move(j->done);
    if (done) done(result);
  }

  // --- deadlines
  // --------------------------------------------------------------------------------------------------------

  void arm_deadline(const job_ptr& j) {
    if (j->schedule.deadline() == clock::time_point::max()) return;
    j->deadline.expires_at(j->schedule.deadline());
    j->deadline.async_wait([weak = weak_from_this(), j](error_code ec) {
      const auto self = weak.lock();
      if (!ec && self) self->expire(j);
    });
  }
  void tighten(const job_ptr& j) {
    if (shutdown_deadline_ < j->schedule.deadline()) {
      j->schedule.tighten(shutdown_deadline_);
      arm_deadline(j);
    }
    if (j->may_hurry) j->backoff.cancel();
  }
  [[nodiscard]] bool ends_by_shutdown(const export_job& j) const noexcept {
    return leaving_ && j.schedule.deadline() >= shutdown_deadline_;
  }
  [[nodiscard]] sdk::drop_reason reason_of_deadline(const export_job& j) const noexcept {
    return ends_by_shutdown(j) ? sdk::drop_reason::shutdown : sdk::drop_reason::unreachable;
  }
  [[nodiscard]] std::string what_ends(const export_job& j) const {
    return ends_by_shutdown(j) ? "the shutdown deadline" : "the export timeout of " + seconds_text(options_.timeout);
  }

  // --- connections
  // ------------------------------------------------------------------------------------------------------

  [[nodiscard]] std::shared_ptr<transport> take_idle() {
    while (!idle_.empty()) {
      const idle_connection newest = std::move(idle_.back());
      idle_.pop_back();
      if (clock::now() - newest.since <= options_.idle_timeout && usable_when_idle(*newest.connection))
        return newest.connection;
    }
    return nullptr;
  }
  void keep(const std::shared_ptr<transport>& connection) {
    if (!abandoned_ && idle_.size() < options_.max_connections) idle_.push_back({connection, clock::now()});
  }
  /// Later and not at once: the pipeline may send its last batches right after shutdown() and should find them open.
  void close_idle_when_quiet() {
    net::post(io_, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self || self->abandoned_ || !self->jobs_.empty() || !self->waiting_.empty()) return;
      std::erase_if(self->leaving_transports_, [](const auto& t) { return t.expired(); });
      for (const idle_connection& idle : self->idle_) {
        self->leaving_transports_.push_back(idle.connection);
        net::co_spawn(self->io_, leave(self->io_, idle.connection), [](std::exception_ptr) {});
      }
      self->idle_.clear();
    });
  }
  static net::awaitable<void> leave(net::io_context& io, std::shared_ptr<transport> connection) {
    const watchdog limit{io, std::chrono::seconds{1}, connection};
    co_await connection->farewell();
    connection->close();
  }

  // --- words
  // ------------------------------------------------------------------------------------------------------------

  void tell_retry(export_job& j, const attempt_end& end, const retry_schedule::step& step) {
    ++counters_.retries;
    j.trouble = end.trouble;
    counters_.last_error = end.trouble;
    if (troubles_.admit("retry " + end.kind, clock::now())) {
      report(diagnostic_level::warning, label_ + ": " + end.trouble + ", retrying in " + seconds_text(step.delay));
    }
  }
  void tell(std::string_view kind, const std::string& trouble, sdk::export_result result) {
    counters_.last_error = trouble;
    const auto held = troubles_.admit(std::string{"end "}.append(kind), clock::now(), result.dropped);
    if (!held) return;
    std::string text = label_ + ": ";
    if (result.dropped > 0)
      text.append(items_text(result.dropped)).append(" lost (").append(to_string(result.reason)).append("): ");
    text += trouble;
    if (held->times > 0) text += "; and " + std::to_string(held->times) + " more times since this was last reported";
    if (held->items > 0) text += ", " + items_text(held->items) + " lost";
    report(result.dropped > 0 ? diagnostic_level::error : diagnostic_level::warning, text);
  }
  [[nodiscard]] std::string items_text(std::uint64_t count) const {
    constexpr std::string_view nouns[sdk::signal_count] = {" span", " data point", " log record"};
    std::string text = std::to_string(count);
    text += nouns[static_cast<std::size_t>(options_.signal)];
    if (count != 1) text += 's';
    return text;
  }
  [[nodiscard]] double random() { return std::uniform_real_distribution<double>{0, 1}(random_); }

  net::io_context& io_;
  otlp_http_options options_;
  url to_;
  std::string head_;
  transport_factory make_transport_;
  trouble_log troubles_;
  std::string label_;
  otlp_http_counters counters_;
  std::vector<job_ptr> jobs_;    // at most max_connections
  std::deque<job_ptr> waiting_;  // sent although ready() said no
  std::vector<idle_connection> idle_;
  std::vector<std::weak_ptr<transport>> leaving_transports_;
  clock::time_point shutdown_deadline_ = clock::time_point::max();
  bool leaving_ = false;
  bool abandoned_ = false;
  // Only spreads retries over time, so the clock is seed enough; random_device may block or throw.
  std::minstd_rand random_{static_cast<std::uint_fast32_t>(clock::now().time_since_epoch().count())};
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters::detail
