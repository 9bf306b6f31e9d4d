// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/export/prometheus_labels.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::prometheus {

/// OTLP metrics as a page for Prometheus. Does no I/O; owns nothing of what is added, which must live as long.
///
///     prometheus::page page;
///     page.add_request(bytes);                       // an ExportMetricsServiceRequest, or a MetricsData
///     send(page.text(prometheus::format::text));
///
/// Names, units, types and labels are translated as the specification has it
/// (compatibility/prometheus_and_openmetrics). Samples carry no time: a page is the state as of now. What cannot be
/// shown is left out and told in problems().
class page {
 public:
  explicit page(page_options options = {}) : options_{std::move(options)}, naming_{options_.translation} {}
  page(const page&) = delete;
  page& operator=(const page&) = delete;

  void add_request(std::string_view request) {
    for (wire::reader f{request}; f.next();) {
      if (!f.is(1, wire::reader::len)) continue;
      add_resource(f.bytes());
      for (wire::reader scope{f.bytes()}; scope.next();) {
        if (scope.is(2, wire::reader::len)) add_scope(scope.bytes(), scope.bytes());
      }
    }
  }

  /// \param fields of ResourceMetrics; the first resource becomes target_info
  void add_resource(std::string_view fields) {
    if (!resource_.empty()) return;
    for (wire::reader f{fields}; f.next();) {
      if (f.is(1, wire::reader::len)) resource_ = f.bytes();
    }
  }

  /// \param head  holds fields 1 and 3 of ScopeMetrics
  /// \param items holds its fields 2
  void add_scope(std::string_view head, std::string_view items) {
    scopes_.push_back({head, {}});
    for (wire::reader f{items}; f.next();) {
      if (f.is(2, wire::reader::len)) add_metric(f.bytes());
    }
  }

  /// The page. May be asked for again, in another format.
  [[nodiscard]] std::string text(format how, escaping names = escaping::underscores) {
    naming_.escaping = names;
    std::vector<field_view> constant;
    for (wire::reader r{resource_}; r.next();) {
      if (r.is(1, wire::reader::len) && on_every_series(field_view{r.bytes()}.key)) constant.emplace_back(r.bytes());
    }
    for (scope_part& s : scopes_) {
      s.labels = options_.scope_labels ? detail::scope_labels{s.head, naming_} : detail::scope_labels{};
      s.labels.add(constant, naming_);
    }
    std::string out;
    std::set<std::string, std::less<>> taken;
    if (options_.target_info) target_info(out, how, taken);
    for (const family& f : families_) {
      if (claim(f, how, taken)) {
        write(out, f, how);
      } else {
        problem("metric " + f.name + ": another metric of a different type has this name for Prometheus; left out");
      }
    }
    if (how == format::openmetrics) out += "# EOF\n";
    return out;
  }

  /// What was left out so far and why, a sentence each.
  [[nodiscard]] const std::vector<std::string>& problems() const noexcept { return problems_; }

 private:
  enum class kind : std::uint8_t { counter, gauge, histogram, summary, unknown, info, stateset };
  enum class shape : std::uint8_t { number, explicit_histogram, exponential_histogram, summary };

  struct scope_part {
    std::string_view head;
    detail::scope_labels labels;  ///< as the page under way names them
  };
  struct source {
    std::string_view data{};  ///< a Gauge, Sum, Histogram, ... message
    shape points{};
    const scope_part* scope = nullptr;
  };
  struct family {
    std::string name, unit;  ///< without the suffix of the type
    std::string_view help;
    kind type{};
    std::vector<source> sources;
  };

  [[nodiscard]] bool on_every_series(std::string_view key) const {
    return std::ranges::any_of(options_.resource_labels, [key](const std::string& k) { return k == "*" || k == key; });
  }

  void problem(std::string text) { problems_.push_back(std::move(text)); }

