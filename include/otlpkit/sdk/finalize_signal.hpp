// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/environment.hpp>
#include <otlpkit/core/errors.hpp>
#include <otlpkit/sdk/configuration.hpp>
#include <otlpkit/sdk/setting_picker.hpp>
#include <otlpkit/sdk/url.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk::detail {

/// Headers that frame the request. They are the exporter's own: another value would break every request.
[[nodiscard]] inline bool is_reserved_header(std::string_view lower_name) noexcept {
  constexpr std::string_view reserved[] = {"host",       "content-length",    "content-type", "content-encoding",
                                           "connection", "transfer-encoding", "expect"};
  return std::ranges::find(reserved, lower_name) != std::ranges::end(reserved);
}

/// The settings of one signal: its own code, general code, its own variable, the general one, the default.
template <typename Own>
class signal_finalizer {
 public:
  signal_finalizer(signal kind, const settings& general, const Own& own, setting_picker& pick, configuration& all)
      : kind_{kind}, general_{general}, own_{own}, pick_{pick}, out_{all.signals[static_cast<std::size_t>(kind)]} {}

  void run() {
    using v = variable;
    endpoint();
    protocol();
    headers();
    out_.timeout = pick_.time(name("timeout"), own_.timeout ? own_.timeout : general_.timeout,
                              {mine(v::otlp_timeout), v::otlp_timeout},
                              std::chrono::milliseconds{default_number(v::otlp_timeout)});
    constexpr std::string_view compressions[] = {"none", "gzip"};
    out_.compression = pick_.choice(name("compression"), own_.compression ? own_.compression : general_.compression,
                                    {mine(v::otlp_compression), v::otlp_compression}, compressions, compression::none);
    out_.certificate = pick_.file(name("certificate"), {&own_.certificate, &general_.certificate},
                                  {mine(v::otlp_certificate), v::otlp_certificate});
    out_.client_key = pick_.file(name("client_key"), {&own_.client_key, &general_.client_key},
                                 {mine(v::otlp_client_key), v::otlp_client_key});
    out_.client_certificate =
        pick_.file(name("client_certificate"), {&own_.client_certificate, &general_.client_certificate},
                   {mine(v::otlp_client_certificate), v::otlp_client_certificate});
    const auto insecure = pick_.env.boolean(mine(v::otlp_insecure));
    out_.insecure = insecure ? *insecure : pick_.env.boolean(v::otlp_insecure).value_or(false);
    exporters();
  }

 private:
  [[nodiscard]] std::string name(std::string_view member) const {
    return std::string{to_string(kind_)}.append(".").append(member);
  }
  [[nodiscard]] variable mine(variable general) const noexcept {
    return of_signal(general, static_cast<std::size_t>(kind_));
  }

  void endpoint() {
    const auto from_code = [&](const std::string& text, std::string setting, bool base) {
      std::string expected;
      if (auto url = parse_endpoint(text, base, expected)) return *std::move(url);
      throw config_error{std::move(setting), quoted(environment_reader::without_credentials(text)), expected};
    };
    if (!own_.endpoint.empty()) {
      set_endpoint(from_code(own_.endpoint, name("endpoint"), false), {origin::source::code});
    } else if (!general_.endpoint.empty()) {
      set_endpoint(from_code(general_.endpoint, "endpoint", true), {origin::source::code});
    } else if (!endpoint_from(mine(variable::otlp_endpoint), false) && !endpoint_from(variable::otlp_endpoint, true)) {
      set_endpoint(from_code(std::string{info(variable::otlp_endpoint).default_text}, "endpoint", true), {});
    }
  }

  /// A base is checked by itself first: what is appended to "http://" would be taken for the host.
  [[nodiscard]] std::optional<exporters::url> parse_endpoint(std::string_view text, bool base, std::string& expected) {
    auto url = exporters::parse_url(text, expected);
    return url && base ? exporters::parse_url(exporters::signal_url(text, kind_), expected) : url;
  }

  bool endpoint_from(variable v, bool base) {
    const auto text = pick_.env.text(v);
    if (!text) return false;
    const std::string_view url_text = trimmed(*text);
    std::string expected;
    auto url = parse_endpoint(url_text, base, expected);
    if (!url) {
      pick_.env.warn(v, *text, expected);
      return false;
    }
    set_endpoint(*std::move(url), {origin::source::environment, v});
    return true;
  }

  void set_endpoint(exporters::url url, origin from) {
    pick_.note(name("endpoint"), shown_text(environment_reader::without_query(url.text())), from);
    endpoint_given_ = from.from != origin::source::fallback;
    out_.endpoint = std::move(url);
  }

