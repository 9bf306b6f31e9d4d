// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/propagation/b3.hpp>
#include <otlpkit/propagation/baggage_header.hpp>
#include <otlpkit/propagation/carried.hpp>
#include <otlpkit/propagation/carrier.hpp>
#include <otlpkit/propagation/jaeger.hpp>
#include <otlpkit/propagation/traceparent.hpp>
#include <otlpkit/propagation/tracestate.hpp>
#include <otlpkit/trace/sampler.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI {

/// The formats context travels in, as OTEL_PROPAGATORS names them.
enum class propagator : std::uint8_t {
  tracecontext = 1,  ///< W3C Trace Context: `traceparent`, `tracestate`
  baggage,           ///< W3C Baggage: `baggage`
  b3,                ///< Zipkin's B3 in one header: `b3`
  b3multi,           ///< Zipkin's B3 in several: `X-B3-*`; both B3 forms read either
  jaeger,            ///< Jaeger's own: `uber-trace-id`, `uberctx-*`
};

/// What came with a message from another process. `span` is not valid when there was nothing usable.
struct remote_context {
  span_context span;
  otlpkit::baggage baggage;

  [[nodiscard]] bool valid() const noexcept { return span.valid(); }
};

namespace detail {

inline constexpr span_context no_remote{};

/// What W3C headers a message has. The parent is read at this first look, into `span`.
struct w3c_look {
  span_context& span;
  std::uint32_t parents = 0;
  bool good = false;  ///< exactly one traceparent, and it is valid
  bool state = false;
  bool baggage = false;

  void parent(std::string_view value) noexcept { good = ++parents == 1 && parse_traceparent(value, span); }
};

/// B3 may leave the decision about sampling to whoever receives it: the sampler for roots decides, here, as the parent
/// is what the spans follow. Without telemetry the question is passed on.
OTLPKIT_COLD inline void settle_deferred(span_context& c) noexcept {
  if ((global_runtime.mode.load(platform::acquire) & mode_traces) == 0) return;
  sampling_decision decision = sampling_decision::record_and_sample;
  if (sampler* const chosen = global_runtime.sampler.load(platform::acquire)) {
    record_buffer buffer;
    attribute_writer writer{0x4A};
    sampling_changes changes{buffer, writer, global_runtime.span_attributes, c.state};
    decision = chosen->should_sample({no_remote, c.trace, {}, span_kind::server, {}, 0}, changes);
  }
  c.flags = static_cast<std::uint8_t>(c.flags & ~flag_deferred);
  if (decision == sampling_decision::record_and_sample) c.flags |= flag_sampled;
}

/// The checked tracestate headers of a message.
template <class C>
OTLPKIT_NOINLINE trace_state read_tracestate(const C& carrier) {
  tracestate_reader reader;
  for_each_value(carrier, "tracestate", [&reader](std::string_view value) { reader.take(value); });
  return reader.state();
}

template <class C>
OTLPKIT_NOINLINE void read_baggage(const C& carrier, baggage& into) {
  baggage_reader reader;
  for_each_value(carrier, "baggage", [&reader](std::string_view value) { reader.take(value); });
  baggage found = reader.result();
  if (found.empty()) return;
  if (into.empty()) {
    into = static_cast<baggage&&>(found);
  } else {
    for (const baggage_entry& e : found) into = into.with(e.key, e.value, e.metadata);
  }
}

/// A carrier without a search of its own is walked once for all three names.
template <class C>
inline constexpr bool walk_once = pair_range<C> && !has_get_all<C> && !has_get<C>;

template <class C>
void look_for_w3c(const C& carrier, w3c_look& look) {
  if constexpr (walk_once<C>) {
    for (const auto& [key, value] : carrier) {
      const std::string_view name{key};
      if (name.size() == 11 && same_name(name, "traceparent")) {
        look.parent(value);
      } else if (name.size() == 10 && same_name(name, "tracestate")) {
        look.state = true;
      } else if (name.size() == 7 && same_name(name, "baggage")) {
        look.baggage = true;
      }
    }
  } else {
    for_each_value(carrier, "traceparent", [&look](std::string_view value) { look.parent(value); });
    if (look.good) for_each_value(carrier, "tracestate", [&look](std::string_view) { look.state = true; });
    for_each_value(carrier, "baggage", [&look](std::string_view) { look.baggage = true; });
  }
}

/// Reads the parent into `into`, which is empty. A second traceparent makes the first one unusable too.
template <class C>
void take_w3c_parent(const C& carrier, const w3c_look& look, span_context& into) {
  if (!look.good) {
    if (look.parents > 1) into = {};
  } else if (look.state) [[unlikely]] {
    into.state = read_tracestate(carrier);
  }
}

template <class C>
OTLPKIT_ALWAYS_INLINE void inject_w3c(C& carrier, const span_context& from) {
  char text[traceparent_size];
  format_traceparent(from, text);
  set_header(carrier, "traceparent", {text, sizeof text});
  if (!from.state.empty()) [[unlikely]]
    set_header(carrier, "tracestate", from.state.header());
}

template <class C>
OTLPKIT_NOINLINE void inject_baggage(C& carrier, const baggage& from) {
  baggage_text text;
  format_baggage(from, text);
  if (!text.empty()) set_header(carrier, "baggage", text.view());
}

}  // namespace detail

