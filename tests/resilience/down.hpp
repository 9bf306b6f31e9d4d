// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>

/// What calls fail with.
struct down : std::runtime_error {
  down() : std::runtime_error{"down"} {}
};
