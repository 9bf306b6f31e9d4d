// SPDX-License-Identifier: MIT
#pragma once

#include "shared/shop.hpp"

#include <boost/describe/class.hpp>
#include <boost/describe/members.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_from.hpp>
#include <boost/mp11/algorithm.hpp>

#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace shop {

BOOST_DESCRIBE_STRUCT(money, (), (minor, currency))
BOOST_DESCRIBE_STRUCT(product, (), (id, name, price, stock))

/// A struct with BOOST_DESCRIBE_STRUCT(type, (), (members...)) beside it; its members may be of such a type, too.
template <class T>
concept described = boost::describe::has_describe_members<T>::value;

namespace detail {

/// The parsed text. Refuses what is no JSON, or longer than 1 MiB, as "invalid_json".
[[nodiscard]] boost::json::value parse_json(std::string_view text);
[[noreturn]] void refuse_json(const std::string& where, std::string_view expected);

// Each reads what `from` holds; `where` names it in errors: "items[2].quantity".
void read_json(const boost::json::value& from, const std::string& where, std::string& out);
void read_json(const boost::json::value& from, const std::string& where, std::int64_t& out);
void read_json(const boost::json::value& from, const std::string& where, double& out);
void read_json(const boost::json::value& from, const std::string& where, bool& out);
template <class T>
void read_json(const boost::json::value& from, const std::string& where, std::optional<T>& out);
template <class T>
void read_json(const boost::json::value& from, const std::string& where, std::vector<T>& out);
template <class T>
void read_json(const boost::json::value& from, const std::string& where, std::map<std::string, T>& out);

template <described T>
void read_json(const boost::json::value& from, const std::string& where, T& out) {
  const boost::json::object* const object = from.if_object();
  if (object == nullptr) refuse_json(where, "an object");
  using members = boost::describe::describe_members<T, boost::describe::mod_public>;
  boost::mp11::mp_for_each<members>([&](auto member) {
    using type = std::remove_reference_t<decltype(out.*member.pointer)>;
    const std::string name = where.empty() ? member.name : where + "." + member.name;
    if (const boost::json::value* const found = object->if_contains(member.name)) {
      read_json(*found, name, out.*member.pointer);
    } else if constexpr (!requires(type v) { v.has_value(); }) {
      refuse_json(name, "a value, and there is none");
    }
  });
}

template <class T>
void read_json(const boost::json::value& from, const std::string& where, std::optional<T>& out) {
  out.reset();
  if (!from.is_null()) read_json(from, where, out.emplace());
}

template <class T>
void read_json(const boost::json::value& from, const std::string& where, std::vector<T>& out) {
  const boost::json::array* const array = from.if_array();
  if (array == nullptr) refuse_json(where, "an array");
  out.clear();
  for (const boost::json::value& element : *array) {
    const std::string name = where + "[" + std::to_string(out.size()) + "]";
    read_json(element, name, out.emplace_back());
  }
}

template <class T>
void read_json(const boost::json::value& from, const std::string& where, std::map<std::string, T>& out) {
  const boost::json::object* const object = from.if_object();
  if (object == nullptr) refuse_json(where, "an object");
  out.clear();
  for (const auto& [key, content] : *object) read_json(content, where + "." + std::string{key}, out[key]);
}

}  // namespace detail

/// What comes from outside: a T from JSON text. Members that are not asked for are passed over, one that is missing is
/// refused unless it is an optional. What does not fit is refused as "invalid_json", and the message names the member
/// and never quotes its value.
template <class T>
[[nodiscard]] T from_json(std::string_view text) {
  T out{};
  detail::read_json(detail::parse_json(text), "", out);
  return out;
}

/// A described struct, a container of them, a number or a text as JSON.
template <class T>
[[nodiscard]] std::string to_json(const T& content) {
  return boost::json::serialize(boost::json::value_from(content));
}

}  // namespace shop
