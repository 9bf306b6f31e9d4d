// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/record_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

/// Records of text in a queue of a test's own.
namespace queue_test {

inline constexpr std::size_t plenty = std::size_t{1} << 30;

/// Records `text`; false when it was dropped.
inline bool record(otlpkit::detail::record_queue& q, otlpkit::detail::producer& p, std::string_view text,
                   std::uint16_t scope = 0) {
  otlpkit::wire::byte* const at = q.reserve(p, text.size());
  if (at == nullptr) return false;
  std::memcpy(at, text.data(), text.size());
  q.commit(p, at + text.size(), scope);
  return true;
}

inline std::vector<std::string> drain(otlpkit::detail::record_queue& q) {
  std::vector<std::string> out;
  q.drain([&out](std::uint16_t, std::string_view bytes) {
    out.emplace_back(bytes);
    return true;
  });
  return out;
}

inline std::uint64_t drops(otlpkit::detail::record_queue& q) {
  const otlpkit::detail::record_drops d = q.dropped();
  return d.queue_full + d.too_large;
}

/// A queue as the program has one: it is never destroyed.
inline otlpkit::detail::record_queue& new_queue(std::size_t bytes = plenty, std::int64_t items = INT64_MAX / 2) {
  static auto* const all = new std::vector<otlpkit::detail::record_queue*>;
  otlpkit::detail::record_queue& q = *all->emplace_back(new otlpkit::detail::record_queue);
  q.max_bytes.store(bytes, otlpkit::platform::relaxed);
  q.max_items.store(items, otlpkit::platform::relaxed);
  return q;
}

}  // namespace queue_test
