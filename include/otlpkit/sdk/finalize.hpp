// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/environment.hpp>
#include <otlpkit/core/errors.hpp>
#include <otlpkit/core/resource_detectors.hpp>
#include <otlpkit/sdk/configuration.hpp>
#include <otlpkit/sdk/finalize_signal.hpp>
#include <otlpkit/sdk/log_levels.hpp>
#include <otlpkit/sdk/metric_plan.hpp>
#include <otlpkit/sdk/setting_picker.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::sdk {

namespace detail {

/// The settings that are not about one signal.
class finalizer {
 public:
  finalizer(const settings& s, const environment& env) : s_{s}, pick_{env, c_} {}

  [[nodiscard]] configuration run() {
    unsupported_config_file();
    c_.disabled = pick_.boolean("disabled", s_.disabled, variable::sdk_disabled);
    make_resource();
    finalize_signal<signal::traces>(s_, s_.traces, pick_, c_);
    finalize_signal<signal::metrics>(s_, s_.metrics, pick_, c_);
    finalize_signal<signal::logs>(s_, s_.logs, pick_, c_);
    choose_sampler();
    limits();
    log_records();
    choose_propagators();
    rest();
    return std::move(c_);
  }

 private:
  void unsupported_config_file() {
    if (const auto path = pick_.env.text(variable::config_file)) {
      pick_.env.warn(variable::config_file, *path, "it to be unset, as configuration files are not supported");
    }
  }

  void make_resource() {
    std::vector<resource_attribute> said;  // by the environment, then by code: the last wins
    origin from;
    origin service_from;
    const auto add = [&](std::string key, resource_value value, origin by) {
      if (key == "service.name") service_from = by;
      if (key == "service.instance.id") c_.generated_instance_id = false;
      said.push_back({std::move(key), std::move(value)});
      from = by;
    };
    c_.generated_instance_id = true;
    if (const auto text = pick_.env.text(variable::resource_attributes)) {
      key_value_list list = parse_resource_attributes(*text);
      for (const std::string& problem : list.problems) {
        pick_.env.warn(variable::resource_attributes, *text, problem, "all of it is ignored");
      }
      for (auto& [key, value] : list.pairs) {
        add(std::move(key), std::move(value), {origin::source::environment, variable::resource_attributes});
      }
    }
    if (auto name = pick_.env.text(variable::service_name)) {
      add("service.name", *std::move(name), {origin::source::environment, variable::service_name});
    }
    constexpr origin code{origin::source::code};
    for (const resource_attribute& a : s_.resource_attributes) {
      if (a.key.empty()) throw config_error{"resource_attributes", "an empty key", "a key"};
      add(a.key, a.value, code);
    }
    if (!s_.service.empty()) add("service.name", s_.service, code);
    if (!s_.service_version.empty()) add("service.version", s_.service_version, code);
    if (!s_.service_namespace.empty()) add("service.namespace", s_.service_namespace, code);

    resource found = merge(detect_sdk(), detect_service());
    if (s_.detect_resource && !c_.disabled) found = merge(merge(found, detect_process()), detect_host());
    const resource given{std::move(said)};
    c_.resource = merge(found, given);
    pick_.note("service", shown_text(c_.resource.find("service.name")->text()), service_from);
    std::string keys;
    for (const resource_attribute& a : given.attributes()) keys.append(keys.empty() ? "" : " ").append(a.key);
    pick_.note("resource_attributes", keys.empty() ? "none" : shown_text(keys), from);
  }

  void choose_sampler() {
    const sampler_settings& s = s_.sampler;
    if (s.ratio && !(*s.ratio >= 0 && *s.ratio <= 1)) {
      throw config_error{"sampler.ratio", std::to_string(*s.ratio), "a number from 0 to 1"};
    }
    origin from{origin::source::code};
    if (s.custom) {
      c_.sampler = sampler_kind::custom;
      c_.custom_sampler = s.custom;
    } else if (!s.name.empty()) {
      const auto index = index_of(sampler_names, s.name);
      if (!index) throw config_error{"sampler.name", quoted(s.name), "one of " + joined(sampler_names)};
      c_.sampler = static_cast<sampler_kind>(*index);
      c_.sampler_ratio = s.ratio.value_or(1);
    } else if (s.ratio) {
      c_.sampler = sampler_kind::parentbased_traceidratio;
      c_.sampler_ratio = *s.ratio;
    } else if (const auto index = pick_.env.choice(variable::traces_sampler, sampler_names)) {
      from = {origin::source::environment, variable::traces_sampler};
      c_.sampler = static_cast<sampler_kind>(*index);
      if (by_ratio()) c_.sampler_ratio = pick_.env.ratio(variable::traces_sampler_arg).value_or(1);
    } else {
      from = {};
    }
    std::string text{c_.sampler == sampler_kind::custom ? "custom"
                                                        : sampler_names[static_cast<std::size_t>(c_.sampler)]};
    if (by_ratio()) text += " " + std::to_string(c_.sampler_ratio);
    pick_.note("sampler", std::move(text), from);
  }

