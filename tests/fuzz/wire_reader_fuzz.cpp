// SPDX-License-Identifier: MIT
#include <otlpkit/core/wire_reader.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using otlpkit::wire::reader;

/// Walks any bytes as a message: the fields lie one after the other, and a walk that ends well has seen every byte.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view message{reinterpret_cast<const char*>(data), size};
  reader field{message};
  std::size_t seen = 0;
  while (field.next()) {
    if (field.number() == 0 || field.raw().empty() || field.raw().data() != message.data() + seen) std::abort();
    if (field.type() == reader::len && field.bytes().size() >= field.raw().size()) std::abort();
    seen += field.raw().size();
    std::string_view packed = field.bytes();
    std::uint64_t n = 0;
    while (!packed.empty() && reader::take_varint(packed, n)) {
    }
    reader inner{field.bytes()};
    while (inner.next()) {
    }
  }
  if (field.ok() != (seen == size)) std::abort();
  return 0;
}
