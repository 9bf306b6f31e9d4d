// SPDX-License-Identifier: MIT
#include <otlpkit/core/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace utf8 = otlpkit::utf8;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto room = std::make_unique<char[]>(3 * size + 1);  // AddressSanitizer watches its end
  const char* end = utf8::sanitize(text, room.get());
  const std::string_view clean{room.get(), static_cast<std::size_t>(end - room.get())};
  if (!utf8::is_valid(clean)) std::abort();
  if (utf8::is_valid(text) && clean != text) std::abort();
  if (utf8::count(clean) != utf8::count(text)) std::abort();
  const std::size_t most = size == 0 ? 0 : data[0];
  if (utf8::count(utf8::truncate(text, most)) > most) std::abort();
  const std::string_view cut = utf8::truncate_bytes(text, most);
  if (cut.size() > most || (utf8::is_valid(text) && !utf8::is_valid(cut))) std::abort();
  return 0;
}
