// SPDX-License-Identifier: MIT
#pragma once

// Redis by hiredis (link it: pkg-config hiredis): a connection whose commands are spans, stores for caches, locks and
// idempotency keys, streams with consumer groups, and a message broker on them. Each header of adapters/redis can be
// included alone.

#include <otlpkit/adapters/redis/cache_store.hpp>
#include <otlpkit/adapters/redis/connection.hpp>
#include <otlpkit/adapters/redis/idempotency_store.hpp>
#include <otlpkit/adapters/redis/lock_store.hpp>
#include <otlpkit/adapters/redis/stream.hpp>
#include <otlpkit/adapters/redis/stream_broker.hpp>
