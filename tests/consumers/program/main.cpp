// SPDX-License-Identifier: MIT
// The one translation unit that sets telemetry up.
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/telemetry.hpp>

#include <chrono>

int work(int answer);

int main() {
  otlpkit::telemetry telemetry{{.service = "consumer"}};
  const bool worked = work(42) == 42;
  const bool flushed = telemetry.flush(std::chrono::seconds{5});
  return worked && flushed ? 0 : 1;
}
