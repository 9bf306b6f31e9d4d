// SPDX-License-Identifier: MIT
// links: ZLIB::ZLIB
// timeout: 180
#include <otlpkit/export/prometheus_endpoint.hpp>
#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>

#include <doctest/doctest.h>
#include <zlib.h>

#include "export/scrape_client.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::string inflated(const std::string& body) {
  std::string out(1 << 20, '\0');
  z_stream z{};
  REQUIRE(::inflateInit2(&z, 15 + 16) == Z_OK);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  z.avail_in = static_cast<uInt>(body.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  CHECK(::inflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  ::inflateEnd(&z);
  return out;
}

otlpkit::settings serving(std::uint16_t port = 0) {
  otlpkit::settings s;
  s.service = "shop";
  s.traces.exporters = std::vector<std::string>{};
  s.logs.exporters = std::vector<std::string>{};
  s.metrics.exporters = std::vector<std::string>{"prometheus"};
  s.prometheus.port = port;
  return s;
}

/// An endpoint on a thread of its own, showing one metric.
struct lone_endpoint {
  boost::asio::io_context io{1};
  std::unique_ptr<otlpkit::prometheus::endpoint> endpoint;
  std::thread thread;

  explicit lone_endpoint(otlpkit::prometheus::endpoint_options o) {
    o.host = "127.0.0.1";
    o.port = 0;
    o.collect = [] {
      // Gauge "g" with one point, the integer 7.
      const std::string items{"\x12\x10\x0A\x01g\x2A\x0B\x0A\x09\x31\x07\0\0\0\0\0\0\0", 18};
      std::vector<otlpkit::sdk::scope_items> scopes;
      scopes.push_back({"", items, 1});
      return std::make_shared<const otlpkit::sdk::batch>(otlpkit::sdk::signal::metrics,
                                                         std::make_shared<const std::string>(), std::move(scopes));
    };
    endpoint = std::make_unique<otlpkit::prometheus::endpoint>(io, std::move(o));
    thread = std::thread{[this] { io.run(); }};
  }
  ~lone_endpoint() {
    io.stop();
    thread.join();
    endpoint.reset();
  }
  [[nodiscard]] std::uint16_t port() const { return endpoint->port(); }
};

/// A program with its standard output and error in a file; killed with the object.
class program {
 public:
  program(const std::vector<std::string>& words, const std::string& log) {
    std::vector<char*> arguments;
    for (const std::string& w : words) arguments.push_back(const_cast<char*>(w.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    ::posix_spawn_file_actions_adddup2(&files, 1, 2);
    started_ = ::posix_spawnp(&pid_, arguments[0], &files, nullptr, arguments.data(), environ) == 0;
    ::posix_spawn_file_actions_destroy(&files);
  }
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program() {
    if (!started_) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] bool started() const { return started_; }

 private:
  pid_t pid_ = 0;
  bool started_ = false;
};

struct folder {
  std::string path;
  folder() {
    path = (std::filesystem::temp_directory_path() / "otlpkit-prometheus-XXXXXX").string();
    REQUIRE(::mkdtemp(path.data()) != nullptr);
  }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

std::string content_of(const std::string& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

/// Asks again until the answer holds `part`, for at most a minute. \return the last answer
template <class Ask>
std::string eventually(std::string_view part, Ask ask) {
  const auto until = std::chrono::steady_clock::now() + 60s;
  for (;;) {
    std::string answer = ask();
    if (answer.find(part) != answer.npos || std::chrono::steady_clock::now() > until) return answer;
    std::this_thread::yield();  // asking takes a moment of its own
  }
}

std::vector<std::string>& told() {
  static std::vector<std::string> all;
  return all;
}

}  // namespace

TEST_CASE("GET /metrics answers in the format and the encoding that is asked for") {
  otlpkit::telemetry telemetry{serving()};
  const std::uint16_t port = telemetry.prometheus_port();
  REQUIRE(port != 0);
  OTLPKIT_COUNTER("orders", {"kind", "book"}).add(3);

  const auto text = get(port);
  CHECK(text.status() == 200);
  CHECK(text.has("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  CHECK(text.body.find("orders_total{kind=\"book\"") != text.body.npos);
  CHECK(text.body.find("target_info{") != text.body.npos);
  CHECK(text.body.find("service_name=\"shop\"") != text.body.npos);

  const auto open = get(port, "Accept: application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip\r\n");
  CHECK(open.has("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores\r\n"));
  CHECK(open.has("Content-Encoding: gzip\r\n"));
  CHECK(inflated(open.body).ends_with("# EOF\n"));
  CHECK(get(port, {}, "/metrics?x=1").status() == 200);

  telemetry.shutdown();
  CHECK_FALSE(client{port}.connected());
  otlpkit::telemetry again{serving(port)};
  CHECK(again.prometheus_port() == port);
  CHECK(get(port).status() == 200);
}

TEST_CASE("everything but GET /metrics is refused with a reason") {
  const lone_endpoint e{{}};
  CHECK(get(e.port()).body == "# TYPE g gauge\ng 7\n");
  CHECK(get(e.port(), {}, "/").status() == 404);
  const auto answer = [&](std::string_view bytes) {
    client c{e.port()};
    c.send(bytes);
    return c.receive();
  };
  CHECK(answer(request({}, "/metrics", "DELETE")).status() == 405);
  CHECK(answer(request({}, "/metrics", "DELETE")).has("Allow: GET, HEAD\r\n"));
  CHECK(answer(request("Content-Length: 5\r\n", "/metrics", "POST")).status() == 413);
  CHECK(answer("hello\r\n\r\n").status() == 400);
  CHECK(answer(request("X: " + std::string(9000, 'x') + "\r\n")).status() == 431);

  client c{e.port()};
  c.send(request({}, "/metrics", "HEAD"));
  const auto head = c.receive(false);
  CHECK(head.status() == 200);
  c.send(request());
  const auto second = c.receive();
  CHECK(second.head.starts_with("HTTP/1.1 200 "));  // the connection is kept, and HEAD sent no body
  CHECK(second.body.ends_with("g 7\n"));
  c.send(request() + request("Connection: close\r\n"));
  CHECK(c.receive().status() == 200);
  CHECK(c.receive().has("Connection: close\r\n"));
  CHECK(c.is_closed());
}

TEST_CASE("a slow client is cut off, and keeps nobody waiting") {
  otlpkit::prometheus::endpoint_options o;
  o.request_timeout = 100ms;
  const lone_endpoint e{o};
  client slow{e.port()};
  slow.send("GET /metrics HTTP/1.1\r\n");
  CHECK(get(e.port()).status() == 200);
  CHECK(slow.is_closed());
}

TEST_CASE("a new client takes the place of the one that has been idle for longest") {
  otlpkit::prometheus::endpoint_options o;
  o.max_connections = 2;
  const lone_endpoint e{o};
  client first{e.port()}, second{e.port()};
  first.send(request());
  CHECK(first.receive().status() == 200);
  second.send(request());
  CHECK(second.receive().status() == 200);
  CHECK(get(e.port()).status() == 200);
  CHECK(first.is_closed());
  second.send(request());
  CHECK(second.receive().status() == 200);
}

TEST_CASE("an address that cannot be listened on is an error in code and a report for the environment") {
  otlpkit::telemetry holder{serving()};
  const std::uint16_t port = holder.prometheus_port();
  boost::asio::io_context io;
  otlpkit::prometheus::endpoint_options o;
  o.port = port;
  CHECK_THROWS_WITH_AS(static_cast<void>(otlpkit::prometheus::endpoint(io, o)),
                       doctest::Contains("expected a port that can be listened on"), otlpkit::config_error);
  o.host = "192.0.2.1";
  o.port = 0;
  CHECK_THROWS_AS(static_cast<void>(otlpkit::prometheus::endpoint(io, o)), otlpkit::config_error);
  holder.shutdown();

  const lone_endpoint taken{{}};
  CHECK_THROWS_AS(static_cast<void>(otlpkit::telemetry{serving(taken.port())}), otlpkit::config_error);
  otlpkit::settings s = serving();
  s.metrics.exporters.reset();
  s.prometheus.port.reset();
  s.diagnostics = [](otlpkit::diagnostic_level, std::string_view text) { told().emplace_back(text); };
  const std::string text = std::to_string(taken.port());
  const otlpkit::environment env{{"OTEL_METRICS_EXPORTER", "prometheus"}, {"OTEL_EXPORTER_PROMETHEUS_PORT", text}};
  const otlpkit::telemetry goes_on{s, env};
  otlpkit::on_diagnostic(nullptr);
  CHECK(goes_on.configuration().of(otlpkit::sdk::signal::metrics).exports_to(otlpkit::sdk::exporter_kind::prometheus));
  REQUIRE(told().size() == 1);
  CHECK(told()[0].find("prometheus.port: got " + text) != std::string::npos);
}

TEST_CASE("a forked child keeps neither the port nor the connections of its parent") {
  otlpkit::telemetry telemetry{serving()};
  const std::uint16_t port = telemetry.prometheus_port();
  client c{port};
  c.send(request());
  CHECK(c.receive().status() == 200);
  int until_done[2];
  REQUIRE(::pipe(until_done) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    ::close(until_done[1]);
    static_cast<void>(::read(until_done[0], &byte, 1));
    ::_exit(0);
  }
  telemetry.shutdown();
  CHECK(c.is_closed());
  CHECK_FALSE(client{port}.connected());
  ::close(until_done[1]);
  ::waitpid(child, nullptr, 0);
  ::close(until_done[0]);
}

TEST_CASE("promtool has nothing to say about the page") {
  otlpkit::telemetry telemetry{serving()};
  otlpkit::counter<std::int64_t> parcels{"parcels", {.unit = "{parcel}", .description = "Parcels sent"}};
  parcels.add(1, {{"to", "quo\"te\\ \n\xff"}});
  otlpkit::histogram took{"took", {.unit = "s", .description = "Time"}};
  took.record(0.3);
  otlpkit::gauge<std::int64_t> size{"stock", {.unit = "{item}", .description = "Items in store"}};
  size.set(4);
  const folder f;
  std::ofstream{f.path + "/page"} << get(telemetry.prometheus_port()).body;
  const int status = std::system(("promtool check metrics < " + f.path + "/page > " + f.path + "/said 2>&1").c_str());
  CHECK(content_of(f.path + "/said") == "");
  CHECK(status == 0);
}

TEST_CASE("a Prometheus server scrapes the endpoint, and answers with the values and exemplars recorded") {
  otlpkit::settings s = serving();
  s.exporters = {std::make_shared<otlpkit::testing::memory_exporter>()};
  otlpkit::telemetry telemetry{s};
  otlpkit::histogram took{"checkout.took", {.unit = "s", .bounds = {0.1, 1, 10}}};
  otlpkit::gauge<double> load{"load"};
  std::string trace;
  {
    otlpkit::span_guard span{"buy"};
    const auto hex = otlpkit::to_hex(span.context().trace);
    trace.assign(hex.text, sizeof hex.text);
    for (const int n : {41, 1}) OTLPKIT_COUNTER("sold", {"title", "a \"b\"\\\n\xc3\xa9"}, {"raw", "\xff"}).add(n);
    took.record(0.5);
    took.record(20);
  }
  load.set(-0.25);

  const folder f;
  std::ofstream{f.path + "/prometheus.yml"} << "scrape_configs: [{job_name: shop, scrape_interval: 200ms, "
                                               "scrape_timeout: 200ms, static_configs: [{targets: ['127.0.0.1:"
                                            << telemetry.prometheus_port() << "']}]}]\n";
  const program server{
      {"prometheus", "--config.file=" + f.path + "/prometheus.yml", "--storage.tsdb.path=" + f.path + "/data",
       "--web.listen-address=127.0.0.1:0", "--enable-feature=exemplar-storage"},
      f.path + "/log"};
  REQUIRE(server.started());
  const std::string_view listening = "msg=\"Listening on\" address=127.0.0.1:";
  const std::string log = eventually(listening, [&] { return content_of(f.path + "/log"); });
  CAPTURE(log);
  REQUIRE(log.find(listening) != log.npos);
  const auto port = static_cast<std::uint16_t>(std::atoi(log.c_str() + log.find(listening) + listening.size()));
  const auto ask = [&](std::string_view query) {
    return eventually("\"value\"", [&] { return get(port, {}, "/api/v1/query?query=" + std::string{query}).body; });
  };
  const std::string sold = ask("sold_total");
  CAPTURE(sold);
  CHECK(sold.find("\"42\"]") != sold.npos);
  CHECK(sold.find(R"("title":"a \"b\"\\\n)"
                  "\xc3\xa9\"") != sold.npos);
  CHECK(sold.find("\"raw\":\"/w==\"") != sold.npos);  // not UTF-8: bytes, in base64
  CHECK(ask("load").find("\"-0.25\"]") != std::string::npos);
  CHECK(ask("checkout_took_seconds_count").find("\"2\"]") != std::string::npos);
  CHECK(ask("checkout_took_seconds_sum").find("\"20.5\"]") != std::string::npos);
  CHECK(ask("checkout_took_seconds_bucket%7Ble%3D%221.0%22%7D").find("\"1\"]") != std::string::npos);
  CHECK(ask("target_info").find("\"service_name\":\"shop\"") != std::string::npos);
  const std::string metadata = get(port, {}, "/api/v1/metadata?metric=checkout_took_seconds").body;
  CHECK(metadata.find("\"type\":\"histogram\"") != metadata.npos);
  CHECK(metadata.find("\"unit\":\"seconds\"") != metadata.npos);

  for (const char* metric : {"sold_total", "checkout_took_seconds_bucket"}) {
    const std::string target = "/api/v1/query_exemplars?start=0&end=9999999999&query=" + std::string{metric};
    const std::string exemplars = eventually(trace, [&] { return get(port, {}, target).body; });
    CAPTURE(exemplars);
    CHECK(exemplars.find("\"trace_id\":\"" + trace + "\"") != exemplars.npos);
  }
}
