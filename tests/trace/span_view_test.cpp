// SPDX-License-Identifier: MIT
#include <otlpkit/core/value_view.hpp>
#include <otlpkit/export/batch_spans.hpp>
#include <otlpkit/trace/span_view.hpp>

#include <support/otlp_bytes.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace otlpkit;
using otlp_bytes::unhex;
using value_type = value_view::type;
using wire::reader;

namespace {

/// The first field `number` of `message`, in a test that knows it is there.
std::string_view inside(std::string_view message, std::uint32_t number, int nth = 0) {
  for (reader field{message}; field.next();) {
    if (field.is(number, reader::len) && nth-- == 0) return field.bytes();
  }
  FAIL("no field ", number);
  return {};
}

/// The scalar field `number` of `message`.
reader scalar(std::string_view message, std::uint32_t number) {
  reader field{message};
  while (field.next()) {
    if (field.number() == number) return field;
  }
  FAIL("no field ", number);
  return field;
}

}  // namespace

// The vectors were made by protoc 3.21.12 from the text form of opentelemetry-proto's messages.

TEST_CASE("a request written by protoc is read field by field") {
  const std::string request = unhex(
      "0ad0010a150a130a0c736572766963652e6e616d6512030a017312b6010a080a036c696212013112a9010a100102030405060708090a0b0c"
      "0d0e0f10"
      "12081112131415161718220821222324252627282a026f70300239004859e3faeb6f15410012f41efbeb6f154a100a0169120b18ffffffff"
      "ffffffff"
      "ff014a070a0162120210004a0e0a0164120921000000000000e03f5a0c0900ad2601fbeb6f151201656a210a100102030405060708090a0b"
      "0c0d0e0f"
      "101208313233343536373835010300007a0712036261641802850101010000");
  REQUIRE(request.size() == 211);
  int spans = 0;
  const bool ok = for_each_span(request, [&](const span_view& span, const span_origin& origin) {
    ++spans;
    CHECK(origin.resource.service_name() == "s");
    CHECK(origin.resource.attributes().size() == 1);
    CHECK(origin.scope.name() == "lib");
    CHECK(origin.scope.version() == "1");
    CHECK(span.ok());
    CHECK(span.trace_id() == unhex("0102030405060708090a0b0c0d0e0f10"));
    CHECK(span.span_id() == unhex("1112131415161718"));
    CHECK(span.parent_id() == unhex("2122232425262728"));
    CHECK(span.trace_state() == "");
    CHECK(span.flags() == 257);
    CHECK_FALSE(span.has_remote_parent());
    CHECK(span.name() == "op");
    CHECK(span.kind() == 2);
    CHECK(span.start_time() == 1544712660000000000u);
    CHECK(span.end_time() == 1544712661000000000u);
    CHECK(span.duration() == 1'000'000'000u);
    CHECK(span.attributes().size() == 3);
    CHECK(span.attribute("i").kind() == value_type::integer);
    CHECK(span.attribute("i").as_int() == -1);
    CHECK(span.attribute("b").kind() == value_type::boolean);
    CHECK_FALSE(span.attribute("b").as_bool());
    CHECK(span.attribute("d").kind() == value_type::real);
    CHECK(span.attribute("d").as_double() == 0.5);
    CHECK(span.attribute("none").kind() == value_type::empty);
    REQUIRE(span.events().size() == 1);
    CHECK((*span.events().begin()).name() == "e");
    CHECK((*span.events().begin()).time() == 1544712660500000000u);
    CHECK((*span.events().begin()).attributes().empty());
    REQUIRE(span.links().size() == 1);
    const link_view link = *span.links().begin();
    CHECK(link.trace_id() == span.trace_id());
    CHECK(link.span_id() == unhex("3132333435363738"));
    CHECK(link.flags() == 769);
    CHECK(span.is_error());
    CHECK(span.status_message() == "bad");
    CHECK(span.dropped_attributes() + span.dropped_events() + span.dropped_links() == 0);
  });
  CHECK(ok);
  CHECK(spans == 1);
}

TEST_CASE("metrics written by protoc are read with every encoding they use") {
  const std::string request = unhex(
      "0aa002129d020a050a036c696212330a01631a01313a2b0a2511010000000000000019020000000000000031fbffffffffffffff3a080a01"
      "6b12030a"
      "01761002180112190a01672a140a12190200000000000000210000000000000000126f0a01684a6a0a661101000000000000001902000000"
      "00000000"
      "2102000000000000002900000000000000003210010000000000000001000000000000003a08000000000000144042121102000000000000"
      "00190000"
      "000000002240590000000000000000610000000000002240100112530a0178524e0a4a110100000000000000190200000000000000210300"
      "00000000"
      "0000290000000000001c40300139010000000000000042070803120301ac026100000000000000006900000000000010401002");
  REQUIRE(request.size() == 291);
  const std::string_view scope = inside(inside(request, 1), 2);
  CHECK(inside(inside(scope, 1), 1) == "lib");

  const std::string_view counter = inside(scope, 2, 0);
  CHECK(inside(counter, 1) == "c");
  CHECK(inside(counter, 3) == "1");
  const std::string_view sum = inside(counter, 7);
  CHECK(scalar(sum, 2).value() == 2);
  CHECK(scalar(sum, 3).as_bool());
  const std::string_view point = inside(sum, 1);
  CHECK(scalar(point, 2).value() == 1);
  CHECK(scalar(point, 3).value() == 2);
  CHECK(scalar(point, 6).is(6, reader::i64));
  CHECK(scalar(point, 6).as_int() == -5);
  CHECK(field_view{inside(point, 7)}.key == "k");
  CHECK(field_view{inside(point, 7)}.value.as_string() == "v");

  const std::string_view gauge_point = inside(inside(inside(scope, 2, 1), 5), 1);
  CHECK(scalar(gauge_point, 4).as_double() == 0);

  const std::string_view histogram = inside(inside(inside(scope, 2, 2), 9), 1);
  CHECK(scalar(histogram, 4).value() == 2);
  CHECK(scalar(histogram, 5).as_double() == 0);
  std::string_view counts = inside(histogram, 6);
  std::uint64_t n = 0;
  for (int i = 0; i < 2; ++i) {
    REQUIRE(reader::take_fixed(counts, 8, n));
    CHECK(n == 1);
  }
  CHECK(counts.empty());
  std::string_view bounds = inside(histogram, 7);
  REQUIRE(reader::take_fixed(bounds, 8, n));
  CHECK(std::bit_cast<double>(n) == 5);
  CHECK(scalar(histogram, 11).as_double() == 0);
  CHECK(scalar(histogram, 12).as_double() == 9);
  CHECK(scalar(inside(histogram, 8), 3).as_double() == 9);

  const std::string_view exponential = inside(inside(inside(scope, 2, 3), 10), 1);
  CHECK(scalar(exponential, 6).as_zigzag() == -1);
  CHECK(scalar(exponential, 7).value() == 1);
  const std::string_view positive = inside(exponential, 8);
  CHECK(scalar(positive, 1).as_zigzag() == -2);
  std::string_view buckets = inside(positive, 2);
  REQUIRE(reader::take_varint(buckets, n));
  CHECK(n == 1);
  REQUIRE(reader::take_varint(buckets, n));
  CHECK(n == 300);
  CHECK(buckets.empty());
  CHECK(scalar(exponential, 13).as_double() == 4);
}

TEST_CASE("a log record written by protoc is read field by field") {
  const std::string request = unhex(
      "0a6212600a050a036c69621257090100000000000000100d1a045741524e2a040a02686932100a0161120b2a090a030a01780a0218024501"
      "00"
      "00004a100102030405060708090a0b0c0d0e0f105208111213141516171859020000000000000062026576");
  REQUIRE(request.size() == 100);
  const std::string_view record = inside(inside(inside(request, 1), 2), 2);
  CHECK(scalar(record, 1).value() == 1);
  CHECK(scalar(record, 2).value() == 13);
  CHECK(inside(record, 3) == "WARN");
  CHECK(value_view{inside(record, 5)}.as_string() == "hi");
  const field_view attribute{inside(record, 6)};
  CHECK(attribute.key == "a");
  REQUIRE(attribute.value.kind() == value_type::array);
  std::vector<value_view> elements;
  for (const value_view element : attribute.value.elements()) elements.push_back(element);
  REQUIRE(elements.size() == 2);
  CHECK(elements[0].as_string() == "x");
  CHECK(elements[1].as_int() == 2);
  CHECK(scalar(record, 8).is(8, reader::i32));
  CHECK(scalar(record, 8).value() == 1);
  CHECK(inside(record, 9) == unhex("0102030405060708090a0b0c0d0e0f10"));
  CHECK(inside(record, 10) == unhex("1112131415161718"));
  CHECK(scalar(record, 11).value() == 2);
  CHECK(inside(record, 12) == "ev");
}

TEST_CASE("a partial success of a receiver is read") {
  const std::string response = unhex("0a0708031203626164");
  CHECK(scalar(inside(response, 1), 1).as_int() == 3);
  CHECK(inside(inside(response, 1), 2) == "bad");
}

TEST_CASE("values of every kind are told apart") {
  using otlp_bytes::any;
  CHECK(value_view{any("text")}.as_string() == "text");
  CHECK(value_view{any("")}.kind() == value_type::string);
  CHECK(value_view{any(true)}.as_bool());
  CHECK(value_view{any(-7)}.as_int() == -7);
  CHECK(std::isnan(value_view{any(std::numeric_limits<double>::quiet_NaN())}.as_double()));
  CHECK(value_view{otlp_bytes::bytes(7, std::string_view{"\0\xFF", 2})}.as_bytes().size() == 2);
  CHECK(value_view{}.kind() == value_type::empty);

  const std::string map = otlp_bytes::bytes(
      6, otlp_bytes::bytes(1, otlp_bytes::key_value("k", otlp_bytes::bytes(5, otlp_bytes::bytes(1, any(1))))));
  REQUIRE(value_view{map}.kind() == value_type::map);
  const field_view entry = *value_view{map}.entries().begin();
  CHECK(entry.key == "k");
  CHECK((*entry.value.elements().begin()).as_int() == 1);
}

TEST_CASE("a value asked for as another kind is empty") {
  const std::string text = otlp_bytes::any("5");
  CHECK(value_view{text}.as_int() == 0);
  CHECK(value_view{text}.as_bytes().empty());
  CHECK(value_view{text}.elements().empty());
  CHECK(value_view{text}.entries().empty());
}

TEST_CASE("of a field that comes twice the last one counts, and unknown fields are skipped") {
  const std::string twice = otlp_bytes::bytes(5, "first") + otlp_bytes::bytes(5, "second") + otlp_bytes::number(99, 1) +
                            otlp_bytes::number(5, 1) +
                            otlp_bytes::bytes(9, otlp_bytes::key_value("k", otlp_bytes::any(1))) +
                            otlp_bytes::bytes(9, otlp_bytes::key_value("k", otlp_bytes::any(2)));
  const span_view span{twice};
  CHECK(span.ok());
  CHECK(span.name() == "second");
  CHECK(span.attribute("k").as_int() == 2);
  CHECK(value_view{otlp_bytes::any(1) + otlp_bytes::any("x")}.as_string() == "x");
}

TEST_CASE("only a span that says so has a remote parent") {
  const auto flags = [](std::uint32_t f, bool parent) {
    return (parent ? otlp_bytes::bytes(4, otlp_bytes::id8(1)) : std::string{}) + otlp_bytes::fixed(16, f, 4);
  };
  CHECK(span_view{flags(0x301, true)}.has_remote_parent());
  CHECK_FALSE(span_view{flags(0x101, true)}.has_remote_parent());
  CHECK_FALSE(span_view{flags(0x201, true)}.has_remote_parent());
  CHECK_FALSE(span_view{flags(0x301, false)}.has_remote_parent());
}

TEST_CASE("a span that ends before it starts lasts no time") {
  const std::string span = otlp_bytes::fixed(7, 10, 8) + otlp_bytes::fixed(8, 5, 8);
  CHECK(span_view{span}.duration() == 0);
}

TEST_CASE("a damaged span keeps what stood before the damage and is not ok") {
  const std::string span = otlp_bytes::bytes(5, "op") + "\x2A\x7F";
  CHECK(span_view{span}.name() == "op");
  CHECK_FALSE(span_view{span}.ok());
  int seen = 0;
  CHECK_FALSE(for_each_span(otlp_bytes::bytes(1, otlp_bytes::bytes(2, otlp_bytes::bytes(2, span))),
                            [&](const auto&, const auto&) { ++seen; }));
  CHECK(seen == 1);
}

TEST_CASE("the scope counts for spans that stand before it on the wire") {
  const std::string scope = otlp_bytes::bytes(2, otlp_bytes::bytes(5, "op")) + otlp_bytes::scope("lib");
  std::string seen;
  CHECK(for_each_span(otlp_bytes::bytes(1, otlp_bytes::bytes(2, scope) + otlp_bytes::resource("late")),
                      [&](const span_view&, const span_origin& origin) {
                        seen = std::string{origin.resource.service_name()} + "/" + std::string{origin.scope.name()};
                      }));
  CHECK(seen == "late/lib");
}

TEST_CASE("the spans of a batch are those of its request") {
  const auto batch = otlp_bytes::batch({{.id = 1, .name = "a"}, {.id = 2, .parent = 1, .name = "b"}}, "shop");
  std::string request;
  for (const std::string_view piece : batch->pieces()) request += piece;
  std::string of_batch, of_request;
  const auto list = [](std::string& out) {
    return [&out](const span_view& span, const span_origin& origin) {
      out.append(origin.resource.service_name())
          .append("/")
          .append(origin.scope.name())
          .append("/")
          .append(span.name())
          .append(" ");
    };
  };
  CHECK(for_each_span(*batch, list(of_batch)));
  CHECK(for_each_span(request, list(of_request)));
  CHECK(of_batch == "shop/test/a shop/test/b ");
  CHECK(of_request == of_batch);
}
