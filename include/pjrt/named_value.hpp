#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pjrt/export.hpp"

namespace pjrt {

/// The value of an option or attribute: one of the five kinds of `PJRT_NamedValue`. Integers become int64,
/// floating-point numbers float, character strings string.
class Value {
 public:
  using Variant = std::variant<std::string, std::int64_t, std::vector<std::int64_t>, float, bool>;

  Value(bool v) : v_(v) {}
  template <std::integral T>
  Value(T v) : v_(static_cast<std::int64_t>(v)) {}
  template <std::floating_point T>
  Value(T v) : v_(static_cast<float>(v)) {}
  Value(std::string v) : v_(std::move(v)) {}
  Value(std::string_view v) : v_(std::string(v)) {}
  Value(const char* v) : v_(std::string(v)) {}
  Value(std::vector<std::int64_t> v) : v_(std::move(v)) {}
  Value(std::initializer_list<std::int64_t> v) : v_(std::vector<std::int64_t>(v)) {}

  const Variant& variant() const noexcept { return v_; }
  const std::string* string() const noexcept { return std::get_if<std::string>(&v_); }
  const std::int64_t* int64() const noexcept { return std::get_if<std::int64_t>(&v_); }
  const std::vector<std::int64_t>* int64_list() const noexcept { return std::get_if<std::vector<std::int64_t>>(&v_); }
  const float* float32() const noexcept { return std::get_if<float>(&v_); }
  const bool* boolean() const noexcept { return std::get_if<bool>(&v_); }

  friend bool operator==(const Value&, const Value&) = default;

 private:
  Variant v_;
};

/// "string", "int64", "int64 list", "float" or "bool".
PJRT_EXPORT std::string_view kind_name(const Value& value) noexcept;

/// The value as text: strings bare, lists as [1, 2, 3], booleans as true and false.
PJRT_EXPORT std::string to_string(const Value& value);

/// A named option or attribute (`PJRT_NamedValue`).
struct NamedValue {
  std::string name;
  Value value;

  friend bool operator==(const NamedValue&, const NamedValue&) = default;
};

/// Named values in the order given. A name may stand twice; plugins take the last.
class NamedValues {
 public:
  NamedValues() = default;
  NamedValues(std::initializer_list<NamedValue> values) : values_(values) {}
  NamedValues(std::vector<NamedValue> values) : values_(std::move(values)) {}

  /// The last value of that name, or null.
  PJRT_EXPORT const Value* find(std::string_view name) const& noexcept;
  std::optional<Value> find(std::string_view name) const&& {
    const Value* value = find(name);
    return value != nullptr ? std::optional<Value>(*value) : std::nullopt;
  }

  /// Puts one more at the end.
  void add(std::string name, Value value) { values_.push_back({std::move(name), std::move(value)}); }
  std::size_t size() const noexcept { return values_.size(); }
  bool empty() const noexcept { return values_.empty(); }
  /// Value `i` in the order given; an empty one without a name if there is none.
  PJRT_EXPORT const NamedValue& operator[](std::size_t i) const& noexcept;
  NamedValue operator[](std::size_t i) const&& { return (*this)[i]; }
  std::vector<NamedValue>::const_iterator begin() const noexcept { return values_.begin(); }
  std::vector<NamedValue>::const_iterator end() const noexcept { return values_.end(); }

  friend bool operator==(const NamedValues&, const NamedValues&) = default;

 private:
  std::vector<NamedValue> values_;
};

}  // namespace pjrt
