// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/trace/span_record.hpp>

#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

/// What becomes of a new span.
enum class sampling_decision : std::uint8_t {
  drop,               ///< not recorded; its context goes on with the sampled flag cleared
  record_only,        ///< records for those who ask it, but is not exported and not flagged as sampled
  record_and_sample,  ///< recorded, flagged and exported
};

/// What a sampler may look at. Valid during the call.
struct sampling_parameters {
  const span_context& parent;  ///< invalid for a root span
  const trace_id& trace;       ///< of the new span
  std::string_view name;
  span_kind kind;
  std::string_view
      attributes;  ///< the fields given at the start, encoded as Span.attributes (read them by span_view's ranges)
  std::size_t link_count;
};

namespace detail {

/// Whether `list` may stand in a tracestate header.
[[nodiscard]] OTLPKIT_COLD inline bool is_trace_state(std::string_view list) noexcept {
  for (int members = 0; !list.empty(); ++members) {
    const std::string_view member = list.substr(0, list.find(','));
    list.remove_prefix(member.size() + static_cast<std::size_t>(member.size() < list.size()));
    const std::size_t key = member.find('=');
    const std::size_t value = member.size() - key - 1;
    if (members == 32 || key == 0 || key > 256 || value == 0 || value > 256 || member.back() == ' ') return false;
    for (std::size_t i = 0; i < member.size(); ++i) {
      const char c = member[i];
      const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
      const bool in_key = plain || (i > 0 && std::string_view{"_-*/@"}.find(c) != std::string_view::npos);
      const bool in_value = c >= 0x20 && c <= 0x7E && c != '=';
      if (i != key && !(i < key ? in_key : in_value)) return false;
    }
  }
  return true;
}

}  // namespace detail

/// What a sampler may change besides deciding.
class sampling_changes {
 public:
  sampling_changes(record_buffer& out, attribute_set& attributes, const attribute_limits& limits,
                   trace_state& state) noexcept
      : out_{out}, attributes_{attributes}, limits_{limits}, state_{state} {}

  /// Adds an attribute to the span.
  void set(field_key key, const value& v) noexcept {
    attributes_.put(out_, 0, limits_, detail::span_tag::attributes, field{key, v});
  }
  /// Replaces the trace state of the span and those below it; an empty one clears it. One that no tracestate header may
  /// hold (W3C Trace Context Level 2, section 3.3) is ignored and reported.
  void state(trace_state s) noexcept {
    if (detail::is_trace_state(s.header())) {
      state_ = static_cast<trace_state&&>(s);
    } else {
      report(diagnostic_level::warning,
             "a sampler set an invalid trace state, which is ignored: expected at most 32 members key=value, separated "
             "by commas, as in a tracestate header (W3C Trace Context Level 2, section 3.3)");
    }
  }
  [[nodiscard]] const trace_state& state() const noexcept { return state_; }

 private:
  record_buffer& out_;
  attribute_set& attributes_;
  const attribute_limits& limits_;
  trace_state& state_;
};

/// Decides for each new span whether it is recorded. Called from any thread, several at once; must neither throw nor
/// block.
///
/// Derive from it for decisions of your own and pass it as settings::sampler. The built-in ones can be combined with
/// it.
class sampler {
 public:
  virtual ~sampler() = default;
  [[nodiscard]] virtual sampling_decision should_sample(const sampling_parameters& span,
                                                        sampling_changes& changes) noexcept = 0;
  /// Its name and configuration, like "TraceIdRatioBased{0.000100}". Lives as long as the sampler.
  [[nodiscard]] virtual std::string_view description() const noexcept = 0;
};

/// Records every span.
class always_on_sampler final : public sampler {
 public:
  sampling_decision should_sample(const sampling_parameters&, sampling_changes&) noexcept override {
    return sampling_decision::record_and_sample;
  }
  std::string_view description() const noexcept override { return "AlwaysOnSampler"; }
};

/// Records no span.
class always_off_sampler final : public sampler {
 public:
  sampling_decision should_sample(const sampling_parameters&, sampling_changes&) noexcept override {
    return sampling_decision::drop;
  }
  std::string_view description() const noexcept override { return "AlwaysOffSampler"; }
};

