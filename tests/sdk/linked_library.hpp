// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

[[gnu::visibility("default")]] const void* linked_library_runtime();
/// Spans of the library, each within one of its own.
[[gnu::visibility("default")]] void linked_library_record(std::size_t spans);
