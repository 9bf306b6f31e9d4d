// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/exemplar_choice.hpp>
#include <otlpkit/metrics/kind.hpp>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI {

/// Which instruments a view is about: those that meet all that is given.
struct view_match {
  std::string name{};                     ///< in any case; `*` stands for any characters, `?` for one; empty: all
  std::optional<instrument_kind> kind{};  ///< as instrument_kind::histogram
  std::optional<std::string> unit{};
  std::optional<std::string> scope_name{};
  std::optional<std::string> scope_version{};
  std::optional<std::string> scope_schema_url{};

  bool operator==(const view_match&) const = default;
};

/// What a view makes of the measurements.
class aggregation {
 public:
  /// What the instrument's kind has by default.
  aggregation() = default;
  /// Nothing: the instrument measures no more, at next to no cost.
  [[nodiscard]] static aggregation drop() { return aggregation{aggregation_kind::drop}; }
  [[nodiscard]] static aggregation sum() { return aggregation{aggregation_kind::sum}; }
  [[nodiscard]] static aggregation last_value() { return aggregation{aggregation_kind::last_value}; }
  /// Buckets with these upper bounds: at most 63, finite and ascending. Advice of the instrument does not count.
  /// \param extremes whether the smallest and the largest value are exported
  [[nodiscard]] static aggregation explicit_bounds(std::vector<double> bounds, bool extremes = true) {
    aggregation a{aggregation_kind::explicit_buckets};
    a.bounds_ = std::move(bounds);
    a.extremes_ = extremes;
    return a;
  }
  /// Buckets whose bounds are powers of 2^(1/2^scale), on the finest scale on which all values fit.
  /// \param max_size of the buckets above zero, and of those below: 2 to 160
  /// \param max_scale where it begins: -10 to 20
  /// \param extremes whether the smallest and the largest value are exported
  [[nodiscard]] static aggregation exponential(std::uint32_t max_size = 160, std::int32_t max_scale = 20,
                                               bool extremes = true) {
    aggregation a{aggregation_kind::exponential_buckets};
    a.extremes_ = extremes;
    a.max_size_ = max_size;
    a.max_scale_ = max_scale;
    return a;
  }

  /// Nothing: the default one.
  [[nodiscard]] std::optional<aggregation_kind> kind() const noexcept { return kind_; }
  [[nodiscard]] const std::vector<double>& bounds() const noexcept { return bounds_; }
  [[nodiscard]] std::uint32_t max_size() const noexcept { return max_size_; }
  [[nodiscard]] std::int32_t max_scale() const noexcept { return max_scale_; }
  [[nodiscard]] bool extremes() const noexcept { return extremes_; }
  bool operator==(const aggregation&) const = default;

 private:
  explicit aggregation(aggregation_kind kind) : kind_{kind} {}

  std::optional<aggregation_kind> kind_{};
  std::vector<double> bounds_{};
  std::uint32_t max_size_ = 160;
  std::int32_t max_scale_ = 20;
  bool extremes_ = true;
};

/// Which measurements a view keeps as exemplars, of those the exemplar filter lets through. Chosen anew with each
/// collection.
class exemplars {
 public:
  using kind = otlpkit::detail::exemplar_plan::kind;
  using factory = std::function<std::unique_ptr<exemplar_chooser>()>;
  static constexpr std::uint32_t most = 1024;

  /// What the aggregation has by default: by_bucket() of explicit buckets, else fixed_size(), of 1, or of 20 for
  /// exponential histograms.
  exemplars() = default;
  /// A random one for each bucket of an explicit histogram (AlignedHistogramBucketExemplarReservoir); of others as the
  /// default.
  [[nodiscard]] static exemplars by_bucket() { return exemplars{kind::by_bucket}; }
  /// `size` random ones of each thread's measurements, of which one for each place is exported
  /// (SimpleFixedSizeExemplarReservoir): 1 to 1,024.
  [[nodiscard]] static exemplars fixed_size(std::uint32_t size) {
    exemplars e{kind::fixed_size};
    e.size_ = size;
    return e;
  }
  /// None.
  [[nodiscard]] static exemplars none() { return exemplars{kind::none}; }
  /// Those an object of your own chooses; `make` is called for each series.
  [[nodiscard]] static exemplars own(factory make) {
    exemplars e{kind::own};
    e.make_ = std::make_shared<const factory>(std::move(make));
    return e;
  }

  /// Nothing: the default.
  [[nodiscard]] std::optional<kind> how() const noexcept { return kind_; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] const std::shared_ptr<const factory>& maker() const noexcept { return make_; }
  bool operator==(const exemplars&) const = default;

 private:
  explicit exemplars(kind k) : kind_{k} {}

  std::optional<kind> kind_{};
  std::uint32_t size_ = 1;
  std::shared_ptr<const factory> make_{};
};

/// Keys of attributes: a list, or nothing said.
class attribute_keys {
 public:
  attribute_keys() = default;
  attribute_keys(std::initializer_list<std::string> keys)  // NOLINT(google-explicit-constructor)
      : attribute_keys{std::vector<std::string>(keys)} {}
  attribute_keys(std::vector<std::string> keys)  // NOLINT(google-explicit-constructor)
      : given_{true}, keys_{std::move(keys)} {}
  /// A list without keys.
  [[nodiscard]] static attribute_keys none() { return attribute_keys{std::vector<std::string>{}}; }

  [[nodiscard]] bool given() const noexcept { return given_; }
  [[nodiscard]] const std::vector<std::string>& keys() const noexcept { return keys_; }
  bool operator==(const attribute_keys&) const = default;

 private:
  bool given_ = false;
  std::vector<std::string> keys_{};
};

/// Changes what is exported of the instruments it matches. Each matching view makes a stream of its own; an instrument
/// no view matches is exported as it is.
///
///     otlpkit::telemetry telemetry{{.views = {
///         {.match = {.name = "http.*"}, .drop = {"user.id"}},
///         {.match = {.name = "order.size"}, .aggregation = otlpkit::aggregation::exponential()},
///         {.match = {.name = "debug.*"}, .aggregation = otlpkit::aggregation::drop()}}}};
struct metric_view {
  view_match match{};
  std::string name{};         ///< instead of the instrument's; for a view that matches one
  std::string description{};  ///< instead of the instrument's
  attribute_keys keep{};      ///< only these attributes; attribute_keys::none(): none at all
  attribute_keys drop{};      ///< all attributes but these; not together with `keep`
  otlpkit::aggregation aggregation{};
  std::optional<std::uint32_t> cardinality_limit{};  ///< series of the stream; the reader's, 2000
  otlpkit::exemplars exemplars{};

  bool operator==(const metric_view&) const = default;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
