// SPDX-License-Identifier: MIT
#include <otlpkit/export/console_tree.hpp>

#include <support/otlp_bytes.hpp>

#include <doctest/doctest.h>

#include <sys/socket.h>
#include <unistd.h>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using namespace otlp_bytes;
using namespace std::chrono_literals;
using otlpkit::exporters::console_tree;
using otlpkit::exporters::console_tree_options;
using otlpkit::exporters::terminal_traits;
using otlpkit::exporters::write_patiently;
namespace sdk = otlpkit::sdk;

namespace {

/// A console with a clock and a sink of the test's own.
struct stage {
  sdk::exporter::clock::time_point now{};
  std::vector<std::string> printed;
  std::vector<sdk::export_result> done;
  bool sink_works = true;
  std::unique_ptr<console_tree> console;

  explicit stage(console_tree_options o = {}) {
    o.now = [this] { return now; };
    o.sink = [this](std::string_view text) {
      if (sink_works) printed.emplace_back(text);
      return sink_works;
    };
    console = std::make_unique<console_tree>(std::move(o));
  }
  void send(const std::vector<span>& spans, std::string_view service = "shop") {
    console->send(batch(spans, service), [this](sdk::export_result r) { done.push_back(r); });
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    console->tick(now);
  }
};

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a trace is printed when its root has ended and it has been quiet for a while") {
  stage s;
  s.send({{.id = 2, .parent = 1, .name = "child"}, {.id = 1, .name = "root"}});
  s.pass(199ms);
  CHECK(s.printed.empty());
  CHECK(s.done.empty());
  s.pass(1ms);
  REQUIRE(s.printed.size() == 1);
  CHECK(has(s.printed[0], "root"));
  CHECK(has(s.printed[0], "└─ child"));
  CHECK_FALSE(has(s.printed[0], "incomplete"));
  CHECK(s.printed[0].ends_with("\n\n"));
  REQUIRE(s.done.size() == 1);
  CHECK(s.done[0].dropped == 0);
  CHECK(s.console->held() == 0);
}

TEST_CASE("each further span puts the printing off") {
  stage s;
  s.send({{.id = 1, .name = "root"}});
  for (std::uint64_t i = 2; i < 6; ++i) {
    s.pass(150ms);
    s.send({{.id = i, .parent = 1, .name = "child"}});
  }
  CHECK(s.printed.empty());
  s.pass(200ms);
  REQUIRE(s.printed.size() == 1);
  CHECK(has(s.printed[0], "5 spans"));
}

TEST_CASE("a trace whose root is still open waits, and so does one that lacks a parent") {
  stage s;
  s.send({{.id = 2, .parent = 1, .name = "child"}});
  s.pass(10s);
  CHECK(s.printed.empty());
  s.send({{.id = 1, .name = "root"}, {.id = 4, .parent = 3, .name = "grandchild"}});
  s.pass(1s);
  CHECK(s.printed.empty());
  s.send({{.id = 3, .parent = 1, .name = "detached", .fields = {{"otlpkit.detached", any(true)}}}});
  s.pass(200ms);
  REQUIRE(s.printed.size() == 1);
  CHECK(has(s.printed[0], "4 spans"));
}

TEST_CASE("what never becomes complete is printed as incomplete when the patience is over") {
  stage s;
  s.send({{.id = 2, .parent = 1, .name = "child"}});
  s.pass(30s);
  REQUIRE(s.printed.size() == 1);
  CHECK(has(s.printed[0], "(incomplete)"));
  CHECK(has(s.printed[0], "[parent missing]"));
}

TEST_CASE("a trace that was called from elsewhere waits a second for further calls") {
  stage s;
  s.send({{.id = 2, .parent = 1, .name = "served", .kind = 2, .remote = true}});
  s.pass(999ms);
  CHECK(s.printed.empty());
  s.pass(1ms);
  REQUIRE(s.printed.size() == 1);
  CHECK_FALSE(has(s.printed[0], "incomplete"));
  CHECK_FALSE(has(s.printed[0], "missing"));
}

