// SPDX-License-Identifier: MIT
#include <otlpkit/trace/macros.hpp>
#include <otlpkit/trace/sampler.hpp>
#include <otlpkit/trace/span.hpp>

#include <support/span_recording.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

using namespace otlpkit;
using otlpkit::testing::span_record;
using support::recording;

namespace {

/// Remembers what it was asked and says what it was told to.
struct scripted final : sampler {
  sampling_decision decision = sampling_decision::record_and_sample;
  int asked = 0;
  std::string name;
  span_kind kind{};
  span_context parent;
  trace_id trace;
  std::size_t links = 0;
  std::vector<std::string> keys;

  scripted() = default;
  explicit scripted(sampling_decision d) : decision{d} {}
  sampling_decision should_sample(const sampling_parameters& p, sampling_changes&) noexcept override {
    ++asked;
    name = p.name;
    kind = p.kind;
    parent = p.parent;
    trace = p.trace;
    links = p.link_count;
    keys.clear();
    for (const field_view f : repeated_view<field_view, 9>{p.attributes}) keys.emplace_back(f.key);
    return decision;
  }
  std::string_view description() const noexcept override { return "scripted"; }
};

/// Adds an attribute and an entry of trace state.
struct annotating final : sampler {
  sampling_decision should_sample(const sampling_parameters&, sampling_changes& changes) noexcept override {
    changes.set("sampler.rule", "all");
    changes.set("replaced", 2);
    changes.state(changes.state().empty() ? trace_state{"new=1"} : trace_state{});
    return sampling_decision::record_and_sample;
  }
  std::string_view description() const noexcept override { return "annotating"; }
};

/// Sets the trace state it is told to.
struct stating final : sampler {
  std::string state;
  sampling_decision should_sample(const sampling_parameters&, sampling_changes& changes) noexcept override {
    changes.state(trace_state{state});
    return sampling_decision::record_and_sample;
  }
  std::string_view description() const noexcept override { return "stating"; }
};

int warnings = 0;
void count_warning(diagnostic_level, std::string_view) { ++warnings; }

/// A trace id with these low 56 bits.
trace_id with_randomness(std::uint64_t low) {
  unsigned char bytes[16] = {0xAA};
  for (int i = 0; i < 7; ++i) bytes[15 - i] = static_cast<unsigned char>(low >> (8 * i));
  trace_id id;
  std::memcpy(&id, bytes, sizeof id);
  return id;
}

}  // namespace

TEST_CASE("always on records every root, always off none and none below it") {
  always_on_sampler on;
  always_off_sampler off;
  {
    recording spans{{.sampler = &on}};
    { span_guard a{"a"}; }
    CHECK(spans.take().size() == 1);
  }
  recording spans{{.sampler = &off}};
  {
    span_guard a{"a"};
    CHECK_FALSE(a.recording());
    CHECK(a.context().valid());
    CHECK_FALSE(a.context().sampled());
    span_guard b{"b"};
    CHECK_FALSE(b.recording());
    CHECK(b.context().trace == a.context().trace);
    CHECK(b.context().span != a.context().span);
  }
  CHECK(spans.take().empty());
  CHECK(on.description() == "AlwaysOnSampler");
  CHECK(off.description() == "AlwaysOffSampler");
}

TEST_CASE("a ratio keeps the traces whose low 56 bits reach the threshold") {
  constexpr std::uint64_t all = std::uint64_t{1} << 56;
  const trace_id_ratio_sampler half{0.5};
  CHECK(half.keeps(with_randomness(all / 2)));
  CHECK_FALSE(half.keeps(with_randomness(all / 2 - 1)));
  const trace_id_ratio_sampler quarter{0.25};
  CHECK(quarter.keeps(with_randomness(all / 4 * 3)));
  CHECK_FALSE(quarter.keeps(with_randomness(all / 4 * 3 - 1)));
  for (const double never : {0.0, -1.0, -HUGE_VAL})
    CHECK_FALSE(trace_id_ratio_sampler{never}.keeps(with_randomness(all - 1)));
  for (const double always : {1.0, 2.0, HUGE_VAL, std::nan("")}) {
    CHECK(trace_id_ratio_sampler{always}.keeps(with_randomness(0)));
  }
}

TEST_CASE("a ratio keeps its share, and a higher one all that a lower one keeps") {
  std::mt19937_64 random{42};
  const double ratios[] = {0.001, 0.1, 0.5, 0.9};
  int kept[4] = {};
  constexpr int traces = 100'000;
  for (int i = 0; i < traces; ++i) {
    const trace_id id{{random(), random()}};
    bool lower = false;
    for (std::size_t r = 0; r < 4; ++r) {
      const bool keeps = trace_id_ratio_sampler{ratios[r]}.keeps(id);
      CHECK((keeps || !lower));
      kept[r] += keeps;
      lower = keeps;
    }
  }
  for (std::size_t r = 0; r < 4; ++r) {
    const double deviation = std::sqrt(traces * ratios[r] * (1 - ratios[r]));
    CHECK(std::abs(kept[r] - traces * ratios[r]) < 5 * deviation);
  }
}

