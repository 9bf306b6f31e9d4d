// SPDX-License-Identifier: MIT
#pragma once

#include <otlpkit/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace otlpkit::inline OTLPKIT_ABI::db {

/// Where the dialects of SQL differ in what is a literal.
struct sql_dialect {
  bool backslash_escapes = false;      ///< 'it\'s' is one string: MySQL, MariaDB, ClickHouse
  bool double_quoted_strings = false;  ///< "text" is a string, or may be one: MySQL, MariaDB; SQLite, if it is no name
  bool hash_comments = false;          ///< # begins a comment: MySQL, MariaDB
  bool dollar_quotes = true;           ///< $tag$text$tag$ is a string: PostgreSQL
  bool nested_comments = false;        ///< /* /* */ */ is one comment: PostgreSQL
  bool bracketed_names = false;        ///< [it's] is a name: SQLite, SQL Server

  friend constexpr bool operator==(const sql_dialect&, const sql_dialect&) noexcept = default;

  /// By db.system.name.
  [[nodiscard]] static constexpr sql_dialect of(std::string_view system_name) noexcept {
    if (system_name == "mysql" || system_name == "mariadb") return {true, true, true, false, false, false};
    if (system_name == "clickhouse") return {true, false, true, false, false, false};
    if (system_name == "postgresql") return {false, false, false, true, true, false};
    if (system_name == "sqlite") return {false, true, false, false, false, true};
    if (system_name == "microsoft.sql_server") return {false, false, false, false, true, true};
    return {};
  }
};

namespace detail {

enum class sql_token : std::uint8_t { end, word, quoted_name, string, number, comment, symbol };

/// Cuts SQL into tokens without understanding it. Any bytes are safe: whatever is opened and not closed reaches to the
/// end. One pass; each call costs as much as the token is long.
class sql_scanner {
 public:
  constexpr sql_scanner(std::string_view text, sql_dialect dialect) noexcept : text_{text}, dialect_{dialect} {}

  /// The next token; white space is passed over. Its text is token().
  [[nodiscard]] constexpr sql_token next() noexcept {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    start_ = at_;
    if (at_ == text_.size()) return sql_token::end;
    const sql_token kind = scan();
    if (kind != sql_token::string && kind != sql_token::comment) escapes_ = false;
    return kind;
  }

  [[nodiscard]] constexpr std::string_view token() const noexcept { return text_.substr(start_, at_ - start_); }
  [[nodiscard]] constexpr std::size_t start() const noexcept { return start_; }
  [[nodiscard]] constexpr std::size_t position() const noexcept { return at_; }

  [[nodiscard]] static constexpr bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }
  [[nodiscard]] static constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
  [[nodiscard]] static constexpr bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
  }

 private:
  [[nodiscard]] constexpr char peek(std::size_t ahead = 0) const noexcept {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  constexpr sql_token scan() noexcept {
    const char c = peek();
    if (c == '\'') return quoted('\'', dialect_.backslash_escapes || escapes_), sql_token::string;
    if (c == '"') {
      quoted('"', dialect_.double_quoted_strings && dialect_.backslash_escapes);
      return dialect_.double_quoted_strings ? sql_token::string : sql_token::quoted_name;
    }
    if (c == '[' && dialect_.bracketed_names) return quoted(']', false), sql_token::quoted_name;
    if (c == '`') return quoted('`', false), sql_token::quoted_name;
    if ((c == '-' && peek(1) == '-') || (c == '#' && dialect_.hash_comments)) return line_comment(), sql_token::comment;
    if (c == '/' && peek(1) == '*') return block_comment(), sql_token::comment;
    if (c == '$') return dollar();
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number(), sql_token::number;
    if ((c == '@' || c == ':' || c == '?') &&
        (is_letter(peek(1)) || is_digit(peek(1)))) {  // a parameter, with its name
      ++at_;
      return name(), sql_token::symbol;
    }
    if (is_letter(c)) return word();
    ++at_;
    return sql_token::symbol;
  }

  /// From one quote to the next; a doubled one is part of the text.
  constexpr void quoted(char quote, bool backslash) noexcept {
    for (++at_; at_ < text_.size(); ++at_) {
      if (backslash && text_[at_] == '\\') {
        if (at_ + 1 < text_.size()) ++at_;
      } else if (text_[at_] == quote) {
        if (peek(1) != quote) return void(++at_);
        ++at_;
      }
    }
  }

  constexpr void line_comment() noexcept {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }

  constexpr void block_comment() noexcept {
    std::size_t depth = 0;
    while (at_ < text_.size()) {
      if (peek() == '/' && peek(1) == '*' && (depth == 0 || dialect_.nested_comments)) {
        ++depth;
        at_ += 2;
      } else if (peek() == '*' && peek(1) == '/') {
        at_ += 2;
        if (--depth == 0) return;
      } else {
        ++at_;
      }
    }
  }

  /// $1 and $name are parameters, $$text$$ and $tag$text$tag$ strings.
  constexpr sql_token dollar() noexcept {
    ++at_;
    if (is_digit(peek())) return name(), sql_token::symbol;
    name();
    if (!dialect_.dollar_quotes || peek() != '$') return sql_token::symbol;
    ++at_;
    const std::string_view tag = token();
    const std::size_t close = text_.find(tag, at_);
    at_ = close == std::string_view::npos ? text_.size() : close + tag.size();
    return sql_token::string;
  }

  constexpr void number() noexcept {
    // 12, 1.5e-3, 0xFF, 1_000: what follows a digit without a break belongs to it, and a sign after an exponent.
    const bool hex = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X');
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (is_letter(c) || is_digit(c) || c == '.') {
        ++at_;
        if (!hex && (c == 'e' || c == 'E') && (peek() == '+' || peek() == '-') && is_digit(peek(1))) ++at_;
      } else {
        return;
      }
    }
  }

  constexpr void name() noexcept {
    while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]) || text_[at_] == '$')) {
      if (text_[at_] == '$' && text_[start_] == '$') return;  // the end of a dollar tag
      ++at_;
    }
  }

  constexpr sql_token word() noexcept {
    name();
    const std::string_view prefix = token();
    const bool string_prefix = prefix.size() <= 2 && (peek() == '\'' || (peek() == '&' && peek(1) == '\''));
    if (!string_prefix) return sql_token::word;
    const char c = static_cast<char>(prefix[0] | 0x20);  // e'..', n'..', b'..', x'..', u&'..', rb'..'
    if (peek() == '&') {
      if (prefix.size() != 1 || c != 'u') return sql_token::word;
      ++at_;
    }
    escapes_ = prefix.size() == 1 && c == 'e';
    quoted('\'', dialect_.backslash_escapes || escapes_);
    return sql_token::string;
  }

  std::string_view text_;
  sql_dialect dialect_;
  std::size_t start_ = 0;
  std::size_t at_ = 0;
  bool escapes_ = false;  ///< a string that follows goes on with an e'..' before it
};

/// ASCII case-insensitive; `upper` is in capitals.
[[nodiscard]] constexpr bool is_keyword(std::string_view word, std::string_view upper) noexcept {
  if (word.size() != upper.size()) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    if ((c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c) != upper[i]) return false;
  }
  return true;
}

template <class... Keywords>
[[nodiscard]] constexpr bool is_any_of(std::string_view word, Keywords... upper) noexcept {
  return (is_keyword(word, upper) || ...);
}

}  // namespace detail
}  // namespace otlpkit::inline OTLPKIT_ABI::db
