#pragma once

#include <filesystem>
#include <string_view>

namespace pjrt::detail {

/// Whether a file is a 64-bit ELF shared library whose dynamic symbol table defines `symbol`. Loads nothing.
bool exports_symbol(const std::filesystem::path& file, std::string_view symbol);

/// Whether a 64-bit ELF shared library ends before its segments do: the loader would map what is not there, and SIGBUS
/// end the process.
bool is_cut_short(const std::filesystem::path& file);

}  // namespace pjrt::detail
