// SPDX-License-Identifier: MIT
#include <otlpkit/export/trace_tree.hpp>
#include <otlpkit/testing/text_diff.hpp>

#include <support/otlp_bytes.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

using namespace otlp_bytes;
using otlpkit::exporters::tree_options;
using otlpkit::exporters::tree_order;
using otlpkit::exporters::tree_span;
using otlpkit::testing::dedent;
using otlpkit::testing::text_diff;

namespace {

std::string render(const std::vector<span>& spans, const tree_options& options = {}) {
  std::deque<std::string> bytes;
  std::vector<tree_span> views;
  for (const span& s : spans) views.push_back({otlpkit::span_view{bytes.emplace_back(s.encoded())}, "shop"});
  return render_tree(views, options);
}

std::string shape(const std::vector<span>& spans) { return render(spans, tree_options::snapshot()); }

#define CHECK_TEXT(actual, expected) CHECK(text_diff(dedent(expected), actual) == "")

std::string line_with(const std::string& text, std::string_view part) {
  const std::size_t at = text.find(part);
  if (at == std::string::npos) return "(no line with " + std::string{part} + ")";
  const std::size_t begin = text.rfind('\n', at) + 1;
  return text.substr(begin, text.find('\n', at) - begin);
}

}  // namespace

TEST_CASE("no spans make no tree") { CHECK(render({}) == ""); }

TEST_CASE("the tree of a product view reads as the documents draw it") {
  const std::vector<span> spans = {
      {.id = 1,
       .name = "product.view",
       .end = 100 * ms,
       .fields = {{"product_id", any("p-1")}, {"cache_hit", any(false)}}},
      {.id = 2, .parent = 1, .name = "cache.get products", .end = 5 * ms, .kind = 3},
      {.id = 3,
       .parent = 1,
       .name = "SELECT products",
       .start = 5 * ms,
       .end = 85 * ms,
       .fields = {{"rows", any(1)}},
       .kind = 3},
      {.id = 4, .parent = 1, .name = "cache.set products", .start = 90 * ms, .end = 100 * ms},
      {.id = 5,
       .parent = 1,
       .name = "product.increment_views",
       .start = 95 * ms,
       .end = 200 * ms,
       .fields = {{"otlpkit.detached", any(true)}}},
  };
  CHECK_TEXT(shape(spans), R"(
    product.view [product_id=p-1 cache_hit=false]
    ├─ cache.get products
    ├─ SELECT products [rows=1]
    ├─ cache.set products
    └─ product.increment_views [detached])");
  CHECK_TEXT(render(spans), R"(
    shop  200 ms  5 spans  1 service  trace 01020304050607080000000000000001
    product.view               * ██████████             100 ms   50%  product_id=p-1 cache_hit=false
    ├─ cache.get products      * ▌                     5.00 ms  2.5%  client
    ├─ SELECT products         * ▐███████▌             80.0 ms   40%  client  rows=1
    ├─ cache.set products      *          █            10.0 ms  5.0%
    └─ product.increment_views            ▐██████████   105 ms   52%  [detached]
    critical path: SELECT products 80.0 ms (40%), cache.set products 10.0 ms (5.0%), cache.get products 5.00 ms (2.5%), product.view 5.00 ms (2.5%)
    slowest self time: product.increment_views 105 ms (52%))");
}

TEST_CASE("an error is counted in the header and told in its row, its exception below") {
  const std::string text = render({{.id = 1, .name = "order.create", .end = 10 * ms},
                                   {.id = 2,
                                    .parent = 1,
                                    .name = "payment",
                                    .end = 5 * ms,
                                    .fields = {{"error.type", any("timeout")}},
                                    .error = "no answer",
                                    .events = {event("exception", epoch + 4 * ms,
                                                     {{"exception.type", any("net_error")},
                                                      {"exception.message", any("timed out")},
                                                      {"exception.stacktrace", any("#0 main")}})}}});
  CHECK(line_with(text, "shop").find("2 spans  1 service  1 error") != std::string::npos);
  CHECK(line_with(text, "payment  ").find("ERROR timeout: no answer") != std::string::npos);
  CHECK(line_with(text, "exception").find("· +4.00 ms exception net_error: timed out") != std::string::npos);
  CHECK(text.find("#0 main") == std::string::npos);
  CHECK(text.find("error.type") == std::string::npos);
}

