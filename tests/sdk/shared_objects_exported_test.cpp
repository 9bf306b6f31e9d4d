// SPDX-License-Identifier: MIT
// module: shared_object_a.cpp
// links: -ldl -rdynamic
// A program that exports its symbols shares its copy of the runtime with the objects it opens. Telemetry of such an
// object hooks into the program's threads and forks: it stays loaded (which compilers that make inline variables unique
// see to anyway).
#include "shared_object.hpp"

#include <otlpkit/otlpkit.hpp>

#include <doctest/doctest.h>

#include <thread>

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

void record_here(int spans) {
  for (int i = 0; i < spans; ++i) {
    OTLPKIT_SPAN("in the program");
  }
}

/// A span with options is begun also without telemetry, by a thread that follows its end and forks from then on.
void follow_process() { const otlpkit::span_guard span{"named", {}, {}}; }

}  // namespace

TEST_CASE("program and module are one copy, and after dlclose the program's threads end and forks go on") {
  follow_process();
  void* const handle = ::dlopen(OTLPKIT_TEST_BINARY_DIR "/shared_object_a.so", RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) MESSAGE(::dlerror());
  REQUIRE(handle != nullptr);
  const auto* const module = static_cast<const module_functions*>(::dlsym(handle, "module_a"));
  REQUIRE(module != nullptr);
  CHECK(module->runtime() == &otlpkit::detail::global_runtime);
  module->begin();
  module->record(3);
  record_here(2);
  std::thread{[] { record_here(2); }}.join();
  const module_report report = module->end();
  CHECK(report.recorded == 7);
  CHECK(report.delivered == 7);
  CHECK(report.received == 7);
  CHECK(report.told == 0);
  CHECK(::dlclose(handle) == 0);

  std::thread{&follow_process}.join();
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  int status = -1;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}
