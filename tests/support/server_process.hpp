// SPDX-License-Identifier: MIT
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

/// Real servers for tests: on 127.0.0.1, on a free port, with their data in a folder of their own. They die with the
/// thread that started them (start them from the test's main thread), and a watcher takes the folder away even if the
/// test is killed. Failing to start is an exception with the server's own words.
namespace support {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace server_detail {

[[nodiscard]] inline std::string find_program(const std::string& name, const std::vector<std::string>& folders = {}) {
  std::vector<std::string> all = folders;
  const char* const path = std::getenv("PATH");
  std::string rest = path != nullptr ? path : "/usr/bin:/bin";
  for (rest += ":/usr/sbin:/sbin:"; !rest.empty(); rest.erase(0, rest.find(':') + 1))
    all.push_back(rest.substr(0, rest.find(':')));
  for (const std::string& folder : all) {
    const std::string program = folder + "/" + name;
    if (::access(program.c_str(), X_OK) == 0) return program;
  }
  throw std::runtime_error{"no program " + name +
                           " (scripts/setup.sh installs the servers for ./tests/run --services)"};
}

/// Starts a program with its output in `log`; `input` becomes its standard input. No fork handler runs.
[[nodiscard]] inline pid_t spawn(const std::vector<std::string>& command, const std::string& log, int input = -1) {
  posix_spawn_file_actions_t files;
  ::posix_spawn_file_actions_init(&files);
  if (input >= 0)
    ::posix_spawn_file_actions_adddup2(&files, input, 0);
  else
    ::posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&files, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  ::posix_spawn_file_actions_adddup2(&files, 1, 2);
  posix_spawnattr_t attributes;  // the signals as they are by default: a runner may have had some ignored or blocked
  ::posix_spawnattr_init(&attributes);
  sigset_t signals;
  ::sigemptyset(&signals);
  ::posix_spawnattr_setsigmask(&attributes, &signals);
  for (const int s : {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGPIPE, SIGCHLD}) ::sigaddset(&signals, s);
  ::posix_spawnattr_setsigdefault(&attributes, &signals);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  pid_t pid = -1;
  const int status = ::posix_spawnp(&pid, words[0], &files, &attributes, words.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&files);
  if (status != 0) throw std::system_error{status, std::generic_category(), "cannot start " + command[0]};
  return pid;
}

/// What can be read of a file: one in /proc may go away meanwhile.
[[nodiscard]] inline std::string read_file(const std::string& path) {
  std::string text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  char part[4096];
  for (ssize_t size = 0; fd >= 0 && (size = ::read(fd, part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(size));
  if (fd >= 0) ::close(fd);
  return text;
}

/// A port nobody listens on, outside the range clients take theirs from: one that is free now is free at a restart.
[[nodiscard]] inline std::uint16_t free_port() {
  std::random_device random;
  for (int attempt = 0; attempt < 100; ++attempt) {
    const auto port = static_cast<std::uint16_t>(15'000 + random() % 15'000);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (bound) return port;
  }
  throw std::runtime_error{"no free port"};
}

/// What a server on `port` answers first to `greeting`; empty when it does not answer within half a second.
[[nodiscard]] inline std::string first_answer(std::uint16_t port, std::string_view greeting) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  std::string answer(64, '\0');
  ssize_t size = -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, greeting.data(), greeting.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(greeting.size())) {
    pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&readable, 1, 500) == 1) size = ::recv(fd, answer.data(), answer.size(), 0);
  }
  ::close(fd);
  answer.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return answer;
}

/// Whether a process is there, and more than an entry that nobody has collected.
[[nodiscard]] inline bool lives(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = stat.rfind(") ");
  return name_end != std::string::npos && stat[name_end + 2] != 'Z' && stat[name_end + 2] != 'X';
}

/// `parent` and all its descendants.
[[nodiscard]] inline std::vector<pid_t> family(pid_t parent) {
  std::vector<pid_t> all{parent};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
      const std::string stat = read_file(entry.path() / "stat");  // pid (name) state parent ...
      const std::size_t name_end = stat.rfind(") ");
      if (name_end == std::string::npos) continue;
      if (std::strtol(stat.c_str() + name_end + 4, nullptr, 10) == all[i])
        all.push_back(static_cast<pid_t>(std::strtol(stat.c_str(), nullptr, 10)));
    }
  }
  return all;
}

}  // namespace server_detail

