// SPDX-License-Identifier: MIT
// Sagas that are written down: crashes, resumption, journals.
// links: SQLite::SQLite3
// emits: telemetry
#include <otlpkit/adapters/sqlite.hpp>
#include <otlpkit/messaging/saga.hpp>
#include <otlpkit/messaging/saga_sql.hpp>

#include <doctest/doctest.h>

#include "resilience/recorded.hpp"
#include "saga_fixture.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using namespace saga_fixture;

namespace {

struct order {
  int items = 2, reserved = 0;
  long paid = 0;
};

}  // namespace

TEST_CASE(
    "killed after any entry and resumed, a saga ends as if nothing had been, and each step is done or redone once") {
  for (const bool fails : {false, true}) {
    const test_saga s = abc();
    for (std::size_t lives = 0; lives < 10; ++lives) {
      memory_saga_journal journal;
      world w;
      if (fails) w.failures = {{"c", 100}};
      bool died = false;
      try {
        dying_journal dies{journal, lives};
        s.run(w, dies, "1");
      } catch (const saga_failed_error&) {
      } catch (const std::runtime_error& e) {
        REQUIRE(std::string{e.what()} == "died");
        died = true;
      }
      if (!died) {
        CHECK(lives >= (fails ? 7u : 5u));
        CHECK_FALSE(s.resume(w, journal, "1"));
        continue;
      }
      if (lives == 0) {
        CHECK_FALSE(s.resume(w, journal, "1"));  // it never began
        CHECK(w.done.empty());
        continue;
      }
      try {
        const bool went_on = s.resume(w, journal, "1");
        CHECK(went_on);
        CHECK_FALSE(fails);
      } catch (const saga_failed_error& e) {
        CHECK(fails);
        CHECK(e.step() == "c");
      }
      names once = w.done;
      once.erase(std::unique(once.begin(), once.end()), once.end());
      CHECK(once == (fails ? names{"a", "b", "undo b", "undo a"} : names{"a", "b", "c"}));
      CHECK(w.done.size() <= once.size() + 1);
      CHECK_FALSE(s.resume(w, journal, "1"));
    }
  }
}

TEST_CASE("the state is restored as it was kept, and the resumed run links the trace of the first") {
  recorded out;
  memory_saga_journal journal;
  saga<order> s{{.name = "kept"}};
  s.step("reserve", [](order& o) { o.reserved = o.items; }).step("pay", [](order& o) { o.paid = o.reserved * 100; });
  s.keep_state([](const order& o) { return std::to_string(o.reserved); },
               [](order& o, std::string_view text) { o.reserved = std::stoi(std::string{text}); });
  {
    order first;
    dying_journal dies{journal, 2};
    CHECK_THROWS_WITH(s.run(first, dies, "9"), "died");
  }
  order second{.items = 0};
  CHECK(s.resume(second, journal, "9"));
  CHECK(second.paid == 200);
  std::vector<otlpkit::testing::span_record> runs;
  for (const auto& span : out.spans()) {
    if (span.name == "saga.run kept") runs.push_back(span);
  }
  REQUIRE(runs.size() == 2);
  CHECK(runs[0].attributes.at("otlpkit.saga.outcome").as_string() == "interrupted");
  CHECK(runs[0].is_error());
  CHECK(recorded::events(runs[0]) == "exception");
  CHECK(runs[1].attributes.at("otlpkit.saga.resumed").as_bool());
  REQUIRE(runs[1].links.size() == 1);
  CHECK(runs[1].links[0].span_id == runs[0].span_id);
}

TEST_CASE("compensations that failed are tried again when the saga is resumed") {
  for (const auto policy : {compensation_policy::go_on, compensation_policy::stop}) {
    recorded out;
    memory_saga_journal journal;
    test_saga s = abc({.name = "again", .when_compensation_fails = policy});
    std::string restored;
    s.keep_state([](const world& now) { return std::to_string(now.done.size()); },
                 [&restored](world&, std::string_view text) { restored = text; });
    world w;
    w.failures = {{"c", 1}, {"undo b", 1}};
    CHECK_THROWS_AS(s.run(w, journal, "1"), saga_failed_error);
    CHECK(journal.entries("again", "1").back().error == "compensation_failed");
    static_cast<void>(out.spans());
    try {
      s.resume(w, journal, "1");
      FAIL("not thrown");
    } catch (const saga_failed_error& e) {
      CHECK(e.compensated());
      CHECK(e.cause() == nullptr);
    }
    CHECK(restored == (policy == compensation_policy::stop ? "2" : "3"));
    CHECK(journal.entries("again", "1").back().error == "compensated");
    const auto spans = out.spans();
    const auto& resumed = recorded::only(spans, "saga.run again");
    CHECK(resumed.is_error());  // by what another run wrote down
    CHECK(resumed.attributes.at("error.type").as_string() == "saga_failed");
    std::sort(w.done.begin(), w.done.end());
    CHECK(w.done == names{"a", "b", "undo a", "undo b"});
    CHECK_FALSE(s.resume(w, journal, "1"));
  }
}

