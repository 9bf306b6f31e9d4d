// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/platform.hpp>
#include <otlpkit/core/utf8.hpp>
#include <otlpkit/db/query_summary.hpp>
#include <otlpkit/db/query_text.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::db::detail {

/// What telemetry says of one statement: found out once, kept for the next time it is run.
struct statement_plan {
  static constexpr std::size_t most_text = 4096;         ///< bytes of db.query.text; longer ones end with "..."
  static constexpr std::size_t most_summarised = 65536;  ///< bytes that are looked at for the summary

  std::string sql;      ///< the statement itself, if it is kept; else empty
  std::string summary;  ///< db.query.summary
  std::string text;     ///< db.query.text
  bool parameterised = false;
  sql_dialect dialect;
  platform::atomic<std::uint32_t> users{1};

  statement_plan(std::string_view statement, sql_dialect d, bool with_parameters)
      : summary{query_summary{statement.substr(0, most_summarised), d}.text()}, parameterised{with_parameters}, dialect{
                                                                                                                    d} {
    // Cutting first is safe: a literal that is cut reaches to the end, and is replaced.
    const std::string_view shown = utf8::truncate_bytes(statement, most_text);
    text = with_parameters ? std::string{shown} : without_literals(shown, d);
    if (shown.size() < statement.size()) text += "...";
  }
};

/// Keeps a plan as long as it is used. Empty where memory was out.
class plan_ref {
 public:
  constexpr plan_ref() noexcept = default;
  explicit plan_ref(statement_plan* adopted) noexcept : plan_{adopted} {}
  plan_ref(plan_ref&& other) noexcept : plan_{std::exchange(other.plan_, nullptr)} {}
  plan_ref& operator=(plan_ref&& other) noexcept {
    std::swap(plan_, other.plan_);
    return *this;
  }
  ~plan_ref() {
    if (plan_ != nullptr) release(plan_);
  }

  [[nodiscard]] std::string_view summary() const noexcept {
    return plan_ != nullptr ? std::string_view{plan_->summary} : std::string_view{};
  }
  [[nodiscard]] std::string_view text() const noexcept {
    return plan_ != nullptr ? std::string_view{plan_->text} : std::string_view{};
  }
  [[nodiscard]] const statement_plan* get() const noexcept { return plan_; }

  static void release(statement_plan* p) noexcept {
    if (p->users.fetch_sub(1, platform::acq_rel) == 1) delete p;
  }

 private:
  statement_plan* plan_ = nullptr;
};

/// The plans of the statements a process runs, for all its connections: at most `capacity`, of statements of at most
/// `most_kept` bytes, so some 4 MiB if all are that long. A statement that finds its set full takes the place of the
/// one that came first. Any thread may ask. Nobody waits: who meets another thread in the same set for long makes a
/// plan of its own, so that a lock left behind by fork() does no harm.
class plan_table {
 public:
  static constexpr std::size_t capacity = 512;
  static constexpr std::size_t most_kept = statement_plan::most_text;

  [[nodiscard]] plan_ref find(std::string_view sql, sql_dialect dialect, bool parameterised) noexcept {
    try {
      if (sql.size() > most_kept) return plan_ref{new statement_plan{sql, dialect, parameterised}};
      const std::uint64_t hash = hash_of(sql);
      set& s = sets_[(hash >> 32) % set_count];
      if (statement_plan* const found = s.lock() ? s.find_and_unlock(hash, sql, dialect, parameterised) : nullptr)
        return plan_ref{found};
      return plan_ref{make(s, hash, sql, dialect, parameterised)};
    } catch (const std::bad_alloc&) {
      return {};
    }
  }

  /// Plans that are kept. For tests.
  [[nodiscard]] std::size_t size() noexcept {
    std::size_t count = 0;
    for (set& s : sets_) {
      if (!s.lock()) continue;
      for (const statement_plan* p : s.plans) count += p != nullptr ? 1 : 0;
      s.unlock();
    }
    return count;
  }

  [[nodiscard]] static std::uint64_t hash_of(std::string_view text) noexcept {
    std::uint64_t h = text.size() * 0x9E3779B97F4A7C15u;
    const auto mix = [&h](std::uint64_t word) {
      h = (h ^ word) * 0xD6E8FEB86659FD93u;
      h ^= h >> 32;
    };
    std::uint64_t word = 0;
    for (; text.size() >= sizeof word; text.remove_prefix(sizeof word)) {
      std::memcpy(&word, text.data(), sizeof word);
      mix(word);
    }
    word = 0;
    if (!text.empty()) std::memcpy(&word, text.data(), text.size());
    mix(word);
    return h;
  }

 private:
  static constexpr std::size_t ways = 8;
  static constexpr std::size_t set_count = capacity / ways;

  struct alignas(64) set {
    platform::atomic<std::uint32_t> busy{0};
    std::uint32_t next = 0;  ///< the way that is replaced next: they leave in the order they came
    std::uint64_t hashes[ways] = {};
    statement_plan* plans[ways] = {};

    [[nodiscard]] bool lock() noexcept {
      for (int i = 0; i < 100; ++i) {
        if (busy.exchange(1, platform::acquire) == 0) return true;
      }
      return false;
    }
    void unlock() noexcept { busy.store(0, platform::release); }

    [[nodiscard]] statement_plan* find_and_unlock(std::uint64_t hash, std::string_view sql, sql_dialect dialect,
                                                  bool parameterised) noexcept {
      statement_plan* found = nullptr;
      for (std::size_t i = 0; i < ways && found == nullptr; ++i) {
        if (hashes[i] != hash || plans[i] == nullptr) continue;
        statement_plan& p = *plans[i];
        if (p.sql == sql && p.dialect == dialect && p.parameterised == parameterised) found = &p;
      }
      if (found != nullptr) found->users.fetch_add(1, platform::relaxed);
      unlock();
      return found;
    }
  };

  OTLPKIT_COLD static statement_plan* make(set& s, std::uint64_t hash, std::string_view sql, sql_dialect dialect,
                                           bool parameterised) {
    auto* const made = new statement_plan{sql, dialect, parameterised};
    try {
      made->sql = sql;
    } catch (const std::bad_alloc&) {
      return made;  // of use this once
    }
    if (!s.lock()) return made;
    // Two threads may have made the same plan: one of the two leaves when its turn comes.
    made->users.store(2, platform::relaxed);
    statement_plan* const old = std::exchange(s.plans[s.next], made);
    s.hashes[s.next] = hash;
    s.next = (s.next + 1) % ways;
    s.unlock();
    if (old != nullptr) plan_ref::release(old);
    return made;
  }

  set sets_[set_count];
};

OTLPKIT_VISIBLE inline constinit plan_table global_plans{};

}  // namespace otlpkit::inline OTLPKIT_ABI::db::detail
