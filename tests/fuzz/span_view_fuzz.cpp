// SPDX-License-Identifier: MIT
#include <otlpkit/export/trace_tree.hpp>
#include <otlpkit/testing/span_record.hpp>
#include <otlpkit/trace/span_view.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace exporters = otlpkit::exporters;

/// Reads any bytes as an export request, copies its spans and draws them, once for the terminal and once as a snapshot.
/// Whatever they hold, no control character but the line's end comes out, and the lines keep their width.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view request{reinterpret_cast<const char*>(data), size};
  std::vector<exporters::tree_span> spans;
  std::size_t copied = 0;
  otlpkit::for_each_span(request, [&](const otlpkit::span_view& span, const otlpkit::span_origin& origin) {
    spans.push_back({span, origin.resource.service_name()});
    copied += otlpkit::testing::span_record::from(span, origin).attributes.size();
  });
  if (copied > size) std::abort();
  exporters::tree_options narrow;
  narrow.width = 60;
  narrow.fold_above = 1;
  for (const exporters::tree_options& options : {narrow, exporters::tree_options::snapshot()}) {
    const std::string text = render_tree(spans, options);
    if (text.empty() != spans.empty() || !otlpkit::utf8::is_valid(text)) std::abort();
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin)) {
      const std::string_view line = std::string_view{text}.substr(begin, end - begin);
      for (const char c : line) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) std::abort();
      }
      if (options.width != 0 && exporters::detail::columns_of(line) > options.width) std::abort();
    }
    if (begin != text.size()) std::abort();
  }
  return 0;
}
