// SPDX-License-Identifier: MIT
#include <otlpkit/core/wire_reader.hpp>

#include <support/otlp_bytes.hpp>

#include <doctest/doctest.h>

#include <bit>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

using otlp_bytes::unhex;
using otlpkit::wire::reader;

namespace {

struct seen {
  std::size_t fields = 0;
  bool ok = true;
};

/// Walks a copy that ends exactly where the message does, so AddressSanitizer sees any step beyond it.
seen walk(std::string_view message) {
  const auto exact = std::make_unique<char[]>(message.size() + (message.empty() ? 1 : 0));
  message.copy(exact.get(), message.size());
  seen s;
  reader field{{exact.get(), message.size()}};
  while (field.next()) ++s.fields;
  s.ok = field.ok();
  return s;
}

}  // namespace

TEST_CASE("an empty message has no fields and is fine") {
  reader field{{}};
  CHECK_FALSE(field.next());
  CHECK(field.ok());
}

TEST_CASE("each wire type is read with its number and value") {
  const std::string message = otlp_bytes::number(1, 300) + otlp_bytes::fixed(2, 0x0102030405060708, 8) +
                              otlp_bytes::bytes(3, "abc") + otlp_bytes::fixed(16, 0xDEADBEEF, 4);
  reader field{message};
  REQUIRE(field.next());
  CHECK(field.is(1, reader::varint));
  CHECK(field.value() == 300);
  REQUIRE(field.next());
  CHECK(field.is(2, reader::i64));
  CHECK(field.value() == 0x0102030405060708);
  REQUIRE(field.next());
  CHECK(field.is(3, reader::len));
  CHECK_FALSE(field.is(3, reader::varint));
  CHECK(field.bytes() == "abc");
  CHECK(field.raw() == otlp_bytes::bytes(3, "abc"));
  REQUIRE(field.next());
  CHECK(field.is(16, reader::i32));
  CHECK(field.as_u32() == 0xDEADBEEF);
  CHECK(field.bytes().empty());
  CHECK_FALSE(field.next());
  CHECK(field.ok());
}

TEST_CASE("numbers of every kind keep their extremes") {
  const auto only = [](const std::string& message) {
    reader field{message};
    REQUIRE(field.next());
    return field;
  };
  CHECK(only(otlp_bytes::number(1, ~std::uint64_t{0})).as_int() == -1);
  CHECK(only(otlp_bytes::number(1, std::uint64_t{1} << 63)).as_int() == std::numeric_limits<std::int64_t>::min());
  CHECK(only(otlp_bytes::number(1, 127)).value() == 127);
  CHECK(only(otlp_bytes::number(1, 128)).value() == 128);
  CHECK(only(otlp_bytes::number(1, 1)).as_zigzag() == -1);
  CHECK(only(otlp_bytes::number(1, 2)).as_zigzag() == 1);
  CHECK(only(otlp_bytes::number(1, ~std::uint64_t{0})).as_zigzag() == std::numeric_limits<std::int64_t>::min());
  CHECK(only(otlp_bytes::fixed(1, std::bit_cast<std::uint64_t>(-0.5), 8)).as_double() == -0.5);
  CHECK(only(otlp_bytes::number((1u << 29) - 1, 1)).number() == (1u << 29) - 1);
}

TEST_CASE("padding in a varint is accepted, more than 64 bits are not") {
  CHECK(walk(unhex("088080808000")).ok);            // 0 in five bytes
  CHECK(walk(unhex("08ffffffffffffffffff01")).ok);  // 2^64 - 1
  CHECK_FALSE(walk(unhex("08ffffffffffffffffff02")).ok);
  CHECK_FALSE(walk(unhex("0880808080808080808080")).ok);
  CHECK_FALSE(walk(unhex("08808080808080808080808000")).ok);
}

