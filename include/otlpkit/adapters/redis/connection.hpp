// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/redis/operation.hpp>
#include <otlpkit/adapters/redis/wire.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::redis {

/// A connection to a Redis server, made with the first command and made again when it broke. Every command is a CLIENT
/// span, named by it (`GET`).
///
/// Thread-safe: commands of several threads take turns, and one whose turn does not come within command_timeout fails
/// with failure::timeout. No call waits longer than its time-outs. A command is never sent twice: after
/// failure::timeout and failure::closed the caller decides. While connecting fails, commands fail at once until the
/// back-off is over.
class connection {
 public:
  /// Connects to nothing yet. Throws config_error for a URL or time-out that cannot be used.
  explicit connection(options o = {}) : options_{std::move(o)}, address_{address::parse(options_.url)} {
    check();
    labels_.address = address_.host;
    labels_.name_space = std::to_string(address_.database);
    labels_.port = address_.port == 6379 ? 0 : address_.port;
    labels_.record_keys = options_.record_keys;
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// Sends a command and returns the answer: `c.command("SET", key, value, "PX", 1000)`. Throws error.
  template <class... Words>
  reply command(std::string_view name, const Words&... words) {
    const std::initializer_list<argument> all{argument{name}, argument{words}...};
    return command(std::span<const argument>{all.begin(), all.size()});
  }
  /// The same for words that are counted at run time.
  /// \param extra    on top of command_timeout, for commands that wait on the server
  /// \param script   what EVAL is told to run, as db.stored_procedure.name
  reply command(std::span<const argument> words, std::chrono::milliseconds extra = {}, std::string_view script = {}) {
    if (words.empty()) throw error{failure::usage, {}, "a command without words"};
    const detail::command_name name{words[0].text()};
    detail::operation op{labels_, name.text(), script, 0, words};
    try {
      std::string bytes;
      format(words, bytes);
      const turn mine{*this};
      reply r = exchange(bytes, 1, extra, [](reply&) {});
      if (r.is_error()) throw server_error(r.text());
      op.succeeded();
      return r;
    } catch (...) {
      op.failed();
      throw;
    }
  }

  /// Sends several commands at once and returns their answers in order; errors of the server are among them. One span
  /// `PIPELINE`, or `PIPELINE SET` if all are of one kind. Throws error when not all were answered.
  std::vector<reply> pipeline(std::span<const std::vector<argument>> commands) {
    std::vector<reply> answers;
    std::string name = "PIPELINE";
    std::string bytes;
    for (const auto& words : commands) {
      if (words.empty()) throw error{failure::usage, {}, "a command without words"};
      format(words, bytes);
    }
    if (!commands.empty()) {
      const detail::command_name first{commands[0][0].text()};
      const bool same = std::all_of(commands.begin(), commands.end(), [&](const auto& words) {
        return detail::command_name{words[0].text()}.text() == first.text();
      });
      if (same) name.append(" ").append(first.text());
    }
    detail::operation op{labels_, name, {}, commands.size() == 1 ? 0 : commands.size(), {}};
    try {
      answers.reserve(commands.size());
      if (!commands.empty()) {
        const turn mine{*this};
        reply last = exchange(bytes, commands.size(), {}, [&](reply& r) { answers.push_back(std::move(r)); });
        answers.push_back(std::move(last));
      }
    } catch (...) {
      op.failed();
      throw;
    }
    const auto bad = std::find_if(answers.begin(), answers.end(), [](const reply& r) { return r.is_error(); });
    if (bad != answers.end())
      op.failed(server_error(bad->text()));
    else
      op.succeeded();
    return answers;
  }

  [[nodiscard]] const options& settings() const noexcept { return options_; }
  /// Whether there is a connection that has not failed; it may have ended since.
  [[nodiscard]] bool connected() const {
    const std::lock_guard lock{mutex_};
    return connected_;
  }

 private:
  using clock = detail::clock;

  /// The right to use the wire. Waited for with a condition variable: a mutex that is waited for with a deadline is
  /// nothing ThreadSanitizer of g++ 12 knows.
  class turn {
   public:
    explicit turn(connection& c) : connection_{c} {
      std::unique_lock lock{c.mutex_};
      if (!c.free_.wait_for(lock, c.options_.command_timeout, [&c] { return !c.busy_; }))
        throw error{failure::timeout, {}, "other commands keep the connection busy"};
      c.busy_ = true;
    }
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn() {
      {
        const std::lock_guard lock{connection_.mutex_};
        connection_.busy_ = false;
        connection_.connected_ = connection_.wire_.has_value();
      }
      connection_.free_.notify_one();
    }

   private:
    connection& connection_;
  };

  void check() const {
    const auto time = [](const char* setting, std::chrono::milliseconds d, std::chrono::milliseconds least) {
      if (d < least || d > std::chrono::hours{24})
        throw config_error{setting, std::to_string(d.count()) + " ms", std::to_string(least.count()) + " ms to a day"};
    };
    time("redis::options.connect_timeout", options_.connect_timeout, std::chrono::milliseconds{1});
    time("redis::options.command_timeout", options_.command_timeout, std::chrono::milliseconds{1});
    time("redis::options.first_back_off", options_.first_back_off, std::chrono::milliseconds{0});
    time("redis::options.max_back_off", options_.max_back_off, options_.first_back_off);
  }

  static void format(std::span<const argument> words, std::string& bytes) {
    std::vector<const char*> texts;
    std::vector<std::size_t> sizes;
    for (const argument& w : words) {
      texts.push_back(w.text().empty() ? "" : w.text().data());
      sizes.push_back(w.text().size());
    }
    char* made = nullptr;
    const int size = ::redisFormatCommandArgv(&made, static_cast<int>(words.size()), texts.data(), sizes.data());
    if (size < 0) throw error{failure::usage, {}, "a command that cannot be written"};
    const std::unique_ptr<char, void (*)(char*)> owned{made, &::redisFreeCommand};
    bytes.append(made, static_cast<std::size_t>(size));
  }

  /// With the turn. Whatever goes wrong, the wire goes: what is still on its way would be taken for another's answer.
  template <class Take>
  reply exchange(std::string_view bytes, std::size_t answers, std::chrono::milliseconds extra, Take take) {
    connect();
    const auto deadline = clock::now() + options_.command_timeout + extra;
    try {
      wire_->send(bytes, deadline);
      for (std::size_t i = 1; i < answers; ++i) {
        reply r = wire_->receive(deadline);
        take(r);
      }
      return wire_->receive(deadline);
    } catch (...) {
      wire_.reset();
      throw;
    }
  }

  void connect() {
    if (wire_ && !wire_->stale()) return;
    wire_.reset();
    const auto now = clock::now();
    if (failures_ != 0 && now < next_attempt_) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_attempt_ - now).count();
      throw error{failure::unreachable, {}, last_failure_ + " (tried again in " + std::to_string(left) + " ms)"};
    }
    try {
      const auto deadline = now + options_.connect_timeout;
      wire_.emplace(address_, deadline);
      if (!address_.password.empty()) {
        if (address_.user.empty())
          log_in({"AUTH", address_.password}, deadline);
        else
          log_in({"AUTH", address_.user, address_.password}, deadline);
      }
      if (address_.database != 0) log_in({"SELECT", address_.database}, deadline);
      failures_ = 0;
    } catch (const error& e) {
      wire_.reset();
      back_off(e.what());
      throw error{failure::unreachable, e.status_code(), last_failure_};
    } catch (...) {  // no memory: what has not logged in must not be taken for a connection
      wire_.reset();
      throw;
    }
  }

  void log_in(std::initializer_list<argument> words, clock::time_point deadline) {
    std::string bytes;
    format({words.begin(), words.size()}, bytes);
    wire_->send(bytes, deadline);
    const reply r = wire_->receive(deadline);
    if (r.is_error()) throw server_error(r.text());
  }

  void back_off(std::string_view why) {
    constexpr std::string_view prefix = "redis: ";
    last_failure_ = why.substr(why.substr(0, prefix.size()) == prefix ? prefix.size() : 0);
    const int doublings = std::min(failures_++, 20);
    auto wait = std::min(options_.first_back_off * (1 << doublings), options_.max_back_off);
    wait -= wait * std::uniform_int_distribution{0, 50}(random_) / 100;  // so that not all clients come back at once
    next_attempt_ = clock::now() + wait;
  }

  /// `WRONGTYPE Operation against a key ...`: the first word is the code.
  [[nodiscard]] static error server_error(std::string_view text) {
    std::string_view code = text.substr(0, text.find(' '));
    const bool plausible = !code.empty() && code.size() <= 15 && std::all_of(code.begin(), code.end(), [](char c) {
      return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (!plausible) code = "ERR";
    return error{failure::server, code, message_of(text)};
  }
  /// Without what the server quotes of the command: `ERR unknown command 'x', with args beginning with: ...`.
  [[nodiscard]] static std::string message_of(std::string_view text) {
    text = text.substr(0, text.find_first_of("'`\""));
    while (!text.empty() && (text.back() == ' ' || text.back() == ':')) text.remove_suffix(1);
    return std::string{text.substr(0, 200)};
  }

  const options options_;
  const address address_;
  detail::server_labels labels_;
  mutable std::mutex mutex_;
  std::condition_variable free_;
  bool busy_ = false;
  bool connected_ = false;
  // Of whoever has the turn:
  std::optional<detail::wire> wire_;
  int failures_ = 0;
  clock::time_point next_attempt_{};
  std::string last_failure_;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace otlpkit::inline OTLPKIT_ABI::redis
