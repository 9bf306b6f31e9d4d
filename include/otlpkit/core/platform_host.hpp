// SPDX-License-Identifier: MIT
#pragma once

// The second half of the room of platform.hpp (with core/platform/streams.hpp), for the SDK side alone: it includes
// what instrumented code must not pay for. What the host says about itself, this process, its threads and its streams.
// Everything is quick, never privileged, never asks a network service, and answers "" where a system does not tell.

#include <otlpkit/config.hpp>
#include <otlpkit/core/os_release.hpp>
#include <otlpkit/core/platform.hpp>
#include <otlpkit/core/platform/streams.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#if OTLPKIT_POSIX
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>
#else
#include <process.h>
#endif
#if defined(__linux__)
#include <dirent.h>
#endif
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#include <pwd.h>
#endif

namespace otlpkit::inline OTLPKIT_ABI::platform_host {

/// The value of a variable of this process, or nothing when it is unset.
[[nodiscard]] inline std::optional<std::string> environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

/// A decimal number that is all of `text`, read the same in every locale.
[[nodiscard]] inline std::optional<double> parse_double(std::string_view text) {
  double number = 0;
#if defined(__cpp_lib_to_chars)
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
#else
  const std::string copy{text};
  char* end = nullptr;
  number = std::strtod(copy.c_str(), &end);
  if (copy.empty() || end != copy.c_str() + copy.size()) return std::nullopt;
#endif
  return number;
}

/// The start of a file, "" when it cannot be read.
[[nodiscard]] inline std::string read_file(const char* path, std::size_t limit = 64 * 1024) {
  std::string content;
  if (std::FILE* file = std::fopen(path, "rb")) {
    content.resize(limit);
    content.resize(std::fread(content.data(), 1, limit, file));
    std::fclose(file);
  }
  return content;
}

[[nodiscard]] inline std::int64_t process_id() noexcept {
#if OTLPKIT_POSIX
  return ::getpid();
#else
  return ::_getpid();
#endif
}

/// Full path of the running program.
[[nodiscard]] inline std::string executable_path() {
  char path[4096] = {};
#if defined(__linux__)
  const auto size = ::readlink("/proc/self/exe", path, sizeof path - 1);
  return size > 0 ? std::string{path, static_cast<std::size_t>(size)} : std::string{};
#elif defined(__APPLE__)
  std::uint32_t size = sizeof path;
  return ::_NSGetExecutablePath(path, &size) == 0 ? std::string{path} : std::string{};
#elif !OTLPKIT_POSIX
  char* program = nullptr;
  return ::_get_pgmptr(&program) == 0 && program != nullptr ? std::string{program} : std::string{};
#else
  return std::string{path};
#endif
}

/// The first word of the command line: how the program was called. Later words may hold secrets and are not read.
[[nodiscard]] inline std::string command() {
#if defined(__linux__)
  const std::string line = read_file("/proc/self/cmdline", 4096);
  return line.substr(0, line.find('\0'));
#else
  return {};
#endif
}

/// Name of the user the process runs as. On Linux from /etc/passwd alone: asking the name service could wait for a
/// network.
[[nodiscard]] inline std::string process_owner() {
#if defined(__linux__)
  const std::string users = read_file("/etc/passwd", 1024 * 1024);
  const std::string uid = std::to_string(::geteuid());
  std::string_view rest = users;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const std::size_t name_end = line.find(':');
    if (name_end == std::string_view::npos) continue;
    const std::size_t uid_begin = line.find(':', name_end + 1);
    if (uid_begin == std::string_view::npos) continue;
    const std::string_view fields = line.substr(uid_begin + 1);
    if (fields.substr(0, fields.find(':')) == uid) return std::string{line.substr(0, name_end)};
  }
  return {};
#elif defined(__APPLE__)
  const passwd* user = ::getpwuid(::geteuid());
  return user != nullptr ? std::string{user->pw_name} : std::string{};
#elif !OTLPKIT_POSIX
  return environment_variable("USERNAME").value_or("");
#else
  return {};
#endif
}

