// SPDX-License-Identifier: MIT
#include <otlpkit/testing/memory_exporter.hpp>
#include <otlpkit/testing/trace_snapshot.hpp>

#include <support/otlp_bytes.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

using namespace otlp_bytes;
using namespace otlpkit::testing;

namespace {

std::vector<span_record> recorded(const std::vector<span>& spans) {
  memory_exporter memory;
  memory.send(batch(spans), [](otlpkit::sdk::export_result) {});
  return memory.spans();
}

std::vector<span_record> shop() {
  return recorded(
      {{.id = 2, .parent = 1, .name = "cache.get products", .start = 1},
       {.id = 1, .name = "product.view", .end = 9, .fields = {{"product_id", any("p-1")}, {"took_ms", any(7)}}},
       {.id = 3,
        .parent = 1,
        .name = "product.increment_views",
        .start = 5,
        .fields = {{"otlpkit.detached", any(true)}}},
       {.id = 1, .name = "cart.clear", .start = 100, .error = "no cart", .trace = 2}});
}

}  // namespace

TEST_CASE("a snapshot shows every trace without times and ids, the earliest first") {
  CHECK(snapshot(shop()) ==
        "product.view [product_id=p-1 took_ms=7]\n"
        "├─ cache.get products\n"
        "└─ product.increment_views [detached]\n"
        "\n"
        "cart.clear !ERROR(no cart)\n");
}

TEST_CASE("a snapshot is compared with a raw literal, indented as the test is") {
  CHECK(snapshot_diff(shop(), R"(
          product.view [product_id=p-1]
          ├─ cache.get products
          └─ product.increment_views [detached]

          cart.clear !ERROR(no cart)
        )",
                      only_fields({"product_id"})) == "");
}

TEST_CASE("a difference shows what is missing, what is there instead, and what is the same") {
  CHECK(snapshot_diff(shop(), R"(
          product.view
          ├─ cache.get products
          ├─ SELECT products
          └─ product.increment_views

          cart.clear !ERROR(no cart))",
                      without_fields()) ==
        "\n"
        "  product.view\n"
        "  ├─ cache.get products\n"
        "- ├─ SELECT products\n"
        "- └─ product.increment_views\n"
        "+ └─ product.increment_views [detached]\n"
        "  \n"
        "  cart.clear !ERROR(no cart)\n");
}

TEST_CASE("snapshots are the same whatever the ids and the order of arrival") {
  std::vector<span> spans = {{.id = 1, .name = "root", .end = 90}};
  for (std::uint64_t i = 2; i < 12; ++i)
    spans.push_back({.id = i, .parent = i / 2, .name = "s" + std::to_string(i), .start = i, .end = 80});
  const std::string once = snapshot(recorded(spans));
  std::mt19937_64 random{3};
  for (int round = 0; round < 20; ++round) {
    std::vector<span> other = spans;
    const std::uint64_t key = random() | 1;
    for (span& s : other) {
      s.id *= key;
      s.parent *= key;
      s.trace = key;
    }
    std::shuffle(other.begin(), other.end(), random);
    CHECK(snapshot(recorded(other)) == once);
  }
}

TEST_CASE("no spans make an empty snapshot") { CHECK(snapshot({}) == ""); }

TEST_CASE("spans are found by name and by parent") {
  const auto spans = shop();
  CHECK(named(spans, "cart.clear").size() == 1);
  CHECK(named(spans, "nothing").empty());
  const span_record root = only(spans, "product.view");
  const auto children = children_of(spans, root);
  REQUIRE(children.size() == 2);
  CHECK(children[0].name == "cache.get products");
  CHECK_THROWS_WITH_AS(
      static_cast<void>(only(recorded({{.name = "a"}, {.id = 2, .name = "a"}, {.id = 3, .name = "b"}}), "a")),
      "2 spans are named \"a\", not 1; there are: \"a\" x2 \"b\" x1", std::out_of_range);
  CHECK_THROWS_AS(static_cast<void>(only(spans, "nothing")), std::out_of_range);
}

TEST_CASE("a difference names every line of both texts, for any two texts") {
  std::mt19937 random{1};
  for (int round = 0; round < 300; ++round) {
    const auto text = [&] {
      std::string out;
      for (auto n = random() % 12; n > 0; --n) out += std::string(1, static_cast<char>('a' + random() % 4)) + "\n";
      return out;
    };
    const std::string a = text(), b = text();
    const std::string diff = text_diff(a, b);
    CHECK(diff.empty() == (a == b));
    if (diff.empty()) continue;
    std::string left, right;
    for (const std::string_view line : detail::lines_of(std::string_view{diff}.substr(1))) {
      if (line[0] != '+') left.append(line.substr(2)).append("\n");
      if (line[0] != '-') right.append(line.substr(2)).append("\n");
    }
    CHECK(left == a);
    CHECK(right == b);
  }
}

TEST_CASE("dedenting keeps what is indented further") {
  CHECK(dedent("\n    a\n      b  \n\n    c\n  ") == "a\n  b\n\nc\n");
  CHECK(dedent("") == "");
  CHECK(dedent("  \n \n") == "");
}
