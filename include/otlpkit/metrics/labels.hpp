// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/core/attribute_writer.hpp>
#include <otlpkit/core/attributes.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

/// How label sets are recognised: by a hash and a comparison that do not mind the order of the labels, so that
/// {a, b} and {b, a} are one series.
namespace otlpkit::inline OTLPKIT_ABI::detail {

/// What a label is recognised by: words that are quickly compared. Texts and keys of more than 16 bytes differ in more
/// than that.
struct label_words {
  std::uint64_t key_head, key_tail;
  std::uint64_t head, tail;  ///< of a text; or a number's bits and 0
  std::uint64_t meta;        ///< kind and sizes

  [[nodiscard]] OTLPKIT_ALWAYS_INLINE bool operator==(const label_words& o) const noexcept {
    return ((key_head ^ o.key_head) | (key_tail ^ o.key_tail) | (head ^ o.head) | (tail ^ o.tail) | (meta ^ o.meta)) ==
           0;
  }
};

/// One label in the form that is compared: text that is valid UTF-8, a number by its bits, or an encoded array or map.
struct label {
  const char* key;
  std::size_t key_size;
  std::uint64_t key_bit;
  value::kind kind;
  std::uint64_t bits;  ///< of a boolean, integer or floating value
  const char* text;    ///< of a text, bytes or object value
  std::size_t size;
  label_words words{};

  [[nodiscard]] std::string_view key_text() const noexcept { return {key, key_size}; }
  [[nodiscard]] std::string_view content() const noexcept { return {text, size}; }
};

[[nodiscard]] OTLPKIT_ALWAYS_INLINE constexpr bool has_text(value::kind kind) noexcept {
  return kind == value::kind::text || kind == value::kind::bytes || kind == value::kind::object;
}

[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t load8(const char* p) noexcept {
  std::uint64_t v = 0;
  std::memcpy(&v, p, sizeof v);
  return v;
}

/// Up to eight bytes in one word, which together with the size tells all of them apart.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t load_short(const char* p, std::size_t size) noexcept {
  if (size >= 4) {
    std::uint32_t head = 0, tail = 0;
    std::memcpy(&head, p, 4);
    std::memcpy(&tail, p + size - 4, 4);
    return std::uint64_t{head} << 32 | tail;
  }
  if (size == 0) return 0;
  const auto at = [p](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(p[i])}; };
  return at(0) << 16 | at(size / 2) << 8 | at(size - 1);
}