/// Records a share of all traces, chosen by the trace id: every process decides alike, and a higher share records all
/// that a lower one does. It compares the low 56 bits of the id with a threshold, as the specification's
/// ProbabilitySampler.
class trace_id_ratio_sampler final : public sampler {
 public:
  /// \param ratio 0 to 1; less counts as 0, more (and NaN) as 1
  explicit trace_id_ratio_sampler(double ratio) noexcept : threshold_{threshold(ratio)} {
    const auto millionths = static_cast<std::uint64_t>((ratio > 0    ? ratio < 1 ? ratio : 1.0
                                                        : ratio <= 0 ? 0.0
                                                                     : 1.0) *
                                                           1'000'000 +
                                                       0.5);
    std::uint64_t rest = millionths % 1'000'000;
    description_[18] = static_cast<char>('0' + millionths / 1'000'000);
    for (int i = 25; i > 19; --i, rest /= 10) description_[i] = static_cast<char>('0' + rest % 10);
  }

  sampling_decision should_sample(const sampling_parameters& span, sampling_changes&) noexcept override {
    return keeps(span.trace) ? sampling_decision::record_and_sample : sampling_decision::drop;
  }
  std::string_view description() const noexcept override { return {description_, sizeof description_ - 1}; }

  [[nodiscard]] bool keeps(const trace_id& id) const noexcept {
    unsigned char bytes[16];
    std::memcpy(bytes, &id, sizeof bytes);
    std::uint64_t randomness = 0;
    for (int i = 9; i < 16; ++i) randomness = randomness << 8 | bytes[i];
    return randomness >= threshold_;
  }

 private:
  static constexpr std::uint64_t all = std::uint64_t{1} << 56;
  static std::uint64_t threshold(double ratio) noexcept {
    if (ratio <= 0) return all;
    if (!(ratio < 1)) return 0;
    return static_cast<std::uint64_t>((1 - ratio) * static_cast<double>(all) + 0.5);
  }

  std::uint64_t threshold_;
  char description_[28] = "TraceIdRatioBased{0.000000}";
};

/// Follows the parent's decision and asks `root` where there is none. The other cases can be replaced too; the samplers
/// must outlive it.
class parent_based_sampler final : public sampler {
 public:
  struct delegates {
    sampler* root;                          ///< no parent
    sampler* remote_sampled = nullptr;      ///< nullptr: recorded
    sampler* remote_not_sampled = nullptr;  ///< nullptr: dropped
    sampler* local_sampled = nullptr;       ///< nullptr: recorded
    sampler* local_not_sampled = nullptr;   ///< nullptr: dropped
  };
  explicit parent_based_sampler(const delegates& d) noexcept : delegates_{d} {}

  sampling_decision should_sample(const sampling_parameters& span, sampling_changes& changes) noexcept override {
    if (!span.parent.valid()) return delegates_.root->should_sample(span, changes);
    const bool sampled = span.parent.sampled();
    sampler* const d = span.parent.remote ? (sampled ? delegates_.remote_sampled : delegates_.remote_not_sampled)
                                          : (sampled ? delegates_.local_sampled : delegates_.local_not_sampled);
    if (d != nullptr) return d->should_sample(span, changes);
    return sampled ? sampling_decision::record_and_sample : sampling_decision::drop;
  }
  std::string_view description() const noexcept override { return "ParentBased"; }

 private:
  delegates delegates_;
};

/// Records what `decorated` would drop, without exporting it: for code that looks at recording spans itself.
class always_record_sampler final : public sampler {
 public:
  explicit always_record_sampler(sampler& decorated) noexcept : decorated_{decorated} {}
  sampling_decision should_sample(const sampling_parameters& span, sampling_changes& changes) noexcept override {
    const sampling_decision d = decorated_.should_sample(span, changes);
    return d == sampling_decision::drop ? sampling_decision::record_only : d;
  }
  std::string_view description() const noexcept override { return "AlwaysRecordSampler"; }

 private:
  sampler& decorated_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
