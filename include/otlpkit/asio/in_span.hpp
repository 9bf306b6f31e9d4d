// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/otlpkit.hpp>

#include <boost/asio/awaitable.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

namespace otlpkit::inline OTLPKIT_ABI {

/// Up to eight fields, written as everywhere: `{{"key", value}, {"other", 2}}`. A class instead of an initializer list,
/// because g++ 12 refuses those inside a co_await expression. Refers to what the fields refer to.
class field_list {
 public:
  field_list() noexcept = default;
  field_list(const field& a) noexcept : all_{&a}, size_{1} {}  // NOLINT(google-explicit-constructor)
  field_list(const field& a, const field& b) noexcept : all_{&a, &b}, size_{2} {}
  field_list(const field& a, const field& b, const field& c) noexcept : all_{&a, &b, &c}, size_{3} {}
  field_list(const field& a, const field& b, const field& c, const field& d) noexcept
      : all_{&a, &b, &c, &d}, size_{4} {}
  field_list(const field& a, const field& b, const field& c, const field& d, const field& e) noexcept
      : all_{&a, &b, &c, &d, &e}, size_{5} {}
  field_list(const field& a, const field& b, const field& c, const field& d, const field& e, const field& f) noexcept
      : all_{&a, &b, &c, &d, &e, &f}, size_{6} {}
  field_list(const field& a, const field& b, const field& c, const field& d, const field& e, const field& f,
             const field& g) noexcept
      : all_{&a, &b, &c, &d, &e, &f, &g}, size_{7} {}
  field_list(const field& a, const field& b, const field& c, const field& d, const field& e, const field& f,
             const field& g, const field& h) noexcept
      : all_{&a, &b, &c, &d, &e, &f, &g, &h}, size_{8} {}

  template <class F>
  void for_each(F&& fn) const {
    for (std::size_t i = 0; i < size_; ++i) fn(*all_[i]);
  }

 private:
  std::array<const field*, 8> all_{};
  std::size_t size_ = 0;
};

namespace detail {

#ifdef OTLPKIT_DISABLE

struct span_name {
  template <class Text>
  constexpr span_name(const Text&) noexcept {}  // NOLINT(google-explicit-constructor)
};

class unstarted_span {
 public:
  constexpr unstarted_span(span_name, const otlpkit::field_list&) noexcept {}
  [[nodiscard]] constexpr span_guard start() noexcept { return span_guard{""}; }
  [[nodiscard]] constexpr span_guard start_linked(const span_context&) noexcept { return span_guard{""}; }
  constexpr unstarted_span&& as(span_kind) && noexcept { return static_cast<unstarted_span&&>(*this); }
  void add(const field&) noexcept {}
};

template <class T>
constexpr void record_outcome(span&, const T&) noexcept {}

#else

using otlpkit::span_name;

template <class T>
void record_outcome(span& s, const T& result) noexcept {
  record_result(s, result);
}

/// A span that will start later: its name, and its fields in the form they are sent in, so that what they refer to need
/// not live until then.
class unstarted_span {
 public:
  unstarted_span(span_name name, const otlpkit::field_list& attributes) : lasting_{name} {
    if (!name.lasting()) copy_ = name.text();
    if ((global_runtime.mode.load(platform::relaxed) & mode_traces) == 0) return;
    attributes.for_each([this](const field& f) { add(f); });
  }

  void add(const field& f) noexcept { filled_.put(f); }

  unstarted_span&& as(span_kind k) && noexcept {
    kind_ = k;
    return static_cast<unstarted_span&&>(*this);
  }

  [[nodiscard]] span_guard start() noexcept {
    if (kind_ != span_kind::internal)
      return {name(), {.kind = kind_}, [this](span_record& record) { record.adopt(filled_); }};
    return {default_scope, name(), [this](span_record& record) { record.adopt(filled_); }};
  }

  /// In a trace of its own, which refers to `origin`.
  [[nodiscard]] span_guard start_linked(const span_context& origin) noexcept {
    const context_without_span root;
    span_guard guard = start();
    guard.link(origin);
    return guard;
  }