TEST_CASE("snapshots tell an error by its message and show its type as a field") {
  CHECK_TEXT(shape({{.name = "a", .fields = {{"error.type", any("timeout")}}, .error = "no answer"},
                    {.id = 2, .parent = 1, .name = "b", .error = "-"}}),
             R"(
    a [error.type=timeout] !ERROR(no answer)
    └─ b !ERROR)");
}

TEST_CASE("a child that outlives its parent is async, unless it was detached") {
  const std::string text =
      render({{.id = 1, .name = "root", .end = 10},
              {.id = 2, .parent = 1, .name = "let go", .end = 20, .fields = {{"otlpkit.detached", any(true)}}},
              {.id = 3, .parent = 1, .name = "outlives", .end = 20},
              {.id = 4, .parent = 1, .name = "within", .end = 10}});
  CHECK(line_with(text, "let go ").find("[detached]") != std::string::npos);
  CHECK(line_with(text, "let go ").find("[async]") == std::string::npos);
  CHECK(line_with(text, "outlives ").find("[async]") != std::string::npos);
  CHECK(line_with(text, "within ").find("[") == std::string::npos);
}

TEST_CASE("more than four equal siblings fold into one row with sum, average and maximum") {
  std::vector<span> spans = {{.id = 1, .name = "root", .end = 100 * ms}};
  for (std::uint64_t i = 0; i < 4; ++i)
    spans.push_back({.id = 10 + i, .parent = 1, .name = "query", .start = i * ms, .end = 2 * i * ms});
  CHECK(render(spans).find(" x4") == std::string::npos);
  spans.push_back({.id = 20, .parent = 1, .name = "query", .start = 50 * ms, .end = 64 * ms});
  CHECK(line_with(render(spans), "query x5").find("20.0 ms   20%  avg 4.00 ms max 14.0 ms") != std::string::npos);
  CHECK(std::ranges::count(render(spans), '\n') == 5);  // header, root, row, two trailers
}

TEST_CASE("siblings fold with what is below them, and not with those of another shape or with an error") {
  std::vector<span> spans = {{.id = 1, .name = "root", .end = 100 * ms}};
  for (std::uint64_t i = 0; i < 6; ++i) {
    spans.push_back({.id = 10 + i, .parent = 1, .name = "item", .start = i * ms, .end = (i + 1) * ms});
    spans.push_back({.id = 20 + i, .parent = 10 + i, .name = "SELECT", .start = i * ms, .end = (i + 1) * ms});
  }
  spans.push_back({.id = 30, .parent = 1, .name = "item", .start = 40 * ms, .end = 41 * ms});
  spans.push_back({.id = 31, .parent = 1, .name = "item", .start = 50 * ms, .end = 51 * ms});
  spans.push_back({.id = 32, .parent = 31, .name = "SELECT", .start = 50 * ms, .end = 51 * ms, .error = "locked"});
  tree_options options = tree_options::snapshot();
  options.fold_above = 4;
  CHECK_TEXT(render(spans, options), R"(
    root
    ├─ item x6
    │  └─ SELECT x6
    ├─ item
    └─ item
       └─ SELECT !ERROR(locked))");
}

TEST_CASE("the critical path goes back over the children that finished last") {
  const std::string text = render({{.id = 1, .name = "root", .end = 100 * ms},
                                   {.id = 2, .parent = 1, .name = "first", .start = 10 * ms, .end = 40 * ms},
                                   {.id = 3, .parent = 1, .name = "beside", .start = 15 * ms, .end = 35 * ms},
                                   {.id = 4, .parent = 1, .name = "second", .start = 50 * ms, .end = 90 * ms},
                                   {.id = 5, .parent = 4, .name = "inner", .start = 60 * ms, .end = 95 * ms},
                                   {.id = 6,
                                    .parent = 1,
                                    .name = "loose",
                                    .start = 50 * ms,
                                    .end = 100 * ms,
                                    .fields = {{"otlpkit.detached", any(true)}}}});
  for (const char* name : {"root ", "first ", "second ", "inner "})
    CHECK(line_with(text, name).find(" * ") != std::string::npos);
  for (const char* name : {"beside ", "loose "}) CHECK(line_with(text, name).find(" * ") == std::string::npos);
  // inner is cut to second's end: 60 to 90 ms; root keeps 0-10, 40-50 and 90-100.
  CHECK(line_with(text, "critical path")
            .starts_with(
                "critical path: first 30.0 ms (30%), inner 30.0 ms (30%), root 30.0 ms (30%), second 10.0 ms (10%)"));
}

