// SPDX-License-Identifier: MIT
#pragma once

// The one unit of a program built with OTLPKIT_SEPARATE_COMPILATION that compiles the functions of http::client and
// http::server.

#include <otlpkit/http/client.hpp>
#include <otlpkit/http/impl/client.hpp>
#include <otlpkit/http/impl/server.hpp>
#include <otlpkit/http/server.hpp>
