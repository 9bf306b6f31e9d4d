// SPDX-License-Identifier: MIT
#include <support/export_client.hpp>
#include <support/scripted_server.hpp>

#include <otlpkit/core/errors.hpp>
#include <otlpkit/export/gzip.hpp>
#include <otlpkit/export/otlp_http.hpp>

#include <boost/beast/zlib/inflate_stream.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace otlpkit_test;
using otlpkit::exporters::compression;
using otlpkit::exporters::otlp_http_exporter;
using otlpkit::exporters::otlp_http_options;
using otlpkit::sdk::drop_reason;
using otlpkit::sdk::signal;

namespace {

std::mutex told_mutex;
std::vector<std::string> told;

struct listening {
  listening() {
    told.clear();
    otlpkit::on_diagnostic([](otlpkit::diagnostic_level, std::string_view message) {
      const std::lock_guard lock{told_mutex};
      told.emplace_back(message);
    });
  }
  ~listening() { otlpkit::on_diagnostic(nullptr); }
  static std::size_t count(std::string_view part) {
    std::size_t n = 0;
    for (const auto& m : told) n += m.find(part) != std::string::npos;
    return n;
  }
};

std::string refused(const otlp_http_options& options) {
  boost::asio::io_context io;
  try {
    const otlp_http_exporter e{io, options};
  } catch (const otlpkit::config_error& e) {
    return e.what();
  }
  return "";
}

std::string inflate(std::string_view deflated, std::size_t size) {
  namespace zlib = boost::beast::zlib;
  std::string out(size, '\0');
  zlib::inflate_stream inflate;
  zlib::z_params z;
  z.next_in = deflated.data();
  z.avail_in = deflated.size();
  z.next_out = out.data();
  z.avail_out = out.size();
  boost::system::error_code ec;
  inflate.write(z, zlib::Flush::finish, ec);
  out.resize(z.total_out);
  return out;
}

}  // namespace

TEST_CASE("a batch arrives as it is, in a request as OTLP wants it") {
  scripted_server server;
  export_client client{
      {.url = server.url("/my/v1/traces?k=v"), .headers = {{"authorization", "Bearer x=="}, {"X-Scope", "a, b"}}}};
  const auto sent = client.send(5);
  REQUIRE(client.finish(sent));
  CHECK(sent->result.dropped == 0);
  CHECK(sent->result.reason == drop_reason::none);

  const auto requests = server.requests();
  REQUIRE(requests.size() == 1);
  const auto& r = requests[0];
  CHECK(r.method == "POST");
  CHECK(r.target == "/my/v1/traces?k=v");
  CHECK(r.body == bytes_of(*sent->batch));
  CHECK(r.header("host") == "127.0.0.1:" + std::to_string(server.port()));
  CHECK(r.header("content-type") == "application/x-protobuf");
  CHECK(r.header("content-length") == std::to_string(sent->batch->bytes()));
  CHECK(r.header("user-agent") == "otlpkit/" OTLPKIT_VERSION " OTel-OTLP-Exporter-Cpp/" OTLPKIT_VERSION);
  CHECK(r.header("authorization") == "Bearer x==");
  CHECK(r.header("x-scope") == "a, b");
  CHECK(r.header("content-encoding").empty());
  CHECK(r.header("accept-encoding").empty());

  CHECK(client.counters().batches == 1);
  CHECK(client.counters().requests == 1);
  CHECK(client.counters().bytes == sent->batch->bytes());
  CHECK(client.counters().delivered == 5);
  CHECK(client.counters().last_error.empty());
}

