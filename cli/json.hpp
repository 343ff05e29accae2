#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "pjrt/host_buffer.hpp"
#include "pjrt/named_value.hpp"
#include "pjrt/shape.hpp"
#include "terminal.hpp"

namespace pjrt::cli {

inline nlohmann::ordered_json to_json(const Value& value) {
  return std::visit([](const auto& v) { return nlohmann::ordered_json(v); }, value.variant());
}

inline nlohmann::ordered_json to_json(const NamedValues& values) {
  auto j = nlohmann::ordered_json::object();
  for (const NamedValue& v : values) j[v.name] = to_json(v.value);
  return j;
}

inline nlohmann::ordered_json to_json(const Shape& shape) {
  return {{"type", name(shape.type)}, {"shape", std::vector<std::int64_t>(shape.dims.begin(), shape.dims.end())}};
}

/// JSON as it is printed: what could act on a terminal is escaped, and what is not UTF-8 (a file's name may be any
/// bytes) becomes U+FFFD.
inline std::string text_of(const nlohmann::ordered_json& json) {
  return shown_json(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

/// The elements as nested lists. Numbers that JSON has no word for, and complex ones, become text.
nlohmann::ordered_json values_json(const HostBuffer& array);

}  // namespace pjrt::cli
