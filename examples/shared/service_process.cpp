// SPDX-License-Identifier: MIT
#include "shared/service_process.hpp"

#include "shared/scenario.hpp"

#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/http/server.hpp>
#include <otlpkit/sdk/exporter.hpp>
#include <otlpkit/telemetry.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace shop {

namespace asio = boost::asio;

namespace {

constexpr const char* serve_argument = "--serve";

// Scenario and service are joined by two pipes, the service's standard input and output. The service sends texts, each
// behind its length: its URL, then what it recorded. When its input ends it stops.

void send(std::string_view text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  char head[sizeof size];
  std::memcpy(head, &size, sizeof size);
  for (std::string_view part : {std::string_view{head, sizeof head}, text}) {
    while (!part.empty()) {
      const ssize_t n = ::write(STDOUT_FILENO, part.data(), part.size());
      if (n <= 0) return;
      part.remove_prefix(static_cast<std::size_t>(n));
    }
  }
}

/// The next text; nothing at the end.
std::optional<std::string> receive(int from) {
  const auto fill = [from](char* to, std::size_t size) {
    while (size > 0) {
      const ssize_t n = ::read(from, to, size);
      if (n <= 0) return false;
      to += n;
      size -= static_cast<std::size_t>(n);
    }
    return true;
  };
  std::uint32_t size = 0;
  char head[sizeof size];
  if (!fill(head, sizeof head)) return std::nullopt;
  std::memcpy(&size, head, sizeof size);
  std::string text(size, '\0');
  if (!fill(text.data(), text.size())) return std::nullopt;
  return text;
}

/// Gives spans to the scenario.
class reporter final : public otlpkit::sdk::exporter {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "scenario"; }
  [[nodiscard]] bool accepts(otlpkit::sdk::signal s) const noexcept override {
    return s == otlpkit::sdk::signal::traces;
  }
  void send(std::shared_ptr<const otlpkit::sdk::batch> b, completion done) override {
    shop::send(b->resource());
    shop::send(std::to_string(b->scopes().size()));
    for (const otlpkit::sdk::scope_items& s : b->scopes()) {
      shop::send(s.scope);
      shop::send(s.items);
      shop::send(std::to_string(s.count));
    }
    done({});
  }
};

/// The next batch; nullptr at the end.
std::shared_ptr<const otlpkit::sdk::batch> receive_batch(int from) {
  auto resource = receive(from);
  const auto count = receive(from);
  if (!resource || !count) return nullptr;
  std::vector<otlpkit::sdk::scope_items> scopes(std::stoul(*count));
  for (otlpkit::sdk::scope_items& s : scopes) {
    auto scope = receive(from);
    auto items = receive(from);
    const auto number = receive(from);
    if (!scope || !items || !number) return nullptr;
    s = {*std::move(scope), *std::move(items), std::stoul(*number)};
  }
  return std::make_shared<otlpkit::sdk::batch>(
      otlpkit::sdk::signal::traces, std::make_shared<const std::string>(*std::move(resource)), std::move(scopes));
}

void close(int& end) noexcept {
  if (end >= 0) ::close(std::exchange(end, -1));
}

}  // namespace

service_process::service_process(scenario& joins, const role& as) : scenario_{joins} {
  int input[2];
  int output[2];
  if (::pipe2(input, O_CLOEXEC) != 0) throw std::runtime_error{"no pipe for " + as.name};
  if (::pipe2(output, O_CLOEXEC) != 0) {
    for (int& end : input) close(end);
    throw std::runtime_error{"no pipe for " + as.name};
  }
  std::vector<std::string> words{as.name, serve_argument, as.name};
  words.insert(words.end(), as.arguments.begin(), as.arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  ::posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawn_file_actions_adddup2(&files, input[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, output[1], STDOUT_FILENO);
  const int failed = ::posix_spawn(&process_, "/proc/self/exe", &files, nullptr, argv.data(), ::environ);
  ::posix_spawn_file_actions_destroy(&files);
  close(input[0]);
  close(output[1]);
  to_ = input[1];
  from_ = output[0];
  if (failed != 0) process_ = -1;
  if (auto url = failed == 0 ? receive(from_) : std::nullopt) {
    url_ = *std::move(url);
  } else {
    stop();
    throw std::runtime_error{as.name + " does not start"};
  }
}

void service_process::stop() {
  close(to_);
  if (from_ >= 0) {
    while (auto spans = receive_batch(from_)) scenario_.join(std::move(spans));
    close(from_);
  }
  if (process_ > 0) ::waitpid(std::exchange(process_, -1), nullptr, 0);
}

std::optional<role> role_of(int argc, char** argv) {
  if (argc < 3 || std::string_view{argv[1]} != serve_argument) return std::nullopt;
  return role{argv[2], {argv + 3, argv + argc}};
}

int serve(const role& as, otlpkit::http::router routes) {
  otlpkit::settings settings{.service = as.name};
#ifndef OTLPKIT_DISABLE
  settings.exporters = {std::make_shared<reporter>()};
#endif
  const otlpkit::telemetry telemetry{std::move(settings)};
  asio::io_context io;
  otlpkit::http::server server{io.get_executor(), std::move(routes)};
  const auto at = server.listen({asio::ip::address_v4::loopback(), 0});
  send("http://127.0.0.1:" + std::to_string(at.port()));
  asio::posix::stream_descriptor input{io, ::dup(STDIN_FILENO)};
  otlpkit::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        char nothing = 0;
        co_await input.async_read_some(asio::buffer(&nothing, 1), asio::as_tuple(asio::use_awaitable));
        co_await server.stop();
      },
      [](std::exception_ptr) {});
  io.run();  // until nothing is under way: what nobody waits for, too
  return 0;
}

}  // namespace shop
