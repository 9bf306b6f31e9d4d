// SPDX-License-Identifier: MIT
#include <otlpkit/core/record_buffer.hpp>
#include <otlpkit/core/runtime.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <thread>

using namespace otlpkit;
using detail::slab_cache;

namespace {

slab_cache& spare() { return detail::this_thread_slabs; }
void use_and_release() {
  record_buffer buffer;
  REQUIRE(buffer.room(10));
}

}  // namespace

TEST_CASE("a thread keeps spare buffers only while its exit hook will free them") {
  std::thread{[] {
    use_and_release();
    CHECK(spare().head == nullptr);  // this thread may never record, and would leak them
    detail::arm_thread_exit();       // there is no hook yet
    use_and_release();
    CHECK(spare().head == nullptr);
    detail::set_up_process();
    detail::arm_thread_exit();
    use_and_release();
    CHECK(spare().head != nullptr);
    CHECK(spare().space == slab_cache::most - 1);
    detail::arm_thread_exit();  // by another signal
    CHECK(spare().space == slab_cache::most - 1);
    detail::on_thread_exit(nullptr);
    CHECK(spare().head == nullptr);
    use_and_release();
    CHECK(spare().head == nullptr);
  }}.join();
}

TEST_CASE("a thread keeps so many spare buffers and no more") {
  detail::set_up_process();
  std::thread{[] {
    detail::arm_thread_exit();
    {
      record_buffer buffers[slab_cache::most + 1];
      for (record_buffer& b : buffers) REQUIRE(b.room(10));
      CHECK(spare().head == nullptr);
    }
    CHECK(spare().space == 0);
    std::uint32_t kept = 0;
    for (const slab_cache::slab* s = spare().head; s != nullptr; s = s->next) ++kept;
    CHECK(kept == slab_cache::most);
  }}.join();
}
