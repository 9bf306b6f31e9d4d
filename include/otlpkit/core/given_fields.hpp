// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attributes.hpp>

#include <cstddef>
#include <initializer_list>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// Up to eight fields, of which those without text are left out.
class given_fields {
 public:
  given_fields(std::initializer_list<field> all) noexcept {
    for (const field& f : all) {
      if (f.content.type() == value::kind::text && f.content.size() == 0) continue;
      given_[count_++] = &f;
    }
  }

  /// Calls `fn` with them. A list's length must be known where it is written.
  template <class F, std::size_t n = 0>
  void pass_to(F&& fn) const {
    if (count_ == n) {
      [&]<std::size_t... i>(std::index_sequence<i...>) { fn(fields{*given_[i]...}); }
      (std::make_index_sequence<n>{});
    } else if constexpr (n < most) {
      pass_to<F, n + 1>(std::forward<F>(fn));
    }
  }

 private:
  static constexpr std::size_t most = 8;
  const field* given_[most] = {};
  std::size_t count_ = 0;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
