// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::canary::detail {

/// A value that many threads read and few replace. Reading takes no lock, waits for nobody and allocates nothing: two
/// additions to a counter that few threads share. Replacing waits until nobody reads the value before.
///
/// Readers say which of two sets of counters they are counted in. A writer puts the new value in place, then waits for
/// both sets to run empty, one after the other, while new readers use the other one: whoever could still see the old
/// value has left then. All of it is sequentially consistent, which is what the argument needs: a reader the writer
/// did not see counted came after the new value was in place.
template <class T>
class published {
 public:
  explicit published(T first) : current_{new const T(std::move(first))} {}
  published(const published&) = delete;
  published& operator=(const published&) = delete;
  ~published() { delete current_.load(); }

  /// Returns what `fn(value)` returns; the value is there until then. `fn` must not change this.
  template <class F>
  auto read(F&& fn) const {
    const visit reading{count_of_this_thread(side_.load())};
    return std::forward<F>(fn)(*current_.load());
  }

  /// Lets `fn(copy)` change a copy of the value and puts it in place. What `fn` throws is thrown, and nothing changes.
  template <class F>
  void update(F&& fn) {
    const std::lock_guard lock{writers_};
    auto next = std::make_unique<T>(*current_.load());
    std::forward<F>(fn)(*next);
    const std::unique_ptr<const T> old{current_.exchange(next.release())};
    const unsigned before = side_.load();
    wait_for(1 - before);
    side_.store(1 - before);
    wait_for(before);
  }

 private:
  static constexpr std::size_t stripes = 8;
  struct alignas(64) counter {
    std::atomic<std::int64_t> readers{0};
  };
  class visit {
   public:
    explicit visit(counter& c) noexcept : counted_{c} { counted_.readers.fetch_add(1); }
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;
    ~visit() { counted_.readers.fetch_sub(1); }

   private:
    counter& counted_;
  };

  [[nodiscard]] counter& count_of_this_thread(unsigned side) const noexcept {
    static thread_local char own;
    const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&own));
    return counts_[side][address * 0x9E3779B97F4A7C15u >> 61];
  }

  void wait_for(unsigned side) const noexcept {
    for (const counter& c : counts_[side]) {
      while (c.readers.load() != 0) std::this_thread::yield();
    }
  }

  std::atomic<const T*> current_;
  std::atomic<unsigned> side_{0};
  mutable counter counts_[2][stripes];
  std::mutex writers_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::canary::detail