TEST_CASE("malformed input ends the walk and says so") {
  CHECK_FALSE(walk(unhex("80")).ok);          // a tag cut off
  CHECK_FALSE(walk(unhex("08")).ok);          // no value
  CHECK_FALSE(walk(unhex("0880")).ok);        // a value cut off
  CHECK_FALSE(walk(unhex("0905060708")).ok);  // seven bytes short
  CHECK_FALSE(walk(unhex("0d0506")).ok);
  CHECK_FALSE(walk(unhex("0a02ff")).ok);  // a length beyond the end
  CHECK_FALSE(walk(unhex("0affffffffffffffffff01")).ok);
  CHECK_FALSE(walk(unhex("0001")).ok);              // field number 0
  CHECK_FALSE(walk(unhex("8080808080100101")).ok);  // a tag above 32 bits
  for (const char* group : {"0b", "0c", "0e", "0f"}) CHECK_FALSE(walk(unhex(group) + "x").ok);
}

TEST_CASE("fields before the damage are returned, and the walk stays ended") {
  const std::string message = otlp_bytes::number(1, 5) + "\x0B";
  reader field{message};
  CHECK(field.next());
  CHECK(field.value() == 5);
  CHECK_FALSE(field.next());
  CHECK_FALSE(field.next());
  CHECK_FALSE(field.ok());
  CHECK(field.rest().empty());
}

TEST_CASE("a message cut anywhere is either whole fields or an error, and is never read beyond its end") {
  const std::string message = otlp_bytes::number(1, 300) + otlp_bytes::bytes(2, std::string(130, 'x')) +
                              otlp_bytes::fixed(3, 7, 8) + otlp_bytes::fixed(4, 7, 4) + otlp_bytes::number(1000, 1);
  const seen whole = walk(message);
  CHECK(whole.ok);
  CHECK(whole.fields == 5);
  std::size_t clean_cuts = 0;
  for (std::size_t size = 0; size < message.size(); ++size) {
    const seen cut = walk(std::string_view{message}.substr(0, size));
    CHECK(cut.fields < whole.fields);
    if (cut.ok) ++clean_cuts;
  }
  CHECK(clean_cuts == 5);  // before each field
}

TEST_CASE("packed numbers are taken one by one") {
  std::string_view packed = "\x03\xAC\x02\x80";
  std::uint64_t n = 0;
  CHECK(reader::take_varint(packed, n));
  CHECK(n == 3);
  CHECK(reader::take_varint(packed, n));
  CHECK(n == 300);
  CHECK_FALSE(reader::take_varint(packed, n));
  CHECK(n == 300);
  CHECK(packed == "\x80");
  CHECK_FALSE(reader::take_fixed(packed, 4, n));
}

TEST_CASE("whatever is written is read back") {
  std::mt19937_64 random{7};
  for (int round = 0; round < 2000; ++round) {
    struct expected {
      std::uint32_t number;
      reader::wire_type type;
      std::uint64_t value;
      std::string bytes;
    };
    std::vector<expected> fields(random() % 20);
    std::string message;
    for (expected& e : fields) {
      e.number = 1 + static_cast<std::uint32_t>(random() >> (random() % 29 + 35)) % ((1u << 29) - 1);
      e.value = random() >> (random() % 64);
      constexpr reader::wire_type types[] = {reader::varint, reader::i64, reader::len, reader::i32};
      e.type = types[random() % 4];
      if (e.type == reader::i32) e.value &= 0xFFFF'FFFF;
      if (e.type == reader::len) {
        e.bytes.assign(random() % 300, static_cast<char>(random()));
        e.value = 0;
        message += otlp_bytes::bytes(e.number, e.bytes);
      } else if (e.type == reader::varint) {
        message += otlp_bytes::number(e.number, e.value);
      } else {
        message += otlp_bytes::fixed(e.number, e.value, e.type == reader::i64 ? 8 : 4);
      }
    }
    reader field{message};
    std::string copied;
    for (const expected& e : fields) {
      REQUIRE(field.next());
      REQUIRE(field.is(e.number, e.type));
      REQUIRE(field.value() == e.value);
      REQUIRE(field.bytes() == e.bytes);
      copied += field.raw();
    }
    REQUIRE_FALSE(field.next());
    REQUIRE(field.ok());
    REQUIRE(copied == message);
  }
}

TEST_CASE("random bytes never lead outside the message") {
  std::mt19937_64 random{8};
  for (int round = 0; round < 20'000; ++round) {
    std::string message(random() % 40, '\0');
    for (char& c : message) c = static_cast<char>(random() % 3 == 0 ? random() % 32 : random());
    CHECK(walk(message).fields <= message.size());
  }
}
