#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace pjrt::proto {

enum class OptionKind { Bool, Int, Float, Double, String, Enum };

struct OptionEnumerator {
  std::string_view name;
  std::int32_t value;
};

/// A field of an options message that can be set by its name.
struct OptionField {
  std::string_view name;
  std::uint32_t number;
  OptionKind kind;
  bool repeated;
  std::span<const OptionEnumerator> enumerators;
};

}  // namespace pjrt::proto