TEST_CASE("self time is what no child covers, however they overlap") {
  const std::string text = render({{.id = 1, .name = "root", .end = 100 * ms},
                                   {.id = 2, .parent = 1, .name = "a", .start = 10 * ms, .end = 50 * ms},
                                   {.id = 3, .parent = 1, .name = "b", .start = 20 * ms, .end = 40 * ms},
                                   {.id = 4, .parent = 1, .name = "c", .start = 45 * ms, .end = 60 * ms},
                                   {.id = 5, .parent = 1, .name = "d", .start = 90 * ms, .end = 200 * ms}});
  CHECK(line_with(text, "slowest self time").starts_with("slowest self time: d 110 ms"));
  const std::string inner = render({{.id = 1, .name = "root", .end = 100 * ms},
                                    {.id = 2, .parent = 1, .name = "a", .start = 1 * ms, .end = 40 * ms}});
  CHECK(line_with(inner, "slowest self time").starts_with("slowest self time: root 61.0 ms (61%)"));
}

TEST_CASE("links name their span where it is in the trace, and its ids where it is not") {
  const std::vector<span> spans = {
      {.id = 1,
       .name = "consume",
       .links = {bytes(1, id16(1)) + bytes(2, id8(2)), bytes(1, id16(9)) + bytes(2, id8(7))}},
      {.id = 2, .parent = 1, .name = "produce"}};
  CHECK(render(spans).find("↳ link produce\n") != std::string::npos);
  CHECK(render(spans).find("↳ link trace 01020304050607080000000000000009 span 0000000000000007\n") !=
        std::string::npos);
  CHECK_TEXT(shape(spans), R"(
    consume
    │  ↳ link produce
    │  ↳ link
    └─ produce)");
}

TEST_CASE("orphans, cycles and spans that are their own parents become marked roots") {
  CHECK_TEXT(shape({{.id = 1, .name = "root"},
                    {.id = 2, .parent = 77, .name = "orphan", .start = 1},
                    {.id = 3, .parent = 2, .name = "below it", .start = 2},
                    {.id = 4, .parent = 5, .name = "snake", .start = 3},
                    {.id = 5, .parent = 4, .name = "tail", .start = 4},
                    {.id = 6, .parent = 5, .name = "flea", .start = 2},
                    {.id = 7, .parent = 7, .name = "self", .start = 9},
                    {.id = 8, .parent = 88, .name = "called from elsewhere", .start = 10, .remote = true}}),
             R"(
    root
    orphan [parent missing]
    └─ below it
    snake [parent cycle]
    └─ tail
       └─ flea
    self [parent cycle]
    called from elsewhere)");
}

TEST_CASE("text from strangers cannot reach the terminal's controls") {
  const std::string text = render({{.name = "a\x1b[2J\r\nb\xC2\x9B"
                                            "31m\xE2\x80\xAEx\x7F",
                                    .end = 5,
                                    .fields = {{"k\x07", any("v\x1b]0;title\x07\xFF")}},
                                    .error = "e\x1b[31m",
                                    .events = {event("n\x1b", epoch)}}});
  for (const char c : text) CHECK((static_cast<unsigned char>(c) >= 0x20 || c == '\n'));
  CHECK(text.find("\xC2\x9B") == std::string::npos);
  CHECK(text.find("\xE2\x80\xAE") == std::string::npos);
  CHECK(text.find("a\\x1b[2J\\r\\nb\\x9b31m\\u202ex\\x7f") != std::string::npos);
  CHECK(text.find("k\\x07=\"v\\x1b]0;title\\x07\uFFFD\"") != std::string::npos);
}

