// SPDX-License-Identifier: MIT
#include <otlpkit/otlpkit.hpp>