TEST_CASE("of two that run or resume the same saga one goes on") {
  memory_saga_journal journal;
  test_saga s = abc();
  world first, second;
  s.run(first, journal, "1");
  CHECK_THROWS_AS(s.run(second, journal, "1"), saga_taken_error);
  CHECK(second.done.empty());
  saga<world> slow{{.name = "slow"}};
  slow.step("a", [&](world& w) {
    w.done.push_back("a");
    if (w.done.size() > 1) return;
    world other = w;
    CHECK(slow.resume(other, journal, "2"));  // somebody thinks that this one is dead
    CHECK(other.done == names{"a", "a"});
  });
  world w;
  CHECK_THROWS_AS(slow.run(w, journal, "2"), saga_taken_error);
}

TEST_CASE("a journal that is not of this saga is refused") {
  const std::vector<saga_step_plan> plan{{"a", true, false}, {"b", true, false}};
  const auto refused = [&plan](const std::vector<saga_entry>& entries) {
    saga_machine m{plan};
    try {
      for (const saga_entry& e : entries) m.apply(e);
    } catch (const saga_journal_error&) {
      return true;
    }
    return false;
  };
  using enum saga_event;
  CHECK_FALSE(refused({{begun}, {step_done, "a"}, {step_failed, "b"}, {step_compensated, "a"}, {ended}}));
  CHECK(refused({{step_done, "a"}}));
  CHECK(refused({{begun}, {begun}}));
  CHECK(refused({{begun}, {step_done, "b"}}));
  CHECK(refused({{begun}, {step_compensated, "a"}}));
  CHECK(refused({{begun}, {step_done, "a"}, {ended}}));
  CHECK(refused({{begun}, {step_done, "a"}, {step_done, "b"}, {ended}, {ended}}));
  CHECK(refused({{begun}, {step_done, "a"}, {step_done, "b"}, {ended}, {resumed}}));
  CHECK(refused({{begun}, {step_done, "a"}, {step_done, "b"}, {step_done, "c"}}));
  CHECK_THROWS(static_cast<void>(saga_event_of("nonsense")));
}

TEST_CASE("a journal in a table keeps every byte, knows who is unfinished, and lets one append") {
  static std::int64_t now = 1'000'000;
  otlpkit::db::traced_db db{otlpkit::sqlite::connection{":memory:"}};
  db.execute(saga_table(sql_dialect::sqlite));
  sql_saga_journal journal{db, {.now = []() noexcept { return now; }}};
  const std::string binary{"\0\xff'; DROP TABLE otlpkit_saga", 28}, large(std::size_t{1} << 20, '\0');
  CHECK(journal.append("s", binary, 0, {saga_event::begun, "", "", large, "context"}));
  CHECK_FALSE(journal.append("s", binary, 0, {saga_event::begun}));
  CHECK(journal.append("s", binary, 1, {saga_event::step_failed, "a", binary}));
  const auto all = journal.entries("s", binary);
  REQUIRE(all.size() == 2);
  CHECK(all[0].state == large);
  CHECK(all[0].context == "context");
  CHECK(all[1].error == binary);
  CHECK(journal.entries("other", binary).empty());
  now += 5000;
  const test_saga s = abc();
  world w, v;
  s.run(w, journal, "done");
  w.failures = {{"c", 1}};
  v.failures = {{"c", 1}, {"undo a", 1}};
  CHECK_THROWS(s.run(w, journal, "undone"));
  CHECK_THROWS(s.run(v, journal, "stuck"));
  CHECK(journal.unfinished("s", 5s) == names{binary});
  CHECK(journal.unfinished("s", 6s).empty());
  CHECK(journal.unfinished("abc", 0s).empty());
  journal.append("abc", "open", 0, {saga_event::begun});
  CHECK(journal.unfinished("abc", 0s) == names{"open"});
  CHECK_THROWS_AS((sql_saga_journal{db, {.table = "1x"}}), otlpkit::config_error);
}

