// SPDX-License-Identifier: MIT
// The exporter against servers that misbehave: it ends within its time, tells what is lost, and calls back exactly
// once.
#include <export/faulty_server.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

using namespace otlpkit_test;

TEST_CASE("half a response is a lost connection: retried, then unreachable") {
  for (const char* half : {"HTTP/1.1 200 O", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"}) {
    CAPTURE(half);
    scripted_server server{{step{.what = kind::raw_and_close, .body = half}}};
    export_client client{to(server, 100ms)};
    const auto end = export_one(client);
    CHECK(end.result.reason == drop_reason::unreachable);
    CHECK(server.requests().size() > 1);
    CHECK(told(client, "in the middle of the response"));
  }
}

TEST_CASE("half a response and then silence ends with the timeout") {
  scripted_server server{
      {step{.what = kind::raw_and_hang, .body = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"}}};
  export_client client{to(server, 150ms)};
  const auto end = export_one(client);
  CHECK(end.result.reason == drop_reason::unreachable);
  CHECK(end.took >= 150ms);
  CHECK(end.took < 150ms + margin);
}

TEST_CASE("garbage is a final failure") {
  std::vector<std::string> garbage = {"SSH-2.0-OpenSSH_9.2\r\n",
                                      std::string(100, '\0'),
                                      "HTTP/9.9 999 \x01\r\n\r\n",
                                      "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                                      std::string("\x15\x03\x03\x00\x02\x02\x46", 7),
                                      "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"};
  for (const auto& bytes : garbage) {
    CAPTURE(bytes);
    scripted_server server{{step{.what = kind::raw_and_hang, .body = bytes}}};
    export_client client{to(server)};
    const auto end = export_one(client);
    CHECK(end.result.reason == drop_reason::rejected);
    CHECK(end.result.dropped == 3);
    CHECK(server.requests().size() == 1);
  }
}

TEST_CASE("responses without end are cut off at their limit") {
  const std::string block(16384, 'x');
  const std::string chunk = "4000\r\n" + block + "\r\n";
  const step endless[] = {
      {.what = kind::endless, .body = "HTTP/1.1 200 OK\r\n\r\n", .filler = block},
      {.what = kind::endless, .body = "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n\r\n", .filler = block},
      {.what = kind::endless, .body = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .filler = chunk},
      {.what = kind::endless, .body = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", .filler = block},
      {.what = kind::endless,
       .body = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
       .filler = "1;" + std::string(4000, 'e') + "\r\nx\r\n"},
      {.what = kind::endless, .body = "HTTP/1.1 200 OK\r\n", .filler = "X-Header: " + std::string(100, 'h') + "\r\n"},
      {.what = kind::endless, .body = "HTTP/1.1 200 OK\r\nX-Header: ", .filler = block},
      {.what = kind::endless, .body = "", .filler = "HTTP/1.1 100 Continue\r\n\r\n"},
      {.what = kind::answer, .body = std::string(5UL << 20, 'x')},
  };
  for (const step& s : endless) {
    CAPTURE(s.body.substr(0, 80));
    scripted_server server{{s}};
    export_client client{to(server)};
    const auto end = export_one(client);
    CHECK(end.result.reason == drop_reason::rejected);
    CHECK(end.took < 8s);
    CHECK(client.counters().requests == 1);
  }
}

TEST_CASE("the response limit can be set") {
  scripted_server server{{step{.body = std::string(2000, '\xff')}}};
  export_client strict{{.url = server.url(), .max_response_bytes = 1000}};
  CHECK(export_one(strict).result.reason == drop_reason::rejected);
  export_client wide{{.url = server.url(), .max_response_bytes = 3000}};
  CHECK(export_one(wide).result.dropped == 0);
}

TEST_CASE("interim responses are skipped") {
  scripted_server server{{step{.what = kind::raw_and_close,
                               .body = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: "
                                       "x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}}};
  export_client client{to(server)};
  CHECK(export_one(client).result.dropped == 0);
}

TEST_CASE("a body that drips ends with the timeout") {
  scripted_server server{{step{.what = kind::drip}}};
  export_client client{to(server, 200ms)};
  const auto end = export_one(client);
  CHECK(end.result.reason == drop_reason::unreachable);
  CHECK(end.took < 200ms + margin);
}

TEST_CASE("a server that closes at once is retried until the timeout") {
  scripted_server server{{step{.what = kind::close_at_once}}};
  export_client client{to(server, 150ms)};
  const auto end = export_one(client);
  CHECK(end.result.reason == drop_reason::unreachable);
  CHECK(end.took < 150ms + margin);
  CHECK(client.counters().retries > 1);
}

TEST_CASE("a server that accepts and never reads ends with the timeout, however large the batch") {
  for (const std::size_t size : {30U, 1'000'000U}) {
    scripted_server server{{step{.what = kind::never_read}}};
    export_client client{to(server, 200ms)};
    const auto batch = make_batch(signal::traces, 20, size);
    const auto start = steady_clock::now();
    const auto sent = client.send(batch);
    REQUIRE(client.finish(sent));
    CHECK(sent->at - start >= 200ms);
    CHECK(sent->at - start < 200ms + margin);
    CHECK(sent->result.dropped == 20);
    CHECK(sent->result.reason == drop_reason::unreachable);
    CHECK(told(client, "the export timeout of 0.2 s has passed"));
  }
}

TEST_CASE("an answer that comes before the request is read to its end counts") {
  for (const kind what : {kind::answer_early, kind::answer_early_and_hang}) {
    scripted_server server{{step{.what = what, .status = 413}}};
    export_client client{to(server, 5s)};
    const auto sent = client.send(make_batch(signal::traces, 20, 1'000'000));
    REQUIRE(client.finish(sent));
    CHECK(sent->result.reason == drop_reason::rejected);
    CHECK(client.counters().requests == 1);
    CHECK(told(client, "413"));
  }
}

TEST_CASE("without a timeout a batch waits for its server") {
  scripted_server server{{step{.what = kind::close_at_once}, step{.status = 503}, step{.status = 503}, step{}}};
  export_client client{{.url = server.url(), .timeout = 0s, .retry = quick}};
  CHECK(export_one(client).result.dropped == 0);
}

TEST_CASE("shutdown cuts off what is under way at its deadline, whatever the server does") {
  for (const kind what : {kind::never_read, kind::drip, kind::raw_and_hang, kind::close_at_once}) {
    CAPTURE(static_cast<int>(what));
    scripted_server server{{step{.what = what}}};
    export_client client{{.url = server.url(), .retry = quick, .max_connections = 2}};
    std::vector<std::shared_ptr<export_client::sent>> sent;
    for (int i = 0; i < 4; ++i) sent.push_back(client.send());
    client.run_for(20ms);
    const auto deadline = steady_clock::now() + 200ms;
    client.exporter().shutdown(deadline);
    for (const auto& s : sent) {
      REQUIRE(client.finish(s));
      CHECK(s->completions == 1);
      CHECK(s->result.reason == drop_reason::shutdown);
      CHECK(s->result.dropped == 3);
      CHECK(s->at < deadline + margin);
    }
    const auto late = client.send();
    REQUIRE(client.finish(late));
    CHECK(late->result.reason == drop_reason::shutdown);
    CHECK(late->at < deadline + margin);
  }
}

TEST_CASE("a deadline that has passed completes everything at once") {
  scripted_server server{{step{.what = kind::never_read}}};
  export_client client{to(server)};
  const auto sent = client.send();
  client.run_for(10ms);
  client.exporter().shutdown(steady_clock::now());
  const auto start = steady_clock::now();
  REQUIRE(client.finish(sent));
  CHECK(steady_clock::now() - start < margin);
  CHECK(sent->result.reason == drop_reason::shutdown);
  const auto late = client.send();
  CHECK(late->completions == 1);
  CHECK(late->result.reason == drop_reason::shutdown);
}

TEST_CASE("what can still be delivered is delivered during shutdown, and the connection is closed then") {
  scripted_server server;
  export_client client{to(server)};
  CHECK(export_one(client).result.dropped == 0);
  const auto under_way = client.send();
  client.exporter().shutdown(steady_clock::now() + 5s);
  const auto after = client.send();
  REQUIRE(client.finish(under_way));
  REQUIRE(client.finish(after));
  CHECK(under_way->result.dropped == 0);
  CHECK(after->result.dropped == 0);
  CHECK(client.run_until([&] { return server.open() == 0; }));
}

TEST_CASE("shutdown does not sit out a back-off, but respects a Retry-After") {
  scripted_server free{{step{.status = 503}, step{}}};
  export_client first{{.url = free.url(), .timeout = 0s, .retry = {.initial_backoff = 1h, .max_backoff = 1h}}};
  const auto hurried = first.send();
  REQUIRE(first.run_until([&] { return first.counters().retries == 1; }));
  first.exporter().shutdown(steady_clock::now() + 2s);
  const auto start = steady_clock::now();
  REQUIRE(first.finish(hurried));
  CHECK(hurried->result.dropped == 0);
  CHECK(steady_clock::now() - start < 1s);

  scripted_server asks{{step{.status = 503, .headers = "Retry-After: 60\r\n"}, step{}}};
  export_client second{{.url = asks.url(), .timeout = 0s}};
  const auto patient = second.send();
  REQUIRE(second.run_until([&] { return second.counters().retries == 1; }));
  second.exporter().shutdown(steady_clock::now() + 150ms);
  REQUIRE(second.finish(patient));
  CHECK(patient->result.reason == drop_reason::shutdown);
  CHECK(asks.requests().size() == 1);
}

TEST_CASE("a receiver's count and the exporter's books agree under a mix of faults") {
  std::vector<step> script{step{.what = kind::close_at_once}};
  for (int i = 0; i < 60; ++i) {
    script.push_back(step{});
    if (i % 3 == 0) script.push_back(step{.status = 503});
    if (i % 4 == 0) script.push_back(step{.status = 400});
    if (i % 5 == 0) script.push_back(step{.what = kind::close_at_once});
    if (i % 7 == 0) script.push_back(step{.body = std::string("\x0a\x02\x08\x01", 4)});
  }
  script.push_back(step{});
  scripted_server server{script};
  export_client client{to(server)};
  std::vector<std::shared_ptr<export_client::sent>> sent;
  for (int i = 0; i < 100; ++i) sent.push_back(client.send());
  std::uint64_t lost = 0;
  for (const auto& s : sent) {
    REQUIRE(client.finish(s));
    CHECK(s->completions == 1);
    lost += s->result.dropped;
  }
  std::uint64_t dropped = 0;
  for (const auto d : client.counters().dropped) dropped += d;
  CHECK(dropped == lost);
  CHECK(client.counters().delivered + dropped == 300);
  CHECK(client.counters().batches == 100);
  // Which connection meets a step that closes it depends on who is first: before its request is read, or after it.
  CHECK(server.closed_at_once() > 0);
  CHECK(client.counters().requests == server.requests().size() + server.closed_at_once());
}
