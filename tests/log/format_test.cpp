// SPDX-License-Identifier: MIT
#include <otlpkit/log/format.hpp>

#include <support/count_allocations.hpp>
#include <support/log_recording.hpp>

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

struct unformattable {
  bool refuses = true;
};
template <>
struct fmt::formatter<unformattable> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const unformattable& v, Context& context) const {
    if (v.refuses) throw std::runtime_error{"no"};
    return context.out();
  }
};

using namespace otlpkit;
using support::log_recording;

TEST_CASE("a message may be formatted, with fields beside it") {
  log_recording logs;
  const std::string name = "cart";
  OTLPKIT_INFO(formatted("{} has {} items, {:.1f} kg", name, 3, 1.25), {"cart_id", "c-1"});
  const auto record = logs.take_one();
  CHECK(record.body == "cart has 3 items, 1.2 kg");
  CHECK(record.attributes["cart_id"] == "c-1");
  log(severity::warn, formatted("{}", 1), {{"note", formatted("<{}>", 2)}});
  CHECK(logs.take_one().attributes["note"] == "<2>");
}

TEST_CASE("a message is formatted only if the record is kept") {
  log_recording logs;
  set_log_level(severity::warn);
  int calls = 0;
  const auto count = [&] { return ++calls; };
  OTLPKIT_INFO(formatted("{}", count()));
  CHECK(calls == 0);
  OTLPKIT_WARN(formatted("{}", count()));
  CHECK(calls == 1);
}

TEST_CASE("short messages allocate nothing, long ones arrive whole") {
  log_recording logs;
  const std::string text(400, 'x');
  OTLPKIT_INFO(formatted("{} {}", text, 1), {"k", 1});  // the thread's buffers exist now
  const long before = support::allocations;
  for (int i = 0; i < 5; ++i) OTLPKIT_INFO(formatted("{} {}", text, i), {"k", i});
  CHECK(support::allocations == before);
  static_cast<void>(logs.take());
  const std::string large(100'000, 'y');
  OTLPKIT_INFO(formatted("{}", large));
  CHECK(logs.take_one().body == large);
}

TEST_CASE("a formatter that throws costs the rest of the message and nothing else") {
  log_recording logs;
  OTLPKIT_INFO(formatted("so far {} no further", unformattable{}));
  CHECK(logs.take_one().body == "so far ");
}
