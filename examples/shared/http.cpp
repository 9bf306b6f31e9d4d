// SPDX-License-Identifier: MIT
// Compiled once for all scenarios: docs/packaging.md.
#include <otlpkit/http/src.hpp>
