// SPDX-License-Identifier: MIT
// timeout: 300
// Telemetry over OTLP/HTTP against servers that misbehave: the books are exact and agree with what the server counts.
#include "exporters.hpp"

#include <support/scripted_server.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace sdk_test;
using otlpkit_test::scripted_server;
using otlpkit_test::step;
using step_kind = step::kind;

namespace {

constexpr auto margin = 100ms;

otlpkit::settings settings_to(const std::string& endpoint, std::chrono::milliseconds timeout) {
  auto s = settings_for({});
  s.endpoint = endpoint;
  s.timeout = timeout;
  s.console = otlpkit::console_mode::off;
  s.logs.exporters = std::vector<std::string>{};
  s.metrics.exporters = std::vector<std::string>{};
  s.traces.max_export_batch_size = 10;
  return s;
}

/// Spans of the requests that were answered with a whole 2xx, by their ids, less those the answer refused.
struct tally {
  std::size_t accepted = 0;
  std::set<std::string> ids;
  bool decoded = true;
};

tally count(const scripted_server& server, const std::vector<step>& script, std::size_t refused_each) {
  std::vector<step> answers;  // of the steps that see a request
  for (const step& s : script) {
    if (s.what != step_kind::close_at_once && s.what != step_kind::never_read) answers.push_back(s);
  }
  tally t;
  const auto requests = server.requests();
  for (std::size_t i = 0; i < requests.size() && !answers.empty(); ++i) {
    const step& s = answers[std::min(i, answers.size() - 1)];
    if (s.what != step_kind::answer || s.status / 100 != 2) continue;
    std::size_t spans = 0;
    t.decoded = otlpkit::for_each_span(requests[i].body,
                                       [&](const otlpkit::span_view& span, const auto&) {
                                         ++spans;
                                         t.ids.emplace(span.span_id());
                                       }) &&
                t.decoded;
    t.accepted += spans - refused_each;
  }
  return t;
}

struct fault {
  const char* what;
  std::vector<step> script;
  drop_reason reason;  ///< none: everything arrives
  std::chrono::milliseconds timeout = 300ms;
  std::size_t refused_each = 0;  ///< spans of every request, by partial success
};

/// Records 30 spans, which are three requests, while the server misbehaves.
void run(const fault& f) {
  CAPTURE(f.what);
  constexpr std::size_t spans = 30;
  scripted_server server{f.script};
  otlpkit::telemetry telemetry{settings_to(server.url(""), f.timeout), no_variables};
  record(spans);
  telemetry.flush(10s);
  CHECK(otlpkit::detail::global_runtime.spans.memory() <= std::size_t{8} << 20);
  const auto start = clock::now();
  telemetry.shutdown(500ms);
  CHECK(clock::now() - start < 500ms + margin);

  const auto books = telemetry.books().spans();
  CHECK(books.recorded == spans);
  CHECK(balanced(books));
  const tally t = count(server, f.script, f.refused_each);
  CHECK(t.decoded);
  CHECK(books.delivered == t.accepted);
  if (f.reason == drop_reason::none) {
    CHECK(books.delivered == spans);
    CHECK(t.ids.size() == spans);
  } else if (f.refused_each != 0) {
    CHECK(books.dropped(f.reason) == 3 * f.refused_each);
  } else {
    CHECK(books.dropped(f.reason) == spans);
  }
}

}  // namespace

TEST_CASE("a server that answers with a status") {
  const std::string at_once = "Retry-After: 0\r\n", much_later = "Retry-After: 3600\r\n";
  run({.what = "200", .script = {step{}}, .reason = drop_reason::none});
  for (const unsigned status : {400U, 401U, 404U, 413U, 500U}) {
    for (const auto& headers : {std::string{}, at_once, much_later}) {
      CAPTURE(status);
      run({.what = "a final status",
           .script = {step{.status = status, .headers = headers}},
           .reason = drop_reason::rejected});
    }
  }
  for (const unsigned status : {429U, 502U, 503U, 504U}) {
    for (const auto& headers : {std::string{}, at_once, much_later}) {
      CAPTURE(status);
      run({.what = "a retryable status for ever",
           .script = {step{.status = status, .headers = headers}},
           .reason = drop_reason::unreachable});
    }
    run({.what = "a retryable status and then 200",
         .script = {step{.status = status, .headers = at_once}, step{}},
         .reason = drop_reason::none,
         .timeout = 20s});
  }
}