  void protocol() {
    constexpr std::string_view names[] = {"http/protobuf", "grpc", "http/json"};
    origin from;
    std::size_t chosen = 0;
    for (const auto& [text, setting] :
         {std::pair{&own_.protocol, name("protocol")}, std::pair{&general_.protocol, std::string{"protocol"}}}) {
      if (text->empty()) continue;
      const auto index = index_of(names, *text);
      if (!index) throw config_error{setting, quoted(*text), "http/protobuf"};
      chosen = *index;
      from = {origin::source::code};
      break;
    }
    if (from.from != origin::source::code) {
      for (const variable v : {mine(variable::otlp_protocol), variable::otlp_protocol}) {
        const auto index = pick_.env.choice(v, names);
        if (!index) continue;
        chosen = *index;
        from = {origin::source::environment, v};
        break;
      }
    }
    // The same words for every signal, so that it is said once.
    if (chosen != 0) {
      pick_.env.note("protocol " + quoted(names[chosen]) + " (" + std::string{info(variable::otlp_protocol).name} +
                     ") is not built in; http/protobuf is used instead");
    }
    pick_.note(name("protocol"), "http/protobuf", chosen == 0 ? from : origin{});
  }

  void headers() {
    for (const auto& [list, setting] :
         {std::pair{&own_.headers, name("headers")}, std::pair{&general_.headers, std::string{"headers"}}}) {
      if (!*list) continue;
      for (const auto& [key, value] : **list) add_checked_header(setting, key, value);
      return note_headers({origin::source::code});
    }
    for (const variable v : {mine(variable::otlp_headers), variable::otlp_headers}) {
      const auto text = pick_.env.text(v);
      if (!text) continue;
      key_value_list list = parse_otlp_headers(*text);
      std::erase_if(list.pairs, [&](const auto& pair) {
        if (!is_reserved_header(pair.first)) return false;
        list.problems.push_back("no header " + quoted(pair.first) + ", which OTLP/HTTP sets itself");
        return true;
      });
      constexpr std::size_t told = 3;
      for (std::size_t i = 0; i < std::min(list.problems.size(), told); ++i) {
        pick_.env.warn(v, *text, list.problems[i], "that entry is ignored");
      }
      if (list.problems.size() > told) {
        pick_.env.note(std::string{info(v).name} + ": " + std::to_string(list.problems.size() - told) +
                       " more entries are ignored");
      }
      if (list.pairs.empty()) continue;
      out_.headers = std::move(list.pairs);
      return note_headers({origin::source::environment, v});
    }
    note_headers({});
  }

  void add_checked_header(const std::string& setting, const std::string& key, const std::string& value) {
    if (!is_header_name(key))
      throw config_error{setting, std::string{hidden_value}, "header names of letters, digits and !#$%&'*+-.^_`|~"};
    std::string lower = key;
    for (char& c : lower) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    if (is_reserved_header(lower))
      throw config_error{setting, quoted(key), "a header that OTLP/HTTP does not set itself"};
    if (!is_header_value(value)) throw config_error{setting, quoted(key), "a value without control characters"};
    const auto same =
        std::ranges::find(out_.headers, lower, [](const auto& pair) { return std::string_view{pair.first}; });
    if (same != out_.headers.end()) {
      same->second = value;
    } else {
      out_.headers.emplace_back(std::move(lower), value);
    }
  }

  void note_headers(origin from) {
    std::string names;
    for (const auto& [key, value] : out_.headers)
      names.append(names.empty() ? "" : " ").append(key).append("=").append(hidden_value);
    pick_.note(name("headers"), names.empty() ? "none" : shown_text(names), from);
  }

  void exporters() {
    constexpr variable lists[] = {variable::traces_exporter, variable::metrics_exporter, variable::logs_exporter};
    const variable list = lists[static_cast<std::size_t>(kind_)];
    const std::string expected =
        kind_ == signal::metrics ? "a list of otlp, console, prometheus or none" : "a list of otlp, console or none";
    origin from{origin::source::code};
    if (own_.exporters) {
      const auto unknown = [&](const std::string& text) {
        throw config_error{name("exporters"), quoted(text), expected};
      };
      static_cast<void>(take_exporters(*own_.exporters, unknown));
    } else {
      const auto names = pick_.env.list(list);
      const auto unknown = [&](const std::string& text) { pick_.env.warn(list, text, expected); };
      if (names && take_exporters(*names, unknown)) {
        from = {origin::source::environment, list};
      } else {
        from = {};
        const bool tree = general_.console == console_mode::on && kind_ != signal::metrics;  // those only by a list
        if (endpoint_given_ || (!tree && general_.exporters.empty())) out_.exporters.push_back(exporter_kind::otlp);
        if (tree) out_.exporters.push_back(exporter_kind::console);
      }
    }
    if (general_.console == console_mode::off) std::erase(out_.exporters, exporter_kind::console);
    std::string text;
    for (const exporter_kind kind : out_.exporters) {
      text.append(text.empty() ? "" : " ").append(exporter_names[static_cast<std::size_t>(kind)]);
    }
    if (!general_.exporters.empty()) text.append(text.empty() ? "" : " ").append("own");
    pick_.note(name("exporters"), text.empty() ? "none" : text, from);
  }