TEST_CASE("random sagas end as a simple oracle says, and any crash on the way changes nothing of it") {
  std::mt19937 random{3};
  const auto below = [&random](unsigned n) { return static_cast<unsigned>(random()) % n; };
  for (int round = 0; round < 3000; ++round) {
    const auto policy = below(2) == 0 ? compensation_policy::go_on : compensation_policy::stop;
    const unsigned steps = below(6);
    std::vector<saga_step_plan> plan;
    std::vector<bool> fails, undo_fails;
    for (unsigned i = 0; i < steps; ++i) {
      plan.push_back({std::string(1, static_cast<char>('a' + i)), below(3) != 0, below(2) == 0});
      fails.push_back(below(6) == 0);
      undo_fails.push_back(below(4) == 0);
    }
    // The oracle: forwards to the first that fails, and back again.
    names expected;
    bool stuck = false;
    unsigned reached = 0;
    while (reached < steps && !fails[reached]) expected.push_back(plan[reached++].name);
    const bool failed = reached < steps;
    if (failed) {
      for (unsigned i = reached + 1; i-- > 0;) {
        if (!plan[i].can_compensate || (i == reached && !plan[i].compensate_if_failed)) continue;
        if (stuck && policy == compensation_policy::stop) break;
        if (undo_fails[i])
          stuck = true;
        else
          expected.push_back("undo " + plan[i].name);
      }
    }
    const auto outcome = !failed ? saga_outcome::completed
                         : stuck ? saga_outcome::compensation_failed
                                 : saga_outcome::compensated;
    names did, tried;
    std::vector<saga_entry> journal{{saga_event::begun}};
    auto machine = std::make_unique<saga_machine>(plan, policy);
    machine->apply(journal[0]);
    const auto try_anything = [&] {  // an entry that does not fit is refused, and changes nothing
      const auto due = machine->next();
      REQUIRE((machine->outcome() == saga_outcome::running) == due.has_value());
      for (unsigned i = 0; i < 4; ++i) {
        saga_entry e;
        e.event = static_cast<saga_event>(below(7));
        e.step = std::string(1, static_cast<char>('a' + below(steps + 1)));
        const bool undoes = e.event == saga_event::step_compensated || e.event == saga_event::compensation_failed;
        const bool acts = e.event == saga_event::step_done || e.event == saga_event::step_failed;
        bool fits = e.event == saga_event::ended && !due && !machine->ended();
        if (e.event == saga_event::resumed)
          fits = !machine->ended() || machine->outcome() == saga_outcome::compensation_failed;
        if (undoes || acts) fits = due && due->compensate == undoes && plan[due->step].name == e.step;
        if (fits) continue;
        const std::size_t entries = machine->entries();
        REQUIRE_THROWS_AS(machine->apply(e), saga_journal_error);
        REQUIRE(machine->entries() == entries);
        REQUIRE(machine->next().has_value() == due.has_value());
      }
    };
    while (const auto due = machine->next()) {
      try_anything();
      const bool bad = due->compensate ? undo_fails[due->step] : fails[due->step];
      saga_entry e;
      e.step = plan[due->step].name;
      e.event = due->compensate ? (bad ? saga_event::compensation_failed : saga_event::step_compensated)
                                : (bad ? saga_event::step_failed : saga_event::step_done);
      if (!bad) did.push_back(due->compensate ? "undo " + e.step : e.step);
      tried.push_back(due->compensate ? "undo " + e.step : e.step);
      machine->apply(e);
      journal.push_back(e);
      if (below(4) == 0) {  // it dies, and another one reads what there is
        machine = std::make_unique<saga_machine>(plan, policy);
        journal.push_back({saga_event::resumed});
        for (const saga_entry& old : journal) machine->apply(old);
      }
      REQUIRE(journal.size() < 40);
    }
    REQUIRE(machine->outcome() == outcome);
    REQUIRE(did == expected);
    std::sort(tried.begin(), tried.end());
    REQUIRE(std::adjacent_find(tried.begin(), tried.end()) == tried.end());  // dying makes no second attempt of it
    try_anything();
    machine->apply({saga_event::ended});
    REQUIRE(machine->ended());
    try_anything();
    if (!stuck) continue;
    machine->apply({saga_event::resumed});  // now what is left is undone, the last step first
    std::size_t last = steps;
    while (const auto due = machine->next()) {
      REQUIRE((due->compensate && due->step < last));
      last = due->step;
      machine->apply({saga_event::step_compensated, plan[last].name});
    }
    REQUIRE(machine->outcome() == saga_outcome::compensated);
  }
}
