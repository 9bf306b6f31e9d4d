// SPDX-License-Identifier: MIT
// links: OpenSSL::SSL OpenSSL::Crypto
#include <support/export_client.hpp>
#include <support/scripted_server.hpp>
#include <support/test_certificates.hpp>

#include <otlpkit/core/errors.hpp>
#include <otlpkit/export/otlp_http.hpp>
#include <otlpkit/export/tls.hpp>

#include <boost/asio/ssl.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <string>
#include <utility>

using namespace std::chrono_literals;
using namespace otlpkit_test;
using otlpkit::exporters::otlp_http_options;
using otlpkit::exporters::tls_files;
using otlpkit::sdk::drop_reason;
using otlpkit::sdk::signal;
namespace net = boost::asio;

namespace {

const bool quiet = [] {
  otlpkit::on_diagnostic([](otlpkit::diagnostic_level, std::string_view) {});
  return true;
}();

/// The scripted server behind TLS. `client_authority` not empty: clients must show a certificate of it.
class tls_server {
 public:
  tls_server(const certificate_files& own, const std::string& client_authority = "", std::vector<step> script = {{}})
      : server_{std::move(script),
                [this](auto& socket, std::size_t connection) { return session(socket, connection); }} {
    context_.use_certificate_chain_file(own.certificate);
    context_.use_private_key_file(own.key, net::ssl::context::pem);
    if (!client_authority.empty()) {
      context_.load_verify_file(client_authority);
      context_.set_verify_mode(net::ssl::verify_peer | net::ssl::verify_fail_if_no_peer_cert);
    }
  }
  [[nodiscard]] std::string url(const std::string& host) const {
    return "https://" + host + ":" + std::to_string(server_.port()) + "/v1/traces";
  }
  [[nodiscard]] const scripted_server& server() const { return server_; }
  [[nodiscard]] std::string sni() const { return sni_; }
  [[nodiscard]] int clean_ends() const { return clean_ends_; }

 private:
  net::awaitable<void> session(scripted_server::tcp::socket& socket, std::size_t connection) {
    net::ssl::stream<scripted_server::tcp::socket&> stream{socket, context_};
    boost::system::error_code ec;
    co_await stream.async_handshake(net::ssl::stream_base::server, net::redirect_error(net::use_awaitable, ec));
    if (ec) co_return;
    const char* const name = SSL_get_servername(stream.native_handle(), TLSEXT_NAMETYPE_host_name);
    sni_ = name != nullptr ? name : "";
    co_await server_.serve(stream, connection);
    if ((SSL_get_shutdown(stream.native_handle()) & SSL_RECEIVED_SHUTDOWN) != 0) ++clean_ends_;
  }

  net::ssl::context context_{net::ssl::context::tls_server};
  std::string sni_;
  std::atomic<int> clean_ends_{0};
  scripted_server server_;  // last: its thread uses the others
};

otlp_http_options to(const std::string& url, tls_files files) {
  return {.url = url, .tls = std::move(files), .retry = {.initial_backoff = 5ms, .max_backoff = 20ms}};
}

std::string refused(tls_files files) {
  net::io_context io;
  try {
    const otlpkit::exporters::otlp_http_exporter e{io, to("https://localhost/", std::move(files))};
  } catch (const otlpkit::config_error& e) {
    return e.what();
  }
  return "";
}

bool told(export_client& client, std::string_view part) {
  const bool found = client.counters().last_error.find(part) != std::string::npos;
  if (!found) MESSAGE(client.counters().last_error);
  return found;
}

}  // namespace

