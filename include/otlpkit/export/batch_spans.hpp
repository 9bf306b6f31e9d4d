// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/trace/span_view.hpp>

namespace otlpkit::inline OTLPKIT_ABI {

/// Calls `visit(const span_view&, const span_origin&)` for each span of a batch of traces; for other signals not at
/// all. The views live as long as the batch. \return false when something in it did not decode
template <typename Visitor>
bool for_each_span(const sdk::batch& batch, Visitor&& visit) {
  if (batch.kind() != sdk::signal::traces) return true;
  bool ok = true;
  span_origin origin;
  origin.resource = resource_view{batch.resource()};
  for (const sdk::scope_items& scope : batch.scopes()) {
    origin.scope = scope_view{scope.scope};
    ok = for_each_span(scope.items, origin, visit) && ok;
  }
  return ok;
}

}  // namespace otlpkit::inline OTLPKIT_ABI
