// SPDX-License-Identifier: MIT
#pragma once

#include "cart/cart.hpp"
#include "payment/payment.hpp"
#include "shared/database.hpp"
#include "shared/json.hpp"
#include "shared/shop.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace checkout {

struct order_request {
  std::string user_id;
  std::vector<carts::cart_item> items;
  std::string payment_method;  ///< "credit_card", "alipay" or "wechat"
  std::string shipping_address;
};
BOOST_DESCRIBE_STRUCT(order_request, (), (user_id, items, payment_method, shipping_address))

struct order {
  std::string id;
  std::string user_id;
  shop::money total;
  std::string status;      ///< "pending", later "paid" or "payment_failed"
  std::string created_at;  ///< UTC
};

/// What orders need. All of it may be shared by many at once.
struct services {
  shop::store_pool& database;
  carts::cart_cache& carts;
  payment::services& payments;
  boost::asio::any_io_executor background;  ///< where orders are processed after the answer
};

/// Takes an order, an order_request as JSON: reserves what is ordered, and answers. Payment, notification and the
/// clearing of the cart follow in the background; an order that cannot be paid gives back what it has reserved. `s`
/// must live until all of that is done.
order create_order(std::string_view json, services& s);

}  // namespace checkout
