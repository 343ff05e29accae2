#pragma once

#include <string_view>

#include "mlir/facts.hpp"

namespace pjrt::mlir {

/// Reads the text of a module, in its pretty or its generic form. InvalidArgument for text whose brackets or strings
/// do not end, and for nesting beyond kMostNesting.
Result<ModuleFacts> read_text(std::string_view text);

}  // namespace pjrt::mlir
