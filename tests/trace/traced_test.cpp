// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/trace/detached.hpp>
#include <otlpkit/trace/traced.hpp>

#include <support/emitted.hpp>
#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>

using namespace otlpkit;
using otlpkit::testing::span_record;
using support::recording;

namespace shop {

class out_of_stock : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class failure { not_found, timeout };
const char* to_string(failure f) { return f == failure::not_found ? "not_found" : "timeout"; }
enum class plain { a, b };

/// What std::expected looks like.
template <class T, class E>
class expected {
 public:
  expected(T v) : content_{std::in_place_index<0>, std::move(v)} {}
  static expected failed(E e) {
    expected r;
    r.content_.template emplace<1>(std::move(e));
    return r;
  }
  [[nodiscard]] bool has_value() const { return content_.index() == 0; }
  [[nodiscard]] const T& value() const { return std::get<0>(content_); }
  [[nodiscard]] const E& error() const { return std::get<1>(content_); }

 private:
  expected() = default;
  std::variant<T, E> content_;
};

}  // namespace shop

TEST_CASE("traced runs the call in a span of its own and returns what it returns") {
  recording spans;
  CHECK(traced("answer", {{"k", 1}}, [] {
          current_span().set("inside", true);
          return 42;
        }) == 42);
  const span_record r = spans.take_one();
  CHECK(r.name == "answer");
  CHECK(r.attributes["k"] == 1);
  CHECK(r.attributes["inside"] == true);
  CHECK(r.status == 0);
}

TEST_CASE("traced passes references, nothing, and results that can only be moved") {
  recording spans;
  int n = 0;
  int& same = traced("reference", [&]() -> int& { return n; });
  CHECK(&same == &n);
  static_assert(std::is_void_v<decltype(traced("nothing", [] {}))>);
  traced("nothing", [&] { ++n; });
  CHECK(n == 1);
  const std::unique_ptr<int> moved = traced("moved", [] { return std::make_unique<int>(3); });
  CHECK(*moved == 3);
  CHECK(traced("with the span", [](span& s) {
    s.set("k", 1);
    return s.recording();
  }));
  CHECK(spans.take().size() == 4);
}

TEST_CASE("an exception is recorded with its most derived type and goes on") {
  recording spans;
  CHECK_THROWS_AS(traced("buy", [] { throw shop::out_of_stock{"only 3 left"}; }), shop::out_of_stock);
  const span_record r = spans.take_one();
  CHECK(r.is_error());
  CHECK(r.status_message == "only 3 left");
  CHECK(r.attributes["error.type"] == "shop::out_of_stock");
  REQUIRE(r.events.size() == 1);
  CHECK(r.events[0].name == "exception");
  CHECK(r.events[0].attributes["exception.type"] == "shop::out_of_stock");
  CHECK(r.events[0].attributes["exception.message"] == "only 3 left");
}

TEST_CASE("what is thrown without being a std::exception is recorded as unknown and goes on") {
  recording spans;
  CHECK_THROWS_AS(traced("throw", []() -> int { throw 7; }), int);
  const span_record r = spans.take_one();
  CHECK(r.is_error());
  CHECK(r.attributes["error.type"] == "unknown");
  CHECK(r.events.at(0).attributes["exception.type"] == "unknown");
}

TEST_CASE("an exception passes each traced call on its way and every span says so") {
  recording spans;
  CHECK_THROWS(traced("outer", [] { traced("inner", [] { throw std::bad_alloc{}; }); }));
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].attributes["error.type"] == "std::bad_alloc");
  CHECK(all[1].attributes["error.type"] == "std::bad_alloc");
  CHECK(all[0].parent_id == all[1].span_id);
}

