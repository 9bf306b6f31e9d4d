// SPDX-License-Identifier: MIT
#include "video_upload/object_store.hpp"

#include "shared/sha256.hpp"

#include <otlpkit/http/client_call.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/file_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <fstream>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = otlpkit::http;
using boost::system::system_error;

namespace video {
namespace {

using upload = beast::http::request<beast::http::file_body>;  // its body is a file that is read while it is sent

/// host:port of "http://host:port"
std::pair<std::string, std::string> authority_of(const std::string& url) {
  const std::string authority = url.substr(url.find("//") + 2);
  const std::size_t colon = authority.find(':');
  return {authority.substr(0, colon), colon == std::string::npos ? "80" : authority.substr(colon + 1)};
}

upload signed_put(const std::string& path, const std::filesystem::path& file, const std::string& sha256,
                  const std::string& host, const shop::aws_credentials& by) {
  shop::aws_request to_sign{
      "PUT", path, {{"host", host}, {"x-amz-content-sha256", sha256}, {"x-amz-date", shop::aws_now()}}};
  upload put{beast::http::verb::put, shop::aws_encoded(path), 11};
  for (const auto& [name, content] : to_sign.headers) put.set(name, content);
  put.set(beast::http::field::authorization, shop::sign_aws_v4(to_sign, by));
  put.set(beast::http::field::content_type, "video/mp4");
  boost::system::error_code error;
  put.body().open(file.c_str(), beast::file_mode::scan, error);
  if (error) throw object_store_error{"the file cannot be read: " + error.message()};
  put.prepare_payload();
  return put;
}

asio::awaitable<http::response> exchange(upload& put, const std::string& host, const std::string& port,
                                         std::chrono::seconds timeout) {
  const auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::resolver resolver{executor};
  beast::tcp_stream stream{executor};
  stream.expires_after(timeout);
  const auto endpoints = co_await resolver.async_resolve(host, port, asio::use_awaitable);
  co_await stream.async_connect(endpoints, asio::use_awaitable);
  co_await beast::http::async_write(stream, put, asio::use_awaitable);
  beast::flat_buffer buffer;
  http::response answer;
  co_await beast::http::async_read(stream, buffer, answer, asio::use_awaitable);
  co_return answer;
}

}  // namespace

std::string sha256_of_file(const std::filesystem::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::vector<char> part(64 * 1024);
  shop::sha256 whole;
  while (in.read(part.data(), static_cast<std::streamsize>(part.size())) || in.gcount() > 0)
    whole.add({part.data(), static_cast<std::size_t>(in.gcount())});
  return whole.finish();
}

asio::awaitable<void> object_store::put(std::string key, std::filesystem::path file, std::string sha256) const {
  const std::string path = "/" + bucket_ + "/" + key;
  const auto [host, port] = authority_of(url_);
  upload put = signed_put(path, file, sha256, host + ":" + port, by_);
  const std::uint64_t size = put.body().size();

  // The body is of a type that http::client does not send: so the span and the metrics of the call are made here.
  const std::string url = url_ + path;
  const http::client_target target{url, host, static_cast<std::uint16_t>(std::stoi(port)), "/{bucket}/{key}"};
  http::client_call call{"PUT", target, options_.capture, options_.methods};
  call.send_context(put, true);
  http::response answer;
  try {
    answer = co_await exchange(put, host, port, timeout_);
  } catch (const system_error& e) {
    call.failed(e.code(), size);
    throw object_store_error{e.code().message()};
  }
  call.finish(answer, answer.result_int(), answer.version(), size, answer.body().size());
  if (answer.result_int() != 200) throw object_store_error{"it says " + answer.body()};
}

}  // namespace video