/// When the process started, in seconds since the Unix epoch; 0 where a system does not tell.
[[nodiscard]] inline double process_start() {
#if defined(__linux__)
  // Field 22 of stat is the start in ticks after boot. Field 2, the program's name, may hold blanks and ')'.
  const std::string stat = read_file("/proc/self/stat", 4096);
  std::size_t at = stat.rfind(')');
  for (int field = 3; field <= 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  if (at == std::string::npos) return 0;
  const double ticks = std::strtod(stat.c_str() + at, nullptr);
  timespec up{};
  if (ticks <= 0 || ::clock_gettime(CLOCK_BOOTTIME, &up) != 0) return 0;
  const double since_boot = static_cast<double>(up.tv_sec) + static_cast<double>(up.tv_nsec) / 1e9;
  const double started = ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return static_cast<double>(platform::wall_ns()) / 1e9 - since_boot + started;
#else
  return 0;
#endif
}

/// What this process uses now; nothing where a system does not tell.
struct process_usage {
  std::optional<double> user_seconds, system_seconds;         ///< CPU time of all threads
  std::optional<std::int64_t> resident_bytes, virtual_bytes;  ///< memory
  std::optional<std::int64_t> threads;                        ///< at least 1
  std::optional<std::int64_t> file_descriptors;               ///< open ones
};

[[nodiscard]] inline process_usage usage() {
  process_usage u;
#if OTLPKIT_POSIX
  ::rusage times{};
  if (::getrusage(RUSAGE_SELF, &times) == 0) {
    const auto seconds = [](const ::timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    u.user_seconds = seconds(times.ru_utime);
    u.system_seconds = seconds(times.ru_stime);
  }
#endif
#if defined(__linux__)
  const std::string pages = read_file("/proc/self/statm", 256);
  char* next = nullptr;
  const long long all = std::strtoll(pages.c_str(), &next, 10);
  const long long resident = std::strtoll(next, nullptr, 10);
  const auto page = static_cast<std::int64_t>(::sysconf(_SC_PAGESIZE));
  if (all > 0) u.virtual_bytes = all * page;
  if (resident > 0) u.resident_bytes = resident * page;
  const auto entries = [](const char* path) -> std::optional<std::int64_t> {
    DIR* const folder = ::opendir(path);
    if (folder == nullptr) return std::nullopt;
    std::int64_t count = -2;  // . and ..
    while (::readdir(folder) != nullptr) ++count;
    ::closedir(folder);
    return count;
  };
  u.threads = entries("/proc/self/task");
  u.file_descriptors = entries("/proc/self/fd");
  if (u.file_descriptors) --*u.file_descriptors;  // the one that listed them
#endif
  return u;
}

[[nodiscard]] inline std::string host_name() {
#if OTLPKIT_POSIX
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? std::string{name} : std::string{};
#else
  return environment_variable("COMPUTERNAME").value_or("");
#endif
}

/// A name that stays with the machine: the systemd machine id, or the dbus one.
[[nodiscard]] inline std::string host_id() {
#if defined(__linux__)
  for (const char* path : {"/etc/machine-id", "/var/lib/dbus/machine-id"}) {
    const std::string id = read_file(path, 128);
    const std::string line = id.substr(0, id.find_first_of("\r\n "));
    if (!line.empty() && line != "uninitialized") return line;
  }
#endif
  return {};
}

/// host.arch, in the words of the semantic conventions: what the program was built for.
[[nodiscard]] constexpr std::string_view architecture() noexcept {
#if defined(__x86_64__) || defined(_M_X64)
  return "amd64";
#elif defined(__aarch64__) || defined(_M_ARM64)
  return "arm64";
#elif defined(__i386__) || defined(_M_IX86)
  return "x86";
#elif defined(__arm__) || defined(_M_ARM)
  return "arm32";
#elif defined(__powerpc64__)
  return "ppc64";
#elif defined(__powerpc__)
  return "ppc32";
#elif defined(__s390x__)
  return "s390x";
#else
  return "";
#endif
}

/// os.type, in the words of the semantic conventions.
[[nodiscard]] constexpr std::string_view os_type() noexcept {
#if defined(__linux__)
  return "linux";
#elif defined(__APPLE__)
  return "darwin";
#elif defined(_WIN32)
  return "windows";
#elif defined(__FreeBSD__)
  return "freebsd";
#elif defined(__NetBSD__)
  return "netbsd";
#elif defined(__OpenBSD__)
  return "openbsd";
#else
  return "";
#endif
}

/// What a system calls itself.
struct os_facts {
  std::string name;         ///< "Debian GNU/Linux"
  std::string version;      ///< "12"
  std::string description;  ///< "Debian GNU/Linux 12 (bookworm)"
};

[[nodiscard]] inline os_facts os() {
  os_facts facts;
#if defined(__linux__)
  std::string release = read_file("/etc/os-release");
  if (release.empty()) release = read_file("/usr/lib/os-release");
  facts = {os_release_value(release, "NAME"), os_release_value(release, "VERSION_ID"),
           os_release_value(release, "PRETTY_NAME")};
#endif
#if OTLPKIT_POSIX
  utsname system{};
  if (::uname(&system) >= 0) {
    if (facts.name.empty()) facts.name = system.sysname;
    if (facts.version.empty()) facts.version = system.release;
    if (facts.description.empty()) facts.description = facts.name + " " + facts.version;
  }
#elif defined(_WIN32)
  facts.name = "Windows";
#endif
  return facts;
}

/// Whether a thread of this process has this name, of at most 15 characters. False where a system does not tell.
[[nodiscard]] inline bool has_thread_named([[maybe_unused]] std::string_view name) noexcept {
  bool found = false;
#if defined(__linux__)
  DIR* const tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return false;
  for (const dirent* task = ::readdir(tasks); task != nullptr && !found; task = ::readdir(tasks)) {
    char path[64];
    std::snprintf(path, sizeof path, "/proc/self/task/%.20s/comm", task->d_name);
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    char text[32];
    const auto size = ::read(file, text, sizeof text);
    ::close(file);
    found = size > 0 && std::string_view{text, static_cast<std::size_t>(size) - 1} == name;  // a line's end follows
  }
  ::closedir(tasks);
#endif
  return found;
}

/// Starts a thread of the library's own: named, and with all signals blocked, so that the program's handlers keep
/// running on the program's threads. \throws std::system_error when no thread can be had
template <class Run>
[[nodiscard]] std::thread background_thread([[maybe_unused]] const char* name, Run&& run) {
#if OTLPKIT_POSIX
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  struct restore {
    const sigset_t& mask;
    ~restore() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  } const on_return{before};
#endif
  std::thread thread{std::forward<Run>(run)};
#if defined(__linux__)
  pthread_setname_np(thread.native_handle(), name);
#endif
  return thread;
}

/// Keeps a descriptor out of programs that this process starts.
inline void close_on_exec([[maybe_unused]] int descriptor) noexcept {
#if OTLPKIT_POSIX
  if (const int flags = ::fcntl(descriptor, F_GETFD); flags >= 0) ::fcntl(descriptor, F_SETFD, flags | FD_CLOEXEC);
#endif
}

/// Closes a descriptor whose owner will not do it: in a forked child.
inline void close_descriptor([[maybe_unused]] int descriptor) noexcept {
#if OTLPKIT_POSIX
  ::close(descriptor);
#endif
}

}  // namespace otlpkit::inline OTLPKIT_ABI::platform_host