  void add_metric(std::string_view message) {
    std::string_view name, description, unit;
    source s;
    s.scope = &scopes_.back();
    std::uint32_t data = 0;
    std::string asked;
    for (wire::reader f{message}; f.next();) {
      if (f.type() != wire::reader::len) continue;
      switch (f.number()) {
        case 1: name = f.bytes(); break;
        case 2: description = f.bytes(); break;
        case 3: unit = f.bytes(); break;
        case 12:
          if (const field_view pair{f.bytes()}; pair.key == "prometheus.type") asked = pair.value.as_string();
          break;
        case 5:
        case 7:
        case 9:
        case 10:
        case 11:
          data = f.number();
          s.data = f.bytes();
          break;
        default: break;
      }
    }
    std::uint64_t temporality = 2;
    bool monotonic = false;
    for (wire::reader f{s.data}; f.next();) {
      if (data != 5 && data != 11 && f.is(2, wire::reader::varint)) temporality = f.value();
      if (data == 7 && f.is(3, wire::reader::varint)) monotonic = f.as_bool();
    }
    const std::string quoted_name{name.substr(0, 255)};
    if (data == 0) return;
    if (name.empty()) return problem("a metric has no name; left out");
    if (temporality != 2)
      return problem("metric " + quoted_name + " is not cumulative, as Prometheus needs it; left out");
    kind type = kind::gauge;
    if (data == 7 && monotonic) {
      type = kind::counter;
    } else if (data == 9 || data == 10) {
      type = kind::histogram;
      s.points = data == 9 ? shape::explicit_histogram : shape::exponential_histogram;
    } else if (data == 11) {
      type = kind::summary;
      s.points = shape::summary;
    } else if (asked == "unknown" || asked == "unkown") {  // the specification spells it so
      type = kind::unknown;
    } else if (asked == "info") {
      type = kind::info;
    } else if (asked == "stateset") {
      type = kind::stateset;
    }
    add_source(name, type, type == kind::info || type == kind::stateset ? "" : unit_word(unit), description, s);
  }

  void add_source(std::string_view name, kind type, std::string word, std::string_view help, const source& s) {
    std::string full = naming_.family(name, word, type == kind::counter);
    if (type == kind::info) full = detail::without_suffix(full, "_info");
    const auto [at, is_new] = index_.try_emplace({full, type}, families_.size());
    if (is_new) {
      const bool has_unit = !word.empty() && full.size() > word.size() && full.ends_with(word);
      families_.push_back({std::move(full), has_unit ? std::move(word) : std::string{}, help, type, {s}});
      return;
    }
    family& f = families_[at->second];
    if (f.help != help) problem("metric " + f.name + ": two descriptions; the first is shown");
    f.sources.push_back(s);
  }

  /// The name samples of the type have, unless they have several.
  [[nodiscard]] std::string sample_name(const family& f) const {
    if (f.type == kind::counter && naming_.suffixes()) return naming_.metric(f.name + "_total");
    return naming_.metric(f.type == kind::info ? f.name + "_info" : f.name);
  }
  /// What OpenMetrics calls it: without the suffix of its type.
  [[nodiscard]] std::string shown_name(const family& f) const {
    const std::string name = sample_name(f);
    return std::string{f.type == kind::counter ? detail::without_suffix(name, "_total")
                       : f.type == kind::info  ? detail::without_suffix(name, "_info")
                                               : std::string_view{name}};
  }
  /// OpenMetrics has no counters whose samples do not end in `_total`: those are of unknown type there.
  [[nodiscard]] bool nameless_counter(const family& f) const {
    return f.type == kind::counter && !sample_name(f).ends_with("_total");
  }

  /// Reserves every name a family uses. False when one of them is another's.
  [[nodiscard]] bool claim(const family& f, format how, std::set<std::string, std::less<>>& taken) const {
    std::vector<std::string> names{sample_name(f)};
    const std::string shown = shown_name(f);
    if (how == format::openmetrics && shown != names[0]) names.push_back(shown);
    if (f.type == kind::histogram || f.type == kind::summary) {
      names.push_back(shown + "_sum");
      names.push_back(shown + "_count");
    }
    if (f.type == kind::histogram) names.push_back(shown + "_bucket");
    if (std::ranges::any_of(names, [&](const std::string& n) { return taken.contains(n); })) return false;
    taken.insert(names.begin(), names.end());
    return true;
  }

