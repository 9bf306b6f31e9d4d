// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace shop {

/// An id nobody else has: "order-9f3ab27c44d1e805", a prefix and 64 random bits. From any thread.
[[nodiscard]] std::string new_id(std::string_view prefix);

/// The time in UTC as databases and JSON keep it: "2026-11-21T08:00:00Z".
[[nodiscard]] std::string utc_now();

}  // namespace shop
