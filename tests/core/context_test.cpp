// SPDX-License-Identifier: MIT
#include <otlpkit/core/context.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace otlpkit;
using detail::context_entry;
using detail::context_slot;

TEST_CASE("a trace state keeps its text for every copy") {
  trace_state a{"vendor=1,other=2"};
  CHECK(a.header() == "vendor=1,other=2");
  trace_state b = a;
  const trace_state c = std::move(a);
  CHECK(a.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  b = trace_state{"x=1"};
  CHECK(b.header() == "x=1");
  CHECK(c.header() == "vendor=1,other=2");
  const trace_state& itself = b;
  b = itself;
  CHECK(b.header() == "x=1");
  CHECK(trace_state{}.empty());
  CHECK(trace_state{""}.empty());
  CHECK(trace_state{}.header().empty());
}

TEST_CASE("a trace state is shared by threads") {
  const trace_state state{std::string(512, 's')};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([copy = state] {
      for (int n = 0; n < 1'000; ++n) {
        const trace_state mine = copy;
        CHECK(mine.header().size() == 512);
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

TEST_CASE("a context is valid with both ids and sampled by its flag") {
  span_context c;
  CHECK_FALSE(c.valid());
  c.trace = {{1, 0}};
  CHECK_FALSE(c.valid());
  c.span = {1};
  CHECK(c.valid());
  CHECK_FALSE(c.sampled());
  c.flags = flag_random;
  CHECK_FALSE(c.sampled());
  c.flags |= flag_sampled;
  CHECK(c.sampled());
}

TEST_CASE("an entry that is in no slot, or in another, is not taken off this one") {
  context_slot here;
  context_slot elsewhere;
  context_entry a;
  context_entry b;
  here.push(a);
  elsewhere.push(b);
  here.remove(b);
  CHECK(here.top == &a);
  CHECK(elsewhere.top == &b);
  context_entry c;
  here.replace(b, c);
  CHECK(here.top == &a);
}

TEST_CASE("whatever the order of pushing, moving and removing, a slot is a stack of what is left") {
  std::mt19937 random{42};
  context_slot slot;
  std::vector<std::unique_ptr<context_entry>> model;  // the top is last
  for (int i = 0; i < 20'000; ++i) {
    const auto any = [&] { return model.begin() + static_cast<std::ptrdiff_t>(random() % model.size()); };
    switch (random() % 4) {
      case 0:
      case 1:
        if (model.size() < 20) {
          model.push_back(std::make_unique<context_entry>());
          slot.push(*model.back());
        }
        break;
      case 2:
        if (!model.empty()) {
          const auto at = any();
          slot.remove(**at);
          model.erase(at);
        }
        break;
      default:
        if (!model.empty()) {
          const auto at = any();
          auto moved = std::make_unique<context_entry>(std::move(**at));
          slot.replace(**at, *moved);
          *at = std::move(moved);
        }
    }
    const context_entry* entry = slot.top;
    for (auto expected = model.rbegin(); expected != model.rend(); ++expected, entry = entry->below)
      REQUIRE(entry == expected->get());
    REQUIRE(entry == nullptr);
  }
}
