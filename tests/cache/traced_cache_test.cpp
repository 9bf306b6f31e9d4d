// SPDX-License-Identifier: MIT
// emits: telemetry
#include <otlpkit/cache/memory_cache.hpp>
#include <otlpkit/cache/traced_cache.hpp>

#include <doctest/doctest.h>

#include "db/recording.hpp"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

using otlpkit::cache::memory_cache;
using otlpkit::cache::traced_cache;

namespace {

struct broken_cache {
  std::optional<int> get(std::string_view) { throw std::runtime_error{"no answer"}; }
  void set(std::string_view, int) { throw std::runtime_error{"no answer"}; }
  bool erase(std::string_view) { throw std::runtime_error{"no answer"}; }
};

/// Like std::expected, which C++20 does not have.
struct lookup {
  std::optional<int> found;
  bool failed = false;
  [[nodiscard]] bool has_value() const { return !failed; }
  [[nodiscard]] std::optional<int> operator*() const { return found; }
  [[nodiscard]] std::string_view error() const { return "no answer"; }
};
struct expecting_cache {
  lookup answer;
  lookup get(std::string_view) { return answer; }
  void erase(std::string_view) {}
};

}  // namespace

TEST_CASE("lookups say hit or miss, and every call is a span named after the cache") {
  recording out;
  memory_cache<int> memory;
  traced_cache cache{memory, {.name = "products"}};
  CHECK_FALSE(cache.get("a").has_value());
  cache.set("a", 1);
  CHECK(cache.get("a") == 1);
  CHECK(cache.erase("a"));
  CHECK(out.diff(R"(
    cache.get products [otlpkit.cache.name=products otlpkit.cache.outcome=miss]

    cache.set products [otlpkit.cache.name=products]

    cache.get products [otlpkit.cache.name=products otlpkit.cache.outcome=hit]

    cache.erase products [otlpkit.cache.name=products otlpkit.cache.outcome=hit]
  )") == "");
  auto lookups = metric_points::by(out.metric("otlpkit.cache.lookups"), "otlpkit.cache.outcome");
  CHECK(lookups["hit"].integer == 1);
  CHECK(lookups["miss"].integer == 1);
  CHECK(lookups["hit"].labels["otlpkit.cache.name"] == "products");
}

TEST_CASE("keys and values never reach the span, however long they are and whatever is in them") {
  recording out;
  memory_cache<std::string> memory;
  traced_cache cache{memory, {.name = "secrets"}};
  for (const std::string& key : {std::string(1 << 20, 'k'), std::string{"\xff\0\r\n'\"", 6}, std::string{}}) {
    cache.set(key, "s3cret" + key);
    CHECK(cache.get(key) == "s3cret" + key);
    CHECK(cache.erase(key));
    CHECK_FALSE(cache.get(key).has_value());
  }
  for (const auto& span : out.take()) {
    for (const auto& [name, value] : span.attributes) {
      CHECK((name == "otlpkit.cache.name" || name == "otlpkit.cache.outcome"));
      CHECK(value.as_string().size() < 10);
    }
  }
}

TEST_CASE("a failing cache shows in the span, and its exception goes on") {
  recording out;
  traced_cache cache{broken_cache{}, {.name = "sessions"}};
  CHECK_THROWS_WITH_AS(static_cast<void>(cache.get("a")), "no answer", std::runtime_error);
  const auto span = otlpkit::testing::only(out.take(), "cache.get sessions");
  CHECK(span.is_error());
  CHECK(span.attributes.at("error.type") == "std::runtime_error");
  CHECK(span.attributes.at("otlpkit.cache.outcome") == "error");
}

TEST_CASE("where errors are tolerated a failing cache is one that has nothing, and the span still shows the error") {
  recording out;
  traced_cache cache{broken_cache{}, {.name = "sessions", .tolerate_errors = true}};
  CHECK_FALSE(cache.get("a").has_value());
  CHECK_NOTHROW(cache.set("a", 1));
  CHECK_FALSE(cache.erase("a"));
  const auto spans = out.take();
  REQUIRE(spans.size() == 3);
  for (const auto& span : spans) {
    CHECK(span.is_error());
    CHECK(span.attributes.at("otlpkit.cache.outcome") == "error");
  }
}

TEST_CASE("a cache that returns its errors is recorded as well") {
  recording out;
  const auto outcome = [&](lookup answer) {
    traced_cache cache{expecting_cache{answer}, {.name = "x"}};
    static_cast<void>(cache.get("a"));
    return otlpkit::testing::only(out.take(), "cache.get x");
  };
  CHECK(outcome({1, false}).attributes.at("otlpkit.cache.outcome") == "hit");
  CHECK(outcome({std::nullopt, false}).attributes.at("otlpkit.cache.outcome") == "miss");
  const auto failed = outcome({std::nullopt, true});
  CHECK(failed.attributes.at("otlpkit.cache.outcome") == "error");
  CHECK(failed.is_error());
}

TEST_CASE("values that can only be moved pass through") {
  struct one_time {
    std::unique_ptr<int> get(std::string_view) { return std::make_unique<int>(3); }
    void erase(std::string_view) {}
  };
  traced_cache cache{one_time{}, {.name = "x"}};
  CHECK(*cache.get("a") == 3);
}

TEST_CASE("without telemetry it is the cache it wraps") {
  memory_cache<int> memory;
  traced_cache cache{memory};
  cache.set("a", 1);
  CHECK(cache.get("a") == 1);
  CHECK(memory.get("a") == 1);
}