  void comments(std::string& out, format how, const family& f) const {
    constexpr std::string_view old_types[] = {"counter", "gauge", "histogram", "summary", "untyped", "gauge", "gauge"};
    constexpr std::string_view types[] = {"counter", "gauge", "histogram", "summary", "unknown", "info", "stateset"};
    const bool open = how == format::openmetrics;
    std::string name;
    detail::append_name(name, open ? shown_name(f) : sample_name(f), true);
    if (!f.help.empty()) {
      out.append("# HELP ").append(name).push_back(' ');
      detail::append_escaped(out, f.help, open);
      out.push_back('\n');
    }
    const auto type = static_cast<std::size_t>(open && nameless_counter(f) ? kind::unknown : f.type);
    out.append("# TYPE ").append(name).append(" ").append(open ? types[type] : old_types[type]).push_back('\n');
    if (open && !f.unit.empty() && naming_.suffixes())
      out.append("# UNIT ").append(name).append(" ").append(f.unit).push_back('\n');
  }

  void target_info(std::string& out, format how, std::set<std::string, std::less<>>& taken) {
    const family f{"target", "", "Target metadata", kind::info, {}};
    detail::label_list labels;
    for (wire::reader r{resource_}; r.next();) {
      if (r.is(1, wire::reader::len)) labels.add(field_view{r.bytes()}, naming_);
    }
    labels.settle();
    std::string text;
    labels.append_to(text);
    if (text.empty()) return;
    static_cast<void>(claim(f, how, taken));
    comments(out, how, f);
    sample(out, "target_info", text, {}, {});
    out += "1\n";
  }

  /// One family: its comments, then the points of all its metrics. A label set is shown once.
  void write(std::string& out, const family& f, format how) {
    const std::size_t begin = out.size();
    comments(out, how, f);
    const std::size_t head = out.size();
    std::unordered_set<std::string> seen;
    bool doubled = false, unsound = false;
    const auto is_new = [&](const std::string& labels) {
      const bool fresh = seen.insert(labels).second;
      doubled = doubled || !fresh;
      return fresh;
    };
    for (const source& s : f.sources) {
      for (wire::reader d{s.data}; d.next();) {
        if (!d.is(1, wire::reader::len)) continue;
        if (s.points == shape::number) {
          const detail::number_point p{d.bytes()};
          if (p.absent) continue;
          const std::string labels = detail::series_labels(p.attributes, s.scope->labels, {}, naming_);
          if (is_new(labels)) write_number(out, f, how, p, labels);
        } else if (s.points == shape::summary) {
          const detail::summary_point p{d.bytes()};
          if (p.absent) continue;
          const std::string labels = detail::series_labels(p.attributes, s.scope->labels, "quantile", naming_);
          if (is_new(labels)) write_summary(out, f, how, p, labels);
        } else {
          const auto p = s.points == shape::explicit_histogram ? detail::histogram_point::explicit_bounds(d.bytes())
                                                               : detail::histogram_point::exponential(d.bytes());
          unsound = unsound || !p.sound;
          if (p.absent || !p.sound) continue;
          const std::string labels = detail::series_labels(p.attributes, s.scope->labels, "le", naming_);
          if (is_new(labels)) write_histogram(out, f, how, p, labels);
        }
      }
    }
    if (doubled) problem("metric " + f.name + ": two series have the same labels for Prometheus; the first is shown");
    if (unsound) problem("metric " + f.name + ": bounds and counts of a histogram do not fit; left out");
    if (out.size() == head) out.resize(begin);
  }

