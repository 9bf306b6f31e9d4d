// SPDX-License-Identifier: MIT
#include <otlpkit/core/diagnostics.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace otlpkit;

namespace {

constexpr std::int64_t second = detail::diagnostics::interval_ns;

std::vector<std::string> received;
void collect(diagnostic_level, std::string_view message) { received.emplace_back(message); }

/// Collects messages as long as it lives, beginning with a full allowance.
struct collecting {
  diagnostic_callback before = on_diagnostic(&collect);
  collecting() {
    received.clear();
    refill();
  }
  ~collecting() { on_diagnostic(before); }
  static void refill() { detail::global_diagnostics.due_ns.store(0, platform::relaxed); }
};

/// What `work` writes to standard error.
template <class F>
std::string written_to_stderr(F work) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const int kept = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  work();
  ::dup2(kept, STDERR_FILENO);
  ::close(kept);
  ::close(ends[1]);
  std::string out;
  char part[4096];
  for (ssize_t n = 0; (n = ::read(ends[0], part, sizeof part)) > 0;) out.append(part, static_cast<std::size_t>(n));
  ::close(ends[0]);
  return out;
}

}  // namespace

TEST_CASE("the callback gets what is at least as grave as asked for") {
  collecting all;
  report(diagnostic_level::info, "too little");
  report(diagnostic_level::warning, "w");
  report(diagnostic_level::error, "e");
  CHECK(received == std::vector<std::string>{"w", "e"});
  on_diagnostic(&collect, diagnostic_level::debug);
  report(diagnostic_level::debug, "d");
  CHECK(received.back() == "d");
}

TEST_CASE("twenty messages may come at once and the next says how many were held back") {
  collecting all;
  for (int i = 0; i < 50; ++i) report(diagnostic_level::error, "same");
  CHECK(received.size() <= 21);  // one more if a second went by
  CHECK(received.size() >= 20);
  const std::size_t held = 50 - received.size();
  collecting::refill();
  report(diagnostic_level::error, "again");
  REQUIRE(received.size() >= 2);
  CHECK(received[received.size() - 2] == std::to_string(held) + " messages were held back (rate limit)");
  CHECK(received.back() == "again");
}

TEST_CASE("a message is admitted each second once the burst is used up") {
  detail::diagnostics d;
  for (int i = 0; i < 20; ++i) CHECK(d.admit(second));
  CHECK_FALSE(d.admit(second));
  CHECK_FALSE(d.admit(2 * second - 1));
  CHECK(d.admit(2 * second));
  CHECK_FALSE(d.admit(2 * second));
  for (int i = 0; i < 20; ++i) CHECK(d.admit(100 * second));
  CHECK_FALSE(d.admit(100 * second));
}

TEST_CASE("whatever the times, no window admits more than the burst and one a second") {
  std::mt19937_64 random{42};
  for (int round = 0; round < 100; ++round) {
    detail::diagnostics d;
    std::int64_t now = second;
    std::int64_t admitted = 0;
    for (int i = 0; i < 1'000; ++i) {
      now += static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(second / 4));
      admitted += static_cast<std::int64_t>(d.admit(now));
    }
    CHECK(admitted <= detail::diagnostics::burst + now / second);
  }
}

TEST_CASE("threads that report at once are counted, each admitted or held back") {
  collecting all;
  static std::atomic<int> calls;
  calls = 0;
  on_diagnostic([](diagnostic_level, std::string_view) { ++calls; });
  detail::global_diagnostics.due_ns.store(INT64_MAX / 2, platform::relaxed);  // nothing is admitted
  detail::global_diagnostics.held_back.store(0, platform::relaxed);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int n = 0; n < 100; ++n) report(diagnostic_level::error, "x");
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(calls == 0);
  CHECK(detail::global_diagnostics.held_back.exchange(0, platform::relaxed) == 400);
}

TEST_CASE("by default a message is one line on standard error that cannot steer the terminal") {
  collecting::refill();
  const diagnostic_callback before = on_diagnostic(nullptr);
  const std::string out =
      written_to_stderr([] { report(diagnostic_level::warning, "value \x1B[31m\nred\x7F r\xC3\xBChr"); });
  const std::string long_one = written_to_stderr([] { report(diagnostic_level::warning, std::string(5'000, 'x')); });
  on_diagnostic(before);
  CHECK(out == "otlpkit: value  [31m red  r\xC3\xBChr\n");
  CHECK(long_one.size() == 1'024);
  CHECK(long_one.back() == '\n');
}