TEST_CASE("values keep their types apart") {
  CHECK_TEXT(shape({{.name = "a",
                     .fields = {{"s", any("x")},
                                {"quoted", any("two words")},
                                {"number", any("42")},
                                {"int", any(42)},
                                {"real", any(2.0)},
                                {"half", any(0.5)},
                                {"bool", any(true)},
                                {"text", any("true")},
                                {"none", ""},
                                {"empty", any("")},
                                {"list", bytes(5, bytes(1, any(1)) + bytes(1, any("x")))},
                                {"map", bytes(6, bytes(1, key_value("k", any(1))))},
                                {"raw", bytes(7, "\x01\xFF")}}}}),
             R"(
    a [s=x quoted="two words" number="42" int=42 real=2.0 half=0.5 bool=true text="true" none=null empty="" list=[1, x] map={k=1} raw=0x01ff])");
}

TEST_CASE("fields are all, chosen or none") {
  const std::vector<span> spans = {
      {.name = "a", .fields = {{"x", any(1)}, {"y", any(2)}, {"code.function.name", any("f")}}}};
  tree_options options = tree_options::snapshot();
  CHECK(render(spans, options) == "a [x=1 y=2 code.function.name=f]\n");
  options.fields = otlpkit::exporters::tree_fields::key;
  CHECK(render(spans, options) == "a [x=1 y=2]\n");
  options.fields = otlpkit::exporters::tree_fields::listed;
  options.keys = {"y", "x", "z"};
  CHECK(render(spans, options) == "a [y=2 x=1]\n");
  options.fields = otlpkit::exporters::tree_fields::none;
  CHECK(render(spans, options) == "a\n");
}

TEST_CASE("siblings that started in any order can be put in order by name") {
  std::vector<span> spans = {{.id = 1, .name = "root"},
                             {.id = 2, .parent = 1, .name = "c", .start = 1},
                             {.id = 3, .parent = 1, .name = "a", .start = 2, .fields = {{"n", any(2)}}},
                             {.id = 4, .parent = 1, .name = "a", .start = 3, .fields = {{"n", any(1)}}}};
  tree_options options = tree_options::snapshot();
  options.order = tree_order::name;
  const std::string once = render(spans, options);
  CHECK_TEXT(once, R"(
    root
    ├─ a [n=1]
    ├─ a [n=2]
    └─ c)");
  std::swap(spans[1].start, spans[3].start);
  CHECK(render(spans, options) == once);
}

TEST_CASE("the order in which spans arrive does not show") {
  std::vector<span> spans = {{.id = 1, .name = "root", .end = 50}};
  for (std::uint64_t i = 2; i < 30; ++i)
    spans.push_back({.id = i, .parent = i / 2, .name = "n" + std::to_string(i % 5), .start = i % 7, .end = 40});
  const std::string once = render(spans);
  std::mt19937 random{5};
  for (int i = 0; i < 20; ++i) {
    std::shuffle(spans.begin(), spans.end(), random);
    CHECK(render(spans) == once);
  }
}

TEST_CASE("no line is wider than asked, whatever is in it") {
  const std::vector<span> spans = {{.id = 1,
                                    .name = "一个很长的名字一个很长的名字一个很长的名字一个很长的名字",
                                    .end = 5 * ms,
                                    .fields = {{"查询", any(std::string_view{"值值值值值值值值值值值值值值"})}},
                                    .error = "出错了出错了出错了"},
                                   {.id = 2,
                                    .parent = 1,
                                    .name = std::string(300, 'n'),
                                    .end = 3 * ms,
                                    .events = {event(std::string(200, 'e'), epoch)}}};
  for (std::size_t width = 20; width < 140; width += 7) {
    const std::string text = render(spans, {.width = width});
    for (const std::string_view line : otlpkit::testing::detail::lines_of(text)) {
      CAPTURE(line);
      CHECK(otlpkit::exporters::detail::columns_of(line) <= width);
      CHECK(otlpkit::utf8::is_valid(line));
    }
  }
}

