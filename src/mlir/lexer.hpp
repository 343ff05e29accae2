#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace pjrt::mlir {

enum class TokenKind : std::uint8_t {
  End,
  Word,       ///< module, func.func, f32
  String,     ///< "…"; its text is between the quotes, escapes as they are
  Symbol,     ///< @name or @"name"
  Value,      ///< %name or ^block
  Attribute,  ///< #name
  Type,       ///< !name
  Number,
  Arrow,        ///< ->
  Punctuation,  ///< one character
  Unterminated  ///< a string without an end
};

struct Token {
  TokenKind kind = TokenKind::End;
  /// Without the sigil and the quotes.
  std::string_view text;
  /// Where it begins and ends in the whole text.
  std::size_t begin = 0;
  std::size_t end = 0;

  bool is(char c) const noexcept { return kind == TokenKind::Punctuation && text.front() == c; }
  bool is(TokenKind k, std::string_view t) const noexcept { return kind == k && text == t; }
};

/// The tokens of MLIR text, without comments and the section of resources.
class Lexer {
 public:
  explicit Lexer(std::string_view text, std::size_t at = 0) noexcept : text_(text), at_(at) {}

  Token next() noexcept;
  Token peek() const noexcept {
    Lexer copy = *this;
    return copy.next();
  }
  /// Takes the next token if it is this one.
  bool eat(char c) noexcept;
  bool eat(TokenKind kind, std::string_view text) noexcept;
  std::size_t position() const noexcept { return at_; }
  void seek(std::size_t at) noexcept { at_ = at; }
  std::string_view text() const noexcept { return text_; }

 private:
  void skip_space() noexcept;
  bool skip_resources() noexcept;
  Token word(TokenKind kind, std::size_t begin, std::size_t first) noexcept;
  Token quoted(TokenKind kind, std::size_t begin, std::size_t quote) noexcept;
  Token number() noexcept;

  std::string_view text_;
  std::size_t at_;
};

/// The brackets that are open, with what belongs to each. '<' also stands in comparisons: closing another bracket
/// closes it as well, and a '>' that closes nothing is none.
template <class Level>
class Brackets {
 public:
  std::size_t depth() const noexcept { return open_.size(); }
  Level& top() noexcept { return open_.empty() ? root_ : open_.back().level; }
  char bracket() const noexcept { return open_.empty() ? '\0' : open_.back().bracket; }
  void open(char bracket) { open_.push_back({bracket, {}}); }
  /// Whether `closing` closed something.
  bool close(char closing) {
    const char wanted = closing == ')' ? '(' : closing == ']' ? '[' : closing == '}' ? '{' : '<';
    if (wanted == '<') {
      if (bracket() != '<') return false;
      open_.pop_back();
      return true;
    }
    while (bracket() == '<') open_.pop_back();
    if (bracket() != wanted) return false;
    open_.pop_back();
    return true;
  }
  template <class F>
  bool any(F&& is_it) const {
    for (const Open& o : open_) {
      if (is_it(o.bracket, o.level)) return true;
    }
    return false;
  }

 private:
  struct Open {
    char bracket;
    Level level;
  };
  std::vector<Open> open_;
  Level root_{};
};

constexpr bool is_opening(char c) noexcept {
  return c == '(' || c == '[' || c == '{' || c == '<';
}
constexpr bool is_closing(char c) noexcept {
  return c == ')' || c == ']' || c == '}' || c == '>';
}

}  // namespace pjrt::mlir
