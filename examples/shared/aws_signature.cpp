// SPDX-License-Identifier: MIT
#include "shared/aws_signature.hpp"

#include "shared/sha256.hpp"
#include "shared/signature.hpp"

#include <ctime>

namespace shop {
namespace {

/// The next key of the chain that leads from the secret to the day's key.
std::string derived(std::string_view key, std::string_view text) {
  const std::string hex = hmac_sha256(key, text);
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

}  // namespace

std::string aws_encoded(std::string_view path) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  constexpr std::string_view plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  std::string out;
  for (const char c : path) {
    if (plain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.append({'%', digits[byte >> 4], digits[byte & 15]});
    }
  }
  return out;
}

std::string sign_aws_v4(const aws_request& request, const aws_credentials& by) {
  std::string names, lines;
  for (const auto& [name, content] : request.headers) {
    names += names.empty() ? name : ";" + name;
    lines += name + ":" + content + "\n";
  }
  const std::string& time = request.headers.at("x-amz-date");
  const std::string day = time.substr(0, 8);
  const std::string scope = day + "/" + by.region + "/s3/aws4_request";
  const std::string canonical = request.method + "\n" + aws_encoded(request.path) + "\n\n" + lines + "\n" + names +
                                "\n" + request.headers.at("x-amz-content-sha256");
  const std::string to_sign = "AWS4-HMAC-SHA256\n" + time + "\n" + scope + "\n" + sha256_of(canonical);
  const std::string key =
      derived(derived(derived(derived("AWS4" + by.secret_access_key, day), by.region), "s3"), "aws4_request");
  return "AWS4-HMAC-SHA256 Credential=" + by.access_key_id + "/" + scope + ", SignedHeaders=" + names +
         ", Signature=" + hmac_sha256(key, to_sign);
}

std::string aws_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[20];
  return {text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts)};
}

}  // namespace shop
