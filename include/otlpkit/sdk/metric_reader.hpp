// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/registry.hpp>
#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/sdk/metric_observations.hpp>
#include <otlpkit/sdk/metric_points.hpp>
#include <otlpkit/sdk/metric_producer.hpp>
#include <otlpkit/sdk/settings.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

struct metric_reader_options {
  temporality_preference temporality = temporality_preference::cumulative;
  std::uint32_t cardinality_limit = 2000;       ///< series of one instrument; where readers differ, the largest holds
  unix_ns start = 0;                            ///< when it begins; 0: now
  std::uint64_t callback_time = 5'000'000'000;  ///< ns after which no further callback of a collection begins
  std::size_t max_points = ~std::size_t{0};     ///< data points in one piece of what is collected
  std::vector<std::shared_ptr<metric_producer>> producers{};  ///< join what they have
  std::shared_ptr<metric_filter> filter{};                    ///< what is collected at all; nullptr: everything
};

/// Collects what all instruments of the process measured since it was made, as OTLP.
///
/// Readers do not disturb each other: each has its own temporality, intervals and start. collect() may be called by one
/// thread at a time; instruments go on recording meanwhile, and every measurement is in exactly one interval.
class metric_reader {
 public:
  explicit metric_reader(metric_reader_options options = {})
      : options_{std::move(options)}, start_{options.start != 0 ? options.start : platform::wall_ns()}, previous_{
                                                                                                            start_} {
    options_.max_points = std::max<std::size_t>(options_.max_points, 1);
    platform::lock_guard turn{registry().collecting};
    begin();
    readers().push_back(this);
    agree();
  }
  metric_reader(const metric_reader&) = delete;
  metric_reader& operator=(const metric_reader&) = delete;
  ~metric_reader() {
    platform::lock_guard turn{registry().collecting};
    std::erase(readers(), this);
    agree();
  }

  /// Everything to report as of `now`: per scope the Metric messages, framed for ScopeMetrics.metrics. Instruments
  /// without data points are left out, as are scopes without instruments. Callbacks of observable instruments and
  /// producers run here. A scope comes several times if it has more than `max_points`.
  [[nodiscard]] std::vector<scope_items> collect(unix_ns now) {
    complete_ = observed_.run_callbacks(platform::steady_ns() + options_.callback_time);
    platform::lock_guard turn{registry().collecting};
    if (generation_ != registry().generation.load(platform::relaxed)) {
      // The child of a fork: what was there before is the parent's.
      for (metric_reader* r : readers()) {
        r->states_.clear();
        r->generation_ = registry().generation.load(platform::relaxed);
        r->start_ = r->previous_ = std::min(platform::wall_ns(), now);
      }
    }
    points_ = 0;
    out_.clear();
    scopes_.clear();
    bool any_retired = false;
    for (otlpkit::detail::stream* s = registry().first.load(platform::acquire); s != nullptr;
         s = s->next.load(platform::acquire)) {
      begin_metric(*s);
      if (is_observable(s->entry->kind)) {
        add_observed(*s, now);
      } else {
        any_retired = add_series(*s, now) || any_retired;
      }
      put(s->entry->scope);
    }
    ask_producers(now);
    registry().collections.fetch_add(1, platform::relaxed);
    if (any_retired) registry().epoch.fetch_add(1, platform::release);
    free_unlinked();
    previous_ = now;
    return std::exchange(out_, {});
  }

  /// Data points of the last collection.
  [[nodiscard]] std::size_t points() const noexcept { return points_; }
  /// Whether the last collection had the time to run every callback.
  [[nodiscard]] bool complete() const noexcept { return complete_; }

 private:
  [[nodiscard]] static otlpkit::detail::metric_registry& registry() noexcept { return otlpkit::detail::global_metrics; }

