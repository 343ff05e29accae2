#pragma once

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

namespace pjrt::model {

/// A numpy .npz archive: named arrays in a ZIP file, stored or deflated. Move-only; to be used by one thread at a time.
class PJRT_EXPORT NpzFile {
 public:
  /// NotFound, or InvalidArgument for what is no ZIP archive.
  static Result<NpzFile> open(const std::filesystem::path& path);
  NpzFile(NpzFile&&) noexcept;
  NpzFile& operator=(NpzFile&&) noexcept;
  ~NpzFile();

  /// The arrays' names (without ".npy"), in the order of the archive.
  const std::vector<std::string>& names() const noexcept { return names_; }
  /// Whether it has an array of that name.
  bool contains(std::string_view name) const noexcept;
  /// The array; NotFound lists the names there are. `as`: see HostBuffer::load.
  Result<HostBuffer> read(std::string_view name, std::optional<ElementType> as = std::nullopt);

 private:
  struct Archive;
  NpzFile(std::filesystem::path path, std::unique_ptr<Archive> archive);
  std::filesystem::path path_;
  std::unique_ptr<Archive> archive_;
  std::vector<std::string> names_;
};

/// Writes arrays as numpy.savez does: uncompressed, in this order. The file appears whole or not at all.
[[nodiscard]] PJRT_EXPORT Result<void> save_npz(const std::filesystem::path& path,
                                                std::span<const std::pair<std::string, HostBuffer>> arrays);

}  // namespace pjrt::model
