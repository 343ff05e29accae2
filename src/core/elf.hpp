#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pjrt::detail {

/// What a file says about itself as a shared library, read without loading it.
struct LibraryFile {
  /// Why this process cannot load the file; it completes the sentence "plugin PATH cannot be loaded: …".
  std::optional<std::string> problem;
  /// Whether its dynamic symbol table defines the symbol that was asked for.
  bool exports_symbol = false;
  /// The libraries that it needs (DT_NEEDED), by the names the loader looks for.
  std::vector<std::string> needed;
};

/// Reads a file as the dynamic loader would: program headers, dynamic section, hash table. Section headers play no
/// part, and the work is bounded by constants, whatever the file claims. Nothing but regular files is opened.
LibraryFile inspect_library(const std::filesystem::path& file, std::string_view symbol);

}  // namespace pjrt::detail
