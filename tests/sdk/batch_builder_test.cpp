// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/batch_builder.hpp>

#include <doctest/doctest.h>

#include "support/otlp_bytes.hpp"

#include <cstddef>
#include <memory>
#include <string>

using otlpkit::sdk::batch_builder;
using otlpkit::sdk::signal;

namespace {

std::string record(char content, std::size_t size = 10) { return std::string(size, content); }

/// How it stands in a batch.
std::string framed(char content, std::size_t size = 10) { return otlp_bytes::bytes(2, record(content, size)); }

const auto resource = std::make_shared<const std::string>("\x0a\x02\x10\x00", 4);

}  // namespace

TEST_CASE("a batch is full with its last item") {
  batch_builder builder{signal::traces, 3};
  CHECK(builder.items() == 0);
  CHECK(builder.add(0, record('a')));
  CHECK(builder.add(0, record('b')));
  CHECK_FALSE(builder.add(0, record('c')));
  CHECK(builder.items() == 3);
  const auto b = builder.take(resource);
  CHECK(b->items() == 3);
  CHECK(b->kind() == signal::traces);
}

TEST_CASE("a batch is full with the record that reaches its bytes") {
  batch_builder builder{signal::traces, 1000, 36};
  CHECK(builder.add(0, record('a')));
  CHECK(builder.add(0, record('b')));
  CHECK_FALSE(builder.add(0, record('c')));  // 36 bytes
  CHECK(builder.take(resource)->items() == 3);
  CHECK(builder.add(0, record('d')));  // the count begins anew
  CHECK_FALSE(builder.add(0, record('e', 100)));
}

TEST_CASE("records keep their order within a scope, and scopes do not mix") {
  batch_builder builder{signal::traces, 100};
  CHECK(builder.add(0, record('a')));
  CHECK(builder.add(1, record('x')));
  CHECK(builder.add(0, record('b', 128)));  // a length of two bytes
  CHECK(builder.add(1, record('y')));
  const auto b = builder.take(resource);
  REQUIRE(b->scopes().size() == 2);
  CHECK(b->scopes()[0].items == framed('a') + framed('b', 128));
  CHECK(b->scopes()[0].count == 2);
  CHECK(b->scopes()[1].items == framed('x') + framed('y'));
  CHECK(b->scopes()[1].count == 2);
}

TEST_CASE("the builder is empty after a batch was taken") {
  batch_builder builder{signal::logs, 2};
  CHECK(builder.add(0, record('a')));
  const auto first = builder.take(resource);
  CHECK(builder.items() == 0);
  CHECK(builder.add(1, record('b')));
  CHECK_FALSE(builder.add(0, record('c')));
  const auto second = builder.take(resource);
  CHECK(first->items() == 1);
  CHECK(second->items() == 2);
  CHECK(second->scopes().size() == 2);
  CHECK(second->scopes()[1].items == framed('c'));
}
