// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/errors.hpp>
#include <otlpkit/core/percent.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::http {

/// Names and decoded values of the variable parts of a path.
using path_parameters = std::vector<std::pair<std::string, std::string>>;

/// A route: `/products/{id}` takes one segment for id, `/files/{path*}` everything that is left. The text is the name
/// of the route, in http.route and the span's name.
class path_pattern {
 public:
  /// \throws config_error when the text does not begin with `/`, a brace is not closed, a name is missing or given
  ///   twice, or something follows `{name*}`
  explicit path_pattern(std::string text) : text_{std::move(text)} {
    const auto fail = [this](const char* expected) { throw config_error{"route", quoted(text_), expected}; };
    if (!text_.starts_with('/')) fail("a path that begins with /");
    std::string_view rest = std::string_view{text_}.substr(1);
    while (true) {
      const std::size_t slash = rest.find('/');
      std::string_view part = rest.substr(0, slash);
      segment s;
      if (part.starts_with('{')) {
        if (!part.ends_with('}')) fail("a variable part like {name}, alone between slashes");
        part = part.substr(1, part.size() - 2);
        s.kind = segment::one;
        if (part.ends_with('*')) {
          s.kind = segment::all;
          part.remove_suffix(1);
          if (slash != std::string_view::npos) fail("nothing after {name*}");
        }
        if (part.empty()) fail("a name between { and }");
        for (const segment& earlier : segments_) {
          if (earlier.kind != segment::fixed && earlier.text == part) fail("different names for variable parts");
        }
      } else if (part.find_first_of("{}") != std::string_view::npos) {
        fail("a variable part like {name}, alone between slashes");
      }
      s.text = part;
      segments_.push_back(std::move(s));
      if (slash == std::string_view::npos) break;
      rest.remove_prefix(slash + 1);
    }
  }

  [[nodiscard]] const std::string& text() const noexcept { return text_; }

  /// Whether `path` is of this form.
  [[nodiscard]] bool matches(std::string_view path) const noexcept {
    return walk(path, [](const segment&, std::string_view) {});
  }

  /// The variable parts of a path that matches, percent-decoded where that is possible.
  [[nodiscard]] path_parameters parameters(std::string_view path) const {
    path_parameters out;
    walk(path, [&out](const segment& s, std::string_view value) {
      auto decoded = percent_decode(value);
      out.emplace_back(s.text, decoded ? std::move(*decoded) : std::string{value});
    });
    return out;
  }

  /// Whether this is the better one of two that match a path: fixed text before variables, from the left.
  [[nodiscard]] bool more_exact_than(const path_pattern& other) const noexcept {
    for (std::size_t i = 0; i < segments_.size() && i < other.segments_.size(); ++i) {
      if (segments_[i].kind != other.segments_[i].kind) return segments_[i].kind < other.segments_[i].kind;
    }
    return segments_.size() > other.segments_.size();
  }

 private:
  struct segment {
    enum what : unsigned char { fixed, one, all };
    what kind = fixed;
    std::string text;  ///< or the name
  };

  template <class Found>
  bool walk(std::string_view path, Found&& found) const {
    if (!path.starts_with('/')) return false;
    path.remove_prefix(1);
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      const segment& s = segments_[i];
      if (s.kind == segment::all) {
        found(s, path);
        return true;
      }
      const std::size_t slash = path.find('/');
      const std::string_view part = path.substr(0, slash);
      if (s.kind == segment::fixed ? part != s.text : part.empty()) return false;
      if (s.kind == segment::one) found(s, part);
      const bool last = i + 1 == segments_.size();
      if (last != (slash == std::string_view::npos)) return false;
      if (!last) path.remove_prefix(slash + 1);
    }
    return true;
  }

  std::string text_;
  std::vector<segment> segments_;
};

}  // namespace otlpkit::inline OTLPKIT_ABI::http
