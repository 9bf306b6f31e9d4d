// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/redis/error.hpp>

#include <hiredis/hiredis.h>

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::redis {

/// An answer, or a part of one. Refers to the reply it is of. The readers throw error{failure::usage} where the answer
/// is of another type.
class reply_view {
 public:
  explicit reply_view(const ::redisReply* r) noexcept : reply_{r} {}

  [[nodiscard]] bool nil() const noexcept { return reply_->type == REDIS_REPLY_NIL; }
  [[nodiscard]] bool is_error() const noexcept { return reply_->type == REDIS_REPLY_ERROR; }
  [[nodiscard]] bool is_array() const noexcept { return reply_->type == REDIS_REPLY_ARRAY; }
  [[nodiscard]] bool is_text() const noexcept {
    return reply_->type == REDIS_REPLY_STRING || reply_->type == REDIS_REPLY_STATUS ||
           reply_->type == REDIS_REPLY_ERROR;
  }
  [[nodiscard]] bool is_integer() const noexcept { return reply_->type == REDIS_REPLY_INTEGER; }

  /// Bytes of a string or a status.
  [[nodiscard]] std::string_view text() const {
    if (!is_text()) throw unexpected("a string");
    return {reply_->str, static_cast<std::size_t>(reply_->len)};
  }
  [[nodiscard]] std::int64_t integer() const {
    if (!is_integer()) throw unexpected("an integer");
    return reply_->integer;
  }
  /// Elements of an array; 0 for nil.
  [[nodiscard]] std::size_t size() const {
    if (nil()) return 0;
    if (!is_array()) throw unexpected("an array");
    return reply_->elements;
  }
  [[nodiscard]] reply_view operator[](std::size_t i) const {
    if (i >= size()) throw unexpected("an array of more elements");
    return reply_view{reply_->element[i]};
  }
  /// hiredis's own reply.
  [[nodiscard]] const ::redisReply* raw() const noexcept { return reply_; }

 private:
  [[nodiscard]] static error unexpected(const char* what) {
    return error{failure::usage, {}, std::string{"the answer is not "} + what};
  }

  const ::redisReply* reply_;
};

/// An answer and its memory.
class reply : public reply_view {
 public:
  explicit reply(::redisReply* r) noexcept : reply_view{r}, owned_{r} {}

 private:
  struct freed {
    void operator()(::redisReply* r) const noexcept { ::freeReplyObject(r); }
  };
  std::unique_ptr<::redisReply, freed> owned_;
};

/// One word of a command: text, bytes or an integer. Refers to the text.
class argument {
 public:
  template <class T>
  requires std::convertible_to<const T&, std::string_view> argument(const T& text)
  noexcept : text_{text} {}  // NOLINT(google-explicit-constructor)
  template <class T>
  requires(std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>) argument(T v)
  noexcept  // NOLINT(google-explicit-constructor)
      : size_{static_cast<std::size_t>(std::to_chars(digits_, digits_ + sizeof digits_, v).ptr - digits_)} {}

  [[nodiscard]] std::string_view text() const noexcept { return size_ != 0 ? std::string_view{digits_, size_} : text_; }

 private:
  std::string_view text_;
  std::size_t size_ = 0;
  char digits_[24];
};

}  // namespace otlpkit::inline OTLPKIT_ABI::redis
