// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/runtime.hpp>
#include <otlpkit/metrics/exemplar_choice.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::detail {

/// A measurement kept as an example of what a data point sums up.
struct exemplar {
  static constexpr std::size_t most_bytes = 256;

  std::uint64_t tick;
  std::uint64_t bits;  ///< an integer, or a double's bits
  trace_id trace;      ///< zero outside a span
  span_id span;
  std::uint32_t size;  ///< of the attributes; 0: none
  bool taken;
};

/// A thread's exemplars of one series: per slot a random one of the measurements offered for it.
///
/// The slots are the buckets of an explicit histogram, or `size` places any measurement may take. The owner never
/// waits: a measurement that is chosen while a collector looks is passed over.
class exemplar_reservoir {
 public:
  /// \param attributes whether places for attributes are needed, which a view has taken off
  [[nodiscard]] static exemplar_reservoir* make(std::uint32_t size, bool aligned, bool attributes) noexcept {
    const std::size_t stride = sizeof(exemplar) + (attributes ? exemplar::most_bytes : 0);
    const std::size_t counts = aligned ? size * sizeof(std::uint64_t) : sizeof(std::uint64_t);
    void* const memory = std::calloc(1, sizeof(exemplar_reservoir) + size * stride + counts);
    if (memory == nullptr) return nullptr;
    auto* const r = ::new (memory) exemplar_reservoir{size, stride, aligned};
    r->offered_ = reinterpret_cast<std::uint64_t*>(reinterpret_cast<char*>(r + 1) + size * stride);
    return r;
  }

  /// One that all threads of a series share, chosen from by `chooser`, which it owns; nullptr when memory is out.
  [[nodiscard]] static exemplar_reservoir* make(exemplar_chooser* chooser, bool attributes) noexcept {
    if (chooser == nullptr) return nullptr;
    constexpr std::uint32_t most = 1024;
    const std::uint32_t size = chooser->size();
    exemplar_reservoir* const r = make(size < most ? size : most, false, attributes);
    if (r == nullptr) {
      delete chooser;
    } else {
      r->chooser_ = chooser;
    }
    return r;
  }
  static void destroy(exemplar_reservoir* r) noexcept {
    if (r != nullptr) delete r->chooser_;
    std::free(r);
  }

  /// As choose(), by the chooser and from any thread.
  [[nodiscard]] exemplar* choose(const exemplar_candidate& candidate) noexcept {
    for (int tries = 0; busy_.exchange(true, platform::acquire); ++tries) {
      if (tries == 4096) return nullptr;  // whoever holds it was stopped there
      platform::yield();
    }
    if (const std::uint32_t slot = chooser_->offer(candidate); slot < size_) return at(slot);
    finish();
    return nullptr;
  }

  /// A place for this measurement if it is chosen, else nullptr. Owner only; finish() follows.
  [[nodiscard]] exemplar* choose(std::uint32_t bucket) noexcept {
    if (const std::uint32_t wanted = asked_.load(platform::relaxed); wanted != turned_) {
      std::memset(offered_, 0, (aligned_ ? size_ : 1) * sizeof(std::uint64_t));
      turned_ = wanted;
    }
    std::uint64_t& offered = offered_[aligned_ ? bucket : 0];
    std::uint64_t slot = aligned_ ? bucket : offered;
    ++offered;
    if (aligned_ ? offered > 1 : slot >= size_) {  // algorithm R (Vitter 1985), of a reservoir of one or of several
      const std::uint64_t place = this_thread.random.next() % offered;
      if (place >= (aligned_ ? 1 : size_)) return nullptr;
      if (!aligned_) slot = place;
    }
    if (busy_.exchange(true, platform::acquire)) return nullptr;
    return at(static_cast<std::uint32_t>(slot));
  }
  void finish() noexcept { busy_.store(false, platform::release); }

  /// Calls `each(slot, exemplar, attributes)` for what was kept since the last time, and begins anew. For whoever holds
  /// the registry's guard.
  template <class Each>
  void take(Each each) {
    for (int tries = 0; busy_.exchange(true, platform::acquire); ++tries) {
      if (tries == 4096) return;  // its owner was stopped there: next time
      platform::yield();
    }
    for (std::uint32_t i = 0; i < size_; ++i) {
      exemplar& e = *at(i);
      if (e.taken) each(i, static_cast<const exemplar&>(e), text(e));
      e.taken = false;
    }
    if (chooser_ != nullptr) chooser_->collected();
    asked_.store(asked_.load(platform::relaxed) + 1, platform::relaxed);
    busy_.store(false, platform::release);
  }

  /// Keeps an exemplar of a thread that ended, in its slot if that is free, or in any that is where all are alike.
  void keep(std::uint32_t slot, const exemplar& e, std::string_view attributes) noexcept {
    for (std::uint32_t i = 0; !aligned_ && at(slot)->taken && i < size_; ++i) {
      if (!at(i)->taken) slot = i;
    }
    exemplar& to = *at(slot);
    if (to.taken && this_thread.random.next() % 2 == 0) return;
    to = e;
    if (e.size != 0) std::memcpy(static_cast<void*>(&to + 1), attributes.data(), e.size);
  }

 private:
  exemplar_reservoir(std::uint32_t size, std::size_t stride, bool aligned) noexcept
      : size_{size}, aligned_{aligned}, stride_{stride} {}

  [[nodiscard]] exemplar* at(std::uint32_t i) noexcept {
    return reinterpret_cast<exemplar*>(reinterpret_cast<char*>(this + 1) + i * stride_);
  }
  [[nodiscard]] static std::string_view text(const exemplar& e) noexcept {
    return {reinterpret_cast<const char*>(&e + 1), e.size};
  }

  std::uint32_t size_;
  bool aligned_;
  std::size_t stride_;
  exemplar_chooser* chooser_ = nullptr;
  std::uint64_t* offered_ = nullptr;  ///< the owner's own, as is the next: measurements since the last collection
  std::uint32_t turned_ = 0;
  platform::atomic<std::uint32_t> asked_{0};
  platform::atomic<bool> busy_{false};
};

/// Which measurements may become exemplars.
enum class exemplars_of : std::uint8_t { none, sampled_spans, all };

/// The sampled span that is current here, or nullptr. This thread has a cell, and so a slot.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE const span_context* sampled_here() noexcept {
  const context_entry* const top = this_thread.slot->current();
  return top != nullptr && top->ids.sampled() ? &top->ids : nullptr;
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
