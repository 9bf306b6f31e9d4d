// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <cstddef>
#include <new>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Has an io_context call a function, asked by threads that must not allocate: there is memory for one call, and one at
/// a time is enough, since the call sees everything its callers did before they asked.
///
/// From any thread. Outlives the io_context.
class wake_up {
 public:
  /// Unless a call is on its way already. Throws what boost::asio::post() throws.
  template <class F>
  void ask(boost::asio::io_context& io, F fn) {
    if (on_its_way_.exchange(true, std::memory_order_acq_rel)) return;
    try {
      boost::asio::post(io, boost::asio::bind_allocator(memory<void>{this}, [this, fn = std::move(fn)]() mutable {
                          // Read-modify-write, to see what those did who found a call on its way.
                          on_its_way_.exchange(false, std::memory_order_acq_rel);
                          fn();
                        }));
    } catch (...) {
      on_its_way_.store(false, std::memory_order_release);
      throw;
    }
  }

 private:
  /// Hands out the room, which Asio gives back before it makes the call.
  template <class T>
  struct memory {
    using value_type = T;

    explicit memory(wake_up* o) noexcept : owner{o} {}
    template <class U>
    memory(const memory<U>& other) noexcept : owner{other.owner} {}

    T* allocate(std::size_t n) {
      const std::size_t size = n * sizeof(T);
      if (size <= sizeof owner->room_ && !std::exchange(owner->taken_, true)) return static_cast<T*>(at(owner));
      return static_cast<T*>(::operator new(size));
    }
    void deallocate(T* p, std::size_t) noexcept {
      if (static_cast<void*>(p) == at(owner)) {
        owner->taken_ = false;
      } else {
        ::operator delete(p);
      }
    }
    friend bool operator==(const memory& a, const memory& b) noexcept { return a.owner == b.owner; }

    static void* at(wake_up* o) noexcept { return o->room_; }
    wake_up* owner;
  };

  std::atomic<bool> on_its_way_{false};
  bool taken_ = false;  ///< touched only by who has the call on its way
  alignas(std::max_align_t) unsigned char room_[192];
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
