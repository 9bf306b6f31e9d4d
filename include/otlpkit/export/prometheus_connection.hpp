// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/export/gzip.hpp>
#include <otlpkit/export/prometheus_listener.hpp>
#include <otlpkit/export/prometheus_negotiation.hpp>
#include <otlpkit/export/prometheus_options.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::prometheus::detail {

/// One answer, ready to be sent.
struct answer {
  unsigned status = 200;
  std::string_view reason = "OK";
  std::string headers;  ///< lines with their CRLF, without those of the content
  std::string_view content_type = "text/plain; charset=utf-8";
  std::string body;

  [[nodiscard]] static answer error(unsigned status, std::string_view reason, std::string_view text,
                                    std::string_view headers = {}) {
    return {status, reason, std::string{headers}, "text/plain; charset=utf-8", std::string{text} + "\n"};
  }

  [[nodiscard]] std::string head(bool keep_alive) const {
    std::string out = "HTTP/1.1 " + std::to_string(status);
    out.append(" ").append(reason).append("\r\nContent-Type: ").append(content_type);
    out.append("\r\nContent-Length: ").append(std::to_string(body.size())).append("\r\n").append(headers);
    out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    return out;
  }
};

/// Makes the page. What is wrong with a metric is reported once, not with every request.
class page_source {
 public:
  explicit page_source(std::shared_ptr<const endpoint_options> options) : options_{std::move(options)} {}

  [[nodiscard]] answer make(std::string_view accept, std::string_view accept_encoding) {
    const representation chosen = negotiate(accept);
    answer a{.headers = "Vary: Accept, Accept-Encoding\r\n", .content_type = chosen.content_type, .body = {}};
    const auto collected = options_->collect();
    page p{options_->page};
    p.add_resource(collected->resource());
    for (const sdk::scope_items& s : collected->scopes()) p.add_scope(s.scope, s.items);
    a.body = p.text(chosen.how, chosen.names);
    for (const std::string& problem : p.problems()) {
      constexpr std::size_t most = 1000;
      if (told_.size() < most && told_.insert(problem).second)
        report(diagnostic_level::warning, "Prometheus endpoint: " + problem);
    }
    if (wants_gzip(accept_encoding)) {
      exporters::gzip_writer gzip{1};  // half the time of the default, for a tenth more bytes
      gzip.write(a.body);
      a.body = gzip.finish();
      a.headers += "Content-Encoding: gzip\r\n";
    }
    return a;
  }

 private:
  std::shared_ptr<const endpoint_options> options_;
  std::set<std::string> told_;
};

/// One client: requests one after the other, each with its deadlines. Its handlers keep it alive.
class connection : public std::enable_shared_from_this<connection> {
 public:
  connection(tcp::socket socket, std::shared_ptr<const endpoint_options> options, std::shared_ptr<page_source> pages)
      : socket_{std::move(socket)}, entry_{static_cast<int>(socket_.native_handle())}, options_{std::move(options)},
        pages_{std::move(pages)}, deadline_{socket_.get_executor()} {}
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection() { close(); }

  void start() { await_request(); }

  /// Waiting for a request of which nothing has come yet.
  [[nodiscard]] bool is_idle() const noexcept { return idle_; }
  [[nodiscard]] bool is_closed() const noexcept { return !socket_.is_open(); }

  void close() noexcept {
    entry_.release();
    error_code ignored;
    socket_.close(ignored);
    try {
      deadline_.cancel();
    } catch (...) {  // it is a member and runs out by itself
    }
  }

 private:
  using parser = boost::beast::http::request_parser<boost::beast::http::empty_body>;

  void expire_after(std::chrono::milliseconds time) {
    deadline_.expires_after(time);
    deadline_.async_wait([weak = weak_from_this()](error_code ec) {
      const auto self = weak.lock();
      if (!ec && self != nullptr && self->deadline_.expiry() <= net::steady_timer::clock_type::now()) self->close();
    });
  }

  void await_request() {
    parser_.emplace();
    parser_->header_limit(options_->max_request);
    parser_->body_limit(0);
    idle_ = buffer_.size() == 0;
    expire_after(idle_ ? options_->idle_timeout : options_->request_timeout);
    idle_ ? read() : parse();
  }

