// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace shop {

/// HMAC-SHA-256 (RFC 2104) of `text` in lowercase hex: proves that who knows `key` wrote it.
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view text);

/// Whether two signatures are the same, in a time that does not tell how much of them is.
[[nodiscard]] bool same_signature(std::string_view a, std::string_view b) noexcept;

}  // namespace shop
