// SPDX-License-Identifier: MIT
#pragma once

// What the short snippets of the documentation may use without saying so.

#include <otlpkit/propagation/propagation.hpp>
#include <otlpkit/telemetry.hpp>

#include <string>
#include <vector>
