// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/scope.hpp>
#include <otlpkit/core/wire_writer.hpp>
#include <otlpkit/sdk/batch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Puts records together into a batch, grouped by instrumentation scope, until it is full.
class batch_builder {
 public:
  /// Enough for the default 512 spans of 2 KiB; a batch ends with the record that reaches it.
  static constexpr std::size_t default_max_bytes = std::size_t{1} << 20;

  batch_builder(signal kind, std::size_t max_items, std::size_t max_bytes = default_max_bytes)
      : kind_{kind}, max_items_{max_items}, max_bytes_{max_bytes} {}

  /// Takes one message. False when the batch is full now.
  bool add(std::uint16_t scope, std::string_view record) {
    scope_items& items = of(scope);
    wire::byte frame[1 + wire::max_varint] = {0x12};
    const auto frame_size = static_cast<std::size_t>(wire::put_varint(frame + 1, record.size()) - frame);
    items.items.append(reinterpret_cast<const char*>(frame), frame_size).append(record);
    ++items.count;
    ++items_;
    bytes_ += frame_size + record.size();
    return items_ < max_items_ && bytes_ < max_bytes_;
  }

  [[nodiscard]] std::size_t items() const noexcept { return items_; }

  /// The batch so far; the builder is empty then.
  [[nodiscard]] std::shared_ptr<const batch> take(std::shared_ptr<const std::string> resource) {
    expected_bytes_ = bytes_;
    items_ = bytes_ = 0;
    numbers_.clear();
    return std::make_shared<const batch>(kind_, std::move(resource), std::exchange(scopes_, {}), spares_);
  }

  /// To be called now and then: memory that the batches since the last call did not need goes.
  void trim() noexcept { spares_->trim(); }

 private:
  scope_items& of(std::uint16_t scope) {
    if (last_ < numbers_.size() && numbers_[last_] == scope) return scopes_[last_];
    const auto found = std::find(numbers_.begin(), numbers_.end(), scope);
    last_ = static_cast<std::size_t>(found - numbers_.begin());
    if (found == numbers_.end()) {
      numbers_.push_back(scope);
      scopes_.push_back({std::string{otlpkit::detail::global_scopes.encoded(scope)}, {}, 0});
      if (last_ == 0) {
        scopes_.back().items = spares_->take();
        scopes_.back().items.reserve(expected_bytes_);  // batches are about as large as the one before
      }
    }
    return scopes_[last_];
  }

  signal kind_;
  std::size_t max_items_;
  std::size_t max_bytes_;
  std::size_t items_ = 0;
  std::size_t bytes_ = 0;
  std::size_t expected_bytes_ = 0;
  std::size_t last_ = 0;
  std::vector<std::uint16_t> numbers_;
  std::vector<scope_items> scopes_;
  std::shared_ptr<spare_memory> spares_ = std::make_shared<spare_memory>();
};

/// Gives the pieces on in batches of at most `most` items, where no piece alone has more. Empty pieces are left out.
template <class HandOut>
void split(std::vector<scope_items> pieces, std::size_t most, HandOut hand_out) {
  std::vector<scope_items> part;
  std::size_t items = 0;
  for (scope_items& piece : pieces) {
    if (piece.count == 0) continue;
    if (!part.empty() && items + piece.count > most) {
      hand_out(std::exchange(part, {}));
      items = 0;
    }
    items += piece.count;
    part.push_back(std::move(piece));
  }
  if (!part.empty()) hand_out(std::move(part));
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