  [[nodiscard]] bool by_ratio() const noexcept {
    return c_.sampler == sampler_kind::traceidratio || c_.sampler == sampler_kind::parentbased_traceidratio;
  }

  void limits() {
    using v = variable;
    const auto& spans = s_.span_limits;
    const auto& logs = s_.log_limits;
    // The order the specification gives, once for code and once for the environment: the model's own, then the general.
    const auto limit = [&](std::string name, std::optional<std::uint32_t> own, std::optional<std::uint32_t> general,
                           v own_variable, std::optional<v> general_variable) {
      return pick_.limit(std::move(name), own ? own : general, own_variable, general_variable);
    };
    c_.span_limits.attribute_count = limit("span_limits.attribute_count", spans.attribute_count, s_.attribute_count,
                                           v::span_attribute_count_limit, v::attribute_count_limit);
    c_.span_limits.attribute_value_length =
        limit("span_limits.attribute_value_length", spans.attribute_value_length, s_.attribute_value_length,
              v::span_attribute_value_length_limit, v::attribute_value_length_limit);
    c_.span_limits.event_count = limit("span_limits.event_count", spans.event_count, {}, v::span_event_count_limit, {});
    c_.span_limits.link_count = limit("span_limits.link_count", spans.link_count, {}, v::span_link_count_limit, {});
    c_.span_limits.event_attribute_count =
        limit("span_limits.event_attribute_count", spans.event_attribute_count, {}, v::event_attribute_count_limit, {});
    c_.span_limits.link_attribute_count =
        limit("span_limits.link_attribute_count", spans.link_attribute_count, {}, v::link_attribute_count_limit, {});
    c_.log_limits.attribute_count = limit("log_limits.attribute_count", logs.attribute_count, s_.attribute_count,
                                          v::log_attribute_count_limit, v::attribute_count_limit);
    c_.log_limits.attribute_value_length =
        limit("log_limits.attribute_value_length", logs.attribute_value_length, s_.attribute_value_length,
              v::log_attribute_value_length_limit, v::attribute_value_length_limit);
  }

  void log_records() {
    const log_record_settings& said = s_.log_records;
    log_record_configuration& out = c_.log_records;
    const auto check = [](const std::string& name, severity level) {
      if (level < severity::trace || level > severity::off) {
        throw config_error{name, std::to_string(static_cast<unsigned>(level)),
                           "a severity from trace to fatal4, or off"};
      }
    };
    origin level_from, scopes_from;
    if (const auto text = pick_.env.text(variable::log_record_level)) {
      log_level_list list = parse_log_levels(*text);
      for (const std::string& entry : list.problems) {
        pick_.env.warn(
            variable::log_record_level, entry,
            "trace, debug, info, warn, error, fatal or off, or one of these after the name of a scope and \"=\"",
            "that entry is ignored");
      }
      const origin variable_origin{origin::source::environment, variable::log_record_level};
      if (list.general) {
        out.level = *list.general;
        level_from = variable_origin;
      }
      if (!list.scopes.empty()) scopes_from = variable_origin;
      out.scopes = std::move(list.scopes);
    }
    if (said.level) {
      check("log_records.level", *said.level);
      out.level = *said.level;
      level_from = {origin::source::code};
    }
    for (const auto& [name, level] : said.scopes) {
      if (name.empty()) throw config_error{"log_records.scopes", quoted(name), "the name of an instrumentation scope"};
      check("log_records.scopes", level);
      out.scopes.emplace_back(name, level);  // later ones win
      scopes_from = {origin::source::code};
    }
    std::string scopes;
    for (const auto& [name, level] : out.scopes) {
      scopes.append(scopes.empty() ? "" : " ").append(name).append("=");
      scopes.append(severity_names[static_cast<std::size_t>(level)]);
    }
    pick_.note("log_records.level", std::string{severity_names[static_cast<std::size_t>(out.level)]}, level_from);
    pick_.note("log_records.scopes", scopes.empty() ? "none" : shown_text(scopes), scopes_from);
    out.span_events = pick_.boolean("log_records.span_events", said.span_events, variable::log_span_events);
  }

