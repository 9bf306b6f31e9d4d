// SPDX-License-Identifier: MIT
#pragma once

#include <sched.h>
#include <unistd.h>

/// Which core a thread runs on. `run` starts the programs on one core; what is to run beside the recording thread (the
/// background thread that drains, the other threads of a case) moves to the others.
namespace placement {

class affinity {
 public:
  affinity(const affinity&) = delete;
  affinity& operator=(const affinity&) = delete;
  ~affinity() { ::sched_setaffinity(0, sizeof before_, &before_); }

 protected:
  explicit affinity(bool without_own_core) noexcept {
    CPU_ZERO(&before_);
    ::sched_getaffinity(0, sizeof before_, &before_);
    if (CPU_COUNT(&before_) != 1) return;  // not pinned
    cpu_set_t wanted;
    CPU_ZERO(&wanted);
    const long cores = ::sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 0; i < static_cast<int>(cores); ++i) {
      const auto core = static_cast<unsigned>(i);
      if (!without_own_core || !CPU_ISSET(core, &before_)) CPU_SET(core, &wanted);
    }
    if (CPU_COUNT(&wanted) > 0) ::sched_setaffinity(0, sizeof wanted, &wanted);
  }

 private:
  cpu_set_t before_;
};

/// While it lives, the calling thread and those it starts run on the other cores, where there are any.
struct on_the_other_cores : affinity {
  on_the_other_cores() noexcept : affinity{true} {}
};

/// While it lives, the calling thread may run on every core.
struct on_any_core : affinity {
  on_any_core() noexcept : affinity{false} {}
};

}  // namespace placement
