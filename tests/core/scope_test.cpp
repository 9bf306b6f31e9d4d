// SPDX-License-Identifier: MIT
#include <otlpkit/core/scope.hpp>
#include <otlpkit/core/value_view.hpp>
#include <otlpkit/trace/span_view.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace otlpkit;

namespace {

std::string warnings;
void collect(diagnostic_level, std::string_view message) { warnings += message; }

std::string_view encoded(const instrumentation_scope& s) { return detail::global_scopes.encoded(s.number()); }

}  // namespace

TEST_CASE("a scope is encoded as the fields of ScopeSpans") {
  const instrumentation_scope scope{
      "shop.cart", "1.2.0", "https://example.org/schema", {{"team", "cart"}, {"team", "basket"}}};
  const scope_view view{encoded(scope)};
  CHECK(view.name() == "shop.cart");
  CHECK(view.version() == "1.2.0");
  CHECK(view.schema_url() == "https://example.org/schema");
  CHECK(view.attributes().size() == 1);
  CHECK((*view.attributes().begin()).value.as_string() == "basket");
}

TEST_CASE("scopes are one when everything in them is equal") {
  const instrumentation_scope a{"same", "1"};
  const instrumentation_scope b{"same", "1"};
  const instrumentation_scope version{"same", "2"};
  const instrumentation_scope schema{"same", "1", "u"};
  const instrumentation_scope fields{"same", "1", {}, {{"k", 1}}};
  CHECK(a.number() == b.number());
  CHECK(a.number() != version.number());
  CHECK(a.number() != schema.number());
  CHECK(a.number() != fields.number());
}

TEST_CASE("a scope's bytes outlive the scope") {
  std::uint16_t number = 0;
  {
    const std::string name = "of a closed module";
    const instrumentation_scope scope{name};
    number = scope.number();
  }
  CHECK(scope_view{detail::global_scopes.encoded(number)}.name() == "of a closed module");
}

TEST_CASE("a scope without a name works and is warned about") {
  warnings.clear();
  detail::global_diagnostics.due_ns.store(0, platform::relaxed);
  const diagnostic_callback before = on_diagnostic(&collect);
  const instrumentation_scope nameless{""};
  CHECK(scope_view{encoded(nameless)}.name().empty());
  on_diagnostic(before);
  CHECK(warnings.find("instrumentation scope") != std::string::npos);
}

TEST_CASE("threads that use a scope first at once agree on its number") {
  static const instrumentation_scope scope{"raced"};
  std::atomic<bool> go{false};
  std::vector<std::uint16_t> numbers(8);
  std::vector<std::thread> threads;
  for (std::uint16_t& n : numbers) {
    threads.emplace_back([&] {
      while (!go) std::this_thread::yield();
      n = scope.number();
    });
  }
  go = true;
  for (std::thread& t : threads) t.join();
  for (const std::uint16_t n : numbers) CHECK(n == numbers[0]);
}

TEST_CASE("an unknown number has no bytes") {
  CHECK(detail::global_scopes.encoded(4095).empty());
  CHECK(detail::global_scopes.encoded(65535).empty());
}

TEST_CASE("more scopes than the table holds are recorded under the first one") {
  static detail::scope_table table;  // never destroyed, as the program's
  warnings.clear();
  detail::global_diagnostics.due_ns.store(0, platform::relaxed);
  const diagnostic_callback before = on_diagnostic(&collect);
  for (std::size_t i = 0; i < detail::scope_table::capacity; ++i) REQUIRE(table.intern(std::to_string(i)) == i);
  CHECK(warnings.empty());
  CHECK(table.intern("one more") == 0);
  CHECK(table.intern("17") == 17);
  on_diagnostic(before);
  CHECK(warnings.find("4096") != std::string::npos);
}