TEST_CASE("spans that come after their trace was printed are printed as late") {
  stage s;
  s.send({{.id = 1, .name = "root"}});
  s.pass(200ms);
  s.send({{.id = 2, .parent = 1, .name = "straggler"}});
  s.pass(200ms);
  REQUIRE(s.printed.size() == 2);
  CHECK(has(s.printed[1], "straggler"));
  CHECK(has(s.printed[1], "late"));
}

TEST_CASE("flush and shutdown print everything and complete every send") {
  for (const bool by_shutdown : {false, true}) {
    stage s;
    s.send({{.id = 2, .parent = 1, .name = "child"}});
    s.send({{.id = 1, .name = "other", .trace = 2}});
    by_shutdown ? s.console->shutdown(s.now) : s.console->flush();
    CHECK(s.printed.size() == 2);
    CHECK(s.done.size() == 2);
    s.console->flush();
    CHECK(s.printed.size() == 2);
    CHECK(s.done.size() == 2);
  }
}

TEST_CASE("flush prints traces in the order in which they began, not in which they came") {
  stage s;
  s.send({{.id = 1, .name = "second", .start = 20, .trace = 1}, {.id = 2, .name = "third", .start = 30, .trace = 2}});
  s.send({{.id = 3, .name = "first", .start = 10, .trace = 3}});
  s.console->flush();
  REQUIRE(s.printed.size() == 3);
  CHECK(has(s.printed[0], "first"));
  CHECK(has(s.printed[1], "second"));
  CHECK(has(s.printed[2], "third"));
}

TEST_CASE("spans of several services make one tree") {
  stage s;
  s.send({{.id = 1, .name = "GET /", .end = 5}}, "gateway");
  s.send({{.id = 2, .parent = 1, .name = "lookup", .end = 3}}, "users");
  s.console->flush();
  REQUIRE(s.printed.size() == 1);
  CHECK(has(s.printed[0], "gateway  5 ns  2 spans  2 services"));
  CHECK(has(s.printed[0], "@users"));
}

TEST_CASE("what the sink did not take is dropped as failed, span for span") {
  stage s;
  s.send({{.id = 1, .name = "a"}, {.id = 1, .name = "b", .trace = 2}, {.id = 2, .parent = 1, .name = "c", .trace = 2}});
  s.sink_works = false;
  s.console->flush();
  REQUIRE(s.done.size() == 1);
  CHECK(s.done[0].dropped == 3);
  CHECK(s.done[0].reason == sdk::drop_reason::failed);
}

TEST_CASE("a sink that throws loses its text and nothing else") {
  std::vector<sdk::export_result> done;
  console_tree console{{.sink = [](std::string_view) -> bool { throw std::runtime_error{"gone"}; }}};
  console.send(batch({{.name = "a"}}), [&](sdk::export_result r) { done.push_back(r); });
  console.flush();
  REQUIRE(done.size() == 1);
  CHECK(done[0].dropped == 1);
}

TEST_CASE("a send is completed after a second even while its trace goes on") {
  stage s;
  s.send({{.id = 2, .parent = 1, .name = "child"}});
  s.pass(999ms);
  CHECK(s.done.empty());
  s.pass(1ms);
  REQUIRE(s.done.size() == 1);
  CHECK(s.done[0].dropped == 0);
  s.console->flush();
  CHECK(s.printed.size() == 1);
  CHECK(s.done.size() == 1);
}

TEST_CASE("memory is bounded: beyond the limits the oldest trace is printed early") {
  SUBCASE("by traces") {
    stage s{{.max_traces = 2}};
    for (std::uint64_t t = 1; t <= 3; ++t)
      s.send({{.id = 2, .parent = 1, .name = "t" + std::to_string(t), .trace = t}});
    REQUIRE(s.printed.size() == 1);
    CHECK(has(s.printed[0], "t1"));
    CHECK(has(s.printed[0], "(incomplete)"));
    CHECK(s.console->held() == 2);
  }
  SUBCASE("by spans") {
    stage s{{.max_spans = 10}};
    for (std::uint64_t i = 0; i < 100; ++i) s.send({{.id = 2 + i, .parent = 1, .name = "child"}});
    CHECK(s.console->held() <= 10);
    CHECK(s.printed.size() == 9);
  }
  SUBCASE("by bytes") {
    stage s{{.max_bytes = 5000}};
    for (std::uint64_t t = 1; t <= 50; ++t)
      s.send({{.id = 2, .parent = 1, .name = std::string(1000, 'n'), .trace = t}});
    CHECK(s.console->held() <= 5);
  }
}

