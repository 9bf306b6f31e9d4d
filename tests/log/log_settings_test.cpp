// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/finalize.hpp>

#include <support/finalized.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace otlpkit;
using finalized::contains;

namespace {

environment with(std::string_view variable, std::string value) {
  return environment{
      [variable, value](std::string_view name) { return name == variable ? std::optional{value} : std::nullopt; }};
}

using scope_levels = std::vector<std::pair<std::string, severity>>;

}  // namespace

TEST_CASE("without settings every log record is kept") {
  const auto c = finalized::from({});
  CHECK(c.log_records.level == severity::trace);
  CHECK(c.log_records.scopes.empty());
  CHECK(!c.log_records.span_events);
  CHECK(contains(describe(c), "log_records.level = trace (default)\n"));
}

TEST_CASE("OTLPKIT_LOG_LEVEL gives the least severity, and that of scopes") {
  const auto c = finalized::from({}, with("OTLPKIT_LOG_LEVEL", " Warning , shop.*=debug,Shop.Net = OFF"));
  CHECK(c.log_records.level == severity::warn);
  CHECK(c.log_records.scopes == scope_levels{{"shop.*", severity::debug}, {"Shop.Net", severity::off}});
  CHECK(c.warnings.empty());
  CHECK(contains(describe(c), "log_records.level = warn (OTLPKIT_LOG_LEVEL)\n"));
  CHECK(contains(describe(c), "log_records.scopes = \"shop.*=debug Shop.Net=off\" (OTLPKIT_LOG_LEVEL)\n") !=
        contains(describe(c), "log_records.scopes = shop.*=debug Shop.Net=off (OTLPKIT_LOG_LEVEL)\n"));
}

TEST_CASE("a level that is none is told by the variable's name and ignored") {
  const auto c = finalized::from({}, with("OTLPKIT_LOG_LEVEL", "loud,shop=error,=warn,net="));
  CHECK(c.log_records.level == severity::trace);
  CHECK(c.log_records.scopes == scope_levels{{"shop", severity::error}});
  REQUIRE(c.warnings.size() == 3);
  CHECK(contains(c.warnings[0], "OTLPKIT_LOG_LEVEL: got \"loud\", expected trace, debug"));
  CHECK(contains(c.warnings[1], "\"=warn\""));
  CHECK(contains(c.warnings[2], "\"net=\""));
}

TEST_CASE("levels in code win over the environment") {
  const auto c = finalized::from({.log_records = {.level = severity::error, .scopes = {{"a", severity::info}}}},
                                 with("OTLPKIT_LOG_LEVEL", "debug,a=off,b=warn"));
  CHECK(c.log_records.level == severity::error);
  CHECK(c.log_records.scopes.back() == std::pair<std::string, severity>{"a", severity::info});
  CHECK(contains(describe(c), "log_records.level = error (code)\n"));
}

TEST_CASE("a level in code that is none is an error that names it") {
  const auto refused = finalized::refusal({.log_records = {.level = severity::unspecified}});
  CHECK(contains(refused.what(), "log_records.level"));
  const auto no_name = finalized::refusal({.log_records = {.scopes = {{"", severity::info}}}});
  CHECK(contains(no_name.what(), "log_records.scopes"));
}

TEST_CASE("OTLPKIT_LOG_SPAN_EVENTS mirrors records as span events") {
  CHECK(finalized::from({}, with("OTLPKIT_LOG_SPAN_EVENTS", "1")).log_records.span_events);
  CHECK(!finalized::from({.log_records = {.span_events = false}}, with("OTLPKIT_LOG_SPAN_EVENTS", "true"))
             .log_records.span_events);
}
