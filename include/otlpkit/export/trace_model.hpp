// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>
#include <otlpkit/trace/span_view.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace otlpkit::inline OTLPKIT_ABI::exporters {

/// One span of a trace, and who recorded it. Views into bytes that the caller keeps.
struct tree_span {
  span_view span;
  std::string_view service;  ///< service.name of its resource, may be empty
};

namespace detail {

/// Where a span stands in its trace, and what follows from that.
struct tree_node {
  static constexpr std::uint32_t none = 0xFFFF'FFFF;
  std::uint32_t parent = none;
  std::uint32_t first_child = 0;  ///< in trace_model's list of children
  std::uint32_t child_count = 0;
  std::uint64_t shape = 0;  ///< equal for equal names, marks and children
  std::uint64_t self = 0;   ///< nanoseconds in which none of its children ran
  bool detached = false;    ///< its parent does not wait for it
  bool orphan = false;      ///< has a local parent that is not here
  bool cyclic = false;      ///< was its own ancestor; now a root
  bool critical = false;
  bool remarkable = false;  ///< it or a span below has an error, an exception or a link, so it is not folded
};

[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t h) noexcept {  // the finaliser of splitmix64
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9u;
  h = (h ^ (h >> 27)) * 0x94D049BB133111EBu;
  return h ^ (h >> 31);
}

[[nodiscard]] constexpr std::uint64_t hash(std::string_view text, std::uint64_t seed = 0) noexcept {
  std::uint64_t h = 0xCBF29CE484222325u ^ seed;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return mix(h);
}

/// The spans of one trace as a forest: parents found, orphans and cycles made roots, siblings in order of time,
/// critical path and self times worked out. Takes any input; never recurses, and costs n log n for n spans.
class trace_model {
 public:
  explicit trace_model(std::span<const tree_span> spans) : spans_{spans}, nodes_(spans.size()) {
    const std::vector<std::uint32_t> by_time = order_by_time();
    find_parents(by_time);
    break_cycles();
    list_children(by_time);
    for (std::size_t i = preorder_.size(); i-- > 0;) derive_from_children(preorder_[i]);
    if (!roots_.empty()) walk_critical_path();
  }

  [[nodiscard]] const tree_span& source(std::uint32_t i) const noexcept { return spans_[i]; }
  [[nodiscard]] const span_view& span(std::uint32_t i) const noexcept { return spans_[i].span; }
  [[nodiscard]] const tree_node& node(std::uint32_t i) const noexcept { return nodes_[i]; }
  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
  [[nodiscard]] std::span<const std::uint32_t> children(std::uint32_t i) const noexcept {
    return std::span{children_}.subspan(nodes_[i].first_child, nodes_[i].child_count);
  }
  [[nodiscard]] std::span<const std::uint32_t> roots() const noexcept { return roots_; }
  /// The first root that is not an orphan, else the first; none for no spans.
  [[nodiscard]] std::uint32_t main_root() const noexcept { return main_root_; }
  /// First start and last end, Unix nanoseconds.
  [[nodiscard]] std::uint64_t start() const noexcept { return start_; }
  [[nodiscard]] std::uint64_t end() const noexcept { return end_; }
  /// Its parent ended before it without having let it go.
  [[nodiscard]] bool outlives_parent(std::uint32_t i) const noexcept {
    const tree_node& n = nodes_[i];
    return !n.detached && n.parent != tree_node::none && span_end(i) > span_end(n.parent);
  }
  /// The spans of the critical path with the time each one contributes, last first. A span may come more than once.
  [[nodiscard]] std::span<const std::pair<std::uint32_t, std::uint64_t>> critical_path() const noexcept {
    return critical_path_;
  }
  /// The span with this id, or none.
  [[nodiscard]] std::uint32_t find(std::string_view span_id) const noexcept {
    const auto at = std::lower_bound(by_id_.begin(), by_id_.end(), span_id,
                                     [this](std::uint32_t i, std::string_view id) { return span(i).span_id() < id; });
    return at != by_id_.end() && span(*at).span_id() == span_id ? *at : tree_node::none;
  }

 private:
  [[nodiscard]] std::uint64_t span_end(std::uint32_t i) const noexcept {
    return std::max(span(i).start_time(), span(i).end_time());
  }

  [[nodiscard]] std::vector<std::uint32_t> order_by_time() {
    std::vector<std::uint32_t> order(spans_.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    by_id_ = order;
    const auto key = [this](std::uint32_t i) {
      return std::tuple{span(i).start_time(), span(i).end_time(), span(i).name(), span(i).span_id(), i};
    };
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
    std::sort(by_id_.begin(), by_id_.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::tuple{span(a).span_id(), key(a)} < std::tuple{span(b).span_id(), key(b)};
    });
    return order;
  }

  void find_parents(std::span<const std::uint32_t> by_time) {
    start_ = by_time.empty() ? 0 : span(by_time.front()).start_time();
    for (const std::uint32_t i : by_time) {
      tree_node& n = nodes_[i];
      end_ = std::max(end_, span_end(i));
      n.detached = span(i).attribute("otlpkit.detached").as_bool();
      if (span(i).parent_id().empty()) continue;
      n.parent = find(span(i).parent_id());
      n.orphan = n.parent == tree_node::none && !span(i).has_remote_parent();
    }
  }