[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t stir(std::uint64_t h) noexcept {
  h *= 0x9E3779B97F4A7C15u;
  return h ^ h >> 32;
}

[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool same_text(const char* a, const char* b, std::size_t size) noexcept {
  if (size > 16) return std::memcmp(a, b, size) == 0;
  if (size > 8) return ((load8(a) ^ load8(b)) | (load8(a + size - 8) ^ load8(b + size - 8))) == 0;
  return load_short(a, size) == load_short(b, size);
}

[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t bits_of(const value& v) noexcept {
  if (v.type() == value::kind::floating) return std::bit_cast<std::uint64_t>(v.floating());
  return v.type() == value::kind::empty ? 0 : static_cast<std::uint64_t>(v.integer());
}

/// Up to eight bytes, or the first and the last eight of more.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t head_of(const char* p, std::size_t size) noexcept {
  return size >= 8 ? load8(p) : load_short(p, size);
}
[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t tail_of(const char* p, std::size_t size) noexcept {
  return size >= 8 ? load8(p + size - 8) : 0;
}

[[nodiscard]] OTLPKIT_ALWAYS_INLINE label_words words_of(const char* key, std::size_t key_size, value::kind kind,
                                                         std::uint64_t bits, const char* text,
                                                         std::size_t size) noexcept {
  label_words w{head_of(key, key_size), tail_of(key, key_size), bits, 0,
                static_cast<std::uint64_t>(kind) | std::uint64_t{key_size} << 8};
  if (has_text(kind)) {
    w.head = head_of(text, size);
    w.tail = tail_of(text, size);
    w.meta |= std::uint64_t{size} << 32;
  }
  return w;
}
/// Of an object they equal nothing: it has no bytes to compare yet.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE label_words words_of(const field& f) noexcept {
  const value& v = f.content;
  if (v.type() == value::kind::object) return {0, 0, 0, 0, ~std::uint64_t{0}};
  if (has_text(v.type()))
    return words_of(f.key.data(), f.key.size(), v.type(), 0, static_cast<const char*>(v.data()), v.size());
  return words_of(f.key.data(), f.key.size(), v.type(), bits_of(v), nullptr, 0);
}
[[nodiscard]] inline label_words words_of(const label& l) noexcept {
  return words_of(l.key, l.key_size, l.kind, l.bits, l.text, l.size);
}

/// The parts of a set's hash are added up, in any order.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t hash_of(const label_words& w, std::uint64_t key_bit, const char* text,
                                                          std::size_t size) noexcept {
  std::uint64_t h = stir(w.head ^ stir(key_bit ^ w.meta) ^ w.tail * 0xBF58476D1CE4E5B9u);
  for (std::size_t i = 8; i + 8 < size; i += 8) h = stir(h ^ load8(text + i));  // what the words do not cover
  return h;
}
[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t hash_of(const label_words& w, const field& f) noexcept {
  const value& v = f.content;
  const bool text = v.type() == value::kind::text || v.type() == value::kind::bytes;
  return hash_of(w, f.key.bit(), text ? static_cast<const char*>(v.data()) : nullptr, text ? v.size() : 0);
}
[[nodiscard]] OTLPKIT_ALWAYS_INLINE std::uint64_t hash_of(const field& f) noexcept { return hash_of(words_of(f), f); }
[[nodiscard]] inline std::uint64_t hash_of(const label& l) noexcept {
  return hash_of(words_of(l), l.key_bit, l.text, l.size);
}

[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool same(const label& l, const field& f) noexcept {
  const value& v = f.content;
  if (l.key_size != f.key.size() || l.kind != v.type() || v.type() == value::kind::object) return false;
  if (has_text(l.kind)) {
    if (l.size != v.size() || !same_text(l.text, v.text().data(), l.size)) return false;
  } else if (l.bits != bits_of(v)) {
    return false;
  }
  return same_text(l.key, f.key.data(), l.key_size);
}
[[nodiscard]] inline bool same(const label& a, const label& b) noexcept {
  return a.kind == b.kind && a.bits == b.bits && a.content() == b.content() && a.key_text() == b.key_text();
}

/// Whether `count` labels and the given ones are the same set. `Given` is a field or a label.
template <class Given>
[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool same_set(const label* labels, std::size_t count, const Given* given) noexcept {
  std::size_t i = 0;
  while (i < count && same(labels[i], given[i])) ++i;
  if (i == count) [[likely]]
    return true;
  for (std::uint64_t taken = (std::uint64_t{1} << i) - 1; i < count; ++i) {  // in another order, or not the same
    std::size_t j = 0;
    while (j < count && ((taken >> j & 1) != 0 || !same(labels[j], given[i]))) ++j;
    if (j == count) return false;
    taken |= std::uint64_t{1} << j;
  }
  return true;
}

/// Whether its words are not all there is of it.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool longer_than_words(const label& l) noexcept {
  return l.key_size > 16 || l.size > 16;
}

/// As same_set(), for fields whose words are known already and that come in the same order, as they mostly do.
[[nodiscard]] OTLPKIT_ALWAYS_INLINE bool same_words(const label* labels, const label_words* words, const field* given,
                                                    std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const label& l = labels[i];
    if (!(l.words == words[i])) [[unlikely]]
      return same_set(labels, count, given);
    if (l.key_size > 16 && std::memcmp(l.key, given[i].key.data(), l.key_size) != 0) [[unlikely]]
      return false;
    if (l.size > 16 && std::memcmp(l.text, given[i].content.data(), l.size) != 0) [[unlikely]]
      return false;
  }
  return true;
}

/// Which labels a view lets through. Made once, read by all.
struct label_filter {
  bool keeps_listed;  ///< else those listed are dropped
  std::size_t count;
  const std::string_view* keys;

  [[nodiscard]] bool passes(std::string_view key) const noexcept {
    for (std::size_t i = 0; i < count; ++i) {
      if (keys[i] == key) return keeps_listed;
    }
    return !keeps_listed;
  }
};

[[nodiscard]] inline std::string_view key_of(const field& f) noexcept { return f.key.text(); }
[[nodiscard]] inline std::string_view key_of(const label& l) noexcept { return l.key_text(); }

/// The labels of a call brought into the form that is kept: keys and text valid UTF-8, each key once (the last one
/// wins), objects encoded. Refers to the call's strings.
class label_set {
 public:
  static constexpr std::size_t most = 63;              ///< labels of one series
  static constexpr std::size_t max_bytes = 16 * 1024;  ///< of its encoded labels; what is larger counts as overflow

  label_set(const field* given, std::size_t count) noexcept : label_set{given, count, nullptr} {}
  /// Those that a filter lets through; nullptr: all.
  template <class Given>
  label_set(const Given* given, std::size_t count, const label_filter* filter) noexcept {
    for (std::size_t i = 0; i < count && ok_; ++i) {
      if (filter == nullptr || filter->passes(key_of(given[i]))) add(given[i]);
    }
    for (std::size_t i = 0; i < count_; ++i) hash_ += hash_of(labels_[i]);
  }

  /// False when it is too large to be a series of its own.
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] const label* begin() const noexcept { return labels_; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

 private:
  void add(const label& l) noexcept { put(l); }
  void add(const field& f) noexcept {
    if (f.key.size() == 0) return;
    const value& v = f.content;
    label l{f.key.data(), f.key.size(), f.key.bit(), v.type(), 0, nullptr, 0};
    if (!f.key.ascii() && !utf8::is_valid(f.key.text())) {
      const std::string_view key = kept([&](value_writer& out) { out.text_field(0x0A, f.key.text()); });
      if (!ok_) return;
      wire::reader pair{key};
      pair.next();
      const field_key clean{pair.bytes()};
      l.key = clean.data(), l.key_size = clean.size(), l.key_bit = clean.bit();
    }
    const bool text = v.type() == value::kind::text || v.type() == value::kind::bytes;
    if (text && (v.size() > max_bytes)) {
      ok_ = false;
      return;
    }
    if (v.type() == value::kind::text && !utf8::is_valid(v.text())) l.kind = value::kind::bytes;
    if (text) {
      l.text = v.text().data(), l.size = v.size();
    } else if (v.type() == value::kind::object || v.type() == value::kind::big_integer) {
      l.kind = value::kind::object;
      const std::string_view encoded = kept([&](value_writer& out) { out.put(v); });
      l.text = encoded.data(), l.size = encoded.size();
    } else {
      l.bits = bits_of(v);
    }
    if (ok_) put(l);
  }

  /// What `write` encodes, kept as long as this set. The buffers do not move.
  template <class Write>
  [[nodiscard]] std::string_view kept(Write write) noexcept {
    if (used_ == extra) {
      ok_ = false;
      return {};
    }
    record_buffer& buffer = buffers_[used_++];
    value_writer out{buffer, limits_};
    write(out);
    ok_ = ok_ && out.ok() && buffer.size() <= max_bytes;
    return buffer.view();
  }

  void put(label l) noexcept {
    l.words = words_of(l);
    for (std::size_t i = 0; i < count_; ++i) {
      if (labels_[i].key_text() == l.key_text()) {
        labels_[i] = l;
        return;
      }
    }
    if (count_ == most) {
      ok_ = false;
      return;
    }
    labels_[count_++] = l;
  }

  static constexpr std::size_t extra = 16;

  label labels_[most];
  std::size_t count_ = 0;
  std::uint64_t hash_ = 0;
  attribute_limits limits_;
  record_buffer buffers_[extra];
  std::size_t used_ = 0;
  bool ok_ = true;
};

/// The attributes of a data point: each label framed as a KeyValue under `tag`.
inline void encode_labels(record_buffer& out, wire::byte tag, const label* labels, std::size_t count,
                          bool& ok) noexcept {
  const attribute_limits limits;
  value_writer writer{out, limits};
  for (std::size_t i = 0; i < count && ok; ++i) {
    const label& l = labels[i];
    std::size_t pair = 0, content = 0;
    ok = out.open(tag, pair);
    writer.text_field(0x0A, l.key_text());
    ok = ok && writer.ok() && out.open(0x12, content);
    switch (l.kind) {
      case value::kind::boolean: writer.boolean(l.bits != 0); break;
      case value::kind::integer: writer.integer(static_cast<std::int64_t>(l.bits)); break;
      case value::kind::floating: writer.floating(std::bit_cast<double>(l.bits)); break;
      case value::kind::text: writer.text(l.content()); break;
      case value::kind::bytes: writer.bytes(l.content()); break;
      case value::kind::object:
        if ((ok = ok && out.room(l.size)) && l.size != 0) out.advance_to(wire::put_bytes(out.at(), l.text, l.size));
        break;
      default: break;
    }
    ok = ok && writer.ok() && out.close(content) && out.close(pair);
  }
}

}  // namespace otlpkit::inline OTLPKIT_ABI::detail