  void choose_propagators() {
    origin from;
    std::vector<propagator_kind> chosen{propagator_kind::tracecontext, propagator_kind::baggage};
    const auto take = [&](const std::vector<std::string>& names, auto&& unknown) {
      std::vector<propagator_kind> known;
      bool none = false;
      for (const std::string& name : names) {
        const auto index = index_of(propagator_names, name);
        if (name == "none") {
          none = true;
        } else if (!index) {
          unknown(name);
        } else if (std::ranges::find(known, static_cast<propagator_kind>(*index)) == known.end()) {
          known.push_back(static_cast<propagator_kind>(*index));
        }
      }
      const bool usable = none || !known.empty();
      if (usable) chosen = std::move(known);
      return usable;
    };
    const std::string expected = "a list of " + joined(propagator_names) + " or none";
    if (s_.propagators) {
      from = {origin::source::code};
      if (!take(*s_.propagators, [&](const std::string& name) {
            throw config_error{"propagators", quoted(name), expected};
          })) {
        chosen.clear();
      }
    } else if (const auto names = pick_.env.list(variable::propagators)) {
      const auto warn = [&](const std::string& name) { pick_.env.warn(variable::propagators, name, expected); };
      if (take(*names, warn)) from = {origin::source::environment, variable::propagators};
    }
    std::string text;
    for (const propagator_kind kind : chosen) {
      text.append(text.empty() ? "" : " ").append(propagator_names[static_cast<std::size_t>(kind)]);
    }
    c_.propagators = std::move(chosen);
    pick_.note("propagators", text.empty() ? "none" : text, from);
  }

  void metrics() {
    check_views(s_.views);
    check_aggregations(s_.metrics.aggregations);
    c_.views = s_.views;
    c_.aggregations = s_.metrics.aggregations;
    c_.producers = s_.metrics.producers;
    std::erase(c_.producers, nullptr);
    c_.filter = s_.metrics.filter;
    pick_.note("views", std::to_string(c_.views.size()), said_if(!c_.views.empty()));
    pick_.note("metrics.aggregations", c_.aggregations.empty() ? "default" : "own", said_if(!c_.aggregations.empty()));
    c_.cardinality_limit = number("metrics.cardinality_limit", s_.metrics.cardinality_limit, c_.cardinality_limit);
    c_.max_metric_batch_size = number("metrics.max_export_batch_size", s_.metrics.max_export_batch_size, unlimited);
    pick_.note("metrics.producers", std::to_string(c_.producers.size()), said_if(!c_.producers.empty()));
    pick_.note("metrics.filter", c_.filter == nullptr ? "none" : "own", said_if(c_.filter != nullptr));
    c_.span_metrics = pick_.boolean("span_metrics", s_.span_metrics, variable::span_metrics);
  }

  /// A number above zero that no variable gives.
  std::uint32_t number(std::string name, std::optional<std::uint32_t> said, std::uint32_t fallback) {
    if (said && (*said == 0 || *said > setting_picker::max_number))
      throw config_error{name, std::to_string(*said), "1 to " + std::to_string(setting_picker::max_number)};
    const std::uint32_t value = said.value_or(fallback);
    pick_.note(std::move(name), value == unlimited ? "no limit" : std::to_string(value), said_if(said.has_value()));
    return value;
  }

