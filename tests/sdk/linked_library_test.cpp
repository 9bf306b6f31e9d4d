// SPDX-License-Identifier: MIT
// library: linked_library.cpp
// A shared library linked at start: program and library are one copy, with one pipeline and one context.
#include "linked_library.hpp"
#include "exporters.hpp"

#include <otlpkit/testing/trace_snapshot.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <thread>

using namespace sdk_test;

TEST_CASE("program and library have one runtime") {
  CHECK(linked_library_runtime() == &otlpkit::detail::global_runtime);
}

TEST_CASE("spans of the library are children of the program's, and in the same books") {
  const auto memory = std::make_shared<memory_exporter>();
  otlpkit::telemetry telemetry{settings_for({memory}), no_variables};
  {
    OTLPKIT_SPAN("in the program");
    linked_library_record(3);
  }
  std::thread{[] { linked_library_record(2); }}.join();
  CHECK(telemetry.shutdown());
  CHECK(telemetry.books().spans().recorded == 6);
  CHECK(telemetry.books().spans().delivered == 6);

  const auto spans = memory->spans();
  REQUIRE(spans.size() == 6);
  const auto& host = otlpkit::testing::only(spans, "in the program");
  std::size_t children = 0;
  for (const auto& s : spans) children += s.parent_id == host.span_id ? 1 : 0;
  CHECK(children == 3);
}
