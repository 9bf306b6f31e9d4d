// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/cache/memory_cache.hpp>
#include <otlpkit/cache/tiered_telemetry.hpp>
#include <otlpkit/core/immortal.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::cache::detail {

/// What L1 keeps of a key. No value: it is known that there is none.
template <class Value>
struct tiered_entry {
  std::optional<Value> value;
  std::uint64_t born = 0;
  std::uint64_t fresh_until = 0;
  std::uint64_t refresh_at = UINT64_MAX;
  std::uint64_t retry_at = 0;  ///< the loader failed: not before this time again
};

/// One load that others may wait for. Under the core's mutex. `Waiters` is how they wait.
template <class Value, class Waiters>
struct flight {
  std::string key;
  Waiters waiters{};
  std::optional<Value> value;
  std::exception_ptr error;
  lookup_level level = lookup_level::l3;
  std::thread::id leader;
  bool current = true;  ///< not overtaken by set() or erase(): its value may be kept
  bool done = false;
  bool abandoned = false;  ///< given up without a result: a waiter takes over
};

/// What the blocking and the awaitable tiered cache share: L1, the loads under way, and what is decided from them. It
/// never waits and calls nothing of the user's but copies of values.
///
/// `Waiters::wake()` is called with the mutex held.
template <class Value, class Waiters>
class tiered_core {
 public:
  using entry = tiered_entry<Value>;
  using flight_type = flight<Value, Waiters>;
  using flight_ptr = std::shared_ptr<flight_type>;

  explicit tiered_core(tiered_cache_options o)
      : options{(check(o), std::move(o))}, telemetry{options},
        l1_{{.max_entries = options.max_entries, .now = options.now}}, observed_{
                                                                           [this](observer& out) { observe(out); }} {}

  enum class state : std::uint8_t { absent, fresh, refresh_due, expired, paused };

  struct seen {
    state what = state::absent;
    entry found{};
  };

  /// What L1 has of a key.
  [[nodiscard]] seen look(std::string_view key) {
    auto found = l1_.get(key);
    if (!found) return {};
    const std::uint64_t now = options.now();
    seen s{state::fresh, *std::move(found)};
    if (s.found.fresh_until <= now) {
      // Without a value there is nothing to give out when the time is over.
      s.what = !s.found.value ? state::absent : now < s.found.retry_at ? state::paused : state::expired;
    } else if (s.found.refresh_at <= now && s.found.retry_at <= now && s.found.value) {
      s.what = state::refresh_due;
    }
    return s;
  }

  struct joined {
    seen now_seen{};      ///< first: a value may throw as it is moved, and a load that has started must be led
    flight_ptr flight{};  ///< nullptr: L1 has it by now
    bool leads = false;
  };

  /// The load of a key that is under way, or a new one that the caller leads.
  [[nodiscard]] joined join(std::string_view key) {
    const std::lock_guard lock{mutex};
    if (const auto under_way = flights_.find(key); under_way != flights_.end()) return {{}, under_way->second, false};
    seen now_seen = look(key);
    if (now_seen.what == state::fresh || now_seen.what == state::refresh_due)
      return {std::move(now_seen), nullptr, false};
    return {std::move(now_seen), start(key), true};
  }

  /// A new load, unless one is under way. \param here whether this thread loads
  [[nodiscard]] flight_ptr lead(std::string_view key, bool here) {
    const std::lock_guard lock{mutex};
    if (flights_.contains(key)) return nullptr;
    flight_ptr f = start(key);
    if (!here) f->leader = {};
    return f;
  }

  /// Whether the value of this load may still be kept.
  [[nodiscard]] bool current(const flight_type& f) {
    const std::lock_guard lock{mutex};
    return f.current;
  }

  /// The load has ended with a value, or with the knowledge that there is none.
  /// \return false if it was overtaken: the value is for those who wait, and no cache may keep it
  bool finish(flight_type& f, std::optional<Value> value, lookup_level level) {
    const std::lock_guard lock{mutex};
    const bool keep = f.current;
    if (keep) this->keep(f.key, value);
    f.value = std::move(value);
    f.level = level;
    end(f);
    return keep;
  }

  /// The load has failed.
  /// \param past what L1 has of the key, to be given out while the loader is left alone for a while
  void fail(flight_type& f, std::exception_ptr error, const entry* past = nullptr) noexcept {
    const std::lock_guard lock{mutex};
    if (f.done) return;
    if (past != nullptr && f.current) {
      try {
        pause(f.key, *past);
      } catch (...) {  // no memory: the next lookup tries again at once
      }
    }
    f.error = std::move(error);
    end(f);
  }

  void abandon(flight_type& f) noexcept {
    const std::lock_guard lock{mutex};
    if (f.done) return;
    f.abandoned = true;
    end(f);
  }

  /// Puts a value, and lets no load under way put an older one.
  void put(std::string_view key, const Value& value) {
    const std::lock_guard lock{mutex};
    overtake(key);
    keep(key, std::optional<Value>{value});
  }

  void forget(std::string_view key) {
    const std::lock_guard lock{mutex};
    overtake(key);
    l1_.erase(key);
  }

  void forget_all() {
    const std::lock_guard lock{mutex};
    for (auto& [key, f] : flights_) f->current = false;
    flights_.clear();
    l1_.clear();
  }

  [[nodiscard]] std::size_t size() const { return l1_.size(); }
  [[nodiscard]] bool fits(std::string_view key) const noexcept { return key.size() <= options.max_key_bytes; }
  [[nodiscard]] std::int64_t age(const entry& e) const noexcept {
    const std::uint64_t now = options.now();
    return now > e.born ? static_cast<std::int64_t>(now - e.born) : 0;
  }
  /// The lifetime of one value in L2.
  [[nodiscard]] time_to_live shared_ttl() const noexcept { return spread(options.shared_ttl); }

