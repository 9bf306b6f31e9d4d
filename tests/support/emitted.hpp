// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/export/tree_text.hpp>
#include <otlpkit/sdk/batch.hpp>
#include <otlpkit/testing/log_record.hpp>
#include <otlpkit/testing/span_record.hpp>

#include "support/metric_points.hpp"

#include <cstdlib>
#include <fstream>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// Tells docs/telemetry_table what was emitted: a line of JSON for each span, metric point and log event, in a file of
/// the folder that OTLPKIT_EMITTED_DIR names (nothing without it). A program that uses this has the note
/// `// emits: telemetry`; its own spans are called "caller", its own attributes and metrics begin with "caller.".
namespace support {

namespace emitted_detail {

inline std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  return out + '"';
}

/// What the table calls the type of a value.
inline std::string type_of(const otlpkit::testing::value& v) {
  using type = otlpkit::value_view::type;
  switch (v.kind()) {
    case type::string: return "string";
    case type::boolean: return "bool";
    case type::integer: return "int";
    case type::real: return "double";
    case type::bytes: return "bytes";
    case type::array: return (v.elements().empty() ? std::string{"string"} : type_of(v.elements()[0])) + "[]";
    case type::map: return "map";
    default: return "empty";
  }
}

inline std::string attributes(const otlpkit::testing::attribute_list& all) {
  std::string out = "{";
  for (const auto& [key, v] : all) {
    if (out.size() > 1) out += ", ";
    const std::string text = v.kind() == otlpkit::value_view::type::string    ? v.as_string()
                             : v.kind() == otlpkit::value_view::type::integer ? std::to_string(v.as_int())
                                                                              : "";
    out += quoted(key) + ": [" + quoted(type_of(v)) + ", " + quoted(text) + "]";
  }
  return out + "}";
}

inline void line(const std::string& text, std::string_view program) {
  const char* const folder = std::getenv("OTLPKIT_EMITTED_DIR");
  if (folder == nullptr || *folder == '\0') return;
  const auto directory = program.rfind('/');
  std::string name{program.substr(directory == program.npos ? 0 : directory + 1)};
  if (directory != program.npos) {  // the layer's folder, too: names of files need not differ between layers
    const std::string_view above = program.substr(0, directory);
    name = std::string{above.substr(above.rfind('/') + 1)} + "_" + name;
  }
  static std::ofstream file{std::string{folder} + "/" + name + ".jsonl"};  // begins anew with each run
  file << text << std::endl;
  if (!file) throw std::runtime_error{"cannot write to OTLPKIT_EMITTED_DIR, " + std::string{folder}};
}

}  // namespace emitted_detail

inline void emitted(const std::vector<otlpkit::testing::span_record>& spans, std::string_view program = __BASE_FILE__) {
  constexpr std::string_view kinds[] = {"UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"};
  namespace detail = emitted_detail;
  for (const otlpkit::testing::span_record& s : spans) {
    std::string events;
    for (const otlpkit::testing::event_record& e : s.events) {
      if (!events.empty()) events += ", ";
      events += "{\"name\": " + detail::quoted(e.name) + ", \"attributes\": " + detail::attributes(e.attributes) + "}";
    }
    detail::line("{\"span\": " + detail::quoted(s.name) + ", \"kind\": " + detail::quoted(kinds[s.kind]) +
                     ", \"attributes\": " + detail::attributes(s.attributes) + ", \"events\": [" + events + "]}",
                 program);
  }
}

inline void emitted(const std::vector<otlpkit::testing::log_record>& logs, std::string_view program = __BASE_FILE__) {
  namespace detail = emitted_detail;
  for (const otlpkit::testing::log_record& l : logs) {
    detail::line("{\"log\": " + detail::quoted(l.event_name) + ", \"severity\": " + detail::quoted(l.severity_text) +
                     ", \"attributes\": " + detail::attributes(l.attributes) + "}",
                 program);
  }
}

/// \param scopes what metric_reader::collect() returns, or a batch's scopes()
inline void emitted_metrics(std::span<const otlpkit::sdk::scope_items> scopes,
                            std::string_view program = __BASE_FILE__) {
  namespace detail = emitted_detail;
  for (const metric_points::metric& m : metric_points::decode(scopes)) {
    const std::string instrument = m.data == 5   ? "gauge"
                                   : m.data > 7  ? "histogram"
                                   : m.monotonic ? "counter"
                                                 : "up-down counter";
    for (const metric_points::point& p : m.points) {
      std::string keys;
      for (const auto& [key, text] : p.labels) {
        if (!keys.empty()) keys += ", ";
        keys += detail::quoted(key);
      }
      detail::line("{\"metric\": " + detail::quoted(m.name) + ", \"instrument\": " + detail::quoted(instrument) +
                       ", \"unit\": " + detail::quoted(m.unit) + ", \"attributes\": [" + keys + "]}",
                   program);
    }
  }
}

}  // namespace support
