// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/diagnostics.hpp>
#include <otlpkit/core/platform.hpp>
#include <otlpkit/core/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// One entry of baggage. Refers to the baggage it is from.
struct baggage_entry {
  std::string_view key;
  std::string_view value;     ///< decoded
  std::string_view metadata;  ///< the properties of W3C baggage, as they stand in the header: `k1;k2=v2`
};

namespace detail {

/// Entries, each `sizes[3] key value metadata`, behind a header that counts who refers to them. Immutable once shared.
struct baggage_block {
  platform::atomic<std::uint32_t> references;
  std::uint32_t count;
  std::size_t size;  // bytes of the entries
};

/// Bytes the entries of one baggage may take: far beyond what a header can carry, and a bound for a loop gone wrong.
inline constexpr std::size_t max_baggage_bytes = std::size_t{64} << 10;

struct baggage_sizes {
  std::uint32_t key, value, metadata;
};

[[nodiscard]] constexpr std::size_t baggage_entry_size(const baggage_entry& e) noexcept {
  return sizeof(baggage_sizes) + e.key.size() + e.value.size() + e.metadata.size();
}

/// Writes an entry where there is room for it. Returns the end.
inline char* put_baggage_entry(const baggage_entry& e, char* out) noexcept {
  const baggage_sizes sizes{static_cast<std::uint32_t>(e.key.size()), static_cast<std::uint32_t>(e.value.size()),
                            static_cast<std::uint32_t>(e.metadata.size())};
  std::memcpy(out, &sizes, sizeof sizes);
  out += sizeof sizes;
  for (const std::string_view part : {e.key, e.value, e.metadata}) {
    if (!part.empty()) std::memcpy(out, part.data(), part.size());
    out += part.size();
  }
  return out;
}

[[nodiscard]] inline baggage_entry read_baggage_entry(const char* at) noexcept {
  baggage_sizes sizes{};
  std::memcpy(&sizes, at, sizeof sizes);
  at += sizeof sizes;
  return {{at, sizes.key}, {at + sizes.key, sizes.value}, {at + sizes.key + sizes.value, sizes.metadata}};
}

}  // namespace detail

