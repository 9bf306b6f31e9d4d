// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/log/log_view.hpp>
#include <otlpkit/sdk/batch.hpp>

namespace otlpkit::inline OTLPKIT_ABI {

/// Calls `visit(const log_view&, const span_origin&)` for each record of a batch of logs; for other signals not at all.
/// The views live as long as the batch. \return false when something in it did not decode
template <typename Visitor>
bool for_each_log(const sdk::batch& batch, Visitor&& visit) {
  if (batch.kind() != sdk::signal::logs) return true;
  bool ok = true;
  span_origin origin;
  origin.resource = resource_view{batch.resource()};
  for (const sdk::scope_items& scope : batch.scopes()) {
    origin.scope = scope_view{scope.scope};
    ok = for_each_log(scope.items, origin, visit) && ok;
  }
  return ok;
}

}  // namespace otlpkit::inline OTLPKIT_ABI
