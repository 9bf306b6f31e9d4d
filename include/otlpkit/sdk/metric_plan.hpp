// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/core/wire_reader.hpp>
#include <otlpkit/metrics/registry.hpp>
#include <otlpkit/sdk/metric_view.hpp>
#include <otlpkit/sdk/settings.hpp>

#include <cstddef>
#include <deque>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// Whether `text` is what `pattern` says, in any case: `*` stands for any characters, `?` for one.
[[nodiscard]] constexpr bool matches_pattern(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0, t = 0, star = pattern.npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() &&
               (pattern[p] == '?' || same_instrument_name(pattern.substr(p, 1), text.substr(t, 1)))) {
      ++p, ++t;
    } else if (star != pattern.npos) {  // the last star takes one more
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

/// \throws config_error for one that cannot be
inline void check_aggregation(const aggregation& a, const std::string& at) {
  if (!bucket_bounds(a.bounds().data(), a.bounds().size()).valid())
    throw config_error{at, std::to_string(a.bounds().size()) + " bounds", "at most 63 ascending finite numbers"};
  if (a.max_size() < 2 || a.max_size() > 160)
    throw config_error{at, "max_size " + std::to_string(a.max_size()), "2 to 160"};
  if (a.max_scale() < -10 || a.max_scale() > 20)
    throw config_error{at, "max_scale " + std::to_string(a.max_scale()), "-10 to 20"};
}

/// Whether instruments of this kind can be aggregated so.
[[nodiscard]] constexpr bool can_have(instrument_kind kind, aggregation_kind a) noexcept {
  switch (a) {
    case aggregation_kind::drop:
    case aggregation_kind::sum: return true;
    case aggregation_kind::last_value:
      return otlpkit::detail::natural_aggregation(kind) == aggregation_kind::last_value;
    default: return !is_observable(kind);
  }
}

/// \throws config_error for a view that cannot be used
inline void check_views(const std::vector<metric_view>& views) {
  for (std::size_t i = 0; i < views.size(); ++i) {
    const metric_view& v = views[i];
    const std::string at = "views[" + std::to_string(i) + "].";
    const bool one = v.match.name.find_first_of("*?") == std::string::npos && !v.match.name.empty();
    if (!v.name.empty() && !one)
      throw config_error{at + "name", "\"" + v.name + "\"", "a view that matches one instrument by its name"};
    if (v.keep.given() && v.drop.given())
      throw config_error{at + "drop", "a list next to keep", "one of keep and drop"};
    if (v.cardinality_limit && *v.cardinality_limit == 0)
      throw config_error{at + "cardinality_limit", "0", "a number above zero"};
    const exemplars& e = v.exemplars;
    if (e.how() == exemplars::kind::fixed_size && (e.size() == 0 || e.size() > exemplars::most))
      throw config_error{at + "exemplars", std::to_string(e.size()) + " places", "1 to 1024"};
    if (e.how() == exemplars::kind::own && *e.maker() == nullptr)
      throw config_error{at + "exemplars", "an empty function", "one that makes an exemplar_chooser"};
    check_aggregation(v.aggregation, at + "aggregation");
  }
}

/// \throws config_error for one that a kind of instrument cannot have
inline void check_aggregations(const std::vector<std::pair<instrument_kind, aggregation>>& all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string at = "metrics.aggregations[" + std::to_string(i) + "]";
    check_aggregation(all[i].second, at);
    if (all[i].second.kind() && !can_have(all[i].first, *all[i].second.kind()))
      throw config_error{at, "an aggregation this kind of instrument cannot have", "sum, drop, or the kind's own"};
  }
}

/// Makes the streams of instruments as views and settings say. There is one at a time; instruments that registered
/// before get new streams.
class metric_plan {
 public:
  /// What instruments of a kind become where no view says.
  using defaults = std::vector<std::pair<instrument_kind, aggregation>>;

