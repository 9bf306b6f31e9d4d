// SPDX-License-Identifier: MIT
#pragma once

// The current span in Boost.Asio code: everything of otlpkit/asio. For files with coroutines; it brings Boost.Asio's
// coroutine and executor headers, but no sockets.

#include <otlpkit/asio/bind_context.hpp>
#include <otlpkit/asio/co_spawn.hpp>
#include <otlpkit/asio/executor.hpp>
#include <otlpkit/asio/in_span.hpp>
#include <otlpkit/asio/observed_call.hpp>
#include <otlpkit/asio/spawn_detached.hpp>
#include <otlpkit/asio/when.hpp>
#include <otlpkit/otlpkit.hpp>
