// SPDX-License-Identifier: MIT
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <unistd.h>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

namespace otlpkit_test {

/// A key and its certificate, as PEM files of one folder.
struct certificate_files {
  std::string certificate;
  std::string key;
};

/// A throw-away certificate authority in a folder of its own, which goes with it.
class test_authority {
 public:
  explicit test_authority(const std::string& name = "otlpkit test authority") {
    static std::atomic<int> count{0};
    folder_ = std::filesystem::temp_directory_path() /
              ("otlpkit_tls_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::filesystem::create_directories(folder_);
    key_ = new_key();
    certificate_ = sign(name, "", *key_, nullptr);
    write("ca.pem", *certificate_);
  }
  test_authority(const test_authority&) = delete;
  test_authority& operator=(const test_authority&) = delete;
  ~test_authority() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::string file() const { return (folder_ / "ca.pem").string(); }
  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// Issues a certificate. \param alternative_names as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1"
  certificate_files issue(const std::string& name, const std::string& alternative_names, bool encrypted = false) {
    const auto key = new_key();
    const auto certificate = sign(name, alternative_names, *key, certificate_.get());
    write(name + ".pem", *certificate);
    const std::unique_ptr<BIO, int (*)(BIO*)> out{BIO_new_file(path(name + ".key").c_str(), "w"), &BIO_free};
    char password[] = "secret";
    must(PEM_write_bio_PrivateKey(out.get(), key.get(), encrypted ? EVP_aes_128_cbc() : nullptr, nullptr, 0, nullptr,
                                  encrypted ? password : nullptr));
    return {path(name + ".pem"), path(name + ".key")};
  }

 private:
  using key_ptr = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
  using x509_ptr = std::unique_ptr<X509, void (*)(X509*)>;

  static void must(int ok) {
    if (ok != 1) throw std::runtime_error{"cannot make a test certificate"};
  }
  static key_ptr new_key() {
    key_ptr key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
    must(key != nullptr);
    return key;
  }
  x509_ptr sign(const std::string& name, const std::string& alternative_names, EVP_PKEY& key, X509* issuer) {
    x509_ptr x{X509_new(), &X509_free};
    must(X509_set_version(x.get(), 2));
    must(ASN1_INTEGER_set(X509_get_serialNumber(x.get()), ++serial_));
    X509_gmtime_adj(X509_getm_notBefore(x.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x.get()), 24 * 3600);
    must(X509_set_pubkey(x.get(), &key));
    X509_NAME* const subject = X509_get_subject_name(x.get());
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()),
                                    -1, -1, 0));
    must(X509_set_issuer_name(x.get(), issuer != nullptr ? X509_get_subject_name(issuer) : subject));
    if (issuer == nullptr) extend(*x, NID_basic_constraints, "critical,CA:TRUE");
    if (!alternative_names.empty()) extend(*x, NID_subject_alt_name, alternative_names);
    if (X509_sign(x.get(), issuer != nullptr ? key_.get() : &key, EVP_sha256()) == 0) must(0);
    return x;
  }
  static void extend(X509& x, int what, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, void (*)(X509_EXTENSION*)> e{
        X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str()), &X509_EXTENSION_free};
    must(e != nullptr);
    must(X509_add_ext(&x, e.get(), -1));
  }
  void write(const std::string& name, X509& x) {
    const std::unique_ptr<BIO, int (*)(BIO*)> out{BIO_new_file(path(name).c_str(), "w"), &BIO_free};
    must(out != nullptr);
    must(PEM_write_bio_X509(out.get(), &x));
  }

  std::filesystem::path folder_;
  key_ptr key_{nullptr, &EVP_PKEY_free};
  x509_ptr certificate_{nullptr, &X509_free};
  long serial_ = 0;
};

/// Files for TLS, most of which cannot be used together, or at all.
struct unlike_files {
  test_authority authority;
  certificate_files good = authority.issue("good", "");
  certificate_files other = authority.issue("other", "");
  certificate_files locked = authority.issue("locked", "", true);  ///< its key wants a password
  std::string missing = authority.path("missing.pem");
  std::string garbage = authority.path("garbage.pem");

  unlike_files() { std::ofstream{garbage} << "not a certificate"; }

  /// Whether an error names the setting and the file.
  static bool named(const std::string& message, const std::string& setting, const std::string& file) {
    const bool ok = message.starts_with(setting + ":") && message.find(file) != std::string::npos;
    if (!ok) std::fprintf(stderr, "%s\n", message.c_str());
    return ok;
  }
};

}  // namespace otlpkit_test
