#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"

namespace pjrt::detail {

/// A whole file, mapped or read; copies share it.
class FileContents {
 public:
  FileContents() = default;
  FileContents(std::shared_ptr<const void> owner, std::span<const std::byte> bytes)
      : owner_(std::move(owner)), bytes_(bytes) {}
  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  const std::shared_ptr<const void>& owner() const noexcept { return owner_; }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

/// NotFound, PermissionDenied, or what else the system says, with the path.
PJRT_EXPORT Result<FileContents> read_file(const std::filesystem::path& path);

/// Writes beside the target and renames, so that a full disk leaves no half file and an old one stays. Where the target
/// is no regular file (a pipe, /dev/full) it is written directly.
PJRT_EXPORT Result<void> write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace pjrt::detail
