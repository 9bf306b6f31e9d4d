// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/messaging/saga.hpp>

#include <cstddef>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace saga_fixture {

using namespace otlpkit::messaging;

/// A saga over a list of what was done, whose steps fail as the test says.
struct world {
  std::vector<std::string> done;
  std::map<std::string, int> failures;  // how often a step or "undo step" still fails
};
using test_saga = saga<world>;

inline void add(test_saga& to, const std::string& name, bool compensates = true, saga_step_options options = {}) {
  const auto act = [](const std::string& what) {
    return [what](world& w) {
      if (w.failures[what] > 0) {
        --w.failures[what];
        throw std::runtime_error{what + " failed"};
      }
      w.done.push_back(what);
    };
  };
  if (compensates) {
    to.step(name, act(name), act("undo " + name), options);
  } else {
    to.step(name, act(name), no_compensation, options);
  }
}
inline test_saga abc(saga_options o = {.name = "abc"}) {
  test_saga s{std::move(o)};
  for (const char* name : {"a", "b", "c"}) add(s, name);
  return s;
}
using names = std::vector<std::string>;

/// A journal that fails from some entry on, as that of a process that dies there.
struct dying_journal : saga_journal {
  memory_saga_journal& inner;
  std::size_t entries_left;
  dying_journal(memory_saga_journal& in, std::size_t n) : inner{in}, entries_left{n} {}
  bool append(std::string_view s, std::string_view id, std::size_t n, const saga_entry& e) override {
    if (entries_left == 0) throw std::runtime_error{"died"};
    --entries_left;
    return inner.append(s, id, n, e);
  }
  std::vector<saga_entry> entries(std::string_view s, std::string_view id) override { return inner.entries(s, id); }
};

}  // namespace saga_fixture
