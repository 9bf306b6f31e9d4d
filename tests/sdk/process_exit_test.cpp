// SPDX-License-Identifier: MIT
// How programs end: nothing recorded before the end is lost, and nothing after it does harm.
#include "child_program.hpp"
#include "exporters.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <thread>

using namespace sdk_test;
using otlpkit_test::scripted_server;

namespace {

const otlpkit::settings quick{.service = "child", .detect_resource = false};

struct records_at_end {
  const char* name;
  ~records_at_end() { const otlpkit::span_guard span{otlpkit::span_name{name}}; }
};

[[noreturn]] void exit_from_main() {
  const otlpkit::telemetry telemetry{quick};
  record(10);
  std::exit(0);
}

[[noreturn]] void exit_deep_inside() {
  const otlpkit::telemetry telemetry{quick};
  OTLPKIT_SPAN("never ends");
  record(10);
  std::exit(0);
}

int return_from_main() {
  const otlpkit::telemetry telemetry{quick};
  record(10);
  return 0;
}

int static_telemetry() {
  static const records_at_end after{"after telemetry"};
  static const otlpkit::telemetry telemetry{quick};
  static const records_at_end before{"before telemetry"};
  record(10);
  return 0;
}

otlpkit::telemetry* volatile kept = nullptr;  // for leak checkers: never deleted, and in sight

int telemetry_on_the_heap() {
  kept = new otlpkit::telemetry{quick};
  record(10);
  return 0;
}

/// The holder's destructor comes after telemetry's own exit handler.
int telemetry_in_a_holder() {
  static std::optional<otlpkit::telemetry> holder;
  holder.emplace(quick);
  record(10);
  return 0;
}

int atexit_handlers() {
  std::atexit([] { const otlpkit::span_guard span{"after telemetry"}; });
  kept = new otlpkit::telemetry{quick};
  std::atexit([] { const otlpkit::span_guard span{"before telemetry"}; });
  record(10);
  return 0;
}

[[noreturn]] void threads_go_on() {
  static std::atomic<int> started{0};
  kept = new otlpkit::telemetry{quick};
  for (int i = 0; i < 4; ++i) {
    std::thread{[] {
      record(1);
      ++started;
      for (;;) record(1);
    }}.detach();
  }
  eventually([] { return started == 4; });
  std::exit(0);
}

int child(std::string_view name) {
  if (name == "exit_from_main") exit_from_main();
  if (name == "exit_deep_inside") exit_deep_inside();
  if (name == "return_from_main") return return_from_main();
  if (name == "static_telemetry") return static_telemetry();
  if (name == "telemetry_on_the_heap") return telemetry_on_the_heap();
  if (name == "telemetry_in_a_holder") return telemetry_in_a_holder();
  if (name == "atexit_handlers") return atexit_handlers();
  if (name == "threads_go_on") threads_go_on();
  return 99;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && argv[1] == std::string_view{"--child"}) return child(argv[2]);
  return doctest::Context{argc, argv}.run();
}

TEST_CASE("spans are delivered however main ends, and one line of books is printed") {
  for (const char* name :
       {"return_from_main", "exit_from_main", "exit_deep_inside", "telemetry_on_the_heap", "telemetry_in_a_holder"}) {
    CAPTURE(name);
    const scripted_server server{};
    const auto result = run_child(name, server);
    CHECK(result.status == 0);
    CHECK(result.output == "otlpkit: spans recorded=10 delivered=10 dropped=0\n");
    auto received = spans_of(server);
    CHECK(received.decoded);
    CHECK(received.ids.size() == 10);
    CHECK(received.by_name["work"] == 10);
  }
}

TEST_CASE("telemetry that is static: destructors that run before it are recorded, later ones do no harm") {
  const scripted_server server{};
  const auto result = run_child("static_telemetry", server);
  CHECK(result.status == 0);
  CHECK(result.output == "otlpkit: spans recorded=11 delivered=11 dropped=0\n");
  auto received = spans_of(server);
  CHECK(received.by_name["before telemetry"] == 1);
  CHECK(received.by_name["after telemetry"] == 0);
}

TEST_CASE("atexit handlers that run before telemetry ends are recorded, later ones do no harm") {
  const scripted_server server{};
  const auto result = run_child("atexit_handlers", server);
  CHECK(result.status == 0);
  CHECK(result.output == "otlpkit: spans recorded=11 delivered=11 dropped=0\n");
  CHECK(spans_of(server).by_name["before telemetry"] == 1);
}

TEST_CASE("threads that go on recording while the program exits do no harm, and the books are exact") {
  const scripted_server server{};
  const auto result = run_child("threads_go_on", server);
  CHECK(result.status == 0);
  unsigned long long recorded = 0, delivered = 0, dropped = 0;
  REQUIRE(std::sscanf(result.output.c_str(), "otlpkit: spans recorded=%llu delivered=%llu dropped=%llu", &recorded,
                      &delivered, &dropped) == 3);
  CHECK(recorded >= 4);
  CHECK(recorded == delivered + dropped);
  CHECK(delivered == spans_of(server).ids.size());
}
