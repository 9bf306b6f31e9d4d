// SPDX-License-Identifier: MIT
#include "support/server_process.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

namespace {

std::string answer(const support::server_process& server) {
  return support::server_detail::first_answer(server.port(), "PING\r\n");
}

}  // namespace

TEST_CASE("a server answers, hangs, dies and comes back on its port with its data, and leaves nothing behind") {
  std::string folder;
  {
    support::redis_server server;
    folder = server.folder();
    const auto port = server.port();
    CHECK(support::server_detail::first_answer(port, "SET a kept\r\n") == "+OK\r\n");
    {
      const support::suspended hangs{server};
      CHECK(answer(server) == "");
    }
    CHECK(answer(server) == "+PONG\r\n");
    server.kill();
    CHECK_FALSE(server.running());
    CHECK(answer(server) == "");
    server.start();
    CHECK(server.port() == port);
    CHECK(support::server_detail::first_answer(port, "GET a\r\n") == "$4\r\nkept\r\n");
    server.stop();
    CHECK(answer(server) == "");
  }
  CHECK_FALSE(std::filesystem::exists(folder));
}

TEST_CASE("PostgreSQL starts, is killed with all its processes and starts again on the same data") {
  support::postgres_server server;
  CHECK(server.url() == "postgres://app@127.0.0.1:" + std::to_string(server.port()) + "/postgres");
  CHECK(support::server_detail::find_program("initdb", {"/usr/lib/postgresql/15/bin"}).ends_with("initdb"));
  server.restart();
  CHECK(server.running());
}
