// SPDX-License-Identifier: MIT
#pragma once

#include "shared/database.hpp"
#include "shared/shared_cache.hpp"
#include "shared/shop.hpp"
#include "shared/worker.hpp"

#include <otlpkit/cache/traced_cache.hpp>

#include <string_view>

namespace product_page {

using product_cache = otlpkit::cache::traced_cache<shop::shared_cache<shop::product>&>;

/// The product, out of the cache or the database. Each view is counted in products.view_count, by `background`, after
/// the answer.
shop::product view_product(std::string_view id, shop::store& db, product_cache& cache, shop::worker& background);

}  // namespace product_page