TEST_CASE("a ratio sampler describes itself as the specification writes it") {
  CHECK(trace_id_ratio_sampler{0.0001}.description() == "TraceIdRatioBased{0.000100}");
  CHECK(trace_id_ratio_sampler{1}.description() == "TraceIdRatioBased{1.000000}");
  CHECK(trace_id_ratio_sampler{-3}.description() == "TraceIdRatioBased{0.000000}");
  CHECK(trace_id_ratio_sampler{0.123456}.description() == "TraceIdRatioBased{0.123456}");
}

TEST_CASE("a parent's decision is followed without asking the sampler") {
  scripted root;
  recording spans{{.sampler = &root}};
  { span a{"a", {}, {.parent = support::remote_context(true)}}; }
  { span b{"b", {}, {.parent = support::remote_context(false)}}; }
  CHECK(root.asked == 0);
  CHECK(spans.take_one().name == "a");
  {
    span_guard c{"c"};
    span_guard d{"d"};
  }
  CHECK(root.asked == 1);
  CHECK(root.name == "c");
}

TEST_CASE("a parent based sampler asks the one for the case at hand") {
  scripted root;
  scripted remote_sampled;
  scripted remote_not_sampled;
  scripted local_sampled;
  scripted local_not_sampled;
  parent_based_sampler chosen{{&root, &remote_sampled, &remote_not_sampled, &local_sampled, &local_not_sampled}};
  recording spans{{.sampler = &chosen, .parent_based = false}};
  const auto asked = [&] {
    return std::vector<int>{root.asked, remote_sampled.asked, remote_not_sampled.asked, local_sampled.asked,
                            local_not_sampled.asked};
  };
  span_context local = support::remote_context(true);
  local.remote = false;
  { span s{"root"}; }
  CHECK(asked() == std::vector<int>{1, 0, 0, 0, 0});
  { span s{"s", {}, {.parent = support::remote_context(true)}}; }
  CHECK(asked() == std::vector<int>{1, 1, 0, 0, 0});
  { span s{"s", {}, {.parent = support::remote_context(false)}}; }
  CHECK(asked() == std::vector<int>{1, 1, 1, 0, 0});
  { span s{"s", {}, {.parent = local}}; }
  CHECK(asked() == std::vector<int>{1, 1, 1, 1, 0});
  local.flags = 0;
  { span s{"s", {}, {.parent = local}}; }
  CHECK(asked() == std::vector<int>{1, 1, 1, 1, 1});
  CHECK(spans.take().size() == 5);
}

TEST_CASE("a parent based sampler without delegates follows the parent") {
  scripted root{sampling_decision::drop};
  parent_based_sampler chosen{{.root = &root}};
  recording spans{{.sampler = &chosen, .parent_based = false}};
  { span s{"dropped"}; }
  { span s{"kept", {}, {.parent = support::remote_context(true)}}; }
  { span s{"dropped", {}, {.parent = support::remote_context(false)}}; }
  CHECK(spans.take_one().name == "kept");
  CHECK(root.asked == 1);
}

TEST_CASE("without parent_based a sampler decides for every span, whatever the parent said") {
  always_on_sampler on;
  recording spans{{.sampler = &on, .parent_based = false}};
  { span s{"op", {}, {.parent = support::remote_context(false)}}; }
  const span_record r = spans.take_one();
  CHECK(r.flags == 0x301);
}

TEST_CASE("a sampler sees name, kind, parent, trace, the first fields and the links") {
  scripted chosen;
  recording spans{{.sampler = &chosen, .parent_based = false}};
  const span_context parent = support::remote_context(true, "k=v");
  {
    span s{std::string{"run time name"},
           {{"a", 1}, {"b", 2}},
           {.kind = span_kind::consumer, .parent = parent, .links = {{parent, {{"in link", 1}}}}}};
    CHECK(chosen.trace == s.context().trace);
  }
  CHECK(chosen.name == "run time name");
  CHECK(chosen.kind == span_kind::consumer);
  CHECK(chosen.parent.span == parent.span);
  CHECK(chosen.parent.sampled());
  CHECK(chosen.parent.remote);
  CHECK(chosen.parent.state.header() == "k=v");
  CHECK(chosen.keys == std::vector<std::string>{"a", "b"});
  CHECK(chosen.links == 1);
  { OTLPKIT_SPAN("by macro", {"c", 3}); }
  CHECK(chosen.keys == std::vector<std::string>{"c"});
  CHECK_FALSE(chosen.parent.valid());
}

