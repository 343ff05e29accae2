#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"

namespace pjrt::detail {

/// What a file is. Told by its content alone, never by its name, and here alone.
enum class FileKind : std::uint8_t {
  Empty,
  // Models.
  JaxExport,     ///< a flatbuffer of jax.export with a module in it
  MlirText,      ///< StableHLO and the like as text; a UTF-8 byte order mark may stand before it
  MlirBytecode,  ///< MLIR bytecode of any dialect; portable artifacts as well
  Hlo,           ///< a serialized HloModuleProto, or an HloProto, HloModuleProtoWithConfig or HloSnapshot around one
  // Arrays.
  Npy,
  Npz,  ///< a ZIP archive whose first member is an array
  Safetensors,
  // What this project writes itself.
  CompiledExecutable,
  // What neither a model nor an array is, or not in a form that can be read.
  HloText,
  Utf16Text,
  GitLfsPointer,
  Html,
  Xml,
  Json,
  Pickle,
  PyTorchArchive,
  KerasArchive,
  Zip,
  Gzip,
  Bzip2,
  Xz,
  Zstd,
  Tar,
  Hdf5,
  Elf,
  Png,
  Jpeg,
  Pdf,
  SavedModel,
  Onnx,
  TfLite,
  Gguf,
  Profile,  ///< a serialized XSpace
  Text,     ///< any other text
  Unknown,
};

/// Looks at the content; reads a few hundred bytes, and of protobuf messages the heads of their fields.
PJRT_EXPORT FileKind kind_of(std::span<const std::byte> content);

/// A noun phrase with its article: "a Git LFS pointer". "of no known format, or damaged" for Unknown.
PJRT_EXPORT std::string_view name(FileKind kind) noexcept;

/// What can be done about a file of such a kind where a model or an array is expected: "run 'git lfs pull'". Empty if
/// there is nothing to say.
PJRT_EXPORT std::string_view remedy(FileKind kind) noexcept;

/// Whether programs can be compiled from files of the kind.
constexpr bool is_model(FileKind kind) noexcept {
  return kind >= FileKind::JaxExport && kind <= FileKind::Hlo;
}

/// InvalidArgument: "SUBJECT is a Git LFS pointer, not a model (run 'git lfs pull')", for a kind that is no model.
PJRT_EXPORT Error no_model(FileKind kind, const std::string& subject);

/// The text without a UTF-8 byte order mark.
PJRT_EXPORT std::string_view without_byte_order_mark(std::string_view text) noexcept;

/// The HloModuleProto in content of kind Hlo; nullopt if there is none.
PJRT_EXPORT std::optional<std::string_view> hlo_module_in(std::string_view content);

}  // namespace pjrt::detail