  void read() {
    socket_.async_read_some(buffer_.prepare(2048), [self = shared_from_this()](error_code ec, std::size_t n) {
      if (ec) return self->close();
      if (self->idle_) {
        self->idle_ = false;
        self->expire_after(self->options_->request_timeout);
      }
      self->buffer_.commit(n);
      self->parse();
    });
  }

  void parse() {
    namespace http = boost::beast::http;
    error_code ec;
    while (buffer_.size() > 0 && !parser_->is_header_done()) {
      const std::size_t used = parser_->put(buffer_.data(), ec);
      buffer_.consume(used);
      if (ec || used == 0) break;
    }
    if (parser_->is_header_done()) return respond();
    if (ec == http::error::header_limit || buffer_.size() > options_->max_request)
      return refuse(answer::error(431, "Request Header Fields Too Large", "The request is too large."));
    if (ec == http::error::body_limit)
      return refuse(answer::error(413, "Content Too Large", "A request here has no content."));
    if (ec && ec != http::error::need_more)
      return refuse(answer::error(400, "Bad Request", "This is no HTTP request."));
    read();
  }

  void respond() {
    namespace http = boost::beast::http;
    const auto& request = parser_->get();
    const auto field = [&](http::field name) {
      std::string all;
      for (auto [at, end] = request.equal_range(name); at != end; ++at) {
        if (!all.empty()) all += ", ";
        all.append(at->value().data(), at->value().size());
      }
      return all;
    };
    // What follows a request with content cannot be told from the content, which is not taken.
    if (parser_->chunked() || parser_->content_length().value_or(0) != 0)
      return refuse(answer::error(413, "Content Too Large", "A request here has no content."));
    const bool keep_alive = request.keep_alive();
    const std::string_view target{request.target().data(), request.target().size()};
    if (target.substr(0, target.find('?')) != "/metrics")
      return send(answer::error(404, "Not Found", "There is only /metrics here."), keep_alive, false);
    const bool head = request.method() == http::verb::head;
    if (!head && request.method() != http::verb::get)
      return send(answer::error(405, "Method Not Allowed", "Only GET is answered here.", "Allow: GET, HEAD\r\n"),
                  keep_alive, false);
    try {
      send(pages_->make(field(http::field::accept), field(http::field::accept_encoding)), keep_alive, head);
    } catch (const std::exception& e) {
      report(diagnostic_level::error, std::string{"Prometheus endpoint: a page could not be made: "} + e.what());
      send(answer::error(500, "Internal Server Error", "The metrics could not be collected."), false, head);
    }
  }

  void refuse(answer a) { send(std::move(a), false, false); }

  void send(answer a, bool keep_alive, bool only_head) {
    head_ = a.head(keep_alive);
    body_ = only_head ? std::string{} : std::move(a.body);
    expire_after(options_->write_timeout);
    const std::array<net::const_buffer, 2> all{net::buffer(head_), net::buffer(body_)};
    net::async_write(socket_, all, [self = shared_from_this(), keep_alive](error_code ec, std::size_t) {
      if (ec) return self->close();
      if (keep_alive) return self->await_request();
      self->take_leave();
    });
  }

  /// What the client still sends is read and forgotten: closing a socket with unread bytes would take back the answer.
  void take_leave() {
    error_code ec;
    socket_.shutdown(tcp::socket::shutdown_send, ec);
    if (ec) return close();
    expire_after(std::min(options_->request_timeout, std::chrono::milliseconds{1000}));
    drain();
  }
  void drain() {
    buffer_.clear();
    socket_.async_read_some(buffer_.prepare(2048), [self = shared_from_this()](error_code ec, std::size_t) {
      if (ec) return self->close();
      self->drain();
    });
  }

  tcp::socket socket_;
  socket_entry entry_;
  std::shared_ptr<const endpoint_options> options_;
  std::shared_ptr<page_source> pages_;
  net::steady_timer deadline_;
  boost::beast::flat_buffer buffer_;
  std::optional<parser> parser_;
  std::string head_, body_;
  bool idle_ = true;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus::detail
