// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/client_options.hpp>
#include <otlpkit/http/message.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::http::detail {

using boost::system::error_code;

inline constexpr auto client_result = boost::asio::as_tuple(boost::asio::use_awaitable);

/// What became of a request on a connection.
struct exchange_result {
  error_code error;
  std::size_t written = 0;  ///< bytes of the request
  bool answered = false;    ///< something of a response came
  response answer;
};

/// Writes the request and reads the response, without those of 1xx, on a stream that is connected.
template <class Stream, class Buffer>
boost::asio::awaitable<exchange_result> exchange(Stream& stream, Buffer& buffer, request::message& r,
                                                 const client_options& options) {
  namespace beast = boost::beast;
  exchange_result out;
  const auto [unwritten, written] = co_await beast::http::async_write(stream, r, client_result);
  out.written = written;
  // A server may answer, and close, before it has read all of a request.
  if (unwritten == beast::error::timeout || (unwritten && written == 0)) {
    out.error = unwritten;
    co_return out;
  }
  std::optional<beast::http::response_parser<beast::http::string_body>> parser;
  do {
    parser.emplace();
    parser->header_limit(options.max_header_bytes);
    parser->body_limit(options.max_body_bytes);
    if (r.method() == beast::http::verb::head) parser->skip(true);
    const auto [unread, read] = co_await beast::http::async_read(stream, buffer, *parser, client_result);
    out.answered = out.answered || parser->got_some();
    if (unread) {
      out.error = unwritten ? unwritten : unread;
      co_return out;
    }
  } while (parser->get().result_int() < 200 && parser->get().result_int() != 101);
  out.answer = parser->release();
  co_return out;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::http::detail
