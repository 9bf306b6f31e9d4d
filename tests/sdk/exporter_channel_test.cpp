// SPDX-License-Identifier: MIT
#include <otlpkit/sdk/exporter_channel.hpp>

#include <support/export_client.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using otlpkit::sdk::drop_reason;
using otlpkit::sdk::export_result;
using otlpkit::sdk::exporter_channel;
using otlpkit::sdk::signal;
using otlpkit_test::make_batch;

namespace {

/// Keeps the completions for the test to call.
struct manual_exporter final : otlpkit::sdk::exporter {
  bool is_ready = true;
  bool throws = false;
  std::vector<completion> completions;

  std::string_view name() const noexcept override { return "manual"; }
  bool accepts(otlpkit::sdk::signal) const noexcept override { return true; }
  bool ready(otlpkit::sdk::signal) const noexcept override { return is_ready; }
  void send(std::shared_ptr<const otlpkit::sdk::batch>, completion done) override {
    if (throws) throw std::runtime_error{"no"};
    completions.push_back(std::move(done));
  }
};

struct outcome {
  int calls = 0;
  export_result result;
};

struct setup {
  std::shared_ptr<manual_exporter> exporter = std::make_shared<manual_exporter>();
  std::optional<exporter_channel> channel;

  explicit setup(std::size_t max_items = 10, exporter_channel::clock::duration timeout = 1s) {
    otlpkit::on_diagnostic([](otlpkit::diagnostic_level, std::string_view) {});
    channel.emplace(exporter, signal::traces, max_items, timeout);
  }
  std::shared_ptr<outcome> offer(std::size_t items) {
    auto o = std::make_shared<outcome>();
    channel->offer(make_batch(signal::traces, items), [o](export_result r) {
      ++o->calls;
      o->result = r;
    });
    return o;
  }
};

}  // namespace

TEST_CASE("a batch for an exporter that is ready starts at once") {
  setup s;
  CHECK(s.channel->idle());
  const auto o = s.offer(3);
  REQUIRE(s.exporter->completions.size() == 1);
  CHECK(o->calls == 0);
  s.exporter->completions[0]({});
  CHECK(o->calls == 1);
  CHECK(o->result.dropped == 0);
}

TEST_CASE("what an exporter is not ready for waits in order, up to the limit") {
  setup s;
  s.exporter->is_ready = false;
  CHECK_FALSE(s.channel->idle());
  const auto a = s.offer(6);
  const auto b = s.offer(4);
  const auto c = s.offer(1);
  CHECK(c->calls == 1);
  CHECK(c->result.dropped == 1);
  CHECK(c->result.reason == drop_reason::queue_full);
  CHECK(s.exporter->completions.empty());
  s.exporter->is_ready = true;
  s.channel->advance();
  REQUIRE(s.exporter->completions.size() == 2);
  s.exporter->completions[0]({});
  CHECK(a->calls == 1);
  CHECK(b->calls == 0);
}

TEST_CASE("a batch does not overtake those that wait, also when the exporter is ready again") {
  setup s;
  s.exporter->is_ready = false;
  const auto a = s.offer(1);
  s.exporter->is_ready = true;
  CHECK_FALSE(s.channel->idle());
  const auto b = s.offer(2);
  CHECK(s.exporter->completions.empty());
  s.channel->advance();
  REQUIRE(s.exporter->completions.size() == 2);
  s.exporter->completions[0]({1, drop_reason::failed});
  CHECK(a->calls == 1);
  CHECK(b->calls == 0);
}

TEST_CASE("an exporter that is always ready and never done gets no more than the limit") {
  setup s{10};
  std::vector<std::shared_ptr<outcome>> all;
  for (int i = 0; i < 8; ++i) all.push_back(s.offer(5));
  CHECK(s.exporter->completions.size() == 2);  // ten items under way, ten wait, the rest is dropped
  int dropped = 0;
  for (const auto& o : all) dropped += o->calls;
  CHECK(dropped == 4);
  s.exporter->completions[0]({});
  s.channel->advance();
  CHECK(s.exporter->completions.size() == 3);
}

TEST_CASE("a second completion does nothing") {
  setup s;
  const auto o = s.offer(3);
  s.exporter->completions[0]({1, drop_reason::rejected});
  s.exporter->completions[0]({3, drop_reason::failed});
  CHECK(o->calls == 1);
  CHECK(o->result.dropped == 1);
  CHECK(o->result.reason == drop_reason::rejected);
  CHECK(s.channel->idle());
}

TEST_CASE("a completion called from within itself does nothing") {
  setup s;
  int calls = 0;
  s.channel->offer(make_batch(signal::traces, 3), [&](export_result) {
    if (++calls < 5) s.exporter->completions[0]({});
  });
  s.exporter->completions[0]({});
  CHECK(calls == 1);
  CHECK(s.channel->idle());
}

TEST_CASE("an exporter cannot drop more than it was given") {
  setup s;
  const auto o = s.offer(3);
  s.exporter->completions[0]({1000, drop_reason::failed});
  CHECK(o->result.dropped == 3);
}

TEST_CASE("an exporter that throws loses its batch and no other") {
  setup s;
  s.exporter->throws = true;
  const auto o = s.offer(3);
  CHECK(o->calls == 1);
  CHECK(o->result.dropped == 3);
  CHECK(o->result.reason == drop_reason::failed);
  s.exporter->throws = false;
  const auto next = s.offer(3);
  REQUIRE(s.exporter->completions.size() == 1);
  s.exporter->completions[0]({});
  CHECK(next->result.dropped == 0);
}

TEST_CASE("a forgotten completion is given up after the timeout, and one that comes later does nothing") {
  setup s{10, 1s};
  const auto o = s.offer(3);
  const auto now = exporter_channel::clock::now();
  s.channel->expire(now);
  CHECK(o->calls == 0);
  s.channel->expire(now + 2s);
  CHECK(o->calls == 1);
  CHECK(o->result.dropped == 3);
  CHECK(o->result.reason == drop_reason::unreachable);
  s.exporter->completions[0]({});
  CHECK(o->calls == 1);
}

TEST_CASE("without a timeout nothing is given up") {
  setup s{10, 0s};
  const auto o = s.offer(3);
  s.channel->expire(exporter_channel::clock::now() + 1h);
  CHECK(o->calls == 0);
}

TEST_CASE("abandoning ends what waits and what is under way") {
  setup s;
  const auto running = s.offer(3);
  s.exporter->is_ready = false;
  const auto waiting = s.offer(4);
  s.channel->abandon(drop_reason::shutdown);
  CHECK(running->calls == 1);
  CHECK(running->result.reason == drop_reason::shutdown);
  CHECK(waiting->calls == 1);
  CHECK(waiting->result.dropped == 4);
}

TEST_CASE("a completion after the channel is gone does nothing") {
  setup s;
  const auto o = s.offer(3);
  s.channel.reset();
  s.exporter->completions[0]({});
  CHECK(o->calls == 0);
}
