// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/metrics/kind.hpp>

#include <cstdint>
#include <initializer_list>
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
  [[nodiscard]] static aggregation explicit_bounds(std::vector<double> bounds) {
    aggregation a{aggregation_kind::explicit_buckets};
    a.bounds_ = std::move(bounds);
    return a;
  }
  /// Buckets whose bounds are powers of 2^(1/2^scale), on the finest scale on which all values fit.
  /// \param max_size of the buckets above zero, and of those below: 2 to 160
  /// \param max_scale where it begins: -10 to 20
  [[nodiscard]] static aggregation exponential(std::uint32_t max_size = 160, std::int32_t max_scale = 20) {
    aggregation a{aggregation_kind::exponential_buckets};
    a.max_size_ = max_size;
    a.max_scale_ = max_scale;
    return a;
  }

  /// Nothing: the default one.
  [[nodiscard]] std::optional<aggregation_kind> kind() const noexcept { return kind_; }
  [[nodiscard]] const std::vector<double>& bounds() const noexcept { return bounds_; }
  [[nodiscard]] std::uint32_t max_size() const noexcept { return max_size_; }
  [[nodiscard]] std::int32_t max_scale() const noexcept { return max_scale_; }
  bool operator==(const aggregation&) const = default;

 private:
  explicit aggregation(aggregation_kind kind) : kind_{kind} {}

  std::optional<aggregation_kind> kind_{};
  std::vector<double> bounds_{};
  std::uint32_t max_size_ = 160;
  std::int32_t max_scale_ = 20;
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

  bool operator==(const metric_view&) const = default;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
