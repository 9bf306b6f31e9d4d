// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <boost/asio/error.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/system/error_code.hpp>

#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::http::detail {

/// A name of low cardinality for what went wrong with a connection, as error.type has it.
[[nodiscard]] inline std::string error_name(const boost::system::error_code& e) {
  namespace asio = boost::asio;
  using boost::beast::http::error;
  if (e == boost::beast::error::timeout || e == asio::error::timed_out) return "timeout";
  if (e == asio::error::operation_aborted) return "cancelled";
  if (e == asio::error::connection_refused) return "connection_refused";
  if (e == asio::error::connection_reset || e == asio::error::broken_pipe) return "connection_reset";
  if (e == asio::error::host_not_found || e == asio::error::host_not_found_try_again) return "host_not_found";
  if (e == error::end_of_stream || e == error::partial_message || e == asio::error::eof) return "end_of_stream";
  if (e == error::body_limit) return "body_limit";
  const std::string_view category = e.category().name();
  if (category.starts_with("asio.ssl")) return "tls_error";  // by name: OpenSSL is not seen here
  return std::string{category} + ":" + std::to_string(e.value());
}

}  // namespace otlpkit::inline OTLPKIT_ABI::http::detail
