// SPDX-License-Identifier: MIT
#pragma once

#include "payment/payment.hpp"

namespace payment {

/// How likely it is, from 0 to 1, that a payment is a fraud: three checks at the same time.
boost::asio::awaitable<double> assess_risk(const payment_request& request, services& s);

}  // namespace payment
