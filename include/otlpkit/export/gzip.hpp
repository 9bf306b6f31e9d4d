// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <boost/beast/zlib/deflate_stream.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

namespace detail {
inline constexpr std::array<std::uint32_t, 256> crc32_table = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t c = byte;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0xEDB88320U ^ (c >> 1) : c >> 1;
    table[byte] = c;
  }
  return table;
}();
}  // namespace detail

/// CRC-32 as gzip uses it. Pass the result of the previous piece to go on; start with 0.
[[nodiscard]] constexpr std::uint32_t crc32(std::string_view data, std::uint32_t previous = 0) noexcept {
  std::uint32_t c = ~previous;
  for (const char byte : data) c = detail::crc32_table[(c ^ static_cast<unsigned char>(byte)) & 0xFF] ^ (c >> 8);
  return ~c;
}

/// Builds one gzip member (RFC 1952) piece by piece. No zlib behind it: the deflate is Beast's header-only one.
class gzip_writer {
 public:
  /// \param level 1 (fast) to 9 (small)
  explicit gzip_writer(int level = 6) {
    deflate_.reset(level, 15, 8, boost::beast::zlib::Strategy::normal);
    // magic, deflate, no flags, no time, no extra flags, unknown operating system: the same bytes on every machine
    out_.assign("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", 10);
  }

  /// Compresses the next piece of the content.
  void write(std::string_view piece) {
    crc_ = crc32(piece, crc_);
    size_ += static_cast<std::uint32_t>(piece.size());  // modulo 2^32, as the format wants it
    pump(piece, boost::beast::zlib::Flush::none);
  }

  /// Ends the member and hands it over. The writer is used up.
  [[nodiscard]] std::string finish() {
    pump({}, boost::beast::zlib::Flush::finish);
    append_little_endian(crc_);
    append_little_endian(size_);
    return std::move(out_);
  }

 private:
  void pump(std::string_view piece, boost::beast::zlib::Flush flush) {
    if (piece.empty() && flush == boost::beast::zlib::Flush::none) return;
    boost::beast::zlib::z_params z;
    z.next_in = piece.data();
    z.avail_in = piece.size();
    for (;;) {
      z.next_out = block_.data();
      z.avail_out = block_.size();
      boost::system::error_code ec;
      deflate_.write(z, flush, ec);
      out_.append(block_.data(), block_.size() - z.avail_out);
      if (ec == boost::beast::zlib::error::end_of_stream) return;
      if (ec && ec != boost::beast::zlib::error::need_buffers) throw std::runtime_error("gzip: " + ec.message());
      if (flush == boost::beast::zlib::Flush::none && z.avail_in == 0 && z.avail_out != 0) return;
    }
  }
  void append_little_endian(std::uint32_t value) {
    for (int i = 0; i < 4; ++i) out_.push_back(static_cast<char>(value >> (8 * i)));
  }

  boost::beast::zlib::deflate_stream deflate_;
  std::array<char, 16384> block_;
  std::string out_;
  std::uint32_t crc_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
