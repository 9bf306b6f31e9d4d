// SPDX-License-Identifier: MIT
#pragma once

// The one place that states the version: CMake, the packages and telemetry.sdk.version read it from here.
#define OTLPKIT_VERSION_MAJOR 0
#define OTLPKIT_VERSION_MINOR 1
#define OTLPKIT_VERSION_PATCH 0
#define OTLPKIT_VERSION "0.1.0"
