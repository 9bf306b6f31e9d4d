// SPDX-License-Identifier: MIT
#include "video_upload/store_stub.hpp"

#include "shared/service_thread.hpp"
#include "shared/sha256.hpp"
#include "shared/signature.hpp"

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/http/error_name.hpp>
#include <otlpkit/http/server_call.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <chrono>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = otlpkit::http;
using asio::ip::tcp;

namespace video {
namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

std::string text(beast::string_view of) { return {of.data(), of.size()}; }

/// "" if the Authorization header is what this user would have made of the request, or what S3 calls the error.
std::string signature_error(const beast::http::fields& head, const std::string& path,
                            const shop::aws_credentials& user) {
  const std::string given = text(head[beast::http::field::authorization]);
  const std::size_t names = given.find("SignedHeaders="), end = given.find(',', names);
  if (names == std::string::npos || end == std::string::npos) return "AccessDenied";
  shop::aws_request signed_by_them{"PUT", path, {}};
  std::istringstream list{given.substr(names + 14, end - names - 14)};
  for (std::string name; std::getline(list, name, ';');) signed_by_them.headers[name] = text(head[name]);
  for (const char* needed : {"host", "x-amz-date", "x-amz-content-sha256"}) {
    if (!signed_by_them.headers.contains(needed)) return "AccessDenied";
  }
  return shop::same_signature(given, shop::sign_aws_v4(signed_by_them, user)) ? "" : "SignatureDoesNotMatch";
}

}  // namespace

struct store_stub::state {
  state(std::string b, shop::aws_credentials u) : bucket{std::move(b)}, user{std::move(u)} {}

  // All of it on the service's thread.

  void listen() {
    acceptor.emplace(on.context(), at, true);
    at = acceptor->local_endpoint();
    asio::co_spawn(on.context(), accept(), asio::detached);
  }

  asio::awaitable<void> accept() {
    for (;;) {
      auto [error, socket] = co_await acceptor->async_accept(as_result);
      if (error) co_return;
      otlpkit::co_spawn(on.context(), serve(beast::tcp_stream{std::move(socket)}), asio::detached);
    }
  }

  /// One request, and the connection is closed.
  asio::awaitable<void> serve(beast::tcp_stream stream) {
    struct under_way {
      int& count;
      ~under_way() { --count; }
    } const one{++busy};
    beast::flat_buffer buffer;
    beast::http::request_parser<beast::http::buffer_body> parser;
    parser.body_limit(std::uint64_t{1} << 30);
    stream.expires_after(std::chrono::seconds{30});
    const auto [unread, header] = co_await beast::http::async_read_header(stream, buffer, parser, as_result);
    if (unread) co_return;

    const tcp::endpoint peer = stream.socket().remote_endpoint();
    const http::peer from{peer.address().to_string(), peer.port()};
    http::server_call call{parser.get(), "/{bucket}/{key}", from, capture, methods};
    object got;
    shop::sha256 hash;
    std::vector<char> part(16 * 1024);
    while (!parser.is_done()) {
      parser.get().body() = {part.data(), part.size(), true};
      auto [error, n] = co_await beast::http::async_read(stream, buffer, parser, as_result);
      const std::size_t read = part.size() - parser.get().body().size;
      hash.add({part.data(), read});
      got.size += read;
      if (error == beast::http::error::need_buffer) error = {};
      if (cut != 0 && got.size >= cut) error = asio::error::connection_aborted;
      if (error) {
        call.failed(http::detail::error_name(error));
        co_return;
      }
    }
    got.sha256 = hash.finish();

    http::response answer = keep(parser.get(), got);
    answer.prepare_payload();
    co_await beast::http::async_write(stream, answer, as_result);
    call.finish(answer.result_int(), got.size, answer.body().size());
  }

  /// What becomes of an object that is here.
  http::response keep(const beast::http::request_header<>& head, const object& got) {
    const std::string path = text(head.target());  // keys of videos have nothing in them that is encoded
    const auto refuse = [](unsigned status, const std::string& code) {
      return http::reply(status, "<Error><Code>" + code + "</Code></Error>", "application/xml");
    };
    if (head.method() != beast::http::verb::put) return refuse(405, "MethodNotAllowed");
    if (!path.starts_with("/" + bucket + "/")) return refuse(404, "NoSuchBucket");
    if (const std::string error = signature_error(head, path, user); !error.empty()) return refuse(403, error);
    if (text(head["x-amz-content-sha256"]) != got.sha256) return refuse(400, "XAmzContentSHA256Mismatch");
    objects[path.substr(bucket.size() + 2)] = got;
    return http::reply(200);
  }

  const std::string bucket;
  const shop::aws_credentials user;
  const http::capture_options capture{};
  const http::known_methods methods{};
  std::map<std::string, object> objects;
  std::uint64_t cut = 0;
  int busy = 0;
  std::string url;
  tcp::endpoint at{asio::ip::address_v4::loopback(), 0};
  shop::service_thread on;
  std::optional<tcp::acceptor> acceptor;
};

store_stub::store_stub(std::string bucket, shop::aws_credentials of_user)
    : state_{std::make_unique<state>(std::move(bucket), std::move(of_user))} {
  take_down(false);
  state_->url = "http://127.0.0.1:" + std::to_string(state_->at.port());
}

store_stub::~store_stub() { take_down(true); }

const std::string& store_stub::url() const noexcept { return state_->url; }

std::map<std::string, store_stub::object> store_stub::objects() const {
  return state_->on.call([this] { return state_->objects; });
}

void store_stub::take_down(bool down) {
  state_->on.call([this, down] {
    if (down) state_->acceptor.reset();
    if (!down && !state_->acceptor) state_->listen();
  });
}

void store_stub::cut_after(std::uint64_t bytes) {
  state_->on.call([this, bytes] { state_->cut = bytes; });
}

void store_stub::wait_until_idle() {
  while (state_->on.call([this] { return state_->busy; }) != 0)
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

}  // namespace video
