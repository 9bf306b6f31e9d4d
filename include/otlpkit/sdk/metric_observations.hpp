// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/observable.hpp>
#include <otlpkit/sdk/metric_totals.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// What the callbacks of observable instruments say in one collection, for one reader.
///
/// Label sets come in the order they were first observed. What is not observed again is forgotten.
class metric_observations {
 public:
  struct value {
    std::string labels;      ///< encoded as a data point's attributes
    std::uint64_t bits = 0;  ///< an integer, or a double's bits
  };

  /// Runs every callback. One that throws is reported, once; after `deadline` (platform::steady_ns) no further one
  /// begins.
  /// \return whether all were run
  bool run_callbacks(std::uint64_t deadline) {
    namespace core = otlpkit::detail;
    before_ = std::move(now_);
    now_.clear();
    if (core::running_callbacks) return true;  // a callback collects: its own instruments are under way already
    platform::lock_guard lock{core::global_metrics.observing};
    core::running_callbacks = true;
    observer out{&take, this};
    bool late = false;
    for (core::callback_entry* c = core::global_metrics.callbacks; c != nullptr; c = c->next) {
      if (c->gone) continue;
      if (late || platform::steady_ns() > deadline) {
        late = true;
        continue;
      }
      run(*c, out);
    }
    core::running_callbacks = false;
    for (core::callback_entry** link = &core::global_metrics.callbacks; *link != nullptr;) {
      core::callback_entry* const c = *link;
      if (!c->gone) {
        link = &c->next;
        continue;
      }
      *link = c->next;
      delete c;
    }
    if (late) {
      report(diagnostic_level::warning,
             "callbacks of observable instruments took longer than a collection may: the others were passed over");
    }
    return !late;
  }

  [[nodiscard]] const std::vector<value>* of(const otlpkit::detail::stream& s) const {
    const auto found = now_.find(&s);
    return found == now_.end() ? nullptr : &found->second.values;
  }

  /// What was added since the reader's last collection. A total that fell began anew.
  [[nodiscard]] std::uint64_t since_last(const otlpkit::detail::stream& s, const value& v) const {
    const auto earlier = before_.find(&s);
    if (earlier == before_.end()) return v.bits;
    const auto at = earlier->second.index.find(v.labels);
    if (at == earlier->second.index.end()) return v.bits;
    const std::uint64_t last = earlier->second.values[at->second].bits;
    const bool fell = s.floating ? std::bit_cast<double>(v.bits) < std::bit_cast<double>(last)
                                 : static_cast<std::int64_t>(v.bits) < static_cast<std::int64_t>(last);
    return fell ? v.bits : series_total::minus(v.bits, last, s.floating);
  }

  /// Nothing was observed yet.
  void clear() {
    now_.clear();
    before_.clear();
  }

 private:
  struct table {
    std::vector<value> values{};
    std::unordered_map<std::string, std::size_t> index{};
    bool overflowed = false;
  };

  static void run(otlpkit::detail::callback_entry& c, observer& out) {
    try {
      c.run(out);
      return;
    } catch (const std::exception& e) {
      if (std::exchange(c.said_exception, true)) return;
      report(diagnostic_level::error, std::string{"a callback of an observable instrument threw: "} + e.what());
    } catch (...) {
      if (std::exchange(c.said_exception, true)) return;
      report(diagnostic_level::error, "a callback of an observable instrument threw");
    }
  }

  static void take(void* self, otlpkit::detail::instrument_entry& e, otlpkit::detail::measurement m, fields labels) {
    for (const otlpkit::detail::stream* s = e.plan.load(platform::acquire); s != nullptr; s = s->also)
      static_cast<metric_observations*>(self)->add(*s, m, labels);
  }

  void add(const otlpkit::detail::stream& s, otlpkit::detail::measurement m, fields labels) {
    namespace core = otlpkit::detail;
    if (s.aggregation == aggregation_kind::drop) return;
    const core::label_set set{labels.begin(), labels.size(), s.filter};
    table& t = now_[&s];
    bool overflow = !set.ok();
    std::string key = overflow ? overflow_labels() : encode(set);
    auto at = t.index.find(key);
    if (at == t.index.end() && !overflow) {
      const std::size_t ordinary = t.values.size() - (t.overflowed ? 1 : 0);
      if (ordinary >= core::global_metrics.limit_of(s)) {
        overflow = true;
        key = overflow_labels();
        at = t.index.find(key);
      }
    }
    if (at == t.index.end()) {
      t.overflowed = t.overflowed || overflow;
      t.index.emplace(key, t.values.size());
      t.values.push_back({std::move(key), m.bits});
      return;
    }
    value& v = t.values[at->second];
    // What a view or the limit folds together adds up; the same label set twice is a correction.
    const bool folds = (overflow || s.filter != nullptr) && s.aggregation == aggregation_kind::sum;
    v.bits = folds ? series_total::plus(v.bits, m.bits, s.floating) : m.bits;
  }

  [[nodiscard]] static std::string encode(const otlpkit::detail::label_set& set) {
    std::vector<otlpkit::detail::label> sorted(set.begin(), set.begin() + set.size());
    std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.key_text() < b.key_text(); });
    return encode(sorted.data(), sorted.size());
  }
  [[nodiscard]] static std::string encode(const otlpkit::detail::label* labels, std::size_t count) {
    record_buffer out;
    bool ok = true;
    otlpkit::detail::encode_labels(out, 0x3A, labels, count, ok);
    return std::string{out.view()};
  }
  [[nodiscard]] static std::string overflow_labels() {
    constexpr std::string_view key = "otel.metric.overflow";
    const otlpkit::detail::label l{key.data(), key.size(), 0, otlpkit::value::kind::boolean, 1, nullptr, 0};
    return encode(&l, 1);
  }

  std::unordered_map<const otlpkit::detail::stream*, table> now_;
  std::unordered_map<const otlpkit::detail::stream*, table> before_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
