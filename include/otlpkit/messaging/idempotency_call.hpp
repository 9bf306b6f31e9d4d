// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/lock/options.hpp>
#include <otlpkit/messaging/idempotency_store.hpp>
#include <otlpkit/messaging/stored_context.hpp>
#include <otlpkit/messaging/stored_hash.hpp>
#include <otlpkit/otlpkit.hpp>
#include <otlpkit/resilience/event.hpp>
#include <otlpkit/resilience/settled.hpp>
#include <otlpkit/resilience/time_source.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI::messaging {

/// How guarded calls of one kind behave.
struct idempotency_options {
  std::string name = "default";                                  ///< the kind: in span names, metrics and the store
  std::chrono::nanoseconds ttl = std::chrono::hours{24};         ///< how long a result is known
  std::chrono::nanoseconds lease = std::chrono::minutes{1};      ///< longer than a call takes: then others may run
  std::chrono::nanoseconds max_wait = std::chrono::seconds{10};  ///< for one in progress; 0: refused at once
  std::chrono::nanoseconds poll_interval = std::chrono::milliseconds{100};  ///< at most, between looks at the store
  /// Which failures are kept like results; the others free the key, for the next caller to try. Empty: none is kept.
  resilience::outcome_predicate remember_failure{};
  std::size_t max_key_bytes = 256;          ///< longer keys are refused
  bool record_key = false;                  ///< otlpkit.idempotency.key on spans
  resilience::time_source* time = nullptr;  ///< nullptr: system_time()
};

/// Another call with the same key did not end in time.
class in_progress_error : public rejected_error {
 public:
  explicit in_progress_error(std::string_view name)
      : rejected_error{rejection::timed_out, name, "a call with this key is in progress"} {}
};

/// What a guard refuses for its key's sake: asking again changes nothing.
class idempotency_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The key is empty or too long.
class bad_key_error : public idempotency_error {
 public:
  using idempotency_error::idempotency_error;
};

/// The key came before with another request.
class key_reused_error : public idempotency_error {
 public:
  explicit key_reused_error(const std::string& name)
      : idempotency_error{name + ": this key was used for another request"} {}
};

/// The call with this key failed, and its failure was remembered. what() is what that exception said.
class remembered_failure_error : public idempotency_error {
 public:
  remembered_failure_error(const std::string& what, std::string type)
      : idempotency_error{what}, type_{std::move(type)} {}
  /// Of the exception it ended with.
  [[nodiscard]] const std::string& type() const noexcept { return type_; }

 private:
  std::string type_;
};

/// What a guarded call ended with.
template <class Value>
struct guarded {
  Value value;
  bool replayed = false;  ///< an earlier call made it
  [[nodiscard]] const Value& operator*() const noexcept { return value; }
  [[nodiscard]] const Value* operator->() const noexcept { return &value; }
};

/// Texts as they are, for guards of functions that return text or nothing.
struct text_codec {
  [[nodiscard]] std::string encode(std::string_view text) const { return std::string{text}; }
  [[nodiscard]] std::optional<std::string> decode(std::string_view text) const { return std::string{text}; }
};

namespace detail {

inline constinit const counter<std::int64_t> idempotent_calls{
    "otlpkit.idempotency.calls", {.unit = "{call}", .description = "Calls with an idempotency key, by how they ended"}};

inline void check(const idempotency_options& o) {
  const auto text = [](std::chrono::nanoseconds d) { return std::to_string(d.count()) + " ns"; };
  using namespace std::chrono_literals;
  if (o.ttl < 1ms) throw config_error{"idempotency_options.ttl", text(o.ttl), "a millisecond or more"};
  if (o.lease < 1ms) throw config_error{"idempotency_options.lease", text(o.lease), "a millisecond or more"};
  if (o.max_wait < 0ns) throw config_error{"idempotency_options.max_wait", text(o.max_wait), "zero or more"};
  if (o.poll_interval < 1ms)
    throw config_error{"idempotency_options.poll_interval", text(o.poll_interval), "a millisecond or more"};
}

/// One guarded call: what to do after each answer of the store, and what is said of it. Asks and waits itself for
/// nothing.
class idempotency_call {
 public:
  enum class step : std::uint8_t { run, replay, wait };

  /// Throws bad_key_error.
  idempotency_call(const idempotency_options& o, std::string_view span_name, std::string_view key,
                   std::optional<std::string_view> request, resilience::time_source& time)
      : options_{o}, time_{time}, key_{key.substr(0, o.max_key_bytes)}, span_{span_name,
                                                                              {{"otlpkit.idempotency.name", o.name}}} {
    if (o.record_key) span_.set("otlpkit.idempotency.key", key_);
    if (key.empty() || key.size() > o.max_key_bytes) {
      const bad_key_error e{o.name + ": a key of " + std::to_string(key.size()) + " bytes, expected 1 to " +
                            std::to_string(o.max_key_bytes)};
      refused("bad_key", "refused", e);
      throw e;
    }
    owner_ = lock::detail::new_owner();
    context_ = stored_context();
    if (request) fingerprint_ = stored_hash(*request);
    began_ = time.now();
  }
  idempotency_call(const idempotency_call&) = delete;
  idempotency_call& operator=(const idempotency_call&) = delete;
  ~idempotency_call() {
    if (!said_) ended("abandoned");
  }

