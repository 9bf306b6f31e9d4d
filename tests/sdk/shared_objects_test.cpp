// SPDX-License-Identifier: MIT
// module: shared_object_a.cpp shared_object_b.cpp
// links: -ldl
// Shared objects opened with dlopen by a program that does not export its symbols: the program has its own copy of the
// runtime, and the modules have one each or, where the linker makes inline variables unique, one together.
#include "shared_object_body.hpp"

#include <doctest/doctest.h>

#include <string>

#include <dlfcn.h>

namespace {

struct module {
  void* handle = nullptr;
  module_functions* f = nullptr;

  explicit module(const std::string& letter) {
    const std::string path = OTLPKIT_TEST_BINARY_DIR "/shared_object_" + letter + ".so";
    handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) MESSAGE(::dlerror());
    REQUIRE(handle != nullptr);
    f = static_cast<module_functions*>(::dlsym(handle, ("module_" + letter).c_str()));
    REQUIRE(f != nullptr);
  }
  module(const module&) = delete;
  module& operator=(const module&) = delete;
  ~module() { CHECK(::dlclose(handle) == 0); }
};

void check(const module_report& r, std::uint64_t spans) {
  CHECK(r.recorded == spans);
  CHECK(r.delivered == spans);
  CHECK(r.dropped == 0);
  CHECK(r.received == spans);
}

}  // namespace

TEST_CASE("program and modules record side by side: own pipelines, exact books, and the second copy says so once") {
  const module a{"a"}, b{"b"};
  CHECK(a.f->runtime() != module_runtime());
  const bool shared = a.f->runtime() == b.f->runtime();

  module_begin();
  a.f->begin();
  b.f->begin();  // where a and b are one copy, telemetry lives already and this does nothing
  for (int i = 0; i < 100; ++i) {
    module_record(1);
    a.f->record(2);
    b.f->record(3);
  }
  if (shared) {
    const auto of_b = b.f->end();
    check(of_b, 0);
    const auto of_a = a.f->end();
    check(of_a, 500);
    CHECK(of_a.told == 1);
    CHECK(of_b.told == 0);
  } else {
    const auto of_b = b.f->end();
    check(of_b, 300);
    CHECK(of_b.told == 1);
    const auto of_a = a.f->end();
    check(of_a, 200);
    CHECK(of_a.told == 1);
  }
  const auto own = module_end();
  check(own, 100);
  CHECK(own.told == 0);  // it was the first

  // Made again it is the same copy as before, and says nothing more.
  module_begin();
  a.f->begin();
  a.f->record(4);
  const auto again = a.f->end();
  check(again, 4);
  CHECK(again.told == 1);
  check(module_end(), 0);
}

TEST_CASE("a module's context is not the program's") {
  const module a{"a"};
  module_begin();
  {
    OTLPKIT_SPAN("in the program");
    a.f->begin();
    a.f->record(1);
    check(a.f->end(), 1);
  }
  check(module_end(), 1);
}

TEST_CASE("after dlclose threads of the module go on recording and end, and nothing crashes") {
  int go = 0;
  pthread_t threads[4];
  {
    const module a{"a"};
    a.f->begin();
    for (pthread_t& t : threads) t = a.f->start_thread(&go);
    a.f->record(1);
    const auto r = a.f->end();
    CHECK(r.recorded == r.delivered + r.dropped);
    CHECK(r.received == r.delivered);
  }
  __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
  for (const pthread_t t : threads) CHECK(::pthread_join(t, nullptr) == 0);
}

TEST_CASE("after dlclose with telemetry alive its threads go on, and the module opened again finds its books") {
  int go = 0;
  pthread_t thread{};
  {
    const module b{"b"};
    b.f->begin();
    thread = b.f->start_thread(&go);
  }
  __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
  CHECK(::pthread_join(thread, nullptr) == 0);
  const module b{"b"};
  check(b.f->end(), 6);
}