class server_process {
 public:
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;
  ~server_process() {
    kill();
    ::close(watcher_input_);  // which takes the folder away
    if (watcher_ > 0) ::waitpid(watcher_, nullptr, 0);
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] const std::string& folder() const noexcept { return folder_; }
  [[nodiscard]] bool running() const noexcept { return pid_ > 0; }
  [[nodiscard]] std::string log() const { return server_detail::read_file(folder_ + "/log"); }

  /// Starts it on its port and data; returns when it answers. Nothing if it runs already.
  void start() {
    const auto deadline = steady_clock::now() + 30s;
    while (pid_ <= 0) {
      pid_ = server_detail::spawn(as_user(command_(folder_, port_)), folder_ + "/log");
      while (pid_ > 0 && server_detail::first_answer(port_, greeting_).substr(0, welcome_.size()) != welcome_) {
        if (::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;  // killed just now, it may find remains of itself
        if (steady_clock::now() > deadline) {
          kill();
          throw std::runtime_error{"the server does not start; it says:\n" + log()};
        }
        std::this_thread::sleep_for(20ms);
      }
      if (pid_ <= 0 && !started_) port_ = server_detail::free_port();  // another one may have been quicker
    }
    started_ = true;
  }

  /// As an administrator stops it: clients are told.
  void stop() { end(stop_signal_); }

  /// As a crash ends it, with all its processes: connections break. The data stays.
  void kill() {
    if (pid_ <= 0) return;
    suspend();  // so that none of them starts another
    const std::vector<pid_t> all = server_detail::family(pid_);
    for (const pid_t p : all) ::kill(p, SIGKILL);
    end(SIGKILL);
    const auto deadline = steady_clock::now() + 10s;
    for (const pid_t p : all) {  // until their sockets are closed
      while (server_detail::lives(p) && steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
    }
  }

  void restart() {
    kill();
    start();
  }

  /// Takes connections and data and answers nothing, until resume(): a network or a machine that hangs.
  void suspend() { signal_all(SIGSTOP); }
  void resume() { signal_all(SIGCONT); }

 protected:
  using command = std::vector<std::string> (*)(const std::string& folder, std::uint16_t port);

  /// \param greeting what a client says first, and `welcome` how the answer of a server that is ready begins
  /// \param user whom it runs as where the test is root; empty: as the test
  server_process(std::string_view name, std::string_view user, std::string_view greeting, std::string_view welcome,
                 int stop_signal)
      : user_{::geteuid() == 0 ? user : ""}, greeting_{greeting}, welcome_{welcome}, stop_signal_{stop_signal} {
    folder_ = (std::filesystem::temp_directory_path() / ("otlpkit-" + std::string{name} + "-XXXXXX")).string();
    if (::mkdtemp(folder_.data()) == nullptr) throw std::runtime_error{"cannot create " + folder_};
    if (!user_.empty()) {
      const passwd* const owner = ::getpwnam(user_.c_str());
      if (owner == nullptr || ::chown(folder_.c_str(), owner->pw_uid, owner->pw_gid) != 0)
        throw std::runtime_error{"no user " + user_ + " to run the server as"};
    }
    int ends[2] = {};
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error{"cannot create a pipe"};
    watcher_input_ = ends[1];
    watcher_ = server_detail::spawn({"/bin/sh", "-c",
                                     // Whatever works in the folder is the server's, and may be stopped: it goes, too.
                                     "trap '' INT TERM HUP QUIT; cd /; read -r _; for i in 1 2 3 4 5; do "
                                     "for p in /proc/[0-9]*; do case $(readlink $p/cwd) in \"$0\"*) "
                                     "kill -9 ${p#/proc/};; esac; done; rm -rf -- \"$0\" && exit; sleep 0.2; done",
                                     folder_},
                                    "/dev/null", ends[0]);
    ::close(ends[0]);
  }

  void command_is(command c) { command_ = c; }

  /// Runs a program as the server's user and waits for it.
  void run(const std::vector<std::string>& words) {
    int status = 0;
    const pid_t pid = server_detail::spawn(as_user(words), folder_ + "/log");
    if (::waitpid(pid, &status, 0) != pid || status != 0) throw std::runtime_error{words[0] + " failed:\n" + log()};
  }

 private:
  /// setpriv ends the server with the test, and becomes it: its process is the server's.
  [[nodiscard]] std::vector<std::string> as_user(const std::vector<std::string>& words) const {
    std::vector<std::string> all{"setpriv", "--pdeathsig", "KILL"};
    if (!user_.empty()) all.insert(all.end(), {"--reuid=" + user_, "--regid=" + user_, "--clear-groups"});
    all.insert(all.end(), {"env", "HOME=" + folder_, "LC_ALL=C"});
    all.insert(all.end(), words.begin(), words.end());
    return all;
  }

  void signal_all(int signal) const {
    if (pid_ <= 0) return;
    for (const pid_t p : server_detail::family(pid_)) ::kill(p, signal);
  }

  void end(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::kill(pid_, SIGCONT);
    const auto deadline = steady_clock::now() + 10s;
    while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
      if (steady_clock::now() > deadline) ::kill(pid_, SIGKILL);
      std::this_thread::sleep_for(5ms);
    }
    pid_ = -1;
  }

  std::string user_;
  std::string greeting_;
  std::string welcome_;
  int stop_signal_;
  std::string folder_;
  int watcher_input_ = -1;
  pid_t watcher_ = -1;
  pid_t pid_ = -1;
  std::uint16_t port_ = server_detail::free_port();
  bool started_ = false;
  command command_ = nullptr;
};

/// PostgreSQL with a superuser "app" without password and the database "postgres".
class postgres_server : public server_process {
 public:
  postgres_server() : server_process{"postgres", "postgres", greeting(), "R", SIGINT} {
    run({program("initdb"), "-D", folder() + "/data", "-A", "trust", "-U", "app", "-E", "UTF8", "-N"});
    command_is([](const std::string& folder, std::uint16_t port) {
      return std::vector<std::string>{program("postgres"),
                                      "-D",
                                      folder + "/data",
                                      "-p",
                                      std::to_string(port),
                                      "-c",
                                      "listen_addresses=127.0.0.1",
                                      "-c",
                                      "unix_socket_directories=" + folder,
                                      "-c",
                                      "fsync=off",
                                      "-c",
                                      "shared_buffers=16MB",
                                      "-c",
                                      "max_connections=40"};
    });
    start();
  }

