#include "pjrt/named_value.hpp"

#include <charconv>

namespace pjrt {

std::string_view kind_name(const Value& value) noexcept {
  constexpr std::string_view kNames[] = {"string", "int64", "int64 list", "float", "bool"};
  return kNames[value.variant().index()];
}

std::string to_string(const Value& value) {
  if (const auto* s = value.string()) return *s;
  if (const auto* i = value.int64()) return std::to_string(*i);
  if (const auto* b = value.boolean()) return *b ? "true" : "false";
  if (const auto* f = value.float32()) {
    char digits[32];
    return std::string(digits, std::to_chars(digits, digits + sizeof digits, *f).ptr);
  }
  std::string text = "[";
  for (const std::int64_t i : *value.int64_list()) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(i);
  }
  return text + "]";
}

const NamedValue& NamedValues::operator[](std::size_t i) const& noexcept {
  static const NamedValue nothing{"", Value("")};
  return i < values_.size() ? values_[i] : nothing;
}

const Value* NamedValues::find(std::string_view name) const& noexcept {
  for (auto it = values_.rbegin(); it != values_.rend(); ++it) {
    if (it->name == name) return &it->value;
  }
  return nullptr;
}

}  // namespace pjrt
