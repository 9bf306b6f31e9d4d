// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform_host.hpp>
#include <otlpkit/core/resource.hpp>
#include <otlpkit/version.hpp>

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What a process can find out about itself, by the semantic conventions 1.44.0. Detectors are quick (a few small
/// files), never fail, and leave out what a system does not tell.
namespace otlpkit::inline OTLPKIT_ABI {

/// The semantic conventions the detected attributes follow.
inline constexpr std::string_view resource_schema_url = "https://opentelemetry.io/schemas/1.44.0";

/// A random UUID, version 4 (RFC 9562).
[[nodiscard]] inline std::string random_uuid() {
  std::uint64_t words[2];
  platform::fill_random(words, 2);
  words[0] = (words[0] & ~std::uint64_t{0xF000}) | 0x4000;
  words[1] = (words[1] & ~(std::uint64_t{3} << 62)) | std::uint64_t{2} << 62;
  constexpr char hex[] = "0123456789abcdef";
  std::string out;
  for (int digit = 0; digit < 32; ++digit) {
    if (digit == 8 || digit == 12 || digit == 16 || digit == 20) out += '-';
    out += hex[words[digit / 16] >> (60 - digit % 16 * 4) & 15];
  }
  return out;
}

namespace detail {
inline void add(std::vector<resource_attribute>& out, std::string_view key, std::string_view value) {
  if (!value.empty()) out.push_back({std::string{key}, value});
}

/// 2026-01-31T23:59:59.123Z (RFC 3339), "" when it cannot be written so.
[[nodiscard]] inline std::string rfc3339(double unix_seconds) {
  if (!(unix_seconds > 0 && unix_seconds < 253402300800.0)) return {};  // the year has four digits
  const auto milliseconds = static_cast<std::int64_t>(unix_seconds * 1000);
  std::int64_t days = milliseconds / 86'400'000;
  const std::int64_t in_day = milliseconds % 86'400'000;
  // Days to a date of the proleptic Gregorian calendar, in years that begin in March so that leap days come last.
  days += 719468;
  const std::int64_t era = days / 146097;
  const std::int64_t day_of_era = days % 146097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t march_month = (5 * day_of_year + 2) / 153;
  const std::int64_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
  const std::int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  const auto padded = [](std::int64_t number, std::size_t width) {
    const std::string digits = std::to_string(number);
    return std::string(width - (digits.size() < width ? digits.size() : width), '0') + digits;
  };
  return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2) + "T" + padded(in_day / 3'600'000, 2) + ":" +
         padded(in_day / 60'000 % 60, 2) + ":" + padded(in_day / 1000 % 60, 2) + "." + padded(in_day % 1000, 3) + "Z";
}

[[nodiscard]] inline std::string file_name(std::string_view path) {
  const std::size_t slash = path.find_last_of("/\\");
  return std::string{slash == std::string_view::npos ? path : path.substr(slash + 1)};
}
}  // namespace detail

/// telemetry.sdk.*: this library.
[[nodiscard]] inline resource detect_sdk() {
  return resource{{{"telemetry.sdk.name", "otlpkit"},
                   {"telemetry.sdk.language", "cpp"},
                   {"telemetry.sdk.version", OTLPKIT_VERSION}},
                  std::string{resource_schema_url}};
}

/// process.*: id, program, owner and start. Arguments are left out: they may hold secrets.
[[nodiscard]] inline resource detect_process() {
  const std::string path = platform_host::executable_path();
  std::vector<resource_attribute> out{{"process.pid", platform_host::process_id()}};
  detail::add(out, "process.executable.path", path);
  detail::add(out, "process.executable.name", detail::file_name(path));
  detail::add(out, "process.command", platform_host::command());
  detail::add(out, "process.owner", platform_host::process_owner());
  detail::add(out, "process.creation.time", detail::rfc3339(platform_host::process_start()));
  return resource{std::move(out), std::string{resource_schema_url}};
}

/// host.* and os.*.
[[nodiscard]] inline resource detect_host() {
  const platform_host::os_facts os = platform_host::os();
  std::vector<resource_attribute> out;
  detail::add(out, "host.name", platform_host::host_name());
  detail::add(out, "host.id", platform_host::host_id());
  detail::add(out, "host.arch", platform_host::architecture());
  detail::add(out, "os.type", platform_host::os_type());
  detail::add(out, "os.name", os.name);
  detail::add(out, "os.version", os.version);
  detail::add(out, "os.description", os.description);
  return resource{std::move(out), std::string{resource_schema_url}};
}

/// service.name as it is when nobody names the service, and a new service.instance.id.
[[nodiscard]] inline resource detect_service() {
  const std::string program = detail::file_name(platform_host::executable_path());
  return resource{{{"service.name", program.empty() ? "unknown_service" : "unknown_service:" + program},
                   {"service.instance.id", random_uuid()}},
                  std::string{resource_schema_url}};
}

/// The resource of a child that fork() made: another process.pid, start and instance.
/// \param new_instance_id whether service.instance.id was detected; one that was given by the user stays
[[nodiscard]] inline resource after_fork(const resource& parent, bool new_instance_id) {
  std::vector<resource_attribute> changed;
  if (new_instance_id) changed.push_back({"service.instance.id", random_uuid()});
  if (parent.find("process.pid") != nullptr) changed.push_back({"process.pid", platform_host::process_id()});
  if (parent.find("process.creation.time") != nullptr) {
    detail::add(changed, "process.creation.time", detail::rfc3339(platform_host::process_start()));
  }
  return merge(parent, resource{std::move(changed)});
}

}  // namespace otlpkit::inline OTLPKIT_ABI
