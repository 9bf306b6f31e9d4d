// SPDX-License-Identifier: MIT
#include <otlpkit/propagation/propagation.hpp>

#include "support/span_recording.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using headers = std::vector<std::pair<std::string, std::string>>;

std::string sent(const otlpkit::baggage& b) {
  otlpkit::detail::baggage_text text;
  otlpkit::detail::format_baggage(b, text);
  return std::string{text.view()};
}

std::string resent(std::string_view header) { return sent(otlpkit::parse_baggage(header)); }

std::string list(int count, std::string_view value) {
  std::string out;
  for (int i = 0; i < count; ++i) out.append(i != 0 ? "," : "").append("k" + std::to_string(i) + "=").append(value);
  return out;
}

}  // namespace

TEST_CASE("what cannot be sent is left out and said once") {
  static std::vector<std::string> said;
  said.clear();
  const auto before =
      otlpkit::on_diagnostic([](otlpkit::diagnostic_level, std::string_view m) { said.emplace_back(m); });
  const otlpkit::baggage b =
      otlpkit::baggage{}.with("my key", "1").with("ok", "2").with("m", "3", "a,b").with("n", "4", "x\r\ny: z");
  for (int i = 0; i < 3; ++i) CHECK(sent(b) == "ok=2");
  CHECK(said.size() == 1);
  const otlpkit::baggage large = b.with("big", std::string(9000, 'v')).with("z", "5");
  for (int i = 0; i < 3; ++i) CHECK(sent(large) == "ok=2,z=5");
  CHECK(said.size() == 2);
  otlpkit::on_diagnostic(before);
}

TEST_CASE("baggage is immutable, and a later set replaces") {
  const otlpkit::baggage none;
  const otlpkit::baggage one = none.with("a", "1");
  const otlpkit::baggage two = one.with("b", "2", "p=x").with("A", "3");
  CHECK((none.empty() && none.size() == 0 && !none.contains("a") && none.begin() == none.end()));
  CHECK((one.size() == 1 && one.get("a") == "1" && !one.contains("b")));
  CHECK((two.size() == 3 && two.get("A") == "3" && two.get("a") == "1" && two.find("b").metadata == "p=x"));
  const otlpkit::baggage replaced = two.with("a", "");
  CHECK((replaced.size() == 3 && replaced.contains("a") && replaced.get("a").empty() && two.get("a") == "1"));
  CHECK((two.without("a").size() == 2 && two.without("zz").size() == 3 && one.without("a").empty()));
  CHECK(two.with("", "x").size() == 3);
  CHECK(none.with("k",
                  "a\xFF"
                  "b")
            .get("k") ==
        "a\xEF\xBF\xBD"
        "b");
  std::vector<std::string> keys;
  for (const otlpkit::baggage_entry& e : two) keys.emplace_back(e.key);
  CHECK(keys == std::vector<std::string>{"a", "b", "A"});
}

