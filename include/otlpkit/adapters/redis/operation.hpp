// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/redis/options.hpp>
#include <otlpkit/adapters/redis/reply.hpp>
#include <otlpkit/core/platform.hpp>
#include <otlpkit/db/operation_duration.hpp>
#include <otlpkit/otlpkit.hpp>

#ifndef OTLPKIT_DISABLE
#include <otlpkit/core/given_fields.hpp>
#endif

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>

namespace otlpkit::inline OTLPKIT_ABI::redis::detail {

/// The name of a command in capitals, if it is one: letters, digits and `.`, `_`, `-`, at most 32 of them. What else
/// somebody sends has no place in a span's name.
class command_name {
 public:
  explicit command_name(std::string_view word) noexcept {
    if (word.empty() || word.size() > sizeof text_) return;
    for (const char c : word) {
      const bool lower = c >= 'a' && c <= 'z';
      const bool fits = lower || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
      if (!fits) {
        size_ = 0;
        return;
      }
      text_[size_++] = lower ? static_cast<char>(c - 'a' + 'A') : c;
    }
  }
  [[nodiscard]] std::string_view text() const noexcept {
    return size_ != 0 ? std::string_view{text_, size_} : std::string_view{"_OTHER"};
  }

 private:
  char text_[32];
  std::size_t size_ = 0;
};

/// What is said of the server on every span.
struct server_labels {
  std::string address, name_space;
  std::int64_t port = 0;  ///< 0: the usual one
  bool record_keys = false;
};

/// One command, or a pipeline of several: its span and its duration (semantic conventions, database client calls).
/// Arguments are not recorded, but the first one where options::record_keys says so.
class operation {
 public:
  operation(const server_labels& server, std::string_view name, std::string_view script, std::size_t batch,
            std::span<const argument> words) noexcept
      : server_{server}, name_{name}, started_{platform::steady_ns()}, span_{name,
                                                                             {{"db.system.name", "redis"},
                                                                              {"db.operation.name", name_},
                                                                              {"db.namespace", server.name_space},
                                                                              {"server.address", server.address}},
                                                                             {.kind = span_kind::client}} {
    if (server.port != 0) span_.set("server.port", server.port);
    if (!script.empty()) span_.set("db.stored_procedure.name", script);
    if (batch != 0) span_.set("db.operation.batch.size", batch);
    const bool secret = name == "AUTH";  // its first argument is no key
    if (server.record_keys && !secret && !words.empty() && span_.recording()) text(words);
  }
  operation(const operation&) = delete;
  operation& operator=(const operation&) = delete;

  void succeeded() noexcept { duration({}, {}); }
  /// Some of a pipeline failed: the first error is told.
  void failed(const error& e) noexcept {
    span_.record_exception(e);
    if (!e.status_code().empty()) span_.set("db.response.status_code", e.status_code());
    span_.fail(e.type(), e.what());
    duration(e.type(), e.status_code());
  }
  /// In a catch block.
  void failed() noexcept {
    try {
      throw;
    } catch (const error& e) {
      failed(e);
    } catch (const std::exception& e) {
      record_current_exception(span_);
      const platform::type_name type{typeid(e).name()};
      duration(type.text(), {});
    } catch (...) {
      record_current_exception(span_);
      duration("unknown", {});
    }
  }

 private:
  void text(std::span<const argument> words) noexcept {
    try {
      constexpr std::size_t most_key = 256;  // bytes: keys may be of any length
      std::string out{name_};
      for (std::size_t i = 1; i < words.size() && i < 16; ++i) {
        out.append(" ").append(i == 1 ? words[i].text().substr(0, most_key) : "?");
        if (i == 1 && words[i].text().size() > most_key) out.append("...");
      }
      span_.set("db.query.text", out);
    } catch (...) {  // no memory: the span goes without
    }
  }

  void duration([[maybe_unused]] std::string_view type, [[maybe_unused]] std::string_view status) const noexcept {
#ifndef OTLPKIT_DISABLE
    if (!otlpkit::detail::metrics_on()) return;
    const double seconds = static_cast<double>(platform::steady_ns() - started_) / 1e9;
    otlpkit::detail::given_fields{{"db.system.name", "redis"},
                                  {"db.operation.name", name_},
                                  {"db.namespace", server_.name_space},
                                  {"server.address", server_.address},
                                  {"server.port", server_.port != 0 ? value{server_.port} : value{""}},
                                  {"error.type", type},
                                  {"db.response.status_code", status}}
        .pass_to([seconds](fields all) { db::detail::operation_duration.record(seconds, all); });
#endif
  }

  const server_labels& server_;
  std::string_view name_;
  std::uint64_t started_;
  span_guard span_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::redis::detail