TEST_CASE("a completion may send again") {
  stage s;
  int again = 3;
  std::function<void(sdk::export_result)> done = [&](sdk::export_result) {
    if (again-- > 0)
      s.console->send(batch({{.name = "again", .trace = 100 + static_cast<std::uint64_t>(again)}}), done);
  };
  s.console->send(batch({{.name = "first"}}), done);
  for (int i = 0; i < 10; ++i) s.pass(1s);
  CHECK(s.printed.size() == 4);
  again = 3;
  s.console->send(batch({{.name = "first", .trace = 7}}), done);
  s.console->flush();
  CHECK(s.console->held() == 0);
}

TEST_CASE("only traces are taken") {
  console_tree console{{.sink = [](std::string_view) { return true; }}};
  CHECK(console.accepts(sdk::signal::traces));
  CHECK_FALSE(console.accepts(sdk::signal::metrics));
  CHECK_FALSE(console.accepts(sdk::signal::logs));
}

TEST_CASE("a file gets no colours and no width, unless COLUMNS asks for one") {
  std::FILE* file = std::tmpfile();
  ::unsetenv("COLUMNS");
  CHECK_FALSE(terminal_traits::of(file).colour);
  CHECK(terminal_traits::of(file).width == 0);
  ::setenv("COLUMNS", "72", 1);
  CHECK(terminal_traits::of(file).width == 72);
  for (const char* bad : {"", "x", "-1", "7", "99999999999999999999", "80x"}) {
    ::setenv("COLUMNS", bad, 1);
    CHECK(terminal_traits::of(file).width == 0);
  }
  ::unsetenv("COLUMNS");
  std::fclose(file);
}

// As the system would describe one: a machine without pseudo-terminals can run this, too.
TEST_CASE("a terminal gets its width, and colours unless NO_COLOR says no") {
  const otlpkit::platform_host::stream_facts terminal{.terminal = true, .columns = 100};
  ::unsetenv("COLUMNS");
  ::setenv("TERM", "xterm", 1);
  ::unsetenv("NO_COLOR");
  CHECK(terminal_traits::of(terminal).colour);
  CHECK(terminal_traits::of(terminal).width == 100);
  ::setenv("NO_COLOR", "", 1);
  CHECK(terminal_traits::of(terminal).colour);
  ::setenv("NO_COLOR", "1", 1);
  CHECK_FALSE(terminal_traits::of(terminal).colour);
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "dumb", 1);
  CHECK_FALSE(terminal_traits::of(terminal).colour);
}

TEST_CASE("a pipe nobody reads costs the patience, not the program") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  std::FILE* stream = ::fdopen(ends[1], "w");
  const auto begin = std::chrono::steady_clock::now();
  CHECK_FALSE(write_patiently(stream, std::string(1 << 20, 'x'), 50));
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
  ::close(ends[0]);
  CHECK_FALSE(write_patiently(stream, "the reader is gone", 50));
  std::fclose(stream);
}

TEST_CASE("a socket whose peer is gone fails the write and raises no SIGPIPE") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  std::FILE* stream = ::fdopen(ends[1], "w");
  ::close(ends[0]);
  CHECK_FALSE(write_patiently(stream, "nobody hears this", 50));
  sigset_t pending;
  ::sigpending(&pending);
  CHECK(::sigismember(&pending, SIGPIPE) == 0);
  std::fclose(stream);
}

TEST_CASE("what the program printed before stands before the tree") {
  std::FILE* file = std::tmpfile();
  std::fputs("program\n", file);
  console_tree console{{.stream = file}};
  console.send(batch({{.name = "root"}}), [](sdk::export_result) {});
  console.flush();
  std::rewind(file);
  char text[200] = {};
  CHECK(std::fread(text, 1, sizeof text - 1, file) > 0);
  CHECK(std::string_view{text}.starts_with("program\nshop  0 ns  1 span"));
  std::fclose(file);
}
