#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/flatbuffer.hpp"
#include "pjrt/error.hpp"

namespace pjrt::model::detail {

/// The most arrays that a function may take or give.
inline constexpr std::size_t kMostLeaves = std::size_t{1} << 20;

/// The paths of all leaves of a serialized PyTreeDef of (args, kwargs), in order: "args[0]['w']",
/// "kwargs['scale'].mean".
Result<std::vector<std::string>> argument_paths(const FlatTable& tree);
/// The same for a function's result: "result[0]".
Result<std::vector<std::string>> result_paths(const FlatTable& tree);

/// A string as Python's repr() shows it: 'w', "it's", 'a\nb'.
std::string python_repr(std::string_view utf8);

}  // namespace pjrt::model::detail