  /// Under the registry's `collecting`.
  [[nodiscard]] static std::vector<metric_reader*>& readers() {
    static auto* const all = new std::vector<metric_reader*>;
    return *all;
  }
  /// Series and tables nobody finds any more, to be freed when nobody looks at them. Under `collecting`, too.
  struct unlinked {
    std::vector<otlpkit::detail::series*> series{};
    std::vector<otlpkit::detail::series_table*> tables{};
  };
  [[nodiscard]] static unlinked& gone() {
    static auto* const all = new unlinked;
    return *all;
  }

  static void agree() {
    std::uint32_t limit = readers().empty() ? 2000 : 1;
    bool forgets = !readers().empty();
    for (const metric_reader* r : readers()) {
      limit = std::max(limit, r->options_.cardinality_limit);
      forgets = forgets && r->options_.temporality != temporality_preference::cumulative;
    }
    registry().limit.store(limit, platform::relaxed);
    registry().forgets.store(forgets, platform::relaxed);
  }

  /// Gauges have no temporality: they are always reported. Up-down counters are cumulative under every preference.
  [[nodiscard]] bool is_delta(instrument_kind kind) const noexcept {
    switch (options_.temporality) {
      case temporality_preference::cumulative: return false;
      case temporality_preference::delta:
        return kind == instrument_kind::counter || kind == instrument_kind::histogram ||
               kind == instrument_kind::observable_counter;
      case temporality_preference::lowmemory: break;
    }
    return kind == instrument_kind::counter || kind == instrument_kind::histogram;
  }

  void begin() {
    generation_ = registry().generation.load(platform::relaxed);
    for (otlpkit::detail::stream* s = registry().first.load(platform::acquire); s != nullptr;
         s = s->next.load(platform::acquire)) {
      for (otlpkit::detail::series* x = s->first.load(platform::acquire); x != nullptr;
           x = x->next.load(platform::acquire)) {
        states_[x].reference = read(*x);
      }
    }
  }

  /// The total of a series. What comes with it is news to every reader.
  [[nodiscard]] static series_total read(otlpkit::detail::series& x) {
    series_news news;
    series_total total = read_series(x, news);
    if (news.any()) {
      for (metric_reader* r : readers()) r->states_[&x].take(news);
    }
    return total;
  }

  void add_observed(const otlpkit::detail::stream& s, unix_ns now) {
    const auto* const values = observed_.of(s);
    if (values == nullptr) return;
    const bool delta = is_delta(s.entry->kind);
    for (const metric_observations::value& v : *values) {
      if (!passes(v.labels)) continue;
      make_room(s);
      message_.add_number({v.labels, delta ? previous_ : start_, now, nullptr},
                          delta ? observed_.since_last(s, v) : v.bits);
    }
  }

  /// Reports the series of a stream, and lets go of those nobody needs. \return whether any was retired
  bool add_series(otlpkit::detail::stream& s, unix_ns now) {
    const bool delta = is_delta(s.entry->kind);
    const bool forgets = registry().forgets_series_of(s);
    bool retired = false;
    otlpkit::detail::series* before = nullptr;
    for (otlpkit::detail::series* x = s.first.load(platform::acquire); x != nullptr;) {
      otlpkit::detail::series* const next = x->next.load(platform::acquire);
      const series_total total = read(*x);
      reader_state& state = states_[x];
      const bool idle = total.writes == state.reference.writes;
      const bool retiring = x->retiring.load(platform::relaxed);
      const bool handed_over = !idle && retiring && hand_over(s, *x, total, state);
      if (!idle && !handed_over) add(s, *x, total, state, delta, now);
      if ((delta && !idle) || handed_over) {
        state.reference = total;
        state.extremes = {};
        state.exponential.reset();
        state.exemplars.clear();
      }
      if ((forgets || retiring) && let_go(s, *x, total.writes, idle, before, retired)) {
        x = next;
        continue;
      }
      before = x;
      x = next;
    }
    if (forgets) unlink_tables(s);
    return retired;
  }

