// SPDX-License-Identifier: MIT
#include <otlpkit/core/environment.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

using namespace otlpkit;

namespace {

/// Reads one variable from a value and keeps the warnings.
struct reading {
  explicit reading(variable v, std::string value)
      : source{[name = std::string{info(v).name}, value](std::string_view asked) {
          return asked == name ? std::optional{value} : std::nullopt;
        }} {}
  environment source;
  std::vector<std::string> warnings;
  environment_reader reader{source, warnings};
};

std::string markdown_table() {
  std::string out = "| variable | type | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const variable_info& row : environment_table) {
    const std::string text = row.default_text.empty() ? "" : "`" + std::string{row.default_text} + "`";
    out.append("| `").append(row.name).append("` | ").append(to_string(row.type)).append(" | ").append(text);
    out.append(" | ").append(row.meaning).append(" |\n");
  }
  return out;
}

}  // namespace

TEST_CASE("an empty value is as good as unset for every variable") {
  for (std::size_t i = 0; i < std::size(environment_table); ++i) {
    reading r{static_cast<variable>(i), ""};
    CHECK_FALSE(r.source.get(static_cast<variable>(i)));
    CHECK_FALSE(r.reader.text(static_cast<variable>(i)));
    CHECK(r.warnings.empty());
  }
}

TEST_CASE("booleans are true only for the word true, and anything but true and false is warned about") {
  struct row {
    const char* value;
    std::optional<bool> expected;
    bool warned;
  };
  const row rows[] = {{"true", true, false},   {"TRUE", true, false},      {" True ", true, false},
                      {"false", false, false}, {"FaLsE", false, false},    {"1", false, true},
                      {"yes", false, true},    {"on", false, true},        {"t", false, true},
                      {"truee", false, true},  {"  ", std::nullopt, false}};
  for (const row& r : rows) {
    CAPTURE(r.value);
    reading reading{variable::sdk_disabled, r.value};
    CHECK(reading.reader.boolean(variable::sdk_disabled) == r.expected);
    CHECK(reading.warnings.size() == (r.warned ? 1 : 0));
    if (r.warned) CHECK(reading.warnings[0].starts_with("OTEL_SDK_DISABLED: got \"" + std::string{r.value} + "\""));
  }
}

TEST_CASE("the switch for the books also takes 1 and 0") {
  CHECK(reading{variable::books, "1"}.reader.boolean(variable::books) == true);
  CHECK(reading{variable::books, "true"}.reader.boolean(variable::books) == true);
  reading zero{variable::books, "0"};
  CHECK(zero.reader.boolean(variable::books) == false);
  CHECK(zero.warnings.empty());
}

TEST_CASE("integers outside their range or with anything but digits are warned about and ignored, never clamped") {
  struct row {
    const char* value;
    std::optional<std::int64_t> expected;
  };
  const row rows[] = {{"0", 0},
                      {"1", 1},
                      {" 42\t", 42},
                      {"2147483647", 2147483647},
                      {"2147483648", std::nullopt},
                      {"99999999999999999999999", std::nullopt},
                      {"-1", std::nullopt},
                      {"+1", std::nullopt},
                      {"0x10", std::nullopt},
                      {"1.5", std::nullopt},
                      {"1e3", std::nullopt},
                      {"12 ms", std::nullopt},
                      {"\xff", std::nullopt},
                      {" ", std::nullopt}};
  for (const row& r : rows) {
    CAPTURE(r.value);
    reading reading{variable::bsp_max_queue_size, r.value};
    CHECK(reading.reader.integer(variable::bsp_max_queue_size) == r.expected);
    CHECK(reading.warnings.size() == (r.expected ? 0 : 1));
  }
  reading least{variable::bsp_max_queue_size, "0"};
  CHECK_FALSE(least.reader.integer(variable::bsp_max_queue_size, 1));
  CHECK(least.warnings.at(0) ==
        "OTEL_BSP_MAX_QUEUE_SIZE: got \"0\", expected a whole number from 1 to 2147483647; ignored");
}

TEST_CASE("a negative duration is warned about and ignored") {
  reading r{variable::bsp_schedule_delay, "-5"};
  CHECK_FALSE(r.reader.duration(variable::bsp_schedule_delay));
  CHECK(r.warnings.at(0).find("of milliseconds") != std::string::npos);
}

TEST_CASE("ratios are numbers from 0 to 1") {
  const auto read = [](const char* text) {
    return reading{variable::traces_sampler_arg, text}.reader.ratio(variable::traces_sampler_arg);
  };
  CHECK(read("0") == 0.0);
  CHECK(read("1") == 1.0);
  CHECK(read("0.25") == 0.25);
  CHECK(read("1e-3") == 1e-3);
  for (const char* bad : {"-0.1", "1.0001", "nan", "inf", "0,5", "half", "0.5x", "1e999"}) {
    CAPTURE(bad);
    CHECK_FALSE(read(bad));
  }
}

