// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/adapters/redis/connection.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::redis {

/// An entry of a stream: its id and its fields, in order. One that was deleted meanwhile has none.
struct stream_entry {
  std::string id;
  std::vector<std::pair<std::string, std::string>> fields;

  /// The value of the first field of that name.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept {
    for (const auto& [key, value] : fields) {
      if (key == name) return value;
    }
    return std::nullopt;
  }
};

using stream_fields = std::span<const std::pair<std::string_view, std::string_view>>;

/// A Redis stream, and consumer groups that share its entries out. Calls throw redis::error. Thread-safe; read() keeps
/// its connection busy while it waits, so consumers have connections of their own.
class stream {
 public:
  /// \param server must outlive this
  stream(connection& server, std::string key) : server_{server}, key_{std::move(key)} {}

  /// XADD. \param max_entries about how many are kept; 0: all
  /// \return the new entry's id
  std::string add(stream_fields fields, std::size_t max_entries = 0) {
    std::vector<argument> words{"XADD", key_};
    if (max_entries != 0) words.insert(words.end(), {argument{"MAXLEN"}, argument{"~"}, argument{max_entries}});
    words.emplace_back("*");
    for (const auto& [name, value] : fields) words.insert(words.end(), {argument{name}, argument{value}});
    return std::string{server_.command(words).text()};
  }
  std::string add(std::initializer_list<std::pair<std::string_view, std::string_view>> fields,
                  std::size_t max_entries = 0) {
    return add(stream_fields{fields.begin(), fields.size()}, max_entries);
  }

  /// XGROUP CREATE, and the stream with it. Not to be made again if it is there.
  /// \param from where it begins: `0` with the oldest entry, `$` with the next one
  void create_group(std::string_view group, std::string_view from = "0") {
    try {
      static_cast<void>(server_.command("XGROUP", "CREATE", key_, group, from, "MKSTREAM"));
    } catch (const error& e) {
      if (e.status_code() != "BUSYGROUP") throw;
    }
  }

  /// XREADGROUP: entries that no consumer of the group has got. They stay with this consumer until ack().
  /// \param wait for how long, if there are none, a day at most; 0: not at all
  std::vector<stream_entry> read(std::string_view group, std::string_view consumer, std::size_t most = 10,
                                 std::chrono::milliseconds wait = {}) {
    wait = std::min<std::chrono::milliseconds>(wait, std::chrono::hours{24});
    std::vector<argument> words{"XREADGROUP", "GROUP", group, consumer, "COUNT", most};
    if (wait.count() > 0) words.insert(words.end(), {argument{"BLOCK"}, argument{wait.count()}});
    words.insert(words.end(), {argument{"STREAMS"}, argument{key_}, argument{">"}});
    const reply r = server_.command(words, wait);
    return r.size() == 0 ? std::vector<stream_entry>{} : entries(r[0][1]);
  }

  /// Entries this consumer has got and not acknowledged, from before it died for instance.
  std::vector<stream_entry> pending(std::string_view group, std::string_view consumer, std::size_t most = 10,
                                    std::string_view after = "0") {
    const reply r = server_.command("XREADGROUP", "GROUP", group, consumer, "COUNT", most, "STREAMS", key_, after);
    return r.size() == 0 ? std::vector<stream_entry>{} : entries(r[0][1]);
  }

  /// XACK. \return how many were still waiting for it
  std::size_t ack(std::string_view group, std::span<const std::string> ids) {
    if (ids.empty()) return 0;
    std::vector<argument> words{"XACK", key_, group};
    for (const std::string& id : ids) words.emplace_back(id);
    return static_cast<std::size_t>(server_.command(words).integer());
  }
  std::size_t ack(std::string_view group, const std::string& id) {
    return ack(group, std::span<const std::string>{&id, 1});
  }

  struct claimed {
    std::vector<stream_entry> entries;
    std::string next;  ///< where to go on; `0-0`: all were looked at
  };

  /// XAUTOCLAIM: takes over what other consumers got and did not acknowledge for `idle`.
  claimed auto_claim(std::string_view group, std::string_view consumer, std::chrono::milliseconds idle,
                     std::string_view from = "0-0", std::size_t most = 10) {
    const reply r = server_.command("XAUTOCLAIM", key_, group, consumer, idle.count(), from, "COUNT", most);
    return {entries(r[1]), std::string{r[0].text()}};
  }

  /// XLEN.
  [[nodiscard]] std::size_t size() { return static_cast<std::size_t>(server_.command("XLEN", key_).integer()); }
  [[nodiscard]] const std::string& key() const noexcept { return key_; }

 private:
  [[nodiscard]] static std::vector<stream_entry> entries(reply_view list) {
    std::vector<stream_entry> out;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i].nil()) continue;  // older servers leave a hole for one that was deleted
      stream_entry e{std::string{list[i][0].text()}, {}};
      const reply_view fields = list[i][1];
      for (std::size_t k = 0; k + 1 < fields.size(); k += 2)
        e.fields.emplace_back(fields[k].text(), fields[k + 1].text());
      out.push_back(std::move(e));
    }
    return out;
  }

  connection& server_;
  std::string key_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::redis
