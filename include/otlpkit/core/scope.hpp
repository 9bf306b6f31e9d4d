// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attribute_writer.hpp>
#include <otlpkit/core/diagnostics.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

namespace detail {

/// Every instrumentation scope of the process, by number. Entries are copies and live for ever: a record refers to its
/// scope by number, also after the shared object that declared it was closed.
class scope_table {
 public:
  static constexpr std::size_t capacity = 4096;

  /// The fields of ScopeSpans (or ScopeMetrics, ScopeLogs) that say the scope: 1 (scope) and 3 (schema_url), encoded.
  [[nodiscard]] std::string_view encoded(std::uint16_t number) const noexcept {
    const entry* e = number < capacity ? entries_[number].load(platform::acquire) : nullptr;
    return e == nullptr ? std::string_view{} : e->text();
  }

  /// The number of the scope with these bytes. Two are one when everything in them is equal. When the table is full, or
  /// memory is out, the first one stands in.
  [[nodiscard]] std::uint16_t intern(std::string_view bytes) noexcept {
    platform::lock_guard lock{mutex_};
    for (std::uint16_t i = 0; i < count_; ++i) {
      if (encoded(i) == bytes) return i;
    }
    void* const memory = count_ < capacity ? std::malloc(sizeof(entry) + bytes.size()) : nullptr;
    if (memory == nullptr) {
      report(diagnostic_level::warning,
             "more than 4096 instrumentation scopes: further ones are recorded under the first one");
      return 0;
    }
    entry* const e = ::new (memory) entry{bytes.size()};
    std::memcpy(static_cast<char*>(memory) + sizeof(entry), bytes.data(), bytes.size());
    entries_[count_].store(e, platform::release);
    return count_++;
  }

  void lock_for_fork() noexcept { mutex_.lock(); }
  void unlock_after_fork() noexcept { mutex_.unlock(); }

 private:
  struct entry {  // the bytes follow it
    std::size_t size;
    [[nodiscard]] std::string_view text() const noexcept {
      return {reinterpret_cast<const char*>(this) + sizeof(entry), size};
    }
  };
  platform::mutex mutex_;
  std::uint16_t count_ = 0;
  platform::atomic<const entry*> entries_[capacity] = {};
};

OTLPKIT_VISIBLE inline constinit scope_table global_scopes{};

}  // namespace detail

/// Who records: the library or part of a program that spans, metrics and logs are attributed to (OpenTelemetry's
/// InstrumentationScope; what a tracer, meter or logger is got for).
///
/// Declare one as a namespace-scope constant, or with OTLPKIT_SCOPE for the macros; the strings must stay valid
/// (literals do). Copying is not needed: pass it by reference. Thread-safe.
class instrumentation_scope {
 public:
  constexpr explicit instrumentation_scope(std::string_view name, std::string_view version = {},
                                           std::string_view schema_url = {}) noexcept
      : name_{name}, version_{version}, schema_url_{schema_url} {}

  /// With attributes, which are encoded now.
  instrumentation_scope(std::string_view name, std::string_view version, std::string_view schema_url,
                        fields attributes) noexcept
      : instrumentation_scope{name, version, schema_url} {
    number_.store(resolve(attributes), platform::relaxed);
  }

  instrumentation_scope(const instrumentation_scope&) = delete;
  instrumentation_scope& operator=(const instrumentation_scope&) = delete;

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] std::string_view version() const noexcept { return version_; }

  /// number() where that needs no look-up, else `unresolved`.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint32_t known_number() const noexcept {
    return number_.load(platform::relaxed);
  }
  static constexpr std::uint32_t unresolved = ~std::uint32_t{0};

  /// Its number in the process's table.
  [[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint16_t number() const noexcept {
    const std::uint32_t known = number_.load(platform::relaxed);
    if (known != unresolved) [[likely]]
      return static_cast<std::uint16_t>(known);
    return resolve_now();
  }

 private:
  OTLPKIT_COLD std::uint16_t resolve_now() const noexcept {
    const std::uint16_t number = resolve({});
    number_.store(number, platform::relaxed);  // another thread stores the same
    return number;
  }

  [[nodiscard]] std::uint16_t resolve(fields attributes) const noexcept {
    if (name_.empty())
      report(diagnostic_level::warning,
             "an instrumentation scope has no name: got \"\", expected the name of the instrumented library");
    const attribute_limits limits;
    record_buffer out;
    std::size_t scope = 0;
    value_writer text{out, limits};
    bool ok = out.open(0x0A, scope);
    if (!name_.empty()) text.text_field(0x0A, name_);
    if (!version_.empty()) text.text_field(0x12, version_);
    attribute_writer pairs{0x1A};
    for (const field& f : attributes) pairs.put(out, scope, limits, f);
    ok = ok && text.ok() && out.close(scope);
    if (!schema_url_.empty()) text.text_field(0x1A, schema_url_);
    return ok && text.ok() ? detail::global_scopes.intern(out.view()) : 0;
  }

  std::string_view name_;
  std::string_view version_;
  std::string_view schema_url_;
  mutable platform::atomic<std::uint32_t> number_{unresolved};
};

namespace detail {
/// What the macros record under where no OTLPKIT_SCOPE says otherwise.
OTLPKIT_VISIBLE inline constinit instrumentation_scope default_scope{"otlpkit", OTLPKIT_VERSION};
}  // namespace detail

/// Found by the macros where no OTLPKIT_SCOPE in the enclosing namespaces declares a nearer one. A template, so that
/// one declared at global scope is preferred to it.
template <class T>
[[nodiscard]] const instrumentation_scope& otlpkit_scope(T) noexcept {
  return detail::default_scope;
}

}  // namespace otlpkit::inline OTLPKIT_ABI

using otlpkit::otlpkit_scope;  // the macros look the name up from wherever they are used

/// Declares who the macros in this namespace (and those within it) record as: OTLPKIT_SCOPE("my.library", "1.2.0").
/// With or without a semicolon.
#define OTLPKIT_SCOPE(...)                                                                      \
  [[maybe_unused]] static const ::otlpkit::instrumentation_scope& otlpkit_scope(int) noexcept { \
    static constinit ::otlpkit::instrumentation_scope scope{__VA_ARGS__};                       \
    return scope;                                                                               \
  }
