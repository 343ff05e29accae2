#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/host_buffer.hpp"
#include "pjrt/shape.hpp"

namespace pjrt::model {

/// A numpy .npz archive: named arrays in a ZIP file, stored or compressed. Move-only; to be used by one thread at a
/// time.
///
/// Reading an array takes the memory that its header asks for and no more, and only if the archive's directory agrees.
class PJRT_EXPORT NpzFile {
 public:
  /// NotFound, or InvalidArgument for what is not a ZIP archive and for two arrays of one name.
  static Result<NpzFile> open(const std::filesystem::path& path);
  /// An archive in memory, which is copied; `path` names it in errors.
  static Result<NpzFile> parse(std::span<const std::byte> bytes, const std::filesystem::path& path = "the archive");
  NpzFile(NpzFile&&) noexcept;
  NpzFile& operator=(NpzFile&&) noexcept;
  ~NpzFile();

  /// The arrays' names (without ".npy"), in the order of the archive.
  const std::vector<std::string>& names() const noexcept { return names_; }
  /// Whether it has an array of that name.
  bool contains(std::string_view name) const noexcept;
  /// Type and dimensions of an array, from its header alone. Errors and `as`: see `read`.
  Result<Shape> shape(std::string_view name, std::optional<ElementType> as = std::nullopt) const;
  /// The array; NotFound lists names that there are, Unimplemented names an encryption or compression that cannot be
  /// read. `as`: see HostBuffer::load.
  Result<HostBuffer> read(std::string_view name, std::optional<ElementType> as = std::nullopt) const;

 private:
  struct Archive;
  NpzFile(std::filesystem::path path, std::unique_ptr<Archive> archive);
  Result<void> list();
  std::filesystem::path path_;
  std::unique_ptr<Archive> archive_;
  std::vector<std::string> names_;
};

/// Writes arrays as numpy.savez does: uncompressed, in this order. The file appears whole or not at all.
[[nodiscard]] PJRT_EXPORT Result<void> save_npz(const std::filesystem::path& path,
                                                std::span<const std::pair<std::string, HostBuffer>> arrays);

}  // namespace pjrt::model