  /// Puts views in force, for all telemetry of the process. Nothing may be recording.
  static void use(const std::vector<metric_view>& views, histogram_aggregation histograms, const defaults& kinds = {}) {
    platform::lock_guard turn{changing()};
    metric_plan*& now = current();
    if (now != nullptr && now->views_ == views && now->histograms_ == histograms && now->kinds_ == kinds) return;
    if (now == nullptr && views.empty() && histograms == histogram_aggregation::explicit_bucket_histogram &&
        kinds.empty())
      return;
    now = &plans().emplace_back(views, histograms, kinds);
    otlpkit::detail::global_metrics.replan(&plan);
  }

  metric_plan(const std::vector<metric_view>& views, histogram_aggregation histograms, const defaults& kinds)
      : views_{views}, histograms_{histograms}, kinds_{kinds} {
    for (const auto& [kind, a] : kinds_) kind_bounds_.emplace_back(a.bounds().data(), a.bounds().size());
    for (const metric_view& v : views_) {
      filter& f = filters_.emplace_back();
      const bool keeps = v.keep.given();
      for (const std::string& key : (keeps ? v.keep : v.drop).keys()) f.keys.push_back(key);
      f.what = {keeps, f.keys.size(), f.keys.data()};
      f.given = keeps || v.drop.given();
      const std::vector<double>& bounds = v.aggregation.bounds();
      bounds_.emplace_back(bounds.data(), bounds.size());
      const exemplars& e = v.exemplars;
      exemplars_.push_back({e.how().value_or(exemplars::kind::by_bucket), e.size(), &make_chooser, e.maker().get()});
    }
  }
  metric_plan(const metric_plan&) = delete;
  metric_plan& operator=(const metric_plan&) = delete;

 private:
  [[nodiscard]] static exemplar_chooser* make_chooser(const void* factory) noexcept {
    try {
      return (*static_cast<const exemplars::factory*>(factory))().release();
    } catch (...) {  // there are no exemplars then
      return nullptr;
    }
  }

  struct filter {
    std::vector<std::string_view> keys{};
    otlpkit::detail::label_filter what{};
    bool given = false;
  };

  // All are kept: streams refer to them for ever.
  [[nodiscard]] static std::deque<metric_plan>& plans() {
    static auto* const all = new std::deque<metric_plan>;
    return *all;
  }
  [[nodiscard]] static metric_plan*& current() noexcept {
    static metric_plan* now = nullptr;
    return now;
  }
  [[nodiscard]] static platform::mutex& changing() noexcept {
    static platform::mutex m;
    return m;
  }

  /// What the registry calls, under its guard.
  [[nodiscard]] static otlpkit::detail::stream* plan(otlpkit::detail::instrument_entry& e,
                                                     otlpkit::detail::short_message& complaint) noexcept {
    try {
      return current()->streams_of(e, complaint);
    } catch (const std::exception&) {  // memory is out
      return nullptr;
    }
  }

  [[nodiscard]] otlpkit::detail::stream* streams_of(otlpkit::detail::instrument_entry& e,
                                                    otlpkit::detail::short_message& complaint) const {
    std::vector<otlpkit::detail::stream_options> wanted;
    bool matched = false;
    for (std::size_t i = 0; i < views_.size(); ++i) {
      const metric_view& v = views_[i];
      if (!matches(v.match, e)) continue;
      otlpkit::detail::stream_options o = standard(e);
      if (const auto kind = v.aggregation.kind()) {
        if (!can_have(e.kind, *kind)) {
          complaint << (complaint.view().empty() ? "" : "\n") << "instrument \"" << e.name.view()
                    << "\": a view wants an aggregation its kind cannot have, the view is ignored";
          continue;
        }
        o.aggregation = *kind;
        o.size = v.aggregation.max_size();
        o.scale = v.aggregation.max_scale();
        o.extremes = v.aggregation.extremes();
        if (*kind == aggregation_kind::explicit_buckets) o.bounds = &bounds_[i];
      }
      matched = true;
      if (o.aggregation == aggregation_kind::drop) continue;
      o.name = v.name;
      o.description = v.description;
      o.limit = v.cardinality_limit.value_or(0);
      if (filters_[i].given) o.filter = &filters_[i].what;
      if (v.exemplars.how()) o.exemplars = &exemplars_[i];
      wanted.push_back(o);
    }
    if (!matched) wanted.push_back(standard(e));
    std::erase_if(wanted, [](const auto& o) { return o.aggregation == aggregation_kind::drop; });
    otlpkit::detail::stream* first = nullptr;
    otlpkit::detail::stream** link = &first;
    for (otlpkit::detail::stream_options& o : wanted) {
      o.plain = wanted.size() == 1 && o.filter == nullptr && natural(o.aggregation, e.kind);
      otlpkit::detail::stream* const s = new otlpkit::detail::stream{e, o};
      *link = s;
      link = &s->also;
    }
    return first;
  }