  /// Asks the filter, if there is one, about a stream; the series of one that is dropped are read all the same, so that
  /// the next interval does not have them.
  void begin_metric(const otlpkit::detail::stream& s) {
    message_.begin(s, is_delta(s.entry->kind));
    verdict_ = metric_filter::verdict::accept;
    if (options_.filter == nullptr) return;
    scope_name_.clear();
    for (wire::reader f{otlpkit::detail::global_scopes.encoded(s.entry->scope)}; f.next();) {
      if (f.number() != 1) continue;
      for (wire::reader scope{f.bytes()}; scope.next();) {
        if (scope.number() == 1) scope_name_ = scope.bytes();
      }
    }
    filtered_ = {scope_name_, s.name_view(), s.entry->unit.view(), s.aggregation};
    verdict_ = options_.filter->test_metric(filtered_);
  }
  [[nodiscard]] bool passes(std::string_view labels) {
    if (verdict_ == metric_filter::verdict::accept) return true;
    return verdict_ == metric_filter::verdict::accept_partly && options_.filter->test_attributes(filtered_, labels);
  }
  /// The metric goes on in a piece of its own once it has as many points as one may have.
  void make_room(const otlpkit::detail::stream& s) {
    if (message_.points() < options_.max_points) return;
    put(s.entry->scope);
    message_.begin(s, is_delta(s.entry->kind));
  }

  void ask_producers(unix_ns now) {
    for (const auto& p : options_.producers) {
      std::vector<scope_items> given;
      {
        foreign_metrics out{given, options_.filter.get(), now};
        try {
          p->produce(out);
        } catch (const std::exception& e) {
          say_thrown(e.what());
        } catch (...) {
          say_thrown("no std::exception");
        }
        points_ += out.points();
      }
      for (scope_items& s : given) {
        if (s.count == 0) continue;
        out_.push_back(std::move(s));
        scopes_.push_back(no_scope);
      }
    }
  }
  void say_thrown(std::string_view what) {
    if (std::exchange(said_thrown_, true)) return;
    report(diagnostic_level::error, std::string{"a metric producer threw: "}.append(what));
  }

  void add(const otlpkit::detail::stream& s, const otlpkit::detail::series& x, const series_total& total,
           const reader_state& state, bool delta, unix_ns now) {
    if (!passes(x.encoded)) return;
    make_room(s);
    const bool known = x.created >= start_ && x.created <= now;
    const point_frame frame{x.encoded, delta ? previous_ : known ? x.created : start_, now, &state.exemplars};
    switch (s.aggregation) {
      case aggregation_kind::explicit_buckets:
        return message_.add_histogram(frame, total.since(state.reference, s.floating), state.extremes);
      case aggregation_kind::exponential_buckets:
        if (state.exponential.get() != nullptr) message_.add_exponential(frame, *state.exponential.get());
        return;
      case aggregation_kind::last_value: return message_.add_number(frame, total.value);
      default: return message_.add_number(frame, total.since(state.reference, s.floating).value);
    }
  }

  /// A series that is retiring was measured once more, by a thread that had it: what it has goes to its successor, as
  /// there is one point for a label set. False when it has none.
  bool hand_over(const otlpkit::detail::stream& s, otlpkit::detail::series& x, const series_total& total,
                 reader_state& from) {
    otlpkit::detail::series* heir = nullptr;
    {
      platform::lock_guard lock{registry().guard};
      heir = s.lookup(x.hash, otlpkit::detail::label_set{x.labels, x.label_count, nullptr});
    }
    if (heir == nullptr) return false;
    const series_total rest = total.since(from.reference, s.floating);
    reader_state& to = states_[heir];
    to.reference.writes -= rest.writes;
    to.reference.value = series_total::minus(to.reference.value, rest.value, s.floating);
    to.reference.sum -= rest.sum;
    to.reference.counts.resize(std::max(to.reference.counts.size(), rest.counts.size()));
    for (std::size_t i = 0; i < rest.counts.size(); ++i) to.reference.counts[i] -= rest.counts[i];
    to.extremes.merge(from.extremes.min, from.extremes.max);
    if (from.exponential.get() != nullptr) to.exponential.merge(*from.exponential.get());
    for (const kept_exemplar& e : from.exemplars) to.keep(e, s.any_place());
    return true;
  }