TEST_CASE("a batch arrives over TLS, on one connection, by name and by address") {
  test_authority authority;
  const auto own = authority.issue("server", "DNS:localhost,IP:127.0.0.1");
  {
    tls_server server{own};
    export_client client{to(server.url("localhost"), {.certificate = authority.file()})};
    for (int i = 0; i < 5; ++i) CHECK(client.deliver().dropped == 0);
    CHECK(server.server().connections() == 1);
    CHECK(server.server().requests().size() == 5);
    CHECK(server.sni() == "localhost");
  }
  tls_server server{own};
  export_client client{to(server.url("127.0.0.1"), {.certificate = authority.file()})};
  const auto sent = client.send(make_batch(signal::traces, 50, 100'000));
  REQUIRE(client.finish(sent));
  CHECK(sent->result.dropped == 0);
  CHECK(server.server().requests().at(0).body == bytes_of(*sent->batch));
  CHECK(server.sni().empty());
}

TEST_CASE("a certificate of an unknown authority is refused at once, and the reason is told") {
  test_authority known;
  test_authority unknown{"someone else"};
  tls_server server{unknown.issue("server", "DNS:localhost")};
  export_client client{to(server.url("localhost"), {.certificate = known.file()})};
  CHECK(client.deliver().reason == drop_reason::unreachable);
  CHECK(server.server().requests().empty());
  CHECK(client.counters().retries == 0);
  CHECK(told(client, "handshake failed"));
  CHECK(told(client, "issuer certificate"));
}

TEST_CASE("without a certificate file the system's store decides, and it does not know the test's authority") {
  test_authority authority;
  tls_server server{authority.issue("server", "DNS:localhost")};
  export_client client{to(server.url("localhost"), {})};
  CHECK(client.deliver().reason == drop_reason::unreachable);
  CHECK(server.server().requests().empty());
}

TEST_CASE("a certificate for another host is refused, by name and by address") {
  test_authority authority;
  const auto other = authority.issue("other", "DNS:other.example,IP:127.0.0.2");
  for (const char* host : {"localhost", "127.0.0.1"}) {
    CAPTURE(host);
    tls_server server{other};
    export_client client{to(server.url(host), {.certificate = authority.file()})};
    CHECK(client.deliver().reason == drop_reason::unreachable);
    CHECK(server.server().requests().empty());
    CHECK(client.counters().retries == 0);
  }
}

TEST_CASE("a client certificate opens a server that asks for one, and without it the door stays shut") {
  test_authority authority;
  const auto own = authority.issue("server", "DNS:localhost");
  const auto client_files = authority.issue("client", "");
  {
    tls_server server{own, authority.file()};
    export_client client{to(server.url("localhost"), {.certificate = authority.file(),
                                                      .client_certificate = client_files.certificate,
                                                      .client_key = client_files.key})};
    CHECK(client.deliver().dropped == 0);
  }
  tls_server server{own, authority.file()};
  export_client client{{.url = server.url("localhost"), .timeout = 1s, .tls = {.certificate = authority.file()}}};
  CHECK(client.deliver().reason == drop_reason::unreachable);
  CHECK(server.server().requests().empty());
}

TEST_CASE("files that cannot be used are refused by name") {
  const unlike_files files;
  const auto& [authority, good, other, locked, missing, garbage] = files;
  const auto names = &unlike_files::named;
  CHECK(names(refused({.certificate = missing}), "otlp_http.tls.certificate", missing));
  CHECK(names(refused({.certificate = garbage}), "otlp_http.tls.certificate", garbage));
  CHECK(names(refused({.client_certificate = missing, .client_key = good.key}), "otlp_http.tls.client_certificate",
              missing));
  CHECK(names(refused({.client_certificate = good.certificate, .client_key = missing}), "otlp_http.tls.client_key",
              missing));
  CHECK(names(refused({.client_certificate = good.certificate, .client_key = other.key}), "otlp_http.tls.client_key",
              other.key));
  CHECK(names(refused({.client_certificate = good.certificate}), "otlp_http.tls.client_key", good.certificate));
  CHECK(names(refused({.client_key = good.key}), "otlp_http.tls.client_certificate", good.key));
  // An encrypted key must not make OpenSSL ask for its password on the terminal.
  CHECK(names(refused({.client_certificate = locked.certificate, .client_key = locked.key}), "otlp_http.tls.client_key",
              locked.key));
}

TEST_CASE("a server that never answers the handshake ends with the timeout") {
  scripted_server server{{step{.what = step::kind::never_read}}};
  test_authority authority;
  export_client client{{.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/",
                        .timeout = 200ms,
                        .tls = {.certificate = authority.file()}}};
  const auto start = std::chrono::steady_clock::now();
  const auto sent = client.send();
  REQUIRE(client.finish(sent));
  CHECK(sent->result.reason == drop_reason::unreachable);
  CHECK(sent->at - start < 300ms);
}

TEST_CASE("one address may take no longer than the connect timeout") {
  scripted_server server{{step{.what = step::kind::never_read}}};
  test_authority authority;
  export_client client{{.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/",
                        .timeout = 600ms,
                        .tls = {.certificate = authority.file()},
                        .retry = {.initial_backoff = 5ms, .max_backoff = 5ms},
                        .connect_timeout = 50ms}};
  CHECK(client.deliver().reason == drop_reason::unreachable);
  CHECK(server.connections() > 3);
  CHECK(told(client, "timed out"));
}

TEST_CASE("a server that speaks no TLS is told apart") {
  scripted_server server{{step{.what = step::kind::raw_and_close, .body = "HTTP/1.1 400 Bad Request\r\n\r\n"}}};
  test_authority authority;
  export_client client{{.url = "https://127.0.0.1:" + std::to_string(server.port()) + "/",
                        .timeout = 300ms,
                        .tls = {.certificate = authority.file()}}};
  CHECK(client.deliver().reason == drop_reason::unreachable);
  CHECK(told(client, "handshake failed"));
}

TEST_CASE("shutdown takes leave of the server before it closes an idle connection") {
  test_authority authority;
  tls_server server{authority.issue("server", "DNS:localhost")};
  export_client client{to(server.url("localhost"), {.certificate = authority.file()})};
  CHECK(client.deliver().dropped == 0);
  client.exporter().shutdown(std::chrono::steady_clock::now() + 5s);
  CHECK(client.run_until([&] { return server.server().open() == 0; }));
  CHECK(server.clean_ends() == 1);
}

TEST_CASE("faults over TLS end as they do without") {
  test_authority authority;
  const auto own = authority.issue("server", "DNS:localhost");
  {
    tls_server server{own, "", {step{.what = step::kind::close_after_request}, step{.status = 503}, step{}}};
    export_client client{to(server.url("localhost"), {.certificate = authority.file()})};
    CHECK(client.deliver().dropped == 0);
    CHECK(client.counters().retries == 2);
  }
  tls_server server{own, "", {step{.what = step::kind::drip}}};
  export_client client{{.url = server.url("localhost"), .tls = {.certificate = authority.file()}}};
  const auto sent = client.send();
  client.run_for(100ms);
  const auto deadline = std::chrono::steady_clock::now() + 100ms;
  client.exporter().shutdown(deadline);
  REQUIRE(client.finish(sent));
  CHECK(sent->result.reason == drop_reason::shutdown);
  CHECK(sent->at < deadline + 100ms);
}
