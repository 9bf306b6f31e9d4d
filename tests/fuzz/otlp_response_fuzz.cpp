// SPDX-License-Identifier: MIT
// The bodies of receivers: whatever they hold, no more items are refused than were sent, and the detail is bounded.
#include <otlpkit/export/otlp_response.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body{reinterpret_cast<const char*>(data), size};
  for (const unsigned status : {200U, 400U, 503U}) {
    const auto meaning = otlpkit::exporters::interpret_response(status, body, true, 7);
    if (meaning.rejected > 7 || meaning.detail.size() > 203) std::abort();
    for (const char c : meaning.detail) {
      if (static_cast<unsigned char>(c) < 0x20) std::abort();
    }
  }
  return 0;
}
