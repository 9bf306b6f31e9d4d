// SPDX-License-Identifier: MIT
#include "shared_object_body.hpp"

OTLPKIT_TEST_MODULE(module_a);