  /// Follows the parents of each span once; where the way comes back to itself, that span becomes a root.
  void break_cycles() {
    enum : std::uint8_t { unknown, on_this_way, done };
    std::vector<std::uint8_t> state(nodes_.size(), unknown);
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
      std::uint32_t at = i;
      for (; at != tree_node::none && state[at] == unknown; at = nodes_[at].parent) state[at] = on_this_way;
      const std::uint32_t back_at = at != tree_node::none && state[at] == on_this_way ? at : tree_node::none;
      for (at = i; at != tree_node::none && state[at] == on_this_way; at = nodes_[at].parent) state[at] = done;
      if (back_at != tree_node::none) {
        nodes_[back_at].parent = tree_node::none;
        nodes_[back_at].cyclic = true;
      }
    }
  }

  void list_children(std::span<const std::uint32_t> by_time) {
    for (const tree_node& n : nodes_) {
      if (n.parent != tree_node::none) ++nodes_[n.parent].child_count;
    }
    std::uint32_t at = 0;
    for (tree_node& n : nodes_) {
      n.first_child = at;
      at += n.child_count;
    }
    children_.resize(at);
    std::vector<std::uint32_t> filled(nodes_.size(), 0);
    for (const std::uint32_t i : by_time) {
      const std::uint32_t parent = nodes_[i].parent;
      if (parent == tree_node::none) {
        roots_.push_back(i);
      } else {
        children_[nodes_[parent].first_child + filled[parent]++] = i;
      }
    }
    preorder_.reserve(nodes_.size());  // parents before children, as far as derive_from_children() cares
    preorder_ = roots_;
    for (std::size_t i = 0; i < preorder_.size(); ++i) {
      for (const std::uint32_t child : children(preorder_[i])) preorder_.push_back(child);
    }
    const auto whole =
        std::find_if(roots_.begin(), roots_.end(), [this](std::uint32_t i) { return !nodes_[i].orphan; });
    if (!roots_.empty()) main_root_ = whole != roots_.end() ? *whole : roots_.front();
  }

  void derive_from_children(std::uint32_t i) {
    tree_node& n = nodes_[i];
    n.remarkable = span(i).is_error() || !span(i).links().empty();
    n.shape = hash(span(i).name(), hash(spans_[i].service, span(i).kind() * 2 + (n.detached ? 1 : 0)));
    for (const event_view event : span(i).events()) {
      n.shape = hash(event.name(), n.shape);
      n.remarkable = n.remarkable || event.name() == "exception";
    }
    std::uint64_t below = 0;
    std::uint64_t covered = 0;
    std::uint64_t covered_to = span(i).start_time();
    for (const std::uint32_t c : children(i)) {
      below += mix(nodes_[c].shape + 1);  // a sum, so the order in which parallel children started does not matter
      n.remarkable = n.remarkable || nodes_[c].remarkable;
      if (nodes_[c].detached) continue;
      const std::uint64_t from = std::max(span(c).start_time(), covered_to);
      const std::uint64_t to = std::min(span_end(c), span_end(i));
      if (to > from) covered += to - from;
      covered_to = std::max(covered_to, to);
    }
    n.shape = mix(n.shape ^ below);
    n.self = span(i).duration() - std::min(covered, span(i).duration());
  }

  /// What the root waited for, seen from its end: the child that finished last, before that the one that finished last
  /// before it started, and so on, each in turn the same way. Children are cut to their parents' time; detached ones,
  /// which nobody waits for, do not count.
  void walk_critical_path() {
    struct frame {
      std::uint32_t node;
      std::uint64_t from, to;  // its time, cut to its parent's
      std::uint64_t at;        // explained from here to the end
      std::vector<std::uint32_t> last_first;
      std::size_t next = 0;
    };
    std::vector<frame> stack;
    const auto enter = [&](std::uint32_t i, std::uint64_t from, std::uint64_t to) {
      nodes_[i].critical = true;
      frame f{i, from, to, to, {}, 0};
      for (const std::uint32_t c : children(i)) {
        if (!nodes_[c].detached && span(c).start_time() < to && span_end(c) > from) f.last_first.push_back(c);
      }
      const auto key = [&](std::uint32_t c) { return std::tuple{~std::min(span_end(c), to), span(c).start_time(), c}; };
      std::sort(f.last_first.begin(), f.last_first.end(), [&](auto a, auto b) { return key(a) < key(b); });
      stack.push_back(std::move(f));
    };
    const auto credit = [&](std::uint32_t i, std::uint64_t ns) {
      if (ns > 0) critical_path_.emplace_back(i, ns);
    };
    enter(main_root_, span(main_root_).start_time(), span_end(main_root_));
    while (!stack.empty()) {
      frame& f = stack.back();
      if (f.next == f.last_first.size()) {
        credit(f.node, f.at - f.from);
        stack.pop_back();
        continue;
      }
      const std::uint32_t child = f.last_first[f.next++];
      const std::uint64_t from = std::max(span(child).start_time(), f.from);
      const std::uint64_t to = std::min(span_end(child), f.to);
      if (to > f.at || to <= from) continue;  // ran beside what is explained already
      credit(f.node, f.at - to);
      f.at = from;
      enter(child, from, to);
    }
  }

  std::span<const tree_span> spans_;
  std::vector<tree_node> nodes_;
  std::vector<std::uint32_t> by_id_;
  std::vector<std::uint32_t> children_;
  std::vector<std::uint32_t> roots_;
  std::vector<std::uint32_t> preorder_;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> critical_path_;
  std::uint64_t start_ = 0;
  std::uint64_t end_ = 0;
  std::uint32_t main_root_ = tree_node::none;
};

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::exporters
