// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/spare_memory.hpp>

#include <otlpkit/sdk/batch_builder.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

using otlpkit::sdk::batch_builder;
using otlpkit::sdk::signal;
using otlpkit::sdk::spare_memory;

namespace {

std::string used(std::size_t bytes) { return std::string(bytes, 'x'); }
bool has_memory(const std::string& s) { return s.capacity() >= spare_memory::least_bytes; }

const auto resource = std::make_shared<const std::string>("\x0a\x02\x10\x00", 4);

}  // namespace

TEST_CASE("memory that was given comes back empty") {
  spare_memory spares;
  CHECK_FALSE(has_memory(spares.take()));
  std::string given = used(spare_memory::least_bytes);
  const char* const memory = given.data();
  spares.give(std::move(given));
  const std::string taken = spares.take();
  CHECK(taken.empty());
  CHECK(taken.data() == memory);
  CHECK_FALSE(has_memory(spares.take()));
}

TEST_CASE("neither little memory nor more than a few pieces are kept") {
  spare_memory spares;
  spares.give(used(100));
  CHECK_FALSE(has_memory(spares.take()));
  for (std::size_t i = 0; i < spare_memory::most + 2; ++i) spares.give(used(spare_memory::least_bytes));
  std::array<std::string, spare_memory::most> taken;
  for (std::string& s : taken) {
    s = spares.take();
    CHECK(has_memory(s));
  }
  CHECK_FALSE(has_memory(spares.take()));
}

TEST_CASE("what nobody needed between two trims goes, the rest stays") {
  spare_memory spares;
  for (int i = 0; i < 3; ++i) spares.give(used(spare_memory::least_bytes));
  spares.trim();
  spares.give(spares.take());  // one of them is in use now and then
  spares.trim();
  CHECK(has_memory(spares.take()));
  CHECK_FALSE(has_memory(spares.take()));
}

TEST_CASE("a batch has the memory of one that is over, and may outlive its builder") {
  auto builder = std::make_unique<batch_builder>(signal::traces, 10);
  const std::string record = used(spare_memory::least_bytes);
  CHECK(builder->add(0, record));
  auto first = builder->take(resource);
  const char* const memory = first->scopes()[0].items.data();
  CHECK(builder->add(0, record));
  auto second = builder->take(resource);
  CHECK(second->scopes()[0].items.data() != memory);
  const std::size_t size = first->scopes()[0].items.capacity();
  first.reset();
  const std::string other = used(size);  // has the memory if it was freed
  CHECK(builder->add(0, record));
  const auto third = builder->take(resource);
  CHECK(third->scopes()[0].items.data() == memory);

  second.reset();
  builder->trim();
  builder->trim();
  CHECK(builder->add(0, record));
  const auto fourth = builder->take(resource);
  builder.reset();
  CHECK(fourth->scopes()[0].items.ends_with(record));
}
