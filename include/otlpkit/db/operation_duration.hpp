// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>

namespace otlpkit::inline OTLPKIT_ABI::db::detail {

/// The one metric of calls on databases of any kind.
inline constinit const histogram operation_duration{"db.client.operation.duration",
                                                    {.unit = "s",
                                                     .description = "Duration of database client operations",
                                                     .bounds = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10}}};

}  // namespace otlpkit::inline OTLPKIT_ABI::db::detail