TEST_CASE("a server that breaks the protocol") {
  run({.what = "half a response",
       .script = {step{.what = step_kind::raw_and_close, .body = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"}},
       .reason = drop_reason::unreachable});
  run({.what = "half a response, then silence",
       .script = {step{.what = step_kind::raw_and_hang, .body = "HTTP/1.1 200 OK\r\nContent-Le"}},
       .reason = drop_reason::unreachable});
  run({.what = "closes at once",
       .script = {step{.what = step_kind::close_at_once}},
       .reason = drop_reason::unreachable});
  run({.what = "closes after the request",
       .script = {step{.what = step_kind::close_after_request}},
       .reason = drop_reason::unreachable});
  run({.what = "accepts and never reads",
       .script = {step{.what = step_kind::never_read}},
       .reason = drop_reason::unreachable});
  run({.what = "slow", .script = {step{.what = step_kind::drip}}, .reason = drop_reason::unreachable});
}

TEST_CASE("a server that answers with what is no answer: the spans are dropped, and counted") {
  const std::vector<step> scripts[] = {
      {step{.what = step_kind::raw_and_close, .body = std::string("\x16\x03\x01\0garbage\r\n\r\n", 15)}},
      {step{.what = step_kind::endless, .body = "HTTP/1.1 200 OK\r\n\r\n", .filler = std::string(65536, 'x')}},
      {step{.what = step_kind::endless, .body = "HTTP/1.1 200 OK\r\nX: ", .filler = std::string(65536, 'x')}},
  };
  for (const auto& script : scripts) {
    scripted_server server{script};
    otlpkit::telemetry telemetry{settings_to(server.url(""), 1s), no_variables};
    record(30);
    telemetry.flush(10s);
    const auto start = clock::now();
    telemetry.shutdown(500ms);
    CHECK(clock::now() - start < 500ms + margin);
    CHECK(telemetry.books().spans().recorded == 30);
    CHECK(telemetry.books().spans().dropped() == 30);
    CHECK(telemetry.books().spans().delivered == 0);
  }
}

TEST_CASE("a server that refuses some spans of every request") {
  run({.what = "partial success",
       .script = {step{.body = std::string("\x0a\x06\x08\x02\x12\x02no", 8)}},
       .reason = drop_reason::rejected,
       .refused_each = 2});
}

TEST_CASE("a server that is down") {
  std::string endpoint;
  {
    const scripted_server gone{};
    endpoint = gone.url("");
  }
  otlpkit::telemetry telemetry{settings_to(endpoint, 300ms), no_variables};
  record(30);
  telemetry.flush(10s);
  CHECK(telemetry.shutdown(500ms));
  CHECK(telemetry.books().spans().recorded == 30);
  CHECK(telemetry.books().spans().dropped(drop_reason::unreachable) == 30);
}

TEST_CASE("shutdown does not wait for a server longer than its deadline, and counts what it gives up") {
  for (const auto what : {step_kind::never_read, step_kind::drip, step_kind::close_at_once}) {
    scripted_server server{{step{.what = what}}};
    otlpkit::telemetry telemetry{settings_to(server.url(""), 30s), no_variables};
    record(30);
    const auto start = clock::now();
    CHECK_FALSE(telemetry.flush(100ms));
    CHECK(clock::now() - start < 100ms + margin);
    const auto end = clock::now();
    telemetry.shutdown(200ms);
    CHECK(clock::now() - end < 200ms + margin);
    CHECK(telemetry.books().spans().recorded == 30);
    CHECK(telemetry.books().spans().dropped(drop_reason::shutdown) == 30);
  }
}

TEST_CASE("a server that never reads while threads record: memory stays within its budget and nothing is uncounted") {
  constexpr std::size_t threads = 4, each = 20'000, budget = std::size_t{1} << 20;
  scripted_server server{{step{.what = step_kind::never_read}}};
  auto s = settings_to(server.url(""), 300ms);
  s.max_queue_bytes = budget;
  s.traces.max_queue_size = 1'000'000;  // memory is what ends first
  s.traces.schedule_delay = 10ms;
  otlpkit::telemetry telemetry{s, no_variables};
  std::vector<std::thread> all;
  for (std::size_t i = 0; i < threads; ++i) all.emplace_back([] { record(each); });
  for (auto& t : all) t.join();
  CHECK(otlpkit::detail::global_runtime.spans.memory() <= budget);
  const auto start = clock::now();
  telemetry.shutdown(300ms);
  CHECK(clock::now() - start < 300ms + margin);
  CHECK(telemetry.books().spans().recorded == threads * each);
  CHECK(telemetry.books().spans().dropped() == threads * each);
}
