// SPDX-License-Identifier: MIT
#pragma once

#include <support/export_client.hpp>
#include <support/scripted_server.hpp>

#include <otlpkit/export/otlp_http.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

// An exporter that tries again soon, a server that follows a script, and what became of a batch between them.
namespace otlpkit_test {

using namespace std::chrono_literals;
using otlpkit::exporters::otlp_http_options;
using otlpkit::exporters::retry_options;
using otlpkit::sdk::drop_reason;
using otlpkit::sdk::signal;
using kind = step::kind;
using std::chrono::steady_clock;

constexpr retry_options quick{.initial_backoff = 5ms, .max_backoff = 20ms};
constexpr auto margin = 1s;  // how much later than meant a busy machine may do something

inline const bool quiet = [] {
  otlpkit::on_diagnostic([](otlpkit::diagnostic_level, std::string_view) {});
  return true;
}();

inline otlp_http_options to(const scripted_server& server, std::chrono::milliseconds timeout = 10s) {
  return {.url = server.url(), .timeout = timeout, .retry = quick};
}

struct ending {
  otlpkit::sdk::export_result result;
  steady_clock::duration took{};
  int completions = 0;
};

/// Sends one batch of three items, waits for its end and a little longer, and checks the books.
inline ending export_one(export_client& client) {
  const auto start = steady_clock::now();
  const auto sent = client.send();
  REQUIRE(client.finish(sent));
  const auto took = sent->at - start;
  client.run_for(5ms);
  CHECK(sent->completions == 1);
  std::uint64_t counted = client.counters().delivered;
  for (const auto dropped : client.counters().dropped) counted += dropped;
  CHECK(counted == client.counters().batches * 3);
  return {sent->result, took, sent->completions};
}

inline bool told(export_client& client, std::string_view part) {
  const bool found = client.counters().last_error.find(part) != std::string::npos;
  if (!found) MESSAGE(client.counters().last_error);
  return found;
}

}  // namespace otlpkit_test