TEST_CASE("a sampler can add attributes and change the trace state, which children inherit") {
  annotating chosen;
  recording spans{{.sampler = &chosen}};
  {
    span_guard a{"a", {{"replaced", 1}, {"kept", 1}}};
    CHECK(a.context().state.header() == "new=1");
    span_guard b{"b"};
  }
  const auto all = spans.take();
  REQUIRE(all.size() == 2);
  CHECK(all[0].trace_state == "new=1");
  CHECK(all[1].trace_state == "new=1");
  CHECK(all[1].attributes.size() == 3);
  CHECK(all[1].attributes["sampler.rule"] == "all");
  CHECK(all[1].attributes["replaced"] == 2);
}

TEST_CASE("a sampler can clear the trace state") {
  annotating chosen;
  recording spans{{.sampler = &chosen, .parent_based = false}};
  { span s{"op", {}, {.parent = support::remote_context(true, "old=1")}}; }
  CHECK(spans.take_one().trace_state.empty());
}

TEST_CASE("a trace state of a sampler that no header may hold is ignored and reported") {
  stating chosen;
  recording spans{{.sampler = &chosen, .parent_based = false}};
  const diagnostic_callback before = on_diagnostic(&count_warning);
  const auto outcome = [&](std::string state) {
    chosen.state = std::move(state);
    warnings = 0;
    { span s{"op", {}, {.parent = support::remote_context(true, "old=1")}}; }
    return spans.take_one().trace_state;
  };
  std::string most = "k31=v";
  for (int i = 31; i-- > 0;) most = "k" + std::to_string(i) + "=v," + most;
  for (const std::string& good : {std::string{"new=1"}, std::string{"a-b@c=x y,2/*_=~"}, most,
                                  std::string(256, 'k') + "=" + std::string(256, 'v')}) {
    CHECK(outcome(good) == good);
    CHECK(warnings == 0);
  }
  for (const std::string& bad :
       {std::string{"new"}, std::string{"=1"}, std::string{"new="}, std::string{"new=1,"}, std::string{"New=1"},
        std::string{"new=1 "}, std::string{"new=\xFF"}, std::string{"new=a=b"}, std::string{"new=1\n"}, most + ",k32=v",
        std::string(257, 'k') + "=v", "k=" + std::string(257, 'v')}) {
    CAPTURE(bad);
    detail::global_diagnostics.due_ns.store(0, platform::relaxed);  // each is heard
    const bool ignored = outcome(bad) == "old=1";
    CHECK(ignored == (bad != "new=1,"));
    CHECK(warnings == static_cast<int>(bad != "new=1,"));
  }
  on_diagnostic(before);
}

TEST_CASE("record_only records for the program's own eyes: not sampled, not exported, nor are its children") {
  scripted chosen{sampling_decision::record_only};
  recording spans{{.sampler = &chosen}};
  {
    span_guard a{"a", {{"k", 1}}};
    CHECK(a.recording());
    CHECK_FALSE(a.context().sampled());
    CHECK(&current_span() == &a);
    span_guard b{"b"};
    CHECK_FALSE(b.recording());
  }
  CHECK(spans.take().empty());
}

TEST_CASE("always_record turns drop into record_only and leaves the rest") {
  scripted inner{sampling_decision::drop};
  always_record_sampler chosen{inner};
  recording spans{{.sampler = &chosen}};
  {
    span_guard a{"a"};
    CHECK(a.recording());
    CHECK_FALSE(a.context().sampled());
  }
  CHECK(spans.take().empty());
  inner.decision = sampling_decision::record_and_sample;
  { span_guard b{"b"}; }
  CHECK(spans.take_one().name == "b");
}

namespace {

struct counting final : id_generator {
  std::uint64_t next = 0;
  bool random = false;
  bool none = false;
  trace_id new_trace_id() noexcept override { return none ? trace_id{} : trace_id{{1, ++next}}; }
  span_id new_span_id() noexcept override { return none ? span_id{} : span_id{++next}; }
  bool is_random() const noexcept override { return random; }
};

}  // namespace

TEST_CASE("ids come from the user's generator, trace first, also where nothing is recorded") {
  counting ids;
  always_off_sampler off;
  recording spans{{.sampler = &off, .ids = &ids}};
  span_guard a{"a"};
  CHECK(a.context().trace == trace_id{{1, 1}});
  CHECK(a.context().span == span_id{2});
  CHECK(a.context().flags == 0);
  span_guard b{"b"};
  CHECK(b.context().trace == trace_id{{1, 1}});
  CHECK(b.context().span == span_id{3});
}

TEST_CASE("the random flag says what the generator says of itself") {
  counting ids;
  ids.random = true;
  recording spans{{.ids = &ids}};
  { span a{"a"}; }
  CHECK(spans.take_one().flags == 0x103);
  ids.random = false;
  { span a{"a"}; }
  CHECK(spans.take_one().flags == 0x101);
}

TEST_CASE("an id of zero from a generator is replaced by a random one") {
  counting ids;
  ids.none = true;
  recording spans{{.ids = &ids}};
  {
    span a{"a"};
    CHECK(a.context().valid());
  }
  CHECK(spans.take_one().flags == 0x103);
}
