// SPDX-License-Identifier: MIT
// The whole environment: the input is lines, each the value of the next variable of the table (or of the one its first
// byte picks). finalize() never throws and always returns values the SDK can run with.
#include <otlpkit/sdk/finalize.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace otlpkit;
  std::map<std::string, std::string, std::less<>> values;
  std::string_view input{reinterpret_cast<const char*>(data), size};
  while (!input.empty()) {
    const std::size_t end = input.find('\n');
    const std::string_view line = input.substr(0, end);
    input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
    if (line.empty()) continue;
    const auto row = static_cast<unsigned char>(line[0]) % std::size(environment_table);
    values[std::string{environment_table[row].name}] = line.substr(1);
  }
  const environment env{[&](std::string_view name) {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional{found->second};
  }};
  const sdk::configuration c = sdk::finalize({.detect_resource = false}, env);
  for (const sdk::signal_configuration& s : c.signals) {
    if (s.endpoint.host.empty() || s.endpoint.port == 0 || !s.endpoint.target.starts_with('/')) std::abort();
    if (s.timeout.count() <= 0 || s.export_timeout.count() <= 0 || s.schedule_delay.count() < 0) std::abort();
    if (s.max_export_batch_size > s.max_queue_size) std::abort();
  }
  if (c.of(sdk::signal::traces).max_export_batch_size == 0) std::abort();
  if (!(c.sampler_ratio >= 0 && c.sampler_ratio <= 1)) std::abort();
  for (const std::string& text : c.warnings) {
    for (const char ch : text) {
      if (ch < 0x20 || ch > 0x7E) std::abort();
    }
  }
  if (banner(c).find('\n') != std::string::npos) std::abort();
  static_cast<void>(describe(c));
  return 0;
}