  [[nodiscard]] idempotency_claim claim() const noexcept {
    return {options_.name, key_, fingerprint_, owner_, context_, options_.lease};
  }

  /// What to do after begin() answered. Throws what the caller is to get instead of a result.
  [[nodiscard]] step look(const idempotency_entry& e) {
    if (e.state == idempotency_state::begun) return step::run;
    if (!fingerprint_.empty() && !e.fingerprint.empty() && e.fingerprint != fingerprint_) {
      const key_reused_error reused{options_.name};
      refused("key_reused", "mismatch", reused);
      throw reused;
    }
    if (e.state == idempotency_state::in_progress) {
      waited_ = time_.now() - began_;
      if (waited_ < options_.max_wait) return step::wait;
      const in_progress_error busy{options_.name};
      refused("in_progress", "in_progress", busy);
      throw busy;
    }
    link_stored(span_, e.context);
    if (e.state == idempotency_state::failed) {
      const auto line = std::min(e.result.find('\n'), e.result.size());
      const std::string what = line < e.result.size() ? e.result.substr(line + 1) : std::string{};
      const remembered_failure_error failure{what, e.result.substr(0, line)};
      refused(failure.type(), "remembered", failure);
      throw failure;
    }
    return step::replay;
  }

  /// How long to wait before the store is asked again: short at first, as most calls are.
  [[nodiscard]] std::chrono::nanoseconds pause() noexcept {
    const std::chrono::nanoseconds next = std::chrono::milliseconds{1} * (std::int64_t{1} << std::min(polls_, 20));
    ++polls_;
    return std::min({next, options_.poll_interval, options_.max_wait - waited_});
  }

  /// The answer to a call that need not run. Throws idempotency_error when it does not decode.
  template <class Value>
  [[nodiscard]] guarded<Value> replayed(std::optional<Value> value) {
    if (!value) {
      const idempotency_error e{options_.name + ": the stored result cannot be read"};
      refused("unreadable_result", "error", e);
      throw e;
    }
    ended("replayed");
    return {*std::move(value), true};
  }

  /// Whether the failure is to be kept, and as what text.
  [[nodiscard]] std::optional<std::string> remembered(const resilience::outcome& o) const {
    if (!options_.remember_failure || o.cancelled() || !options_.remember_failure(o)) return std::nullopt;
    std::string text = "unknown\n";
    o.with_exception<std::exception>([&text](const std::exception& e) {
      text.assign(platform::type_name{typeid(e).name()}.text()).append("\n").append(e.what());
    });
    return text;
  }

  /// Of what ran: `kept` is what the store said to its end. A store that failed then, or the codec, is recorded, and
  /// the result holds.
  void executed(bool kept, const std::exception_ptr& store_failure) noexcept {
    note_end(kept, store_failure);
    ended("executed");
  }
  void failed(const std::exception_ptr& failure, bool kept, const std::exception_ptr& store_failure) noexcept {
    note_end(kept, store_failure);
    resilience::detail::record_failure(span_, failure);
    ended("failed");
  }
  /// begin() failed: nothing ran.
  void store_failed(const std::exception_ptr& failure) noexcept {
    resilience::detail::record_failure(span_, failure);
    ended("error");
  }

  [[nodiscard]] const idempotency_options& options() const noexcept { return options_; }
  [[nodiscard]] resilience::time_source& time() const noexcept { return time_; }

 private:
  void note_end(bool kept, const std::exception_ptr& store_failure) noexcept {
    span_.set("otlpkit.idempotency.kept", kept);
    resilience::detail::note_exception(span_, store_failure);
  }
  void refused(std::string_view type, std::string_view outcome, const std::exception& e) noexcept {
    span_.fail(type, e.what());
    ended(outcome);
  }
  void ended(std::string_view outcome) noexcept {
    said_ = true;
    span_.set("otlpkit.idempotency.outcome", outcome);
    if (polls_ > 0) span_.set("otlpkit.idempotency.polls", polls_);
    idempotent_calls.add(1, {{"otlpkit.idempotency.name", options_.name}, {"otlpkit.idempotency.outcome", outcome}});
  }

  const idempotency_options& options_;
  resilience::time_source& time_;
  std::string key_, fingerprint_{}, owner_{}, context_{};
  resilience::time_point began_{};
  std::chrono::nanoseconds waited_{0};
  int polls_ = 0;
  bool said_ = false;
  span_guard span_;
};

/// What the blocking and the awaitable guard have in common.
template <class Store, class Value, class Codec>
struct idempotency_core {
  idempotency_core(Store&& s, idempotency_options o, Codec c)
      : options{(check(o), std::move(o))}, span_name{"idempotency.run " + options.name}, store{std::forward<Store>(s)},
        codec{std::move(c)}, time{options.time != nullptr ? *options.time : resilience::system_time()} {
    static_assert(idempotency_store<Store>,
                  "a guard's store needs begin(claim), finish(claim, state, result, ttl) and "
                  "release(claim)");
  }

  /// The result, of a function that may return nothing.
  template <class Result>
  [[nodiscard]] static Value value_of(resilience::detail::settled<Result>& ended) {
    if constexpr (std::is_void_v<Result>) {
      ended.take();
      return Value{};
    } else {
      return ended.take();
    }
  }

  const idempotency_options options;
  const std::string span_name;
  Store store;
  Codec codec;
  resilience::time_source& time;
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::messaging
