// SPDX-License-Identifier: MIT
#pragma once

#include "checkout/checkout.hpp"

#include <boost/asio/awaitable.hpp>

namespace checkout {

/// What happens to an order after the answer: it is paid, the user is told, the cart is cleared; or it gives back what
/// it has reserved.
boost::asio::awaitable<void> fulfil(order placed, std::string payment_method, services& s);

}  // namespace checkout
