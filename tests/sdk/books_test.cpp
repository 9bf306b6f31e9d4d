// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/books.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>

using otlpkit::sdk::books;
using otlpkit::sdk::drop_reason;
using otlpkit::sdk::drop_reason_count;

TEST_CASE("books that saw nothing have a line for spans alone") {
  CHECK(to_string(books{}) == "otlpkit: spans recorded=0 delivered=0 dropped=0\n");
}

TEST_CASE("every signal that recorded something has its line") {
  books b;
  b.signals[0] = {.recorded = 12, .delivered = 12};
  b.signals[1] = {.recorded = 4, .delivered = 4};
  b.signals[2] = {.recorded = 7, .delivered = 7};
  CHECK(to_string(b) ==
        "otlpkit: spans recorded=12 delivered=12 dropped=0\n"
        "otlpkit: metric points recorded=4 delivered=4 dropped=0\n"
        "otlpkit: log records recorded=7 delivered=7 dropped=0\n");
  CHECK(&b.spans() == &b.signals[0]);
  CHECK(&b.metric_points() == &b.signals[1]);
  CHECK(&b.log_records() == &b.signals[2]);
}

TEST_CASE("losses are summed up and their reasons follow") {
  books b;
  b.signals[0].recorded = 20;
  b.signals[0].delivered = 5;
  b.signals[0].dropped_by[static_cast<std::size_t>(drop_reason::queue_full)] = 10;
  b.signals[0].dropped_by[static_cast<std::size_t>(drop_reason::shutdown)] = 5;
  CHECK(b.spans().dropped() == 15);
  CHECK(b.spans().dropped(drop_reason::queue_full) == 10);
  CHECK(b.spans().dropped(drop_reason::rejected) == 0);
  CHECK(to_string(b) == "otlpkit: spans recorded=20 delivered=5 dropped=15 queue_full=10 shutdown=5\n");
}

TEST_CASE("every reason has a name") {
  books b;
  b.signals[0].recorded = drop_reason_count;
  b.signals[0].dropped_by.fill(1);
  CHECK(to_string(b) ==
        "otlpkit: spans recorded=8 delivered=0 dropped=8 none=1 queue_full=1 too_large=1 rejected=1 unreachable=1 "
        "shutdown=1 failed=1 filtered=1\n");
}