  /// Retires an idle series; unlinks one that retired when no thread has a cell of it.
  /// \return whether it was unlinked
  bool let_go(otlpkit::detail::stream& s, otlpkit::detail::series& x, std::uint64_t writes, bool idle,
              otlpkit::detail::series* before, bool& retired) {
    const bool settled = std::ranges::all_of(
        readers(), [&](metric_reader* r) { return r == this || r->states_[&x].reference.writes == writes; });
    platform::lock_guard lock{registry().guard};
    if (!settled) return false;
    x.settled = writes;
    if (x.pinned || !idle || x.activity() != writes) return false;
    if (!x.retiring.load(platform::relaxed)) {
      s.retire(x);
      retired = true;
    }
    if (x.cells != nullptr) return false;
    otlpkit::detail::series* const next = x.next.load(platform::relaxed);
    (before == nullptr ? s.first : before->next).store(next, platform::release);
    if (next == nullptr) s.last = before;
    gone().series.push_back(&x);
    for (metric_reader* r : readers()) r->states_.erase(&x);
    return true;
  }

  static void unlink_tables(otlpkit::detail::stream& s) {
    platform::lock_guard lock{registry().guard};
    otlpkit::detail::series_table* const t = s.table.load(platform::relaxed);
    if (t == nullptr) return;
    for (otlpkit::detail::series_table* old = std::exchange(t->before, nullptr); old != nullptr; old = old->before)
      gone().tables.push_back(old);
  }

  /// Frees what was unlinked, once no thread looks into a table without the guard.
  static void free_unlinked() {
    unlinked& all = gone();
    if (all.series.empty() && all.tables.empty()) return;
    registry().quiet.store(true, platform::release);
    bool quiet = false;
    for (int tries = 0; tries < 1000 && !quiet; ++tries) {
      quiet = registry().looking.fetch_add(0, platform::acq_rel) == 0;
      if (!quiet) platform::yield();
    }
    if (quiet) {
      for (otlpkit::detail::series* x : all.series) x->owner->destroy(*x);
      for (otlpkit::detail::series_table* t : all.tables) std::free(t);
      all = {};
    }
    registry().quiet.store(false, platform::release);
  }

  /// Adds the metric under construction to what its scope has.
  void put(std::uint16_t scope) {
    if (message_.points() == 0) return;
    std::size_t index = 0;
    while (index < scopes_.size() &&
           (scopes_[index] != scope || out_[index].count + message_.points() > options_.max_points))
      ++index;
    if (index == scopes_.size()) {
      scopes_.push_back(scope);
      out_.emplace_back().scope = otlpkit::detail::global_scopes.encoded(scope);
    }
    message_.append_to(out_[index].items);
    out_[index].count += message_.points();
    points_ += message_.points();
  }

  metric_reader_options options_;
  unix_ns start_;
  unix_ns previous_;
  std::uint32_t generation_ = 0;
  std::size_t points_ = 0;
  bool complete_ = true;
  std::unordered_map<const otlpkit::detail::series*, reader_state> states_;
  metric_observations observed_;
  metric_message message_;
  std::vector<scope_items> out_;
  static constexpr std::uint32_t no_scope = ~std::uint32_t{0};

  std::vector<std::uint32_t> scopes_;  ///< whose the pieces of `out_` are
  metric_filter::verdict verdict_{};
  filtered_metric filtered_{};
  std::string scope_name_;
  bool said_thrown_ = false;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
