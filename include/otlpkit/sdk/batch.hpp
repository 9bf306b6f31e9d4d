// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/sdk/spare_memory.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

/// The three OTLP signals. The numbers index per-signal tables.
enum class signal : std::uint8_t { traces, metrics, logs };
inline constexpr std::size_t signal_count = 3;

/// "traces", "metrics" or "logs": the last part of the OTLP/HTTP path, and what log lines call it.
[[nodiscard]] constexpr std::string_view to_string(signal s) noexcept {
  constexpr std::string_view names[signal_count] = {"traces", "metrics", "logs"};
  return names[static_cast<std::size_t>(s)];
}

/// The items of one instrumentation scope: its encoded InstrumentationScope message with the schema URL, and the items
/// one after the other, each framed as the repeated field of ScopeSpans, ScopeMetrics or ScopeLogs (tag 0x12, length).
struct scope_items {
  std::string scope;      ///< fields 1 and 3 of the Scope* message: scope (with tag and length), schema_url
  std::string items;      ///< framed items, field 2, in the order in which they were taken out
  std::size_t count = 0;  ///< number of items in `items` (spans, log records, or data points for metrics)
};

/// One OTLP export request, immutable once built and shared by every exporter: an envelope around bytes that were
/// encoded when they were recorded.
///
/// `pieces()` one after the other are the ExportTraceServiceRequest (or metrics, logs); nothing is encoded again.
class batch {
 public:
  /// \param resource fields 1 and 3 of the Resource* message (resource with tag and length, schema_url), shared by all
  /// batches.
  /// \param spares gets the memory of the items when the batch is over; nullptr: it is freed
  batch(signal kind, std::shared_ptr<const std::string> resource, std::vector<scope_items> scopes,
        std::shared_ptr<spare_memory> spares = nullptr);
  batch(const batch&) = delete;
  batch& operator=(const batch&) = delete;
  ~batch() {
    if (spares_ == nullptr) return;
    for (scope_items& s : scopes_) spares_->give(std::move(s.items));
  }

  [[nodiscard]] signal kind() const noexcept { return kind_; }
  /// Spans, log records or metric data points: what the books count.
  [[nodiscard]] std::size_t items() const noexcept { return items_; }
  /// Size of the whole request.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// The request, in order. Valid as long as the batch.
  [[nodiscard]] std::span<const std::string_view> pieces() const noexcept { return pieces_; }
  /// For readers (terminal tree, viewer, tests): the same bytes by scope.
  [[nodiscard]] std::span<const scope_items> scopes() const noexcept { return scopes_; }
  [[nodiscard]] std::string_view resource() const noexcept { return *resource_; }

 private:
  signal kind_;
  std::size_t items_ = 0;
  std::size_t bytes_ = 0;
  std::shared_ptr<const std::string> resource_;
  std::vector<scope_items> scopes_;
  std::vector<std::string> headers_;  // the envelope's tags and lengths; pieces_ points into it
  std::vector<std::string_view> pieces_;
  std::shared_ptr<spare_memory> spares_;
};

namespace detail {
inline void append_field(std::string& out, unsigned char tag, std::size_t length) {
  out.push_back(static_cast<char>(tag));
  while (length >= 0x80) {
    out.push_back(static_cast<char>(length | 0x80));
    length >>= 7;
  }
  out.push_back(static_cast<char>(length));
}
}  // namespace detail

inline batch::batch(signal kind, std::shared_ptr<const std::string> resource, std::vector<scope_items> scopes,
                    std::shared_ptr<spare_memory> spares)
    : kind_{kind}, resource_{std::move(resource)}, scopes_{std::move(scopes)}, spares_{std::move(spares)} {
  std::size_t body = resource_->size();
  headers_.resize(scopes_.size() + 1);  // reserved once: the views below point into these strings
  for (std::size_t i = 0; i < scopes_.size(); ++i) {
    const scope_items& s = scopes_[i];
    detail::append_field(headers_[i + 1], 0x12, s.scope.size() + s.items.size());  // Resource*.scope_*
    body += headers_[i + 1].size() + s.scope.size() + s.items.size();
    items_ += s.count;
  }
  detail::append_field(headers_[0], 0x0A, body);  // request.resource_*
  bytes_ = headers_[0].size() + body;
  pieces_.reserve(2 + 3 * scopes_.size());
  pieces_.emplace_back(headers_[0]);
  pieces_.emplace_back(*resource_);
  for (std::size_t i = 0; i < scopes_.size(); ++i) {
    pieces_.emplace_back(headers_[i + 1]);
    pieces_.emplace_back(scopes_[i].scope);
    pieces_.emplace_back(scopes_[i].items);
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
