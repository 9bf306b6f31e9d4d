// SPDX-License-Identifier: MIT
// links: OpenSSL::Crypto
#include "shared/sha256.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace shop {

struct sha256::state {
  state() {
    if (context == nullptr || ::EVP_DigestInit_ex(context, ::EVP_sha256(), nullptr) != 1)
      throw std::runtime_error{"there is no SHA-256"};
  }
  ~state() { ::EVP_MD_CTX_free(context); }

  EVP_MD_CTX* context = ::EVP_MD_CTX_new();
};

sha256::sha256() : state_{std::make_unique<state>()} {}
sha256::~sha256() = default;

void sha256::add(std::string_view part) { ::EVP_DigestUpdate(state_->context, part.data(), part.size()); }

std::string sha256::finish() {
  std::array<unsigned char, 32> digest{};
  ::EVP_DigestFinal_ex(state_->context, digest.data(), nullptr);
  std::string hex;
  for (const unsigned char byte : digest) hex.append({"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]});
  return hex;
}

std::string sha256_of(std::string_view text) {
  sha256 whole;
  whole.add(text);
  return whole.finish();
}

}  // namespace shop
