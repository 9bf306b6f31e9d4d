// SPDX-License-Identifier: MIT
#pragma once

#include "social_post/social_post.hpp"

namespace social {

/// What happens to a post after the answer: it is put before those who may see it; if it is public, search and
/// recommendation hear of it. One step that fails does not keep the others from being made.
boost::asio::awaitable<void> distribute(post made, services& s);

}  // namespace social