  /// \return whether the list says anything that is known
  template <typename Unknown>
  [[nodiscard]] bool take_exporters(const std::vector<std::string>& names, Unknown&& unknown) {
    const std::span<const std::string_view> known{exporter_names, kind_ == signal::metrics ? 3u : 2u};
    bool none = false;
    for (const std::string& text : names) {
      const auto index = index_of(known, text);
      if (text == "none") {
        none = true;
      } else if (!index) {
        unknown(text);
      } else if (!out_.exports_to(static_cast<exporter_kind>(*index))) {
        out_.exporters.push_back(static_cast<exporter_kind>(*index));
      }
    }
    return none || !out_.exporters.empty();
  }

  signal kind_;
  const settings& general_;
  const Own& own_;
  setting_picker& pick_;
  signal_configuration& out_;
  bool endpoint_given_ = false;
};

/// How items of a signal are batched.
inline void finalize_batches(signal kind, const signal_settings& own, setting_picker& pick, signal_configuration& out) {
  using v = variable;
  const bool traces = kind == signal::traces;
  const std::string prefix = std::string{to_string(kind)} + ".";
  const v delay = traces ? v::bsp_schedule_delay : v::blrp_schedule_delay;
  const v timeout = traces ? v::bsp_export_timeout : v::blrp_export_timeout;
  const v batch = traces ? v::bsp_max_export_batch_size : v::blrp_max_export_batch_size;
  out.schedule_delay = pick.time(prefix + "schedule_delay", own.schedule_delay, {delay},
                                 std::chrono::milliseconds{default_number(delay)});
  out.export_timeout = pick.time(prefix + "export_timeout", own.export_timeout, {timeout},
                                 std::chrono::milliseconds{default_number(timeout)});
  const auto [queue_size, queue_from] =
      pick.size(prefix + "max_queue_size", own.max_queue_size, traces ? v::bsp_max_queue_size : v::blrp_max_queue_size);
  auto [batch_size, batch_from] = pick.size(prefix + "max_export_batch_size", own.max_export_batch_size, batch);
  if (batch_size > queue_size) {
    const std::string expected = "at most max_queue_size, which is " + std::to_string(queue_size);
    if (batch_from.from == origin::source::code) {
      throw config_error{prefix + "max_export_batch_size", std::to_string(batch_size), expected};
    }
    if (batch_from.from == origin::source::environment) pick.env.warn(batch, std::to_string(batch_size), expected);
    batch_size = std::min(static_cast<std::uint32_t>(default_number(batch)), queue_size);
    batch_from = {};
  }
  out.max_queue_size = queue_size;
  out.max_export_batch_size = batch_size;
  pick.note(prefix + "max_queue_size", std::to_string(queue_size), queue_from);
  pick.note(prefix + "max_export_batch_size", std::to_string(batch_size), batch_from);
}

template <signal Kind>
void finalize_signal(const settings& general, const signal_settings& own, setting_picker& pick, configuration& all) {
  signal_finalizer<signal_settings>{Kind, general, own, pick, all}.run();
  finalize_batches(Kind, own, pick, all.signals[static_cast<std::size_t>(Kind)]);
}

template <signal Kind>
void finalize_signal(const settings& general, const metric_settings& own, setting_picker& pick, configuration& all) {
  using v = variable;
  signal_configuration& out = all.signals[static_cast<std::size_t>(Kind)];
  signal_finalizer<metric_settings>{Kind, general, own, pick, all}.run();
  const bool console_only = out.exporters == std::vector{exporter_kind::console};  // which has a shorter default
  out.schedule_delay =
      pick.time("metrics.interval", own.interval, {v::metric_export_interval},
                std::chrono::milliseconds{console_only ? 10'000 : default_number(v::metric_export_interval)}, 1);
  out.export_timeout = pick.time("metrics.export_timeout", own.export_timeout, {v::metric_export_timeout},
                                 std::chrono::milliseconds{default_number(v::metric_export_timeout)});
  constexpr std::string_view temporalities[] = {"cumulative", "delta", "lowmemory"};
  constexpr std::string_view histograms[] = {"explicit_bucket_histogram", "base2_exponential_bucket_histogram"};
  constexpr std::string_view filters[] = {"always_on", "always_off", "trace_based"};
  all.temporality = pick.choice("metrics.temporality", own.temporality, {v::metrics_temporality}, temporalities,
                                temporality_preference::cumulative);
  all.histogram_aggregation =
      pick.choice("metrics.histogram_aggregation", own.histogram_aggregation, {v::metrics_histogram}, histograms,
                  histogram_aggregation::explicit_bucket_histogram);
  all.exemplar_filter = pick.choice("metrics.exemplar_filter", own.exemplar_filter, {v::metrics_exemplar_filter},
                                    filters, exemplar_filter::trace_based);
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk::detail
