// SPDX-License-Identifier: MIT
#include <examples/load_recording.hpp>

#include <otlpkit/otlpkit.hpp>
#include <otlpkit/trace/detached.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

namespace {

/// What a load run that does this would say of its failures, and how many there are.
template <class Work>
std::string told_of(Work work) {
  load_recording recording;
  try {
    work();
  } catch (const std::runtime_error&) {
  }
  recording.finish();
  return std::to_string(recording.failures()) + ": " + recording.unclear();
}

void fail(const char* name) {
  OTLPKIT_SPAN(name);
  OTLPKIT_FAIL("broken", "no");
}

/// An attempt that failed.
void attempt(bool again) {
  otlpkit::span_guard span{"attempt", {{"otlpkit.retry.handled", true}}};
  if (!again) span.set("otlpkit.retry.stopped_by", "max_attempts");
  fail("call");
  span.fail("broken", "no");
}

}  // namespace

TEST_CASE("a failure with one root cause is clear, one with two is not") {
  CHECK(told_of([] { fail("request"); }) == "1: ");
  CHECK(told_of([] {
          OTLPKIT_SPAN("request");
          fail("step");
          throw std::runtime_error{"left"};
        }) == "1: ");
  CHECK(told_of([] {
          OTLPKIT_SPAN("request");
          fail("step");
          fail("step");
          OTLPKIT_FAIL("broken", "no");
        }) == "1: request by step (no) step (no)\n");
}

TEST_CASE("that an exception passed by is no cause, unless somebody above says which") {
  const auto pass_by = [] {
    OTLPKIT_SPAN("step");
    throw std::runtime_error{"broken"};
  };
  CHECK(told_of([&] {
          OTLPKIT_SPAN("request");
          pass_by();
        }) == "1: request by nothing\n");
  CHECK(told_of([&] { otlpkit::traced("request", pass_by); }) == "1: ");
}

TEST_CASE("attempts that were followed by another one explain nothing, the last one does") {
  CHECK(told_of([] {
          OTLPKIT_SPAN("request");
          attempt(true);
          attempt(false);
          OTLPKIT_FAIL("broken", "no");
        }) == "1: ");
  CHECK(told_of([] {
          OTLPKIT_SPAN("request");
          attempt(false);
          attempt(false);
          OTLPKIT_FAIL("broken", "no");
        }) == "1: request by call (no) call (no)\n");
}

TEST_CASE("a database that is gone is one cause, however often a request meets that, and no excuse for others") {
  const auto statement = [](const char* code) {
    otlpkit::span_guard span{"statement", {{"db.response.status_code", code}}};
    span.fail(code, code);
  };
  CHECK(told_of([&] {
          OTLPKIT_SPAN("request");
          statement("08006");
          statement("57P01");
          OTLPKIT_FAIL("broken", "no");
        }) == "1: ");
  CHECK(told_of([&] {
          OTLPKIT_SPAN("request");
          statement("08006");
          fail("step");
          OTLPKIT_FAIL("broken", "no");
        }) == "1: request by step (no) statement (08006)\n");
  CHECK(told_of([&] {
          OTLPKIT_SPAN("request");
          statement("23505");
          statement("23505");
          OTLPKIT_FAIL("broken", "no");
        }) == "1: request by statement (23505) statement (23505)\n");
}

TEST_CASE("an error that somebody has dealt with is no failure, and work that nobody waits for is one of its own") {
  CHECK(told_of([] {
          OTLPKIT_SPAN("request");
          fail("step");
        }) == "0: ");
  CHECK(told_of([] {
          OTLPKIT_SPAN("request");
          otlpkit::detached("later", [] {
            fail("step");
            OTLPKIT_FAIL("broken", "no");
          })();
          OTLPKIT_FAIL("refused", "no");
        }) == "2: ");
}
