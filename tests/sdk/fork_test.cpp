// SPDX-License-Identifier: MIT
// A process that forks: parent and child have telemetry of their own, and both books are exact.
#include "child_program.hpp"
#include "exporters.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace sdk_test;
using otlpkit_test::scripted_server;

namespace {

const otlpkit::settings quick{.service = "child", .detect_resource = false};

void record_as(const char* name, int spans) {
  for (int i = 0; i < spans; ++i) const otlpkit::span_guard span{otlpkit::span_name{name}};
}

// What a child may not do here: the allocator of AddressSanitizer (g++ 12) stays locked in a child that was forked
// while another thread allocated, and ThreadSanitizer ends a child whose new thread has the id of one of the parent's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

/// Waits for a forked child. \return what the parent's main returns
int outcome_of(pid_t pid) {
  int status = -1;
  if (::waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return 90;
  return WEXITSTATUS(status);
}

int both_record() {
  const otlpkit::telemetry telemetry{quick};
  record_as("before", 10);
  pid_t pid = -1;
  {
    OTLPKIT_SPAN("open");
    pid = ::fork();
    if (pid == 0) {
      if (otlpkit::current_span().recording()) return 91;
      record_as("child", 5);
    } else {
      record_as("parent", 3);
    }
  }
  return pid == 0 ? 0 : outcome_of(pid);
}

int child_is_silent() {
  const otlpkit::telemetry telemetry{quick};
  record_as("before", 10);
  const pid_t pid = ::fork();
  return pid == 0 ? 0 : outcome_of(pid);
}

int child_ends_without_exit() {
  const otlpkit::telemetry telemetry{quick};
  record_as("before", 10);
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  record_as("parent", 3);
  return outcome_of(pid);
}

int child_forks_again() {
  const otlpkit::telemetry telemetry{quick};
  record_as("before", 1);
  const pid_t pid = ::fork();
  if (pid != 0) return outcome_of(pid);
  record_as("child", 2);
  const pid_t grandchild = ::fork();
  if (grandchild != 0) return outcome_of(grandchild);
  record_as("grandchild", 3);
  return 0;
}

int fork_after_the_end() {
  otlpkit::telemetry telemetry{quick};
  record_as("before", 2);
  telemetry.shutdown();
  const pid_t pid = ::fork();
  if (pid != 0) return outcome_of(pid);
  record_as("child", 2);  // nobody listens
  return 0;
}

int fork_while_threads_record(bool child_records) {
  const otlpkit::telemetry telemetry{quick};
  std::atomic<bool> stop{false};
  std::atomic<int> started{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      ++started;
      while (!stop) record_as("parent", 1);
    });
  }
  eventually([&] { return started == 4; });
  int worst = 0;
  for (int i = 0; i < 5; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0 && !child_records) ::_exit(0);
    if (pid == 0) {
      record_as("child", 3);
      std::exit(0);
    }
    if (const int outcome = outcome_of(pid); outcome != 0) worst = outcome;
  }
  stop = true;
  for (auto& t : threads) t.join();
  return worst;
}

int child(std::string_view name) {
  if (name == "both_record") return both_record();
  if (name == "child_is_silent") return child_is_silent();
  if (name == "child_ends_without_exit") return child_ends_without_exit();
  if (name == "child_forks_again") return child_forks_again();
  if (name == "fork_after_the_end") return fork_after_the_end();
  if (name == "fork_while_threads_record") return fork_while_threads_record(true);
  if (name == "fork_while_threads_record_and_leave") return fork_while_threads_record(false);
  return 99;
}

/// The last line of books is the parent's, and exact.
void check_parent(const child_result& result, received_spans& received) {
  unsigned long long recorded = 0, delivered = 0, dropped = 0;
  const auto last = result.output.rfind("otlpkit: spans");
  REQUIRE(last != std::string::npos);
  REQUIRE(std::sscanf(result.output.c_str() + last, "otlpkit: spans recorded=%llu delivered=%llu dropped=%llu",
                      &recorded, &delivered, &dropped) == 3);
  CHECK(recorded > 0);
  CHECK(recorded == delivered + dropped);
  CHECK(delivered == received.by_name["parent"]);
}

