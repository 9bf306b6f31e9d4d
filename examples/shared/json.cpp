// SPDX-License-Identifier: MIT
#include "shared/json.hpp"

#include <boost/json/src.hpp>  // the library itself: compiled here and nowhere else

namespace shop::detail {

boost::json::value parse_json(std::string_view text) {
  constexpr std::size_t most = std::size_t{1} << 20;
  if (text.size() > most) refuse("invalid_json", "JSON of " + std::to_string(text.size()) + " bytes: at most 1 MiB");
  boost::system::error_code error;
  boost::json::value parsed = boost::json::parse(text, error);
  if (error) refuse("invalid_json", "no JSON: " + error.message());
  return parsed;
}

void refuse_json(const std::string& where, std::string_view expected) {
  refuse("invalid_json", (where.empty() ? "the request" : where) + ": expected " + std::string{expected});
}

void read_json(const boost::json::value& from, const std::string& where, std::string& out) {
  const boost::json::string* const text = from.if_string();
  if (text == nullptr) refuse_json(where, "a text");
  out.assign(text->data(), text->size());
}

void read_json(const boost::json::value& from, const std::string& where, std::int64_t& out) {
  boost::system::error_code error;
  out = from.to_number<std::int64_t>(error);  // 3.0 is one, 3.5 and what is out of range are not
  if (error) refuse_json(where, "a whole number");
}

void read_json(const boost::json::value& from, const std::string& where, double& out) {
  boost::system::error_code error;
  out = from.to_number<double>(error);
  if (error) refuse_json(where, "a number");
}

void read_json(const boost::json::value& from, const std::string& where, bool& out) {
  const bool* const given = from.if_bool();
  if (given == nullptr) refuse_json(where, "true or false");
  out = *given;
}

}  // namespace shop::detail