TEST_CASE("an error code that says failure marks the span") {
  recording spans;
  const std::error_code code =
      traced("read", [] { return std::make_error_code(std::errc::no_such_file_or_directory); });
  CHECK(code == std::errc::no_such_file_or_directory);
  const span_record r = spans.take_one();
  CHECK(r.is_error());
  CHECK(r.attributes["error.type"] == "generic");
  CHECK(r.attributes["error.code"] == static_cast<int>(std::errc::no_such_file_or_directory));
  CHECK(r.status_message == code.message());
  static_cast<void>(traced("read", [] { return std::error_code{}; }));
  CHECK(spans.take_one().status == 0);
}

TEST_CASE("the error in an expected-like result marks the span, whatever its type") {
  using shop::expected;
  recording spans;
  CHECK(traced("good", [] { return expected<int, std::string>{7}; }).value() == 7);
  CHECK(spans.take_one().status == 0);

  CHECK(traced("text", [] { return expected<int, std::string>::failed("no route"); }).error() == "no route");
  span_record r = spans.take_one();
  CHECK(r.is_error());
  CHECK(r.attributes["error.type"] == "_OTHER");
  CHECK(r.status_message == "no route");

  static_cast<void>(traced("named", [] { return expected<int, shop::failure>::failed(shop::failure::timeout); }));
  CHECK(spans.take_one().attributes["error.type"] == "timeout");

  static_cast<void>(traced("enum", [] { return expected<int, shop::plain>::failed(shop::plain::b); }));
  r = spans.take_one();
  CHECK(r.attributes["error.type"] == "shop::plain");
  CHECK(r.attributes["error.code"] == 1);

  static_cast<void>(traced(
      "code", [] { return expected<int, std::error_code>::failed(std::make_error_code(std::errc::timed_out)); }));
  CHECK(spans.take_one().attributes["error.type"] == "generic");

  static_cast<void>(
      traced("exception", [] { return expected<int, shop::out_of_stock>::failed(shop::out_of_stock{"empty"}); }));
  r = spans.take_one();
  CHECK(r.attributes["error.type"] == "shop::out_of_stock");
  CHECK(r.status_message == "empty");
}

TEST_CASE("an empty optional is a result, not a failure") {
  recording spans;
  CHECK_FALSE(traced("find", [] { return std::optional<int>{}; }).has_value());
  CHECK(spans.take_one().status == 0);
}

TEST_CASE("without telemetry traced does the work and passes exceptions on") {
  CHECK(traced("work", {{"k", 1}}, [] { return 5; }) == 5);
  CHECK_THROWS_AS(traced("work", [] { throw shop::out_of_stock{"x"}; }), shop::out_of_stock);
}

TEST_CASE("record_current_exception names the exception that is handled") {
  recording spans;
  {
    span_guard guard{"op"};
    try {
      throw std::out_of_range{"row 7"};
    } catch (...) {
      record_current_exception(guard);
    }
    guard.set("went_on", true);
  }
  const span_record r = spans.take_one();
  CHECK(r.attributes["error.type"] == "std::out_of_range");
  CHECK(r.attributes["went_on"] == true);
}

TEST_CASE("detached work is a child of where it was made, wherever it runs") {
  recording spans;
  {
    span_guard request{"request"};
    auto work = detached("increment", [] { current_span().set("ran", true); });
    std::thread{[&] { work(); }}.join();
    work();
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 3);
  const span_record* request = nullptr;
  for (const span_record& r : all) {
    if (r.name == "request") request = &r;
  }
  REQUIRE(request != nullptr);
  for (const span_record& r : all) {
    if (&r == request) continue;
    CHECK(r.parent_id == request->span_id);
    CHECK(r.attributes["otlpkit.detached"] == true);
    CHECK(r.attributes["ran"] == true);
  }
}

TEST_CASE("detached work that throws says so on its span and passes it on") {
  recording spans;
  auto work = detached("fails", [] { throw shop::out_of_stock{"x"}; });
  CHECK_THROWS_AS(work(), shop::out_of_stock);
  const auto failed = spans.take();
  REQUIRE(failed.size() == 1);
  CHECK(failed[0].attributes["error.type"] == "shop::out_of_stock");
  support::emitted(failed);
}