  [[nodiscard]] otlpkit::detail::stream_options standard(const otlpkit::detail::instrument_entry& e) const noexcept {
    for (std::size_t i = kinds_.size(); i-- > 0;) {  // the last one counts
      const auto& [kind, a] = kinds_[i];
      if (kind != e.kind || !a.kind()) continue;
      return {
          .aggregation = *a.kind(),
          .bounds = *a.kind() == aggregation_kind::explicit_buckets && !a.bounds().empty() ? &kind_bounds_[i] : nullptr,
          .size = a.max_size(),
          .scale = a.max_scale(),
          .filter = e.attributes.filter(),
          .extremes = a.extremes()};
    }
    aggregation_kind kind = otlpkit::detail::natural_aggregation(e.kind);
    if (kind == aggregation_kind::explicit_buckets &&
        histograms_ == histogram_aggregation::base2_exponential_bucket_histogram)
      kind = aggregation_kind::exponential_buckets;
    return {.aggregation = kind, .filter = e.attributes.filter()};
  }

  /// Whether the hot path of the instrument can write its cells.
  [[nodiscard]] static bool natural(aggregation_kind a, instrument_kind kind) noexcept {
    return a == otlpkit::detail::natural_aggregation(kind) ||
           (kind == instrument_kind::histogram && a == aggregation_kind::exponential_buckets);
  }

  [[nodiscard]] static bool matches(const view_match& m, const otlpkit::detail::instrument_entry& e) {
    if (!m.name.empty() && !matches_pattern(m.name, e.name.view())) return false;
    if (m.kind && *m.kind != e.kind) return false;
    if (m.unit && *m.unit != e.unit.view()) return false;
    if (!m.scope_name && !m.scope_version && !m.scope_schema_url) return true;
    std::string_view name, version, schema_url;
    for (wire::reader f{otlpkit::detail::global_scopes.encoded(e.scope)}; f.next();) {
      if (f.number() == 3) schema_url = f.bytes();
      if (f.number() != 1) continue;
      for (wire::reader s{f.bytes()}; s.next();) {
        if (s.number() == 1) name = s.bytes();
        if (s.number() == 2) version = s.bytes();
      }
    }
    return (!m.scope_name || *m.scope_name == name) && (!m.scope_version || *m.scope_version == version) &&
           (!m.scope_schema_url || *m.scope_schema_url == schema_url);
  }

  std::vector<metric_view> views_;
  histogram_aggregation histograms_;
  defaults kinds_;
  std::deque<bucket_bounds> kind_bounds_;
  std::deque<filter> filters_;
  std::deque<bucket_bounds> bounds_;
  std::deque<otlpkit::detail::exemplar_plan> exemplars_;
};

/// Which measurements become exemplars, from now on.
inline void use_exemplars(exemplar_filter f) noexcept {
  using otlpkit::detail::exemplars_of;
  otlpkit::detail::global_metrics.exemplars.store(f == exemplar_filter::always_on    ? exemplars_of::all
                                                  : f == exemplar_filter::always_off ? exemplars_of::none
                                                                                     : exemplars_of::sampled_spans,
                                                  platform::relaxed);
  otlpkit::detail::global_metrics.epoch.fetch_add(1, platform::release);
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