 private:
  /// Lets what starts meanwhile start a trace.
  struct context_without_span {
    context_without_span() noexcept { current_slot().push(entry); }
    context_without_span(const context_without_span&) = delete;
    context_without_span& operator=(const context_without_span&) = delete;
    ~context_without_span() { current_slot().remove(entry); }
    context_entry entry;
  };

  [[nodiscard]] span_name name() const noexcept { return lasting_.lasting() ? lasting_ : span_name{copy_}; }

  span_name lasting_;
  span_kind kind_ = span_kind::internal;
  std::string copy_;
  span_record filled_;
};

#endif

/// Marks a span whose coroutine is destroyed before it came to an end.
class completion {
 public:
  explicit completion(span& s) noexcept : span_{s} {}
  completion(const completion&) = delete;
  completion& operator=(const completion&) = delete;
  ~completion() {
    if (!reached_) span_.set("otlpkit.abandoned", true);
  }
  void reached() noexcept { reached_ = true; }

 private:
  span& span_;
  bool reached_ = false;
};

template <class T, class Executor, class F>
boost::asio::awaitable<T, Executor> run_in_span(unstarted_span unstarted, F work) {
  span_guard guard = unstarted.start();
  completion end{guard};
  try {
    if constexpr (std::is_void_v<T>) {
      co_await work(guard);
      end.reached();
    } else {
      T result = co_await work(guard);
      end.reached();
      record_outcome(guard, result);
      co_return result;
    }
  } catch (...) {
    end.reached();
    record_current_exception(guard);
    throw;
  }
}

template <class F>
auto call_with_span(F& fn, span& s) {
  if constexpr (std::is_invocable_v<F&, span&>) {
    return fn(s);
  } else {
    return fn();
  }
}

template <class T, class Executor>
struct as_function {
  boost::asio::awaitable<T, Executor> work;
  boost::asio::awaitable<T, Executor> operator()(span&) { return std::move(work); }
};

template <class F>
struct with_span {
  F fn;
  auto operator()(span& s) { return call_with_span(fn, s); }
};

template <class F, class T, class Executor>
boost::asio::awaitable<T, Executor> traced_as(unstarted_span unstarted, F&& fn,
                                              boost::asio::awaitable<T, Executor> (*)()) {
  return run_in_span<T, Executor>(std::move(unstarted), with_span<std::decay_t<F>>{std::forward<F>(fn)});
}

}  // namespace detail

/// `work` in a span of its own: `co_await otlpkit::in_span("user.load", {{"user_id", id}}, load(id))`.
///
/// The span starts when the awaitable does; the fields are encoded at once. It ends with `work`. An exception is
/// recorded and passed on, and so is the error in an expected-like result or an error code. Name and fields may be
/// temporaries. Destroyed while suspended, the span ends with otlpkit.abandoned and no status.
template <class T, class Executor>
[[nodiscard]] boost::asio::awaitable<T, Executor> in_span(detail::span_name name, const field_list& attributes,
                                                          boost::asio::awaitable<T, Executor> work,
                                                          span_kind kind = span_kind::internal) {
  return detail::run_in_span<T, Executor>(detail::unstarted_span{name, attributes}.as(kind),
                                          detail::as_function<T, Executor>{std::move(work)});
}
template <class T, class Executor>
[[nodiscard]] boost::asio::awaitable<T, Executor> in_span(detail::span_name name,
                                                          boost::asio::awaitable<T, Executor> work,
                                                          span_kind kind = span_kind::internal) {
  return in_span(name, {}, std::move(work), kind);
}

/// The same for a function that returns an awaitable and may take the span. It is kept until the awaitable is over, so
/// a lambda with captures is safe here.
template <class F>
requires detail::returns_awaitable<F>
[[nodiscard]] auto traced(detail::span_name name, const field_list& attributes, F&& fn) {
  using awaitable = decltype(detail::call_with_span(fn, detail::no_span()));
  return detail::traced_as(detail::unstarted_span{name, attributes}, std::forward<F>(fn),
                           static_cast<awaitable (*)()>(nullptr));
}
template <class F>
requires detail::returns_awaitable<F>
[[nodiscard]] auto traced(detail::span_name name, F&& fn) { return traced(name, field_list{}, std::forward<F>(fn)); }

}  // namespace otlpkit::inline OTLPKIT_ABI
