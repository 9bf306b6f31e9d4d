// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/wire_writer.hpp>
#include <otlpkit/metrics/registry.hpp>
#include <otlpkit/sdk/batch.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// What a series has measured in all, over threads that live and that ended.
struct series_total {
  std::uint64_t writes = 0;
  std::uint64_t value = 0;  ///< of sums and gauges: an integer, or a double's bits
  double sum = 0;           ///< of histograms, as are the next
  std::vector<std::uint64_t> counts{};

  /// What came after `before`.
  [[nodiscard]] series_total since(const series_total& before, bool floating) const {
    series_total d = *this;
    if (before.writes == 0) return d;
    d.writes -= before.writes;
    d.value = floating
                  ? std::bit_cast<std::uint64_t>(std::bit_cast<double>(value) - std::bit_cast<double>(before.value))
                  : value - before.value;
    d.sum -= before.sum;
    for (std::size_t i = 0; i < before.counts.size(); ++i) d.counts[i] -= before.counts[i];
    return d;
  }
};

/// Adds the cells of a series up. Extremes nobody has taken yet are taken, and merged into `fresh`.
[[nodiscard]] inline series_total read_series(otlpkit::detail::series& x, otlpkit::detail::extremes& fresh) {
  const otlpkit::detail::stream& s = *x.owner;
  series_total total;
  if (s.kind == instrument_kind::histogram) total.counts.resize(s.buckets());
  std::uint64_t latest = 0;
  bool any = false;
  const auto read = [&](otlpkit::detail::cell& c) {
    if (s.kind == instrument_kind::histogram) {
      auto& h = static_cast<otlpkit::detail::histogram_cell&>(c);
      otlpkit::detail::histogram_reading r;
      r.take(h, s.buckets());
      r.collected(h);
      fresh.merge(r.fresh.min, r.fresh.max);
      total.writes += r.writes;
      total.sum += r.sum;
      for (std::size_t i = 0; i < s.buckets(); ++i) total.counts[i] += r.counts[i];
    } else if (s.kind == instrument_kind::gauge) {
      const auto& g = static_cast<const otlpkit::detail::gauge_cell&>(c);
      std::uint64_t value = 0, tick = 0;
      const std::uint64_t writes = otlpkit::detail::read_cell(g, [&] {
        value = g.value.load(platform::acquire);
        tick = g.tick.load(platform::acquire);
      });
      total.writes += writes;
      if (writes == 0 || (any && tick < latest)) return;
      any = true;
      latest = tick;
      total.value = value;
    } else {
      const auto& sum = static_cast<const otlpkit::detail::sum_cell&>(c);
      total.writes += sum.writes.load(platform::relaxed);
      const std::uint64_t value = sum.value.load(platform::relaxed);
      total.value =
          s.floating ? std::bit_cast<std::uint64_t>(std::bit_cast<double>(total.value) + std::bit_cast<double>(value))
                     : total.value + value;
    }
  };
  platform::lock_guard lock{otlpkit::detail::global_metrics.guard};
  read(*x.ended);
  for (otlpkit::detail::cell* c = x.cells; c != nullptr; c = c->next) read(*c);
  return total;
}

/// One Metric message under construction (opentelemetry/proto/metrics/v1/metrics.proto).
class metric_message {
 public:
  void begin(const otlpkit::detail::stream& s, bool delta) {
    stream_ = &s;
    delta_ = delta;
    points_ = 0;
    data_.clear();
  }

  /// Adds a data point with the values of `t`.
  void add(const otlpkit::detail::series& x, const series_total& t, const otlpkit::detail::extremes& e, unix_ns start,
           unix_ns now) {
    point_.clear();
    if (stream_->kind != instrument_kind::gauge) fixed(0x11, start);
    fixed(0x19, now);
    if (stream_->kind == instrument_kind::histogram) {
      histogram(x, t, e);
    } else {
      fixed(stream_->floating ? 0x21 : 0x31, t.value);
      point_ += x.encoded;
    }
    field(data_, 0x0A, point_);
    ++points_;
  }

  [[nodiscard]] std::size_t points() const noexcept { return points_; }

  /// Appends the message, framed for ScopeMetrics.metrics.
  void append_to(std::string& out) {
    const instrument_kind kind = stream_->kind;
    const char temporality[2] = {0x10, static_cast<char>(delta_ ? 1 : 2)};
    if (kind != instrument_kind::gauge) data_.append(temporality, 2);
    if (kind == instrument_kind::counter) data_ += {0x18, 0x01};
    message_.clear();
    field(message_, 0x0A, stream_->name.view());
    {
      platform::lock_guard lock{otlpkit::detail::global_metrics.guard};
      text(0x12, stream_->description.view());
    }
    text(0x1A, stream_->unit.view());
    field(message_, kind == instrument_kind::gauge ? 0x2A : kind == instrument_kind::histogram ? 0x4A : 0x3A, data_);
    field(out, 0x12, message_);
  }

 private:
  static void field(std::string& out, unsigned char tag, std::string_view content) {
    sdk::detail::append_field(out, tag, content.size());
    out += content;
  }
  void text(unsigned char tag, std::string_view content) {
    if (content.empty()) return;
    if (utf8::is_valid(content)) return field(message_, tag, content);
    std::string clean(3 * content.size(), '\0');
    clean.resize(static_cast<std::size_t>(utf8::sanitize(content, clean.data()) - clean.data()));
    field(message_, tag, clean);
  }
  void fixed(unsigned char tag, std::uint64_t v) {
    point_.push_back(static_cast<char>(tag));
    number(v);
  }
  void number(std::uint64_t v) {
    wire::byte bytes[8];
    wire::put_fixed(bytes, v);
    point_.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
  }

  void histogram(const otlpkit::detail::series& x, const series_total& t, const otlpkit::detail::extremes& e) {
    std::uint64_t count = 0;
    for (const std::uint64_t c : t.counts) count += c;
    fixed(0x21, count);
    fixed(0x29, std::bit_cast<std::uint64_t>(t.sum));
    sdk::detail::append_field(point_, 0x32, 8 * t.counts.size());
    for (const std::uint64_t c : t.counts) number(c);
    if (stream_->bounds.size() != 0) {
      sdk::detail::append_field(point_, 0x3A, 8 * stream_->bounds.size());
      for (std::size_t i = 0; i < stream_->bounds.size(); ++i) number(std::bit_cast<std::uint64_t>(stream_->bounds[i]));
    }
    point_ += x.encoded;
    if (count == 0 || e.min > e.max) return;
    fixed(0x59, std::bit_cast<std::uint64_t>(e.min));
    fixed(0x61, std::bit_cast<std::uint64_t>(e.max));
  }

  const otlpkit::detail::stream* stream_ = nullptr;
  bool delta_ = false;
  std::size_t points_ = 0;
  std::string data_;
  std::string point_;
  std::string message_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
