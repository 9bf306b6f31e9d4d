// SPDX-License-Identifier: MIT
#pragma once

#include "placement.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

/// The receiver, sink.cpp, as a child process on the other cores.
class sink_process {
 public:
  struct totals {
    unsigned long long requests = 0;
    unsigned long long bytes = 0;  ///< of request bodies
    unsigned long long spans = 0;
  };

  explicit sink_process(const char* program) {
    int in[2];
    int out[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) fail("pipe");
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO);
    std::string name = program;
    char* const arguments[] = {name.data(), nullptr};
    {
      const placement::on_the_other_cores beside;
      if (::posix_spawn(&child_, program, &files, nullptr, arguments, environ) != 0) fail(program);
    }
    ::posix_spawn_file_actions_destroy(&files);
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    output_ = ::fdopen(out[0], "r");
    if (output_ == nullptr || std::fscanf(output_, "%d", &port_) != 1) fail(program);
  }
  sink_process(const sink_process&) = delete;
  sink_process& operator=(const sink_process&) = delete;
  ~sink_process() {
    std::fclose(output_);
    ::waitpid(child_, nullptr, 0);
  }

  [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1/traces"; }

  /// Ends it. What it received.
  [[nodiscard]] totals end() {
    totals t;
    ::close(input_);
    if (std::fscanf(output_, "%llu %llu %llu", &t.requests, &t.bytes, &t.spans) != 3) fail("sink");
    return t;
  }

 private:
  [[noreturn]] static void fail(const char* what) {
    std::perror(what);
    std::exit(1);
  }

  pid_t child_ = 0;
  int input_ = -1;
  int port_ = 0;
  std::FILE* output_ = nullptr;
};
