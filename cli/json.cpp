#include "json.hpp"

#include <cmath>
#include <concepts>
#include <cstring>

#include "pjrt/print.hpp"

namespace pjrt::cli {
namespace {

template <class T>
nlohmann::ordered_json element(const std::byte* at) {
  T v{};
  if constexpr (std::same_as<T, bool>) {
    return *at != std::byte{0};
  } else {
    std::memcpy(static_cast<void*>(&v), at, sizeof v);
    if constexpr (std::integral<T>) {
      return v;
    } else if constexpr (std::floating_point<T>) {
      if (std::isfinite(v)) return v;
    } else if constexpr (requires { T::kFormat; } || std::same_as<T, float8_e8m0fnu>) {
      if (const float x = v; std::isfinite(x)) return x;
    } else if constexpr (std::convertible_to<T, int>) {
      return static_cast<int>(v);
    }
    return to_string(HostView(&v, Shape{element_type_of<T>, {}}));
  }
}

template <class T>
nlohmann::ordered_json nested(const HostView& array, std::size_t axis, const std::byte* at) {
  if (axis == array.dims().size()) return element<T>(at);
  auto list = nlohmann::ordered_json::array();
  for (std::int64_t i = 0; i < array.dims()[axis]; ++i)
    list.push_back(nested<T>(array, axis + 1, at + i * array.strides()[axis]));
  return list;
}

}  // namespace

nlohmann::ordered_json values_json(const HostBuffer& array) {
  nlohmann::ordered_json j;
  visit(array.type(),
        [&]<class T>() { j = nested<T>(array.view(), 0, static_cast<const std::byte*>(array.view().data())); });
  return j;
}

}  // namespace pjrt::cli
