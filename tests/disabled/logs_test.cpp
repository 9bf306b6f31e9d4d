// SPDX-License-Identifier: MIT
#include <otlpkit/log/format.hpp>
#include <otlpkit/otlpkit.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

OTLPKIT_SCOPE("disabled");
namespace without_semicolon {
OTLPKIT_SCOPE("disabled.too", "1")
}

using namespace otlpkit;

TEST_CASE("log macros compile and evaluate nothing when telemetry is compiled out") {
  using namespace std::chrono_literals;
  int evaluated = 0;
  const auto touch = [&] { return ++evaluated; };
  const auto text = [&] {
    ++evaluated;
    return std::string{"m"};
  };
  const std::runtime_error e{"bad"};
  OTLPKIT_TRACE(text());
  OTLPKIT_DEBUG(text(), {"k", touch()});
  OTLPKIT_INFO(text(), {"k", touch()}, {"list", std::vector<int>{touch()}});
  OTLPKIT_WARN(formatted("{} {}", touch(), text()));
  OTLPKIT_ERROR(nullptr, {"k", touch()});
  OTLPKIT_FATAL(42, {"k", touch()});
  OTLPKIT_INFO_ONCE(text(), {"k", touch()});
  OTLPKIT_WARN_EVERY(10s, text(), {"k", touch()});
  OTLPKIT_LOG(severity::info, text(), {"k", touch()});
  OTLPKIT_LOG_EVENT(severity::info, text(), text(), {"k", touch()});
  OTLPKIT_LOG_EXCEPTION(severity::warn, e, text(), {"k", touch()});
  CHECK(evaluated == 0);
}

TEST_CASE("log functions compile and record nothing when telemetry is compiled out") {
  const std::runtime_error e{"bad"};
  const instrumentation_scope scope{"s", "1"};
  log(severity::info, "m");
  log(severity::info, std::string{"m"}, {{"k", 1}, {"other", "v"}});
  log(severity::warn, "m", {{"k", 1}},
      {.event_name = "e", .exception = &e, .context = no_parent, .time = 5, .scope = &scope});
  set_log_level(severity::warn);
  CHECK(set_log_level("shop.*", severity::off));
  CHECK(!log_enabled(severity::fatal));
  CHECK(!log_enabled(severity::fatal, scope));
}
