#include "mlir/lexer.hpp"

#include <algorithm>

namespace pjrt::mlir {
namespace {

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_inside_word(char c) noexcept {
  return is_letter(c) || is_digit(c) || c == '$' || c == '.';
}

}  // namespace

void Lexer::skip_space() noexcept {
  for (;;) {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
    if (!text_.substr(at_).starts_with("//")) return;
    at_ = std::min(text_.find('\n', at_), text_.size());
  }
}

bool Lexer::skip_resources() noexcept {
  if (!text_.substr(at_).starts_with("{-#")) return false;
  for (at_ += 3; at_ < text_.size(); ++at_) {
    if (text_[at_] == '"') {
      at_ = std::min(text_.find('"', at_ + 1), text_.size() - 1);
    } else if (text_.substr(at_).starts_with("#-}")) {
      at_ += 3;
      return true;
    }
  }
  return true;
}

Token Lexer::word(TokenKind kind, std::size_t begin, std::size_t first) noexcept {
  at_ = first;
  const bool may_have_dashes = kind == TokenKind::Value || kind == TokenKind::Attribute || kind == TokenKind::Type;
  while (at_ < text_.size() && (is_inside_word(text_[at_]) || (may_have_dashes && text_[at_] == '-'))) ++at_;
  if (may_have_dashes && text_[at_ - 1] == '-' && at_ < text_.size() && text_[at_] == '>') --at_;  // %x->
  return {kind, text_.substr(first, at_ - first), begin, at_};
}

Token Lexer::quoted(TokenKind kind, std::size_t begin, std::size_t quote) noexcept {
  at_ = quote + 1;
  for (;;) {
    at_ = text_.find_first_of("\"\\\n", at_);
    if (at_ == std::string_view::npos || text_[at_] == '\n') {
      at_ = text_.size();
      return {TokenKind::Unterminated, text_.substr(begin, 1), begin, at_};
    }
    if (text_[at_] == '"') break;
    at_ += 2;
  }
  const std::string_view inside = text_.substr(quote + 1, at_ - quote - 1);
  ++at_;
  return {kind, inside, begin, at_};
}

Token Lexer::number() noexcept {
  const std::size_t begin = at_;
  const auto digits = [&] {
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
  };
  digits();
  if (at_ + 1 < text_.size() && text_[at_] == '.' && is_digit(text_[at_ + 1])) {
    ++at_;
    digits();
  } else if (at_ < text_.size() && text_[at_] == '.') {
    ++at_;
  }
  if (at_ + 1 < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
    const std::size_t sign = text_[at_ + 1] == '+' || text_[at_ + 1] == '-' ? 1 : 0;
    if (at_ + 1 + sign < text_.size() && is_digit(text_[at_ + 1 + sign])) {
      at_ += 1 + sign;
      digits();
    }
  }
  return {TokenKind::Number, text_.substr(begin, at_ - begin), begin, at_};
}

Token Lexer::next() noexcept {
  do {
    skip_space();
  } while (skip_resources());
  if (at_ >= text_.size()) return {TokenKind::End, {}, text_.size(), text_.size()};
  const std::size_t begin = at_;
  const char c = text_[begin];
  const char after = begin + 1 < text_.size() ? text_[begin + 1] : '\0';
  if (is_letter(c)) return word(TokenKind::Word, begin, begin);
  if (is_digit(c)) return number();
  if (c == '"') return quoted(TokenKind::String, begin, begin);
  if (c == '@' && after == '"') return quoted(TokenKind::Symbol, begin, begin + 1);
  if (c == '@' && is_letter(after)) return word(TokenKind::Symbol, begin, begin + 1);
  if (is_letter(after) || is_digit(after) || after == '$') {
    if (c == '%' || c == '^') return word(TokenKind::Value, begin, begin + 1);
    if (c == '#') return word(TokenKind::Attribute, begin, begin + 1);
    if (c == '!') return word(TokenKind::Type, begin, begin + 1);
  }
  if (c == '-' && after == '>') {
    at_ = begin + 2;
    return {TokenKind::Arrow, text_.substr(begin, 2), begin, at_};
  }
  at_ = begin + 1;
  return {TokenKind::Punctuation, text_.substr(begin, 1), begin, at_};
}

bool Lexer::eat(char c) noexcept {
  Lexer copy = *this;
  if (!copy.next().is(c)) return false;
  *this = copy;
  return true;
}

bool Lexer::eat(TokenKind kind, std::string_view text) noexcept {
  Lexer copy = *this;
  if (!copy.next().is(kind, text)) return false;
  *this = copy;
  return true;
}

}  // namespace pjrt::mlir