TEST_CASE("baggage does not grow without bound") {
  const auto before = otlpkit::on_diagnostic([](otlpkit::diagnostic_level, std::string_view) {});
  otlpkit::baggage b;
  for (int i = 0; i < 100; ++i) b = b.with("key" + std::to_string(i), std::string(1000, 'v'));
  CHECK((b.size() > 50 && b.size() < 66));
  CHECK(b.with("big", std::string(70'000, 'x')).size() == b.size());
  otlpkit::on_diagnostic(before);
}

TEST_CASE("a baggage header is read by its grammar") {
  struct expectation {
    const char* header;
    const char* again;  // as it is sent on
  };
  for (const auto& [header, again] : {
           expectation{"k=v", "k=v"},
           {"k=v,k2=v2", "k=v,k2=v2"},
           {" k \t=\t v , k2 = v2 ", "k=v,k2=v2"},
           {"k=", "k="},
           {"k=a=b==", "k=a=b=="},
           {"k=v;p;q=1 ; r = 2", "k=v;p;q=1 ; r = 2"},
           {"k=v ; p , k2=v2", "k=v;p,k2=v2"},
           {"k=v;", "k=v"},
           {"k=v;;p", "k=v;;p"},
           {"k=%20a%2Cb%3Bc%22%5C%25", "k=%20a%2Cb%3Bc%22%5C%25"},
           {"k=%c3%a9", "k=%C3%A9"},
           {"k=a+b", "k=a+b"},
           {"k=%41", "k=A"},
           {"k=%zz%4", "k=%25zz%254"},
           {"k=%FF%C3", "k=%EF%BF%BD%EF%BF%BD"},
           {"k%20=v", "k%20=v"},
           {"!#$%&'*+-.^_`|~0aZ=v", "!#$%&'*+-.^_`|~0aZ=v"},
           {"k=!#$&'()*+-./:<=>?@[]^_`{|}~", "k=!#$&'()*+-./:<=>?@[]^_`{|}~"},
           {"k=1,k=2", "k=2"},
           {"k=1,K=2", "k=1,K=2"},
           {"", ""},
           {",,,", ""},
           {"k", ""},
           {"=v", ""},
           {"a b=v", ""},
           {"(k)=v", ""},
           {"\xC3\xA9=v", ""},
           {"k=a b", ""},
           {"k=\"v\"", ""},
           {"k=a\\b", ""},
           {"k=\xC3\xA9", ""},
           {"k=\x01", ""},
           {"k=v;\x01", ""},
           {"bad,k=v,also bad=1,k2=v2", "k=v,k2=v2"},
       }) {
    CAPTURE(header);
    CHECK(resent(header) == again);
  }
}

TEST_CASE("decoded values and opaque metadata come out of the header") {
  const otlpkit::baggage b = otlpkit::parse_baggage("user=J%C3%BCrgen%2C%20x;ttl=5;note=%20,n=%00");
  CHECK(b.get("user") == "J\xC3\xBCrgen, x");
  CHECK(b.find("user").metadata == "ttl=5;note=%20");
  CHECK(b.get("n") == std::string_view{"\0", 1});
}

TEST_CASE("everything within the limits is passed on, and beyond them only whole members") {
  const std::string most = list(64, "v");
  CHECK(resent(most) == most);
  CHECK(resent(list(180, "v")) == list(180, "v"));
  CHECK(otlpkit::parse_baggage(list(400, "v")).size() == 180);

  const std::string full = "k=" + std::string(8190, 'v');
  CHECK(resent(full) == full);
  CHECK(resent(full + "v") == "");
  const std::string sixty_four = list(64, std::string(123, 'v'));  // 64 * 127 - ... + commas
  REQUIRE(sixty_four.size() <= 8192);
  CHECK(resent(sixty_four) == sixty_four);
  CHECK(resent("a=1," + std::string(8188, 'x') + "=1,b=2") == "a=1,b=2");
  CHECK(resent("k=" + std::string(2800, '%')) == "");  // grows when it is written as %25
}

TEST_CASE("several headers count as one") {
  const headers in{{"baggage", "a=1,b=2"}, {"Baggage", "c=3"}, {"baggage", "a=4"}};
  CHECK(sent(otlpkit::extract(in).baggage) == "b=2,c=3,a=4");
  headers many;
  for (int i = 0; i < 100; ++i) many.emplace_back("baggage", "k" + std::to_string(i) + "=" + std::string(200, 'v'));
  const otlpkit::baggage b = otlpkit::extract(many).baggage;
  CHECK((b.size() >= 39 && b.size() <= 40));
  CHECK(sent(b).size() <= 8192);
}

TEST_CASE("no value breaks out of its header, and every value comes back") {
  std::mt19937 random{7};
  for (int round = 0; round < 5000; ++round) {
    std::string value;
    for (int i = std::uniform_int_distribution{0, 40}(random); i > 0; --i) {
      value += static_cast<char>(std::uniform_int_distribution{1, 0x7F}(random));
    }
    const otlpkit::baggage b = otlpkit::baggage{}.with("k", value).with("other", "x");
    const std::string header = sent(b);
    for (const char c : header) REQUIRE((c > 0x20 && c < 0x7F));
    const otlpkit::baggage back = otlpkit::parse_baggage(header);
    REQUIRE(back.get("k") == value);
    REQUIRE(back.get("other") == "x");
  }
}

TEST_CASE("a scope makes baggage current and puts back what was, in whatever order scopes end") {
  CHECK(otlpkit::current_baggage().empty());
  {
    const otlpkit::baggage_scope outer{otlpkit::baggage{}.with("a", "1")};
    CHECK(otlpkit::current_baggage().get("a") == "1");
    {
      const otlpkit::baggage_scope inner{otlpkit::current_baggage().with("b", "2")};
      headers out;
      otlpkit::inject(out);
      CHECK(out == headers{{"baggage", "a=1,b=2"}});
      std::thread{[] { CHECK(otlpkit::current_baggage().empty()); }}.join();
    }
    CHECK(otlpkit::current_baggage().size() == 1);
    {
      const otlpkit::baggage_scope cleared{{}};
      headers out;
      otlpkit::inject(out);
      CHECK(out.empty());
    }
  }
  CHECK(otlpkit::current_baggage().empty());
  auto* first = new otlpkit::baggage_scope{otlpkit::baggage{}.with("a", "1")};
  auto* second = new otlpkit::baggage_scope{otlpkit::baggage{}.with("a", "2")};
  delete first;
  CHECK(otlpkit::current_baggage().get("a") == "2");
  delete second;
  CHECK(otlpkit::current_baggage().empty());
}

TEST_CASE("baggage from outside is current in its scope, and none from outside leaves what there is") {
  const otlpkit::baggage_scope outer{otlpkit::baggage{}.with("a", "1")};
  {
    const otlpkit::remote_scope remote{otlpkit::extract(headers{{"baggage", "b=2"}})};
    CHECK((otlpkit::current_baggage().get("b") == "2" && otlpkit::current_baggage().size() == 1));
  }
  const otlpkit::remote_scope remote{otlpkit::extract(headers{{"baggage", "not valid"}})};
  CHECK(otlpkit::current_baggage().get("a") == "1");
}

TEST_CASE("chosen baggage becomes attributes, of one span or of all") {
  constexpr otlpkit::baggage_filter wanted{"tenant.*", "user"};
  const otlpkit::baggage_scope scope{
      otlpkit::baggage{}.with("tenant.id", "t1").with("user", "u").with("user.name", "n").with("secret", "s")};
  {
    support::recording recording;
    {
      otlpkit::span_guard span{"one"};
      otlpkit::record_baggage(span, wanted);
    }
    const auto one = recording.take_one();
    CHECK(one.attributes.size() == 2);
    { const otlpkit::span_guard span{"none"}; }
    CHECK(recording.take_one().attributes.empty());
  }
  otlpkit::baggage_sampler sampler{wanted};
  support::recording recording{{.sampler = &sampler, .parent_based = false}};
  {
    const otlpkit::span_guard parent{"parent"};
    const otlpkit::span_guard child{"child"};
  }
  const auto spans = recording.take();
  REQUIRE(spans.size() == 2);
  for (const auto& span : spans) CHECK(span.attributes.size() == 2);
  {
    const otlpkit::remote_scope remote{{support::remote_context(false), {}}};
    const otlpkit::span_guard child{"child"};
  }
  CHECK(recording.take().empty());
}