  /// Everything of a line but the value.
  static void sample(std::string& out, std::string_view name, std::string_view labels, std::string_view label,
                     std::string_view value) {
    const bool quoted = !detail::is_plain_name(name, true);  // such a name stands within the braces
    if (!quoted) out += name;
    if (quoted || !labels.empty() || !label.empty()) {
      out.push_back('{');
      if (quoted) detail::append_name(out, name, true);
      if (!labels.empty()) out.append(quoted ? "," : "").append(labels);
      if (!label.empty())
        out.append(quoted || !labels.empty() ? "," : "").append(label).append("=\"").append(value).append("\"");
      out.push_back('}');
    }
    out.push_back(' ');
  }

  void write_number(std::string& out, const family& f, format how, const detail::number_point& p,
                    std::string_view labels) const {
    sample(out, sample_name(f), labels, {}, {});
    if (p.value.is_integer) {
      detail::append_number(out, p.value.integer);
    } else {
      detail::append_number(out, p.value.real);
    }
    if (how == format::openmetrics && f.type == kind::counter && !nameless_counter(f)) {
      const double infinity = std::numeric_limits<double>::infinity();
      latest_exemplar(out, decode(p.exemplars), -infinity, infinity);
    }
    out.push_back('\n');
  }

  void write_histogram(std::string& out, const family& f, format how, const detail::histogram_point& p,
                       std::string_view labels) const {
    const bool open = how == format::openmetrics;
    const auto exemplars = open ? decode(p.exemplars) : std::vector<detail::exemplar_view>{};
    const std::string name = shown_name(f), bucket_name = name + "_bucket";
    double below = -std::numeric_limits<double>::infinity();
    const auto line = [&](double le, std::uint64_t count) {
      std::string bound;
      detail::append_number(bound, le, open);
      sample(out, bucket_name, labels, "le", bound);
      detail::append_number(out, count);
      latest_exemplar(out, exemplars, below, le);
      out.push_back('\n');
      below = le;
    };
    for (const detail::bucket& b : p.buckets) line(b.le, b.count);
    line(std::numeric_limits<double>::infinity(), p.count);
    if (p.has_sum) {
      sample(out, name + "_sum", labels, {}, {});
      detail::append_number(out, p.sum);
      out.push_back('\n');
    }
    sample(out, name + "_count", labels, {}, {});
    detail::append_number(out, p.count);
    out.push_back('\n');
  }

  void write_summary(std::string& out, const family& f, format how, const detail::summary_point& p,
                     std::string_view labels) const {
    const std::string name = shown_name(f);
    for (const auto& [quantile, value] : p.quantiles) {
      std::string text;
      detail::append_number(text, quantile, how == format::openmetrics);
      sample(out, name, labels, "quantile", text);
      detail::append_number(out, value);
      out.push_back('\n');
    }
    sample(out, name + "_sum", labels, {}, {});
    detail::append_number(out, p.sum);
    out.push_back('\n');
    sample(out, name + "_count", labels, {}, {});
    detail::append_number(out, p.count);
    out.push_back('\n');
  }

  [[nodiscard]] static std::vector<detail::exemplar_view> decode(const std::vector<std::string_view>& messages) {
    return {messages.begin(), messages.end()};
  }

  /// The last one with a value above `below` and up to `le`.
  void latest_exemplar(std::string& out, const std::vector<detail::exemplar_view>& all, double below, double le) const {
    const detail::exemplar_view* latest = nullptr;
    for (const detail::exemplar_view& e : all) {
      const double v = e.value.as_double();
      const bool inside = v <= le && (v > below || std::isinf(below));
      if (inside && (latest == nullptr || e.time >= latest->time)) latest = &e;
    }
    if (latest != nullptr) out += detail::exemplar_text(*latest, naming_);
  }

  page_options options_;
  naming naming_;
  std::string_view resource_;
  std::deque<scope_part> scopes_;  ///< stay where they are
  std::vector<family> families_;
  std::map<std::pair<std::string, kind>, std::size_t> index_;
  std::vector<std::string> problems_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::prometheus