  /// Counts a load for otlpkit.cache.inflight_loads and its duration.
  class load_timer {
   public:
    explicit load_timer(tiered_core& c) noexcept : core_{c}, began_{c.options.now()} {
      c.loads_.fetch_add(1, platform::relaxed);
    }
    load_timer(const load_timer&) = delete;
    load_timer& operator=(const load_timer&) = delete;
    ~load_timer() {
      core_.loads_.fetch_sub(1, platform::relaxed);
      core_.telemetry.loaded(core_.options.now() - began_, !succeeded);
    }
    bool succeeded = false;

   private:
    tiered_core& core_;
    std::uint64_t began_;
  };

  const tiered_cache_options options;
  const tiered_telemetry telemetry;
  std::mutex mutex;

 private:
  // With the mutex held.
  [[nodiscard]] flight_ptr start(std::string_view key) {
    auto f = std::make_shared<flight_type>();
    f->key = key;
    f->leader = std::this_thread::get_id();
    flights_.emplace(f->key, f);
    return f;
  }
  void overtake(std::string_view key) {
    const auto under_way = flights_.find(key);
    if (under_way == flights_.end()) return;
    const flight_ptr kept = under_way->second;  // the map's key is in it
    kept->current = false;
    flights_.erase(under_way);
  }
  void end(flight_type& f) noexcept {
    f.done = true;
    flight_ptr kept;
    if (const auto own = flights_.find(f.key); own != flights_.end() && own->second.get() == &f) {
      kept = std::move(own->second);
      flights_.erase(own);
    }
    f.waiters.wake();
  }
  void pause(std::string_view key, entry e) {
    const std::uint64_t now = options.now();
    e.retry_at = add(now, options.retry_pause);
    const std::uint64_t ends = add(e.fresh_until, options.grace);
    if (ends > now) l1_.set(key, std::move(e), lives(ends - now));
  }
  void keep(std::string_view key, const std::optional<Value>& value) {
    const std::uint64_t now = options.now();
    const time_to_live ttl = spread(value ? options.ttl : options.negative_ttl);
    if (ttl.ns() == 0) {
      l1_.erase(key);
      return;
    }
    entry e{value, now, add(now, ttl), UINT64_MAX, 0};
    if (value && options.refresh_ahead > 0 && !ttl.forever())
      e.refresh_at = now + static_cast<std::uint64_t>(static_cast<double>(ttl.ns()) * options.refresh_ahead);
    const std::uint64_t ends = value ? add(e.fresh_until, options.grace) : e.fresh_until;
    l1_.set(key, std::move(e), lives(ends - now));
  }

  [[nodiscard]] static std::uint64_t add(std::uint64_t t, time_to_live d) noexcept {
    const auto ns = static_cast<std::uint64_t>(d.ns());
    return d.forever() || t > UINT64_MAX - ns ? UINT64_MAX : t + ns;
  }
  [[nodiscard]] static time_to_live lives(std::uint64_t ns) noexcept {
    if (ns >= static_cast<std::uint64_t>(INT64_MAX)) return {};
    return std::chrono::nanoseconds{static_cast<std::int64_t>(ns)};
  }
  [[nodiscard]] time_to_live spread(time_to_live ttl) const noexcept {
    if (ttl.forever() || options.jitter <= 0) return ttl;
    const std::uint64_t random = options.random != nullptr ? options.random() : any_random();
    const double share = static_cast<double>(random >> 11) * 0x1p-53 * options.jitter;
    return std::chrono::nanoseconds{ttl.ns() - static_cast<std::int64_t>(static_cast<double>(ttl.ns()) * share)};
  }

  void observe([[maybe_unused]] observer& out) const {
    const auto& all = otlpkit::detail::immortal<tiered_instruments>();
    const field name{"otlpkit.cache.name", telemetry.name()};
    out.observe(all.entries, static_cast<std::int64_t>(l1_.size()), {name});
    out.observe(all.evictions, static_cast<std::int64_t>(l1_.evictions()),
                {name, {"otlpkit.cache.eviction.reason", "capacity"}});
    out.observe(all.evictions, static_cast<std::int64_t>(l1_.expirations()),
                {name, {"otlpkit.cache.eviction.reason", "expired"}});
    out.observe(all.loads, loads_.load(platform::relaxed), {name});
  }

  memory_cache<entry> l1_;
  std::unordered_map<std::string_view, flight_ptr> flights_;  // keys are in the flights
  platform::atomic<std::int64_t> loads_{0};
  metric_callback observed_;  // last: it reads what is above
};

/// The end of a load that its leader did not bring about: those who wait take over.
template <class Core>
class leading {
 public:
  /// \param f nullptr: nothing is led
  leading(Core& core, typename Core::flight_ptr f) noexcept : core_{core}, flight_{std::move(f)} {}
  leading(leading&& other) noexcept = default;
  leading& operator=(leading&&) = delete;
  ~leading() {
    if (flight_ != nullptr) core_.abandon(*flight_);
  }

  [[nodiscard]] explicit operator bool() const noexcept { return flight_ != nullptr; }
  [[nodiscard]] typename Core::flight_type& operator*() const noexcept { return *flight_; }
  [[nodiscard]] const typename Core::flight_ptr& flight() const noexcept { return flight_; }
  /// Somebody else sees to its end.
  void handed_over() noexcept { flight_.reset(); }

 private:
  Core& core_;
  typename Core::flight_ptr flight_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::cache::detail
