// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstdint>

namespace otlpkit::inline OTLPKIT_ABI {

/// How much a log record matters; the numbers are OTLP's SeverityNumber. From `error` (17) on it speaks of a failure.
/// `unspecified` passes every level; `off` is no severity of a record but a level that none reaches.
enum class severity : std::uint8_t {
  unspecified = 0,
  trace = 1,
  trace2,
  trace3,
  trace4,
  debug = 5,
  debug2,
  debug3,
  debug4,
  info = 9,
  info2,
  info3,
  info4,
  warn = 13,
  warn2,
  warn3,
  warn4,
  error = 17,
  error2,
  error3,
  error4,
  fatal = 21,
  fatal2,
  fatal3,
  fatal4,
  off = 25,
};

}  // namespace otlpkit::inline OTLPKIT_ABI

/// The least severity that is compiled, for each translation unit: the name of an otlpkit::severity, such as
/// -DOTLPKIT_LOG_MIN_LEVEL=info, or off. What is below costs nothing, and its arguments are not evaluated.
#ifndef OTLPKIT_LOG_MIN_LEVEL
#define OTLPKIT_LOG_MIN_LEVEL trace
#endif