TEST_CASE("words match in any case, and a warning shows the text as the user wrote it") {
  constexpr std::string_view names[] = {"none", "gzip"};
  CHECK(reading{variable::otlp_compression, "GZip"}.reader.choice(variable::otlp_compression, names) == 1);
  reading r{variable::otlp_compression, "BroTli"};
  CHECK_FALSE(r.reader.choice(variable::otlp_compression, names));
  CHECK(r.warnings.at(0) == "OTEL_EXPORTER_OTLP_COMPRESSION: got \"BroTli\", expected one of none, gzip; ignored");
}

TEST_CASE("lists are split at commas, trimmed, and empty entries vanish") {
  const auto list = reading{variable::propagators, " b3 ,,\tTraceContext, "}.reader.list(variable::propagators);
  REQUIRE(list);
  CHECK(*list == std::vector<std::string>{"b3", "tracecontext"});
}

TEST_CASE("the same warning is said once, and their number is bounded") {
  reading r{variable::sdk_disabled, "maybe"};
  static_cast<void>(r.reader.boolean(variable::sdk_disabled));
  static_cast<void>(r.reader.boolean(variable::sdk_disabled));
  CHECK(r.warnings.size() == 1);
  for (int i = 0; i < 10'000; ++i) r.reader.note(std::to_string(i));
  CHECK(r.warnings.size() == environment_reader::max_warnings + 1);
}

TEST_CASE("warnings print one short line whatever the value is, and no secret") {
  reading huge{variable::bsp_schedule_delay, std::string(10'000'000, '\n')};
  CHECK_FALSE(huge.reader.duration(variable::bsp_schedule_delay));
  REQUIRE(huge.warnings.size() == 1);
  CHECK(huge.warnings[0].size() < 600);
  CHECK(huge.warnings[0].find('\n') == std::string::npos);

  reading secret{variable::otlp_headers, std::string(100'000, 's')};
  CHECK_FALSE(secret.reader.text(variable::otlp_headers));
  CHECK(secret.warnings.at(0).find("sss") == std::string::npos);

  reading url{variable::otlp_endpoint, ""};
  url.reader.warn(variable::otlp_endpoint, "http://user:pass/w@rd@host:x/?token=abc", "a port");
  CHECK(url.warnings.at(0) == "OTEL_EXPORTER_OTLP_ENDPOINT: got \"http://***@host:x/?***\", expected a port; ignored");
}

TEST_CASE("every row of the table is a name of its own with a meaning, and signals follow their general variable") {
  for (const variable_info& row : environment_table) {
    CAPTURE(row.name);
    CHECK((row.name.starts_with("OTEL_") || row.name.starts_with("OTLPKIT_")));
    CHECK_FALSE(row.meaning.empty());
    CHECK(std::ranges::count(environment_table, row.name, &variable_info::name) == 1);
    if (row.type == variable_type::integer || row.type == variable_type::duration ||
        row.type == variable_type::timeout) {
      CHECK(std::ranges::all_of(row.default_text, [](char c) { return c >= '0' && c <= '9'; }));
    }
  }
  CHECK(info(of_signal(variable::otlp_timeout, 0)).name == "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT");
  CHECK(info(of_signal(variable::otlp_endpoint, 1)).name == "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
  CHECK(info(of_signal(variable::otlp_insecure, 2)).name == "OTEL_EXPORTER_OTLP_LOGS_INSECURE");
  CHECK(default_number(variable::bsp_schedule_delay) == 5000);
}

TEST_CASE("a variable of the process is found by name") {
  // PATH is not in the table: the lookup itself is asked.
  CHECK(platform_host::environment_variable("PATH"));
  CHECK_FALSE(platform_host::environment_variable("OTLPKIT_NO_SUCH_VARIABLE"));
}

TEST_CASE("random values of every type are read without harm") {
  std::mt19937_64 random{7};
  constexpr std::string_view names[] = {"a", "b"};
  for (int round = 0; round < 2000; ++round) {
    std::string value(random() % 40, '\0');
    for (char& c : value) c = static_cast<char>(random() % 255 + 1);
    const auto v = static_cast<variable>(random() % std::size(environment_table));
    reading r{v, value};
    static_cast<void>(r.reader.boolean(v));
    static_cast<void>(r.reader.integer(v));
    static_cast<void>(r.reader.ratio(v));
    static_cast<void>(r.reader.list(v));
    static_cast<void>(r.reader.choice(v, names));
    for (const std::string& warning : r.warnings) {
      CHECK(std::ranges::all_of(warning, [](char c) { return c >= 0x20 && c < 0x7F; }));
    }
  }
}

TEST_CASE("docs/configuration.md holds the table as it is in the code") {
  std::ifstream file{OTLPKIT_SOURCE_DIR "/docs/configuration.md"};
  std::stringstream text;
  text << file.rdbuf();
  // To bring the page up to date, run this program with --no-skip and paste what it prints.
  CHECK(text.str().find(markdown_table()) != std::string::npos);
}

TEST_CASE("prints the table for docs/configuration.md" * doctest::skip()) { std::cout << markdown_table(); }