/// Names and values that travel with a request from process to process (OpenTelemetry Baggage API). Immutable: with()
/// and without() return another one. Copies count references; the empty one costs nothing. Safe to use from many
/// threads, and without telemetry.
///
/// What is in it goes out with every call to whoever is called: no secrets.
class baggage {
 public:
  constexpr baggage() noexcept = default;
  baggage(const baggage& other) noexcept : block_{other.block_} {
    if (block_ != nullptr) block_->references.fetch_add(1, platform::relaxed);
  }
  constexpr baggage(baggage&& other) noexcept : block_{std::exchange(other.block_, nullptr)} {}
  baggage& operator=(baggage other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  constexpr ~baggage() {
    if (block_ != nullptr) [[unlikely]]
      release();
  }

  [[nodiscard]] constexpr bool empty() const noexcept { return block_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return block_ == nullptr ? 0 : block_->count; }

  /// Walks the entries in the order they were put in.
  class iterator {
   public:
    explicit iterator(const char* at) noexcept : at_{at} {}
    [[nodiscard]] baggage_entry operator*() const noexcept { return detail::read_baggage_entry(at_); }
    iterator& operator++() noexcept {
      at_ += detail::baggage_entry_size(**this);
      return *this;
    }
    friend bool operator==(const iterator&, const iterator&) = default;

   private:
    const char* at_;
  };
  [[nodiscard]] iterator begin() const noexcept { return iterator{bytes()}; }
  [[nodiscard]] iterator end() const noexcept { return iterator{block_ == nullptr ? nullptr : bytes() + block_->size}; }

  /// The entry under `key` (names differ by case), all parts empty when there is none.
  [[nodiscard]] baggage_entry find(std::string_view key) const noexcept {
    for (const baggage_entry& e : *this) {
      if (e.key == key) return e;
    }
    return {};
  }
  [[nodiscard]] bool contains(std::string_view key) const noexcept { return find(key).key.data() != nullptr; }
  /// The value under `key`, "" when there is none.
  [[nodiscard]] std::string_view get(std::string_view key) const noexcept { return find(key).value; }

  /// This with `key` set, in place of an entry of the same key. Invalid UTF-8 is replaced by U+FFFD. Unchanged when the
  /// key is empty, the whole would be larger than 64 KiB, or memory is out.
  [[nodiscard]] baggage with(std::string_view key, std::string_view value,
                             std::string_view metadata = {}) const noexcept {
    if (key.empty() || key.size() + value.size() + metadata.size() > detail::max_baggage_bytes) return *this;
    if (utf8::is_valid(key) && utf8::is_valid(value) && utf8::is_valid(metadata)) {
      const baggage_entry added{key, value, metadata};
      return changed(key, &added);
    }
    return with_sanitized(key, value, metadata);
  }

  /// This without `key`.
  [[nodiscard]] baggage without(std::string_view key) const noexcept {
    return contains(key) ? changed(key, nullptr) : *this;
  }

  /// Made of `size` bytes of entries, in the form detail::put_baggage_entry writes.
  [[nodiscard]] static baggage adopt(std::string_view entries, std::uint32_t count) noexcept {
    baggage out;
    if (count != 0 && out.allocate(entries.size(), count)) {
      std::memcpy(out.bytes(), entries.data(), entries.size());
    }
    return out;
  }

 private:
  [[nodiscard]] char* bytes() const noexcept {
    return block_ == nullptr ? nullptr : reinterpret_cast<char*>(block_) + sizeof(detail::baggage_block);
  }

  bool allocate(std::size_t size, std::uint32_t count) noexcept {
    void* const memory = ::operator new(sizeof(detail::baggage_block) + size, std::nothrow);
    if (memory == nullptr) return false;
    block_ = ::new (memory) detail::baggage_block{{1}, count, size};
    return true;
  }

  /// A copy without `key` and, if given, with `added` behind the rest.
  [[nodiscard]] OTLPKIT_NOINLINE baggage changed(std::string_view key, const baggage_entry* added) const noexcept {
    std::size_t bytes = added != nullptr ? detail::baggage_entry_size(*added) : 0;
    std::uint32_t count = added != nullptr ? 1 : 0;
    for (const baggage_entry& e : *this) {
      if (e.key == key) continue;
      bytes += detail::baggage_entry_size(e);
      ++count;
    }
    if (count == 0) return {};
    if (bytes > detail::max_baggage_bytes) {
      static constinit platform::atomic<bool> said{false};
      if (!said.exchange(true, platform::relaxed)) {
        report(diagnostic_level::warning, "baggage is full (64 KiB): entries are left out");
      }
      return *this;
    }
    baggage out;
    if (!out.allocate(bytes, count)) return *this;
    char* at = out.bytes();
    for (const baggage_entry& e : *this) {
      if (e.key != key) at = detail::put_baggage_entry(e, at);
    }
    if (added != nullptr) detail::put_baggage_entry(*added, at);
    return out;
  }

  [[nodiscard]] OTLPKIT_COLD baggage with_sanitized(std::string_view key, std::string_view value,
                                                    std::string_view metadata) const noexcept {
    // Three bytes for each invalid one.
    char* const memory =
        static_cast<char*>(::operator new(3 * (key.size() + value.size() + metadata.size()) + 1, std::nothrow));
    if (memory == nullptr) return *this;
    char* const key_end = utf8::sanitize(key, memory);
    char* const value_end = utf8::sanitize(value, key_end);
    char* const metadata_end = utf8::sanitize(metadata, value_end);
    const auto part = [](const char* from, const char* to) {
      return std::string_view{from, static_cast<std::size_t>(to - from)};
    };
    const baggage_entry added{part(memory, key_end), part(key_end, value_end), part(value_end, metadata_end)};
    baggage out = changed(added.key, &added);
    ::operator delete(memory);
    return out;
  }

  OTLPKIT_NOINLINE void release() noexcept {
    if (block_->references.fetch_sub(1, platform::acq_rel) == 1) {
      block_->~baggage_block();
      ::operator delete(block_);
    }
  }

  detail::baggage_block* block_ = nullptr;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
