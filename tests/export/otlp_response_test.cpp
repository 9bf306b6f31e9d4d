// SPDX-License-Identifier: MIT
#include <otlpkit/export/otlp_response.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

using namespace std::string_view_literals;
using otlpkit::exporters::decode_export_response;
using otlpkit::exporters::decode_status_message;
using otlpkit::exporters::interpret_response;
using otlpkit::exporters::printable;
using outcome = otlpkit::exporters::response_meaning::outcome;

namespace {
constexpr std::string_view three_bad =
    "\x0a\x07\x08\x03\x12\x03"
    "bad"sv;  // golden vector: rejected_spans 3, error_message "bad"
}

TEST_CASE("the golden partial success is read, and an empty body is a full success") {
  const auto partial = decode_export_response(three_bad);
  REQUIRE(partial);
  CHECK(partial->rejected == 3);
  CHECK(partial->message == "bad");

  const auto full = decode_export_response("");
  REQUIRE(full);
  CHECK(full->rejected == 0);
  CHECK(full->message.empty());
  CHECK(decode_export_response("\x0a\x00"sv)->rejected == 0);
}

TEST_CASE("unknown fields are skipped, at both levels") {
  const auto partial = decode_export_response("\x12\x01x\x0a\x0b\x1a\x02yy\x08\x02\x12\x03msg"sv);
  REQUIRE(partial);
  CHECK(partial->rejected == 2);
  CHECK(partial->message == "msg");
}

TEST_CASE("bytes that are no response decode to nothing") {
  for (const std::string_view body : {"{}"sv, "<html>"sv, "\x0a\x07\x08"sv, "\x0a"sv, "\x08\x80"sv,
                                      "\x0a\x02\x08\x80"sv, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv}) {
    CHECK_FALSE(decode_export_response(body));
  }
}

TEST_CASE("a status message is read out of google.rpc.Status") {
  CHECK(decode_status_message("\x08\x03\x12\x05hello\x1a\x02zz"sv) == "hello");
  CHECK(decode_status_message("") == "");
  CHECK_FALSE(decode_status_message("<html><body>nope</body></html>"));
}

TEST_CASE("exactly 429, 502, 503 and 504 may be retried, and only 2xx is delivered") {
  for (unsigned status = 100; status < 600; ++status) {
    CAPTURE(status);
    const auto meaning = interpret_response(status, "", true, 10);
    const bool retry = status == 429 || status == 502 || status == 503 || status == 504;
    const bool success = status >= 200 && status < 300;
    CHECK(meaning.what == (success ? outcome::delivered : retry ? outcome::retry : outcome::refused));
    CHECK(meaning.rejected == 0);
  }
}

TEST_CASE("rejected items are counted, within what was sent") {
  CHECK(interpret_response(200, three_bad, true, 10).rejected == 3);
  CHECK(interpret_response(200, three_bad, true, 10).detail == "bad");
  CHECK(interpret_response(200, three_bad, true, 2).rejected == 2);
  CHECK(interpret_response(200, "\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv, true, 2).rejected ==
        0);  // -1
}

TEST_CASE("a body that cannot be read is no detail and changes nothing") {
  CHECK(interpret_response(200, "<html>", true, 10).what == outcome::delivered);
  CHECK(interpret_response(200, three_bad, false, 10).rejected == 0);
  CHECK(interpret_response(503, "\xff\xff", true, 10).what == outcome::retry);
  CHECK(interpret_response(400, "\x08\x0e\x12\x03no!"sv, true, 10).what == outcome::refused);
  CHECK(interpret_response(400, "\x08\x0e\x12\x03no!"sv, true, 10).detail == "no!");
}

TEST_CASE("text from a peer cannot steer a terminal nor flood a log") {
  CHECK(printable("a\x1b[31mb\r\nc\x7f") == "a [31mb  c ");
  CHECK(printable("\xC2\x9B 31m") == "   31m");
  CHECK(printable("gr\xC3\xBC\xC3\x9F") == "gr\xC3\xBC\xC3\x9F");
  CHECK(printable(std::string(1000, 'x')).size() == 203);
}

TEST_CASE("random bytes are read without harm") {
  std::mt19937 random{3};
  for (int i = 0; i < 20'000; ++i) {
    std::string body(random() % 40, '\0');
    for (char& c : body) c = static_cast<char>(random() % 4 == 0 ? random() : random() % 24);
    CHECK(interpret_response(200, body, true, 5).rejected <= 5);
    CHECK(interpret_response(400, body, true, 5).what == outcome::refused);
  }
}
