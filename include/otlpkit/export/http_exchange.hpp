// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/export/transport.hpp>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::exporters::detail {

/// How one request on one connection ended.
struct http_reply {
  enum class result : std::uint8_t {
    answered,   ///< a complete response
    lost,       ///< the connection ended before one: nobody knows whether the request arrived
    malformed,  ///< the peer does not speak HTTP
    too_large,  ///< the response exceeds its limit
  };
  result what = result::lost;
  error_code error;       ///< for all but `answered`
  bool any_byte = false;  ///< something of a response came
  bool reusable = false;  ///< the connection can carry another request
  unsigned status = 0;
  std::string reason;  ///< as the peer sent it
  std::string retry_after;
  std::string location;
  bool encoded = false;  ///< the body is in a Content-Encoding
  std::string body;
};

using response_parser = boost::beast::http::response_parser<boost::beast::http::string_body>;

inline void take_response(response_parser& parser, http_reply& reply) {
  namespace http = boost::beast::http;
  auto& message = parser.get();
  const auto text = [&](http::field name) {
    const auto value = message[name];
    return std::string{value.data(), value.size()};
  };
  reply.what = http_reply::result::answered;
  reply.status = message.result_int();
  reply.reason.assign(message.reason().data(), message.reason().size());
  reply.retry_after = text(http::field::retry_after);
  reply.location = text(http::field::location);
  const std::string encoding = text(http::field::content_encoding);
  reply.encoded = !encoding.empty() && encoding != "identity";
  reply.reusable = parser.keep_alive();
  reply.body = std::move(message.body());
}

/// Whether this can be the front of a response, as far as it goes.
[[nodiscard]] inline bool begins_like_http(net::const_buffer data) noexcept {
  constexpr std::string_view version = "HTTP/1.";
  const std::string_view front{static_cast<const char*>(data.data()), std::min(data.size(), version.size())};
  return version.starts_with(front);
}

/// Sends a request and reads the response, both at the same time: a server may refuse a request it has not read to the
/// end. Bounded in memory by the two limits; bounded in time only by whoever closes the transport.
/// \param keep owns what `request` points at; released when the last byte is written or the transport is closed
inline net::awaitable<http_reply> exchange(std::shared_ptr<transport> connection,
                                           std::span<const net::const_buffer> request, std::shared_ptr<const void> keep,
                                           std::uint64_t body_limit) {
  namespace http = boost::beast::http;
  constexpr std::uint32_t header_limit = 16 * 1024;
  constexpr int most_interim_responses = 8;

  struct write_state {
    bool done = false;
    error_code error;
  };
  auto writing = std::make_shared<write_state>();
  connection->write(request, [writing, connection, keep = std::move(keep)](error_code ec) {
    writing->done = true;
    writing->error = ec;
  });

  http_reply reply;
  boost::beast::flat_buffer buffer;
  bool untouched = true;  // nothing of this message was parsed yet
  std::optional<response_parser> parser;
  const auto fresh_parser = [&] {
    parser.emplace();
    parser->eager(true);
    parser->header_limit(header_limit);
    parser->body_limit(body_limit);
    untouched = true;
  };
  const auto fail = [&](error_code ec) {
    const bool too_large = ec == http::error::body_limit;
    reply.what = too_large ? http_reply::result::too_large : http_reply::result::malformed;
    reply.error = ec;
  };
  fresh_parser();
  std::uint64_t received = 0;
  for (int interim = 0;;) {
    error_code ec;
    // The parser waits for a whole line, which a peer of another protocol may never send.
    if (untouched && !begins_like_http(buffer.data())) {
      fail(http::error::bad_version);
      co_return reply;
    }
    while (buffer.size() > 0 && !parser->is_done()) {
      const std::size_t used = parser->put(buffer.data(), ec);
      buffer.consume(used);
      if (used > 0) untouched = false;
      if (ec == http::error::need_more || (!ec && used == 0)) break;
      if (ec) {
        fail(ec);
        co_return reply;
      }
    }
    if (parser->is_done()) {
      if (parser->get().result_int() / 100 != 1) break;
      if (++interim > most_interim_responses) {
        fail(http::error::bad_status);
        co_return reply;
      }
      fresh_parser();  // 100 Continue, 103 Early Hints: the answer is still to come
      continue;
    }
    // The parser's limits count content; framing that goes on for ever (chunk extensions) is bounded here.
    if (received > 2 * body_limit + 2 * header_limit || buffer.size() > 2 * header_limit) {
      fail(http::error::body_limit);
      co_return reply;
    }
    ec = {};
    const net::mutable_buffer space = buffer.prepare(8 * 1024);
    const std::size_t n = co_await connection->read_some(space, ec);
    buffer.commit(n);
    received += n;
    if (n > 0) reply.any_byte = true;
    if (!ec) continue;
    if (ec == net::error::eof && parser->got_some()) {
      parser->put_eof(ec);  // right where the end of the connection ends the body, an error everywhere else
      if (!ec && parser->is_done()) break;
    }
    reply.error = writing->error ? writing->error : ec;
    co_return reply;
  }
  take_response(*parser, reply);
  if (!writing->done || writing->error || buffer.size() > 0) reply.reusable = false;
  co_return reply;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters::detail
