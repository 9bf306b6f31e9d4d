// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/http/path_pattern.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::http {

/// Finds what serves a request, by method and path. `Handler` is anything that can be copied. Filled before it is used;
/// from then on any thread may look things up.
template <class Handler>
class basic_router {
 public:
  /// What was found for a request.
  struct match {
    const Handler* handler = nullptr;  ///< nullptr: nothing serves this
    std::string_view route;            ///< the pattern; also where the path is served, but not by this method
    path_parameters parameters;
    std::string allow;  ///< where only the method is wrong: those that are served, for the Allow header
  };

  /// Serves `method pattern` (see path_pattern) by `handler`; the same again replaces it.
  /// \throws config_error for a pattern that cannot be used
  basic_router& on(std::string_view method, std::string pattern, Handler handler) {
    for (route& r : routes_) {
      if (r.method == method && r.pattern.text() == pattern) {
        r.handler = std::move(handler);
        return *this;
      }
    }
    routes_.push_back({std::string{method}, path_pattern{std::move(pattern)}, std::move(handler)});
    return *this;
  }
  basic_router& get(std::string pattern, Handler h) { return on("GET", std::move(pattern), std::move(h)); }
  basic_router& post(std::string pattern, Handler h) { return on("POST", std::move(pattern), std::move(h)); }
  basic_router& put(std::string pattern, Handler h) { return on("PUT", std::move(pattern), std::move(h)); }
  basic_router& del(std::string pattern, Handler h) { return on("DELETE", std::move(pattern), std::move(h)); }

  /// The most exact pattern that serves the method counts. HEAD is served by GET where it has no handler of its own.
  [[nodiscard]] match find(std::string_view method, std::string_view path) const {
    const route* best = nullptr;
    const route* any = nullptr;
    for (const route& r : routes_) {
      if (!r.pattern.matches(path)) continue;
      if (any == nullptr || r.pattern.more_exact_than(any->pattern)) any = &r;
      if (r.method != method && (method != "HEAD" || r.method != "GET")) continue;
      const bool better = best == nullptr || r.pattern.more_exact_than(best->pattern) ||
                          (r.method == method && best->method != method && !best->pattern.more_exact_than(r.pattern));
      if (better) best = &r;
    }
    match out;
    if (best != nullptr) {
      out.handler = &best->handler;
      out.route = best->pattern.text();
      out.parameters = best->pattern.parameters(path);
      return out;
    }
    if (any == nullptr) return out;
    out.route = any->pattern.text();
    std::vector<std::string_view> served;
    const auto add = [&served](std::string_view m) {
      if (std::ranges::find(served, m) == served.end()) served.push_back(m);
    };
    for (const route& r : routes_) {
      if (!r.pattern.matches(path)) continue;
      add(r.method);
      if (r.method == "GET") add("HEAD");
    }
    for (const std::string_view m : served) out.allow.append(out.allow.empty() ? "" : ", ").append(m);
    return out;
  }

 private:
  struct route {
    std::string method;
    path_pattern pattern;
    Handler handler;
  };
  std::vector<route> routes_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http