TEST_CASE("the exporter takes one signal and is named after it") {
  export_client traces{{}};
  CHECK(traces.exporter().name() == "otlp_http_span_exporter/0");
  CHECK(traces.exporter().accepts(signal::traces));
  CHECK_FALSE(traces.exporter().accepts(signal::logs));
  CHECK(traces.exporter().endpoint().text() == "http://localhost:4318/v1/traces");
  export_client metrics{{.signal = signal::metrics}};
  CHECK(metrics.exporter().name() == "otlp_http_metric_exporter/0");
  CHECK(metrics.exporter().endpoint().target == "/v1/metrics");
  export_client logs{{.signal = signal::logs}};
  CHECK(logs.exporter().name() == "otlp_http_log_exporter/0");
}

TEST_CASE("a batch of many megabytes arrives whole") {
  scripted_server server;
  export_client client{{.url = server.url()}};
  const auto sent = client.send(make_batch(signal::traces, 200, 100'000));
  REQUIRE(client.finish(sent));
  CHECK(sent->result.dropped == 0);
  CHECK(server.requests().at(0).body == bytes_of(*sent->batch));
}

TEST_CASE("gzip sends one member that inflates to the batch") {
  scripted_server server{{step{.status = 503, .headers = "Retry-After: 0\r\n"}, step{}}};
  export_client client{{.url = server.url(), .compression = compression::gzip}};
  const auto sent = client.send(make_batch(signal::traces, 20'000, 60));
  REQUIRE(client.finish(sent));
  CHECK(sent->result.dropped == 0);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 2);
  const std::string expected = bytes_of(*sent->batch);
  for (const auto& r : requests) {  // the retry sends the same bytes again
    CHECK(r.header("content-encoding") == "gzip");
    REQUIRE(r.body.size() > 18);
    CHECK(r.body.size() < expected.size() / 2);
    CHECK(r.body.substr(0, 3) == "\x1f\x8b\x08");
    CHECK(inflate(std::string_view{r.body}.substr(10, r.body.size() - 18), expected.size() + 1) == expected);
  }
}

TEST_CASE("one connection serves request after request") {
  scripted_server server;
  export_client client{{.url = server.url()}};
  for (int i = 0; i < 20; ++i) CHECK(client.deliver().dropped == 0);
  CHECK(server.connections() == 1);
  CHECK(server.requests().size() == 20);
  CHECK(client.counters().connections == 1);
}

TEST_CASE("a connection the server wants closed is not used again") {
  scripted_server server{{step{.headers = "Connection: close\r\n"}}};
  export_client client{{.url = server.url()}};
  for (int i = 0; i < 3; ++i) CHECK(client.deliver().dropped == 0);
  CHECK(server.connections() == 3);
}

TEST_CASE("a connection closed while idle is replaced without counting as a retry") {
  scripted_server server{{step{.what = step::kind::answer_and_close}}};
  export_client client{{.url = server.url()}};
  for (int i = 0; i < 5; ++i) {
    CHECK(client.deliver().dropped == 0);
    REQUIRE(client.run_until([&] { return server.open() == 0; }));
  }
  CHECK(server.requests().size() == 5);
  CHECK(client.counters().retries == 0);
}

TEST_CASE("a kept connection that ends as the next request sets out is replaced at once, without back-off") {
  scripted_server server{{step{}, step{.what = step::kind::close_after_request}, step{}}};
  export_client client{{.url = server.url(), .retry = {.initial_backoff = 1h, .max_backoff = 1h}}};
  CHECK(client.deliver().dropped == 0);
  CHECK(client.deliver().dropped == 0);
  CHECK(client.counters().retries == 0);
  CHECK(client.counters().requests == 3);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[1].connection == 0);
  CHECK(requests[2].connection == 1);
}

TEST_CASE("an idle connection is not trusted for ever") {
  scripted_server server;
  export_client client{{.url = server.url(), .idle_timeout = 0ns}};
  CHECK(client.deliver().dropped == 0);
  CHECK(client.deliver().dropped == 0);
  CHECK(server.connections() == 2);
}

TEST_CASE("requests run side by side up to the limit, what is sent beyond it waits its turn") {
  scripted_server server{{step{.what = step::kind::never_read}, step{.what = step::kind::never_read}, step{}}};
  export_client client{{.url = server.url(), .timeout = 600ms, .max_connections = 3}};
  const auto stuck1 = client.send();
  CHECK(client.exporter().ready(signal::traces));
  const auto stuck2 = client.send();
  REQUIRE(client.run_until([&] { return server.connections() == 2; }));
  const auto served = client.send(4);
  CHECK_FALSE(client.exporter().ready(signal::traces));
  const auto queued = client.send(5);
  REQUIRE(client.finish(served));
  REQUIRE(client.finish(queued));
  CHECK(served->result.dropped == 0);
  CHECK(queued->result.dropped == 0);
  CHECK(stuck1->completions == 0);
  CHECK(client.exporter().ready(signal::traces));
  REQUIRE(client.finish(stuck1));
  REQUIRE(client.finish(stuck2));
  CHECK(stuck1->result.dropped == 3);
  CHECK(stuck1->result.reason == drop_reason::unreachable);
  CHECK(server.most_open() <= 3);
  CHECK(client.counters().delivered == 9);
  CHECK(client.counters().dropped[static_cast<std::size_t>(drop_reason::unreachable)] == 6);
}

TEST_CASE("a batch over the limit is not sent") {
  scripted_server server;
  export_client client{{.url = server.url(), .max_request_bytes = 1000}};
  const auto sent = client.send(make_batch(signal::traces, 7, 1000));
  CHECK(sent->completions == 1);
  CHECK(sent->result.dropped == 7);
  CHECK(sent->result.reason == drop_reason::too_large);
  CHECK(client.deliver().dropped == 0);
  CHECK(server.requests().size() == 1);
}

TEST_CASE("an empty batch is done without a request") {
  export_client client{{.url = "http://127.0.0.1:1/"}};
  const auto sent = client.send(std::size_t{0});
  CHECK(sent->completions == 1);
  CHECK(sent->result.dropped == 0);
}

TEST_CASE("a name is resolved without holding up the thread, and localhost without a resolver") {
  scripted_server server;
  export_client client{{.url = "http://LocalHost:" + std::to_string(server.port()) + "/v1/traces"}};
  CHECK(client.deliver().dropped == 0);

  export_client unknown{{.url = "http://no-such-host.invalid/", .timeout = 300ms}};
  const auto before = std::chrono::steady_clock::now();
  const auto sent = unknown.send();
  CHECK(std::chrono::steady_clock::now() - before < 100ms);
  REQUIRE(unknown.finish(sent));
  CHECK(sent->result.reason == drop_reason::unreachable);
}

TEST_CASE("the next batch may be sent from within a completion") {
  scripted_server server;
  export_client client{{.url = server.url(), .max_connections = 1}};
  int done = 0;
  std::function<void(otlpkit::sdk::export_result)> next = [&](otlpkit::sdk::export_result r) {
    CHECK(r.dropped == 0);
    if (++done < 50) client.exporter().send(make_batch(signal::traces, 1), next);
  };
  client.exporter().send(make_batch(signal::traces, 1), next);
  CHECK(client.run_until([&] { return done == 50; }));
  CHECK(server.connections() == 1);
}

TEST_CASE("the exporter may be destroyed from within a completion") {
  scripted_server server;
  export_client client{{.url = server.url()}};
  int done = 0;
  client.exporter().send(make_batch(signal::traces, 1), [&](otlpkit::sdk::export_result) {
    ++done;
    client.destroy_exporter();
  });
  CHECK(client.run_until([&] { return done == 1; }));
  client.run_for(20ms);
  CHECK(done == 1);
}

TEST_CASE("destroying the exporter completes what is under way as shutdown, and nothing runs after it") {
  scripted_server server{{step{.what = step::kind::never_read}}};
  export_client client{{.url = server.url(), .max_connections = 2}};
  std::vector<std::shared_ptr<export_client::sent>> sent;
  for (int i = 0; i < 4; ++i) sent.push_back(client.send());
  REQUIRE(client.run_until([&] { return server.connections() == 2; }));
  client.destroy_exporter();
  for (const auto& s : sent) {
    CHECK(s->completions == 1);
    CHECK(s->result.reason == drop_reason::shutdown);
    CHECK(s->result.dropped == 3);
  }
  client.run_for(50ms);
  for (const auto& s : sent) CHECK(s->completions == 1);
}

TEST_CASE("the io_context may go while coroutines are suspended") {
  scripted_server server{{step{.what = step::kind::never_read}}};
  auto sent = std::make_shared<export_client::sent>();
  {
    export_client client{{.url = server.url(), .compression = compression::gzip}};
    sent = client.send();
    REQUIRE(client.run_until([&] { return server.connections() == 1; }));
  }
  CHECK(sent->completions == 1);
  CHECK(sent->result.reason == drop_reason::shutdown);
}

TEST_CASE("unusable options are refused by name, and secrets stay out of the message") {
  CHECK(refused({.url = "localhost:4318"}).find("otlp_http.url: got \"localhost:4318\", expected a URL") == 0);
  CHECK(refused({.url = "https://127.0.0.1:1/"}).find("#include <otlpkit/export/tls.hpp>") != std::string::npos);
  CHECK(refused({.url = "http://me:secret@c/"}).find("password") != std::string::npos);
  CHECK(refused({.url = "http://me:secret@c/"}).find("secret") == std::string::npos);
  CHECK(refused({.headers = {{"bad name", "x"}}}).find("bad name") != std::string::npos);
  CHECK(refused({.headers = {{"", "x"}}}).find("otlp_http.headers") == 0);
  const std::string injected = refused({.headers = {{"token", "secret\r\nX-Evil: 1"}}});
  CHECK(injected.find("token") != std::string::npos);
  CHECK(injected.find("secret") == std::string::npos);
  CHECK(refused({.headers = {{"Content-Length", "3"}}}).find("Content-Length") != std::string::npos);
  CHECK(refused({.headers = {{"User-Agent", "mine"}}}).empty());
}

TEST_CASE("trouble is told once per kind, with where it went and what was lost") {
  const listening ears;
  scripted_server server{{step{.status = 400, .body = std::string("\x12\x04nope", 6)}}};
  export_client client{{.url = server.url()}};
  for (int i = 0; i < 5; ++i) CHECK(client.deliver(2).reason == drop_reason::rejected);
  REQUIRE(told.size() == 1);
  CHECK(told[0] == "traces to " + server.url() + ": 2 spans lost (rejected): 400 Scripted: nope");
}

TEST_CASE("what was held back is told with the next message") {
  const listening ears;
  scripted_server server{{step{.status = 404}}};
  export_client client{{.signal = signal::logs, .url = server.url("/"), .report_interval = 200ms}};
  const auto start = std::chrono::steady_clock::now();
  int sends = 0;
  while (std::chrono::steady_clock::now() - start < 250ms) {
    client.deliver(1);
    ++sends;
  }
  client.deliver(1);
  REQUIRE(told.size() >= 2);
  CHECK(told[1].find("and ") != std::string::npos);
  CHECK(told[1].find("more times since this was last reported") != std::string::npos);
  CHECK(told[1].find("log records lost") != std::string::npos);
  CHECK(client.counters().dropped[static_cast<std::size_t>(drop_reason::rejected)] ==
        static_cast<std::uint64_t>(sends + 1));
}

TEST_CASE("a retry is told with the wait") {
  const listening ears;
  scripted_server server{{step{.status = 503, .headers = "Retry-After: 0\r\n"}, step{}}};
  export_client client{{.url = server.url()}};
  CHECK(client.deliver().dropped == 0);
  REQUIRE(told.size() == 1);
  CHECK(told[0] == "traces to " + server.url() + ": 503 Scripted, retrying in 0 s");
}
