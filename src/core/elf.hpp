#pragma once

#include <filesystem>
#include <string_view>

namespace pjrt::detail {

/// Whether a file is a 64-bit ELF shared library whose dynamic symbol table defines `symbol`. Loads nothing.
bool exports_symbol(const std::filesystem::path& file, std::string_view symbol);

}  // namespace pjrt::detail