/// An ordered choice of formats, used one after the other: what a later one reads wins. A value, made at compile time
/// if wished:
///
///     constexpr otlpkit::propagators zipkin{otlpkit::propagator::b3};
///     zipkin.inject(request);
class propagators {
 public:
  /// None: nothing is sent or read.
  constexpr propagators() noexcept = default;
  /// One named twice counts once.
  constexpr propagators(std::initializer_list<propagator> kinds) noexcept {
    for (const propagator kind : kinds) add(kind);
  }

  constexpr void add(propagator kind) noexcept {
    int shift = 0;
    for (std::uint32_t rest = list_; rest != 0; rest >>= 4, shift += 4) {
      if ((rest & 15u) == static_cast<std::uint32_t>(kind)) return;
    }
    list_ |= static_cast<std::uint32_t>(kind) << shift;
  }
  [[nodiscard]] constexpr bool empty() const noexcept { return list_ == 0; }
  friend constexpr bool operator==(const propagators&, const propagators&) = default;

  /// Writes `span` and `values` into `carrier`. Never throws: a header the carrier fails to take is left out.
  template <carrier_writer C>
  void inject(C&& carrier, const span_context& span, const baggage& values) const noexcept {
    for (std::uint32_t rest = list_; rest != 0; rest >>= 4) {
      try {
        inject_one(static_cast<propagator>(rest & 15u), carrier, span, values);
      } catch (...) {
        return;
      }
    }
  }

  /// Writes the current span's context and the current baggage.
  template <carrier_writer C>
  OTLPKIT_ALWAYS_INLINE void inject(C&& carrier) const noexcept {
    detail::context_slot* const slot = detail::this_thread.slot;
    if (slot == nullptr) return;
    const detail::context_entry* const top = slot->current();
    const detail::carried_entry* const carried = detail::carried_entry::current_in(*slot);
    if (*this != standard()) [[unlikely]]
      return inject_others(carrier, top, carried);
    try {
      if (top != nullptr && top->ids.valid()) detail::inject_w3c(carrier, top->ids);
      if (carried != nullptr) [[unlikely]]
        inject_one(propagator::baggage, carrier, detail::no_remote, carried->baggage);
    } catch (...) {
    }
  }

  /// Reads what came with a message. Never throws; what is not valid is as if it were not there.
  template <carrier_reader C>
  [[nodiscard]] remote_context extract(const C& carrier) const noexcept {
    remote_context out;
    try {
      if (*this == standard()) [[likely]] {
        detail::w3c_look look{out.span};
        detail::look_for_w3c(carrier, look);
        detail::take_w3c_parent(carrier, look, out.span);
        if (look.baggage) [[unlikely]]
          detail::read_baggage(carrier, out.baggage);
      } else {
        for (std::uint32_t rest = list_; rest != 0; rest >>= 4) {
          extract_one(static_cast<propagator>(rest & 15u), carrier, out);
        }
      }
    } catch (...) {
    }
    return out;
  }

  /// Calls each(name) with every header name inject() may write. `uberctx-` is a prefix.
  template <class Each>
  void fields(Each&& each) const {
    const auto all = [&each](std::initializer_list<std::string_view> names) {
      for (const std::string_view name : names) each(name);
    };
    for (std::uint32_t rest = list_; rest != 0; rest >>= 4) {
      switch (static_cast<propagator>(rest & 15u)) {
        case propagator::tracecontext: all({"traceparent", "tracestate"}); break;
        case propagator::baggage: all({"baggage"}); break;
        case propagator::b3: all({"b3"}); break;
        case propagator::b3multi: all({"X-B3-TraceId", "X-B3-SpanId", "X-B3-Sampled", "X-B3-Flags"}); break;
        case propagator::jaeger: all({"uber-trace-id", detail::jaeger_baggage_prefix}); break;
      }
    }
  }

  /// tracecontext and baggage, what is used without a word about it.
  [[nodiscard]] static constexpr propagators standard() noexcept {
    return {propagator::tracecontext, propagator::baggage};
  }

