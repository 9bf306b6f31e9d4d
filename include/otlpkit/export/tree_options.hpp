// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// Which attributes a tree shows.
enum class tree_fields : std::uint8_t {
  none,
  listed,  ///< those of tree_options::keys
  key,     ///< all but what says where the code is (code.*, thread.*) and what the row says anyway (error.type)
  all,
};

/// How siblings are ordered.
enum class tree_order : std::uint8_t {
  start_time,
  name,  ///< by name and fields, for work that runs in parallel and starts in any order
};

/// How render_tree() draws. The defaults are those of the terminal; snapshot() is the form tests compare with.
struct tree_options {
  bool times = true;  ///< header, bars, durations, shares, marks that depend on time, critical path
  bool events = true;
  bool links = true;
  bool kinds = true;            ///< server, client, producer, consumer
  bool colour = false;          ///< ANSI colours
  std::size_t width = 0;        ///< columns of a line, 0: as long as it gets
  std::size_t fold_above = 4;   ///< more siblings than this that look the same become one row, 0: never
  std::size_t max_rows = 400;   ///< spans and folded rows of a trace, 0: all
  std::size_t max_depth = 24;   ///< deeper spans are not indented further, at least 1
  std::size_t max_value = 80;   ///< characters of a value or message, 0: all
  std::size_t max_fields = 8;   ///< fields of a span or an event, 0: all
  std::size_t max_events = 16;  ///< events and links of a span, each, 0: all
  tree_fields fields = tree_fields::key;
  std::vector<std::string> keys{};  ///< for tree_fields::listed, in the order they are shown
  tree_order order = tree_order::start_time;
  std::string note{};  ///< said at the end of the header, like "incomplete"

  /// No times, ids, colours or limits: the same work gives the same text.
  [[nodiscard]] static tree_options snapshot() {
    tree_options o;
    o.times = false;
    o.kinds = false;
    o.fold_above = 0;
    o.max_rows = 0;
    o.max_depth = 100;
    o.max_value = 0;
    o.max_fields = 0;
    o.max_events = 0;
    o.fields = tree_fields::all;
    return o;
  }
};

}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
