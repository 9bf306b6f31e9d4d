// SPDX-License-Identifier: MIT
// What most tests and examples include, or what costs those that do the most.
#include <otlpkit/asio/asio.hpp>
#include <otlpkit/http/client.hpp>
#include <otlpkit/http/server.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/pipeline.hpp>
#include <otlpkit/sdk/finalize.hpp>
#include <otlpkit/telemetry.hpp>
#include <otlpkit/testing/memory_exporter.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