TEST_CASE("colours are there when asked for, and never otherwise") {
  const std::vector<span> spans = {{.name = "a", .end = 5, .error = "bad"}};
  CHECK(render(spans).find('\x1b') == std::string::npos);
  CHECK(render(spans, {.colour = true}).find("\x1b[1;31ma\x1b[0m") != std::string::npos);
}

TEST_CASE("a trace of 10,000 nested spans is drawn in a moment and in little text") {
  std::vector<span> spans;
  for (std::uint64_t i = 1; i <= 10'000; ++i)
    spans.push_back({.id = i, .parent = i - 1, .name = "d", .start = i, .end = 100'000 - i});
  const std::string text = render(spans);
  CHECK(text.find("… 9600 more spans") != std::string::npos);
  tree_options all;
  all.max_rows = 0;
  const std::string whole = render(spans, all);
  CHECK(std::ranges::count(whole, '\n') == 10'003);
  CHECK(whole.size() < 10'003 * 300);
  CHECK(shape(spans).size() < 10'003 * 600);
}

TEST_CASE("a trace of 100,000 siblings is drawn without quadratic work") {
  std::vector<span> spans = {{.id = 1, .name = "root", .end = 1'000'000}};
  for (std::uint64_t i = 2; i <= 100'001; ++i)
    spans.push_back({.id = i, .parent = 1, .name = "s" + std::to_string(i), .start = i, .end = i + 5});
  const std::string text = render(spans);  // quadratic work would take longer than the test may
  CHECK(text.find("… 99601 more spans") != std::string::npos);
}

TEST_CASE("a long cycle and a crowd of orphans are drawn once each") {
  std::vector<span> spans;
  for (std::uint64_t i = 1; i <= 5000; ++i) spans.push_back({.id = i, .parent = i % 5000 + 1, .name = "c", .start = i});
  for (std::uint64_t i = 1; i <= 5000; ++i)
    spans.push_back({.id = 10'000 + i, .parent = 50'000, .name = "o", .start = i});
  const std::string text = shape(spans);
  CHECK(std::ranges::count(text, '\n') == 10'000);
  CHECK(text.find("c [parent cycle]\n") != std::string::npos);
}

TEST_CASE("whatever the parents, every span is drawn exactly once") {
  std::mt19937_64 random{11};
  for (int round = 0; round < 300; ++round) {
    std::vector<span> spans(1 + random() % 40);
    for (std::size_t i = 0; i < spans.size(); ++i) {
      spans[i] = {.id = 1 + random() % 40,
                  .parent = random() % 45,
                  .name = "n",
                  .start = random() % 100,
                  .end = random() % 100};
    }
    CHECK(std::ranges::count(shape(spans), '\n') == static_cast<std::ptrdiff_t>(spans.size()));
    CHECK_FALSE(render(spans).empty());
  }
}

TEST_CASE("hostile sizes are cut: values, fields, events and nesting") {
  std::string nested = any(1);
  for (int i = 0; i < 2000; ++i) nested = bytes(5, bytes(1, nested));
  span s{.name = std::string(100'000, 'n'),
         .fields = {{"deep", nested}, {"long", any(std::string_view{std::string(100'000, 'v')})}}};
  for (int i = 0; i < 1000; ++i) s.fields.emplace_back("k" + std::to_string(i), any(i));
  s.events.assign(1000, event("e", epoch));
  const std::string text = render({s});
  CHECK(text.size() < 4000);
  CHECK(text.find("deep=[[[[[[[[[…]]]]]]]]]") != std::string::npos);
  CHECK(text.find("+994") != std::string::npos);
  CHECK(text.find("… 984 more events") != std::string::npos);
}

TEST_CASE("times at the ends of their range do not overflow") {
  const std::uint64_t last = std::numeric_limits<std::uint64_t>::max() - epoch;
  CHECK_FALSE(render({{.id = 1, .name = "a", .end = last},
                      {.id = 2, .parent = 1, .name = "b", .start = last, .end = 0},
                      {.id = 3, .parent = 1, .name = "c", .start = 0 - epoch, .end = last}})
                  .empty());
}