  void rest() {
    c_.exporters = s_.exporters;
    std::erase(c_.exporters, nullptr);
    c_.span_processors = s_.span_processors;
    std::erase(c_.span_processors, nullptr);
    c_.log_processors = s_.log_processors;
    std::erase(c_.log_processors, nullptr);
    const auto own = [this](std::string name, std::size_t count) {
      pick_.note(std::move(name), std::to_string(count), said_if(count != 0));
    };
    own("exporters", c_.exporters.size());
    own("span_processors", c_.span_processors.size());
    own("log_processors", c_.log_processors.size());
    pick_.note("id_generator", s_.id_generator == nullptr ? "random" : "own", said_if(s_.id_generator != nullptr));
    c_.id_generator = s_.id_generator;
    metrics();
    c_.diagnostics = s_.diagnostics;
    if (s_.max_queue_bytes == 0) throw config_error{"max_queue_bytes", "0", "a number above zero"};
    if (s_.shutdown_timeout < s_.shutdown_timeout.zero()) {
      throw config_error{"shutdown_timeout", std::to_string(s_.shutdown_timeout.count()) + " ms", "zero or more"};
    }
    c_.max_queue_bytes = s_.max_queue_bytes;
    c_.shutdown_timeout = std::min(s_.shutdown_timeout, no_time_limit);
    const settings standard;
    pick_.note("max_queue_bytes", std::to_string(c_.max_queue_bytes),
               said_if(c_.max_queue_bytes != standard.max_queue_bytes));
    pick_.note("shutdown_timeout", shown(c_.shutdown_timeout),
               said_if(c_.shutdown_timeout != standard.shutdown_timeout));
    c_.self_metrics = pick_.boolean("self_metrics", s_.self_metrics, variable::self_metrics);
    c_.books = pick_.boolean("books", s_.books, variable::books);

    constexpr std::string_view levels[] = {"trace", "debug", "info", "warn", "warning",
                                           "error", "fatal", "none", "off"};
    constexpr diagnostic_level values[] = {
        diagnostic_level::debug,   diagnostic_level::debug, diagnostic_level::info, diagnostic_level::warning,
        diagnostic_level::warning, diagnostic_level::error, diagnostic_level::error};
    const auto level = pick_.env.choice(variable::log_level, levels);
    if (level) c_.log_level = *level < std::size(values) ? std::optional{values[*level]} : std::nullopt;
    pick_.note("log_level", std::string{level ? levels[*level] : info(variable::log_level).default_text},
               level ? origin{origin::source::environment, variable::log_level} : origin{});

    const auto host = pick_.env.text(variable::prometheus_host);
    const auto port = pick_.env.integer(variable::prometheus_port, 0, 65535);
    const prometheus_settings& said = s_.prometheus;
    constexpr origin code{origin::source::code};
    c_.prometheus_host =
        !said.host.empty() ? said.host : host.value_or(std::string{info(variable::prometheus_host).default_text});
    c_.prometheus_port =
        said.port.value_or(static_cast<std::uint16_t>(port.value_or(default_number(variable::prometheus_port))));
    pick_.note("prometheus.host", shown_text(c_.prometheus_host),
               !said.host.empty() ? code
               : host             ? origin{origin::source::environment, variable::prometheus_host}
                                  : origin{});
    pick_.note("prometheus.port", std::to_string(c_.prometheus_port),
               said.port ? code
               : port    ? origin{origin::source::environment, variable::prometheus_port}
                         : origin{});
    constexpr std::string_view translations[] = {"underscore_escaping_with_suffixes",
                                                 "underscore_escaping_without_suffixes",
                                                 "no_utf8_escaping_with_suffixes", "no_translation"};
    c_.translation = pick_.choice("prometheus.translation", said.translation, {variable::prometheus_translation},
                                  translations, prometheus_translation::underscore_escaping_with_suffixes);
    c_.prometheus_scope_labels =
        pick_.boolean("prometheus.scope_labels", said.scope_labels, variable::prometheus_scope_labels, true);
    c_.prometheus_target_info =
        pick_.boolean("prometheus.target_info", said.target_info, variable::prometheus_target_info, true);
    c_.prometheus_resource_labels = said.resource_labels;
    std::string labels;
    for (const std::string& key : said.resource_labels) labels.append(labels.empty() ? "" : " ").append(key);
    pick_.note("prometheus.resource_labels", labels.empty() ? "none" : shown_text(labels), said_if(!labels.empty()));
  }

  static origin said_if(bool different) noexcept { return different ? origin{origin::source::code} : origin{}; }

  const settings& s_;
  configuration c_;
  setting_picker pick_;
};

}  // namespace detail

/// Answers every question `settings` leaves open: code over environment over default.
///
/// What is wrong in the environment never fails: it is ignored as the specification says, and told in
/// configuration::warnings, by name.
/// \throws config_error for a value in `settings` that cannot be used
[[nodiscard]] inline configuration finalize(const settings& s, const environment& env = environment{}) {
  return detail::finalizer{s, env}.run();
}

}  // namespace otlpkit::inline OTLPKIT_ABI::sdk