  [[nodiscard]] std::string url(const std::string& database = "postgres") const {
    return "postgres://app@127.0.0.1:" + std::to_string(port()) + "/" + database;
  }

 private:
  [[nodiscard]] static std::string program(const std::string& name) {
    std::vector<std::string> folders;
    for (int version = 19; version >= 12; --version)
      folders.push_back("/usr/lib/postgresql/" + std::to_string(version) + "/bin");
    return server_detail::find_program(name, folders);
  }

  /// A start-up message (version 3.0): with "trust" the answer begins with R.
  [[nodiscard]] static std::string greeting() {
    constexpr std::string_view text{"\0\0\0\x24\0\3\0\0user\0app\0database\0postgres\0\0", 36};
    return std::string{text};
  }
};

class redis_server : public server_process {
 public:
  redis_server() : server_process{"redis", "", "PING\r\n", "+PONG", SIGTERM} {
    command_is([](const std::string& folder, std::uint16_t port) {
      return std::vector<std::string>{server_detail::find_program("redis-server"),
                                      "--bind",
                                      "127.0.0.1",
                                      "--port",
                                      std::to_string(port),
                                      "--dir",
                                      folder,
                                      "--save",
                                      "",
                                      "--appendonly",
                                      "yes",
                                      "--appendfsync",
                                      "always"};
    });
    start();
  }

  [[nodiscard]] std::string url() const { return "redis://127.0.0.1:" + std::to_string(port()); }
};

/// The server hangs as long as this lives.
class suspended {
 public:
  explicit suspended(server_process& server) : server_{server} { server.suspend(); }
  suspended(const suspended&) = delete;
  suspended& operator=(const suspended&) = delete;
  ~suspended() { server_.resume(); }

 private:
  server_process& server_;
};

}  // namespace support