std::string books_line(int spans) {
  const std::string n = std::to_string(spans);
  return "otlpkit: spans recorded=" + n + " delivered=" + n + " dropped=0\n";
}

const pid_t first_process = ::getpid();

}  // namespace

// What the other threads of the parent held is out of reach in a child: only the first process is searched for leaks.
extern "C" int __lsan_is_turned_off() { return ::getpid() != first_process ? 1 : 0; }

int main(int argc, char** argv) {
  if (argc == 3 && argv[1] == std::string_view{"--child"}) return child(argv[2]);
  return doctest::Context{argc, argv}.run();
}

TEST_CASE("the child starts with an empty queue, ids and an instance id of its own, and the parent goes on") {
  const scripted_server server{};
  const auto result = run_child("both_record", server);
  CHECK(result.status == 0);
  CHECK(result.count(books_line(14)) == 1);
  CHECK(result.count(books_line(5)) == 1);
  auto received = spans_of(server);
  CHECK(received.all == 19);
  CHECK(received.ids.size() == 19);
  CHECK(received.by_name["before"] == 10);
  CHECK(received.by_name["parent"] == 3);
  CHECK(received.by_name["child"] == 5);
  CHECK(received.by_name["open"] == 1);  // it ends in the parent alone
  CHECK(received.parents["child"] == received.parents["parent"]);
  CHECK(received.instances["open"] == received.instances["parent"]);
  REQUIRE(received.instances["parent"].size() == 1);
  REQUIRE(received.instances["child"].size() == 1);
  CHECK(received.instances["child"] != received.instances["parent"]);
}

TEST_CASE("a child that records nothing has empty books") {
  const scripted_server server{};
  const auto result = run_child("child_is_silent", server);
  CHECK(result.status == 0);
  CHECK(result.count(books_line(10)) == 1);
  CHECK(result.count(books_line(0)) == 1);
  CHECK(spans_of(server).all == 10);
}

TEST_CASE("a child that ends without exit handlers leaves the parent alone") {
  const scripted_server server{};
  const auto result = run_child("child_ends_without_exit", server);
  CHECK(result.status == 0);
  CHECK(result.output == books_line(13));
  CHECK(spans_of(server).all == 13);
}

TEST_CASE("a child may fork again") {
  const scripted_server server{};
  const auto result = run_child("child_forks_again", server);
  CHECK(result.status == 0);
  for (const int n : {1, 2, 3}) CHECK(result.count(books_line(n)) == 1);
  auto received = spans_of(server);
  CHECK(received.ids.size() == 6);
  CHECK(received.instances["grandchild"] != received.instances["child"]);
}

TEST_CASE("after telemetry has ended a child stays without") {
  const scripted_server server{};
  const auto result = run_child("fork_after_the_end", server);
  CHECK(result.status == 0);
  CHECK(result.output == books_line(2));
  CHECK(spans_of(server).all == 2);
}

TEST_CASE("forking while threads record: every process delivers its own, and nothing is lost between them" *
          doctest::skip(sanitized)) {
  const scripted_server server{};
  const auto result = run_child("fork_while_threads_record", server);
  CHECK(result.status == 0);
  CHECK(result.count(books_line(3)) == 5);
  auto received = spans_of(server);
  CHECK(received.by_name["child"] == 15);
  CHECK(received.ids.size() == received.all);
  check_parent(result, received);
}

TEST_CASE("forking while threads record: children that leave at once do the parent's books no harm") {
  const scripted_server server{};
  const auto result = run_child("fork_while_threads_record_and_leave", server);
  CHECK(result.status == 0);
  CHECK(result.count("otlpkit: spans") == 1);
  auto received = spans_of(server);
  CHECK(received.ids.size() == received.all);
  check_parent(result, received);
}
