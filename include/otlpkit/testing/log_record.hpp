// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/export/tree_text.hpp>
#include <otlpkit/log/log_view.hpp>
#include <otlpkit/testing/span_record.hpp>

#include <cstdint>
#include <string>

namespace otlpkit::inline OTLPKIT_ABI::testing {

/// A log record with all it holds, for assertions.
struct log_record {
  std::uint64_t time = 0;           ///< Unix nanoseconds
  std::uint64_t observed_time = 0;  ///< Unix nanoseconds
  std::uint32_t severity = 0;       ///< OTLP's number: 9 info, 13 warn, 17 error, ...
  std::string severity_text;
  value body;
  std::string event_name;
  attribute_list attributes;
  std::uint32_t dropped_attributes = 0;
  std::string trace_id;  ///< lowercase hex, empty outside of a span
  std::string span_id;   ///< lowercase hex, empty outside of a span
  std::uint32_t flags = 0;
  std::string service;  ///< service.name of the resource
  std::string scope;    ///< name of the instrumentation scope
  std::string scope_version;
  attribute_list resource;
  std::string bytes;  ///< the encoded LogRecord
  bool ok = true;     ///< whether it decoded to its end

  [[nodiscard]] static log_record from(const log_view& log, const span_origin& origin = {}) {
    log_record r;
    r.time = log.time();
    r.observed_time = log.observed_time();
    r.severity = log.severity_number();
    r.severity_text = log.severity_text();
    r.body = value{log.body()};
    r.event_name = log.event_name();
    r.attributes = attribute_list{log.attributes()};
    r.dropped_attributes = log.dropped_attributes();
    exporters::detail::append_hex(r.trace_id, log.trace_id());
    exporters::detail::append_hex(r.span_id, log.span_id());
    r.flags = log.flags();
    r.service = origin.resource.service_name();
    r.scope = origin.scope.name();
    r.scope_version = origin.scope.version();
    r.resource = attribute_list{origin.resource.attributes()};
    r.bytes = log.bytes();
    r.ok = log.ok();
    return r;
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::testing
