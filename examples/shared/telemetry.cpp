// SPDX-License-Identifier: MIT
// Compiled once for all scenarios: docs/packaging.md.
#include <otlpkit/src.hpp>