 private:
  template <class C>
  OTLPKIT_NOINLINE void inject_others(C& carrier, const detail::context_entry* top,
                                      const detail::carried_entry* carried) const noexcept {
    inject(carrier, top != nullptr ? top->ids : detail::no_remote, carried != nullptr ? carried->baggage : baggage{});
  }

  template <class C>
  static void inject_one(propagator kind, C& carrier, const span_context& span, const baggage& values) {
    if (kind == propagator::baggage) {
      if (!values.empty()) detail::inject_baggage(carrier, values);
      return;
    }
    if (kind == propagator::jaeger && !values.empty()) detail::inject_jaeger_baggage(carrier, values);
    if (!span.valid()) return;
    switch (kind) {
      case propagator::tracecontext: detail::inject_w3c(carrier, span); break;
      case propagator::b3: detail::inject_b3_single(carrier, span); break;
      case propagator::b3multi: detail::inject_b3_multi(carrier, span); break;
      case propagator::jaeger: detail::inject_jaeger(carrier, span); break;
      case propagator::baggage: break;
    }
  }

  template <class C>
  static void extract_one(propagator kind, const C& carrier, remote_context& out) {
    span_context found;
    switch (kind) {
      case propagator::tracecontext: {
        detail::w3c_look look{found};
        detail::look_for_w3c(carrier, look);
        detail::take_w3c_parent(carrier, look, found);
        if (found.valid()) out.span = found;
        return;
      }
      case propagator::baggage: detail::read_baggage(carrier, out.baggage); return;
      case propagator::b3:
      case propagator::b3multi:
        if (!detail::extract_b3(carrier, found)) return;
        if ((found.flags & detail::flag_deferred) != 0) detail::settle_deferred(found);
        out.span = found;
        return;
      case propagator::jaeger:
        if (detail::extract_jaeger(carrier, found)) out.span = found;
        detail::extract_jaeger_baggage(carrier, out.baggage);
        return;
    }
  }

  std::uint32_t list_ = 0;  ///< four bits each, the first one lowest
};

namespace detail {
OTLPKIT_VISIBLE inline constinit platform::atomic<propagators> global_propagators{propagators::standard()};
}  // namespace detail

/// The formats inject() and extract() use: those of settings::propagators or OTEL_PROPAGATORS, and tracecontext with
/// baggage as long as there was no telemetry object.
[[nodiscard]] inline propagators current_propagators() noexcept {
  return detail::global_propagators.load(platform::relaxed);
}

/// Chooses them for the process. `telemetry` does it by its settings; programs without one may.
/// \return those before
inline propagators set_propagators(propagators chosen) noexcept {
  return detail::global_propagators.exchange(chosen, platform::relaxed);
}

/// Writes the current context into the headers of a message to another process. Without telemetry that is what came
/// from outside, so a trace passes through.
template <carrier_writer C>
OTLPKIT_ALWAYS_INLINE void inject(C&& carrier) noexcept {
  current_propagators().inject(carrier);
}

/// Writes a context that is not the current one.
template <carrier_writer C>
void inject(C&& carrier, const span_context& span, const baggage& values = {}) noexcept {
  current_propagators().inject(carrier, span, values);
}

/// Reads the context that came with a message. Use it as the parent of the span that serves it:
///
///     otlpkit::remote_scope remote{otlpkit::extract(request)};
///     OTLPKIT_SPAN("job.run");
template <carrier_reader C>
[[nodiscard]] remote_context extract(const C& carrier) noexcept {
  return current_propagators().extract(carrier);
}

/// Makes what came from another process current as long as it lives: spans started meanwhile continue its trace, and
/// its baggage is carried. Without a valid parent they start a trace of their own. For use in one task.
class [[nodiscard]] remote_scope {
 public:
  explicit remote_scope(remote_context from) noexcept {
    entry_.ids = static_cast<span_context&&>(from.span);
    detail::enter_scope(entry_, &detail::context_slot::top, &detail::context_slot::kept);
    if (from.baggage.empty()) return;
    if (const detail::carried_entry* const outer = detail::carried_entry::current()) {
      carried_.deadline_ns = outer->deadline_ns;
    }
    carried_.baggage = static_cast<baggage&&>(from.baggage);
    carried_.push();
  }
  remote_scope(const remote_scope&) = delete;
  remote_scope& operator=(const remote_scope&) = delete;
  ~remote_scope() {
    if (!carried_.baggage.empty()) carried_.remove();
    detail::leave_scope(entry_, &detail::context_slot::top);
  }

 private:
  detail::context_entry entry_;
  detail::carried_entry carried_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI
