// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/propagation/baggage.hpp>
#include <otlpkit/propagation/text.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// The baggage header (W3C Baggage). A header holds `key=value;property;property=value` members, joined by commas.
namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

/// What one message may carry, over all its baggage headers. W3C asks for at least 64 members and 8192 bytes to be
/// passed on; its grammar allows 180 members.
inline constexpr std::size_t baggage_header_bytes = 8192;
inline constexpr std::size_t baggage_header_members = 180;

/// RFC 7230: token.
[[nodiscard]] constexpr bool is_token_char(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}
[[nodiscard]] constexpr bool is_token(std::string_view text) noexcept {
  for (const char c : text) {
    if (!is_token_char(c)) return false;
  }
  return !text.empty();
}

/// W3C Baggage: baggage-octet. `%` is one in a header, where it begins a code.
[[nodiscard]] constexpr bool is_baggage_octet(char c) noexcept {
  return c > 0x20 && c < 0x7F && c != '"' && c != ',' && c != ';' && c != '\\';
}

/// Printable ASCII, spaces and tabs, no comma: what the properties of a member can be sent as.
[[nodiscard]] constexpr bool is_baggage_metadata(std::string_view text) noexcept {
  for (const char c : text) {
    if ((c < 0x20 && c != '\t') || c > 0x7E || c == ',') return false;
  }
  return true;
}

/// Collects the members of one or several headers. A member that is not valid is passed over, the others count; of
/// equal keys the last counts, as with a later set. Beyond the limits whole members are left out.
class baggage_reader {
 public:
  void take(std::string_view header) noexcept {
    // Whitespace and empty members count against a limit of their own, so that a flood of them costs little.
    while (!header.empty() && scanned_ < 2 * baggage_header_bytes) {
      const std::size_t comma = header.find(',');
      const std::string_view member = header.substr(0, comma);
      header.remove_prefix(comma == std::string_view::npos ? header.size() : comma + 1);
      scanned_ += member.size() + 1;
      take_member(trim_ows(member));
    }
  }

  /// Adds an entry whose value is percent-encoded, as other formats have it. Left out when it is not printable ASCII.
  void take(std::string_view key, std::string_view encoded_value, std::string_view metadata) noexcept {
    const std::size_t size = key.size() + 1 + encoded_value.size() + (metadata.empty() ? 0 : metadata.size() + 1);
    const std::size_t used = used_ + size + (used_ == 0 ? 0 : 1);
    if (used > baggage_header_bytes) return;
    for (const char c : encoded_value) {
      if (c < 0x20 || c > 0x7E) return;
    }
    remove(key);
    if (count_ == baggage_header_members) return;
    used_ = used;
    char decoded[baggage_header_bytes];
    const char* const end = percent_decode_to(encoded_value, decoded);
    // A byte that is not UTF-8 came as three characters of the header, so U+FFFD in its place needs no more room.
    char* const entry = entries_ + at_;
    char* const value = put_baggage_entry({key, {}, {}}, entry);
    char* const value_end = utf8::sanitize({decoded, static_cast<std::size_t>(end - decoded)}, value);
    if (!metadata.empty()) std::memcpy(value_end, metadata.data(), metadata.size());
    const baggage_sizes sizes{static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(value_end - value),
                              static_cast<std::uint32_t>(metadata.size())};
    std::memcpy(entry, &sizes, sizeof sizes);
    at_ = static_cast<std::size_t>(value_end - entries_) + metadata.size();
    ++count_;
  }

  [[nodiscard]] baggage result() const noexcept { return baggage::adopt({entries_, at_}, count_); }

 private:
  void take_member(std::string_view member) noexcept {
    const std::size_t semicolon = member.find(';');
    const std::string_view pair = member.substr(0, semicolon);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return;
    const std::string_view key = trim_ows(pair.substr(0, equals));
    const std::string_view value = trim_ows(pair.substr(equals + 1));
    const std::string_view metadata =
        semicolon == std::string_view::npos ? std::string_view{} : trim_ows(member.substr(semicolon + 1));
    if (!is_token(key) || !is_baggage_metadata(metadata)) return;
    for (const char c : value) {
      if (!is_baggage_octet(c)) return;
    }
    take(key, value, metadata);
  }

  void remove(std::string_view key) noexcept {
    for (std::size_t i = 0; i < at_;) {
      const baggage_entry e = read_baggage_entry(entries_ + i);
      const std::size_t size = baggage_entry_size(e);
      if (e.key == key) {
        std::memmove(entries_ + i, entries_ + i + size, at_ - i - size);
        at_ -= size;
        --count_;
        return;
      }
      i += size;
    }
  }

  std::size_t scanned_ = 0;
  std::size_t used_ = 0;  ///< bytes of the members taken, as they stand in a header
  std::size_t at_ = 0;
  std::uint32_t count_ = 0;
  char entries_[baggage_header_bytes + baggage_header_members * sizeof(baggage_sizes)];
};

using baggage_text = fixed_text<baggage_header_bytes>;

/// Says once per kind what could not be sent.
OTLPKIT_COLD inline void report_unsent_baggage(bool no_room) noexcept {
  static constinit platform::atomic<bool> said[2]{};
  if (said[no_room ? 1 : 0].exchange(true, platform::relaxed)) return;
  report(diagnostic_level::warning,
         no_room ? "baggage does not fit into its header (8192 bytes, 180 members): the last entries are not sent"
                 : "a baggage entry cannot be sent: its name is no HTTP token, or its metadata is not plain ASCII");
}

/// Writes the header's value: empty when there is nothing to send.
OTLPKIT_COLD inline void format_baggage(const baggage& from, baggage_text& out) noexcept {
  std::size_t members = 0;
  for (const baggage_entry& e : from) {
    if (!is_token(e.key) || !is_baggage_metadata(e.metadata)) {
      report_unsent_baggage(false);
      continue;
    }
    const std::size_t before = out.size();
    const bool fits = members < baggage_header_members && (before == 0 || out.append(',')) && out.append(e.key) &&
                      out.append('=') &&
                      append_percent_encoded(out, e.value, [](char c) { return is_baggage_octet(c) && c != '%'; }) &&
                      (e.metadata.empty() || (out.append(';') && out.append(e.metadata)));
    if (fits) {
      ++members;
    } else {
      out.resize(before);
      report_unsent_baggage(true);
    }
  }
}

}  // namespace detail

/// Reads a baggage header. Several are joined with `,` first. Members that are not valid are left out.
[[nodiscard]] OTLPKIT_COLD inline baggage parse_baggage(std::string_view header) noexcept {
  detail::baggage_reader reader;
  reader.take(header);
  return reader.result();
}

}  // namespace otlpkit::inline OTLPKIT_ABI
