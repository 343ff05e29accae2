#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/byte_source.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"

namespace pjrt::detail {

/// The largest file that is read as a whole (models, serialized executables, archives that come through a pipe): what a
/// protobuf message can hold, which is what most of them are. Arrays have no limit but what their headers ask for.
inline constexpr std::uint64_t kLargestFile = (std::uint64_t{1} << 31) - 1;
/// The same for what does not say its size: pipes and devices, of which /dev/zero never ends.
inline constexpr std::uint64_t kLongestStream = std::uint64_t{1} << 30;

/// A whole file in memory; copies share it.
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

/// An open file, pipe or device, read from its beginning to its end. Move-only.
class PJRT_EXPORT FileSource final : public ByteSource {
 public:
  /// NotFound, PermissionDenied, or what else the system says, with the path. A FIFO that nobody writes to is
  /// Unavailable after ten seconds.
  static Result<FileSource> open(const std::filesystem::path& path);
  /// Standard input, from where it stands.
  static Result<FileSource> standard_input();
  FileSource(FileSource&& other) noexcept;
  FileSource& operator=(FileSource&& other) noexcept;
  ~FileSource() override;

  Result<std::size_t> read(std::span<std::byte> out) override;
  std::optional<std::uint64_t> left() const override;
  /// The next bytes, which stay to be read: `count` of them, or what there is.
  Result<std::span<const std::byte>> peek(std::size_t count);
  /// Everything to the end. ResourceExhausted beyond kLargestFile or kLongestStream.
  Result<FileContents> read_all();
  /// Whether it is an ordinary file, which can be opened again.
  bool is_regular() const noexcept { return regular_; }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  FileSource(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  Result<void> look();
  Result<void> wait_for_writer();
  std::filesystem::path path_;
  int fd_;
  bool regular_ = false;
  std::uint64_t size_ = 0;        // of a regular file, from where it is read
  std::uint64_t taken_ = 0;       // bytes that came out of the file, peeked ones included
  std::vector<std::byte> ahead_;  // peeked
};

/// A whole file: FileSource::open and read_all.
PJRT_EXPORT Result<FileContents> read_file(const std::filesystem::path& path);

/// Writes `parts` one behind the other, beside the target, and renames, so that a full disk leaves no half file and an
/// old one stays. Where the target is no regular file (a pipe, /dev/full) it is written directly.
PJRT_EXPORT Result<void> write_file(const std::filesystem::path& path,
                                    std::span<const std::span<const std::byte>> parts);
PJRT_EXPORT Result<void> write_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace pjrt::detail
