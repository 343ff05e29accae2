#include "core/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "core/try.hpp"

namespace pjrt::detail {
namespace {

constexpr std::size_t kChunk = 65536;
constexpr std::size_t kLongestDevice = 1 << 26;  // /dev/zero never ends

ErrorCode code_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return ErrorCode::NotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::PermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
      return ErrorCode::ResourceExhausted;
    case EISDIR:
      return ErrorCode::InvalidArgument;
    default:
      return ErrorCode::Unknown;
  }
}

std::unexpected<Error> failed(const char* what, const std::filesystem::path& path, int error) {
  return std::unexpected(Error(code_of(error), std::string(what) + " " + path.string() + ": " + std::strerror(error)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  /// Closing is where some file systems report that the disk is full.
  int close() { return ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

Result<void> write_all(int fd, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("cannot write", path, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

Result<FileContents> read_file(const std::filesystem::path& path) try {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return failed("cannot read", path, errno);
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return failed("cannot read", path, errno);
  if (S_ISDIR(info.st_mode)) return failed("cannot read", path, EISDIR);
  auto bytes = std::make_shared<std::vector<std::byte>>();
  if (S_ISREG(info.st_mode)) bytes->reserve(static_cast<std::size_t>(info.st_size) + kChunk);
  std::size_t used = 0;
  for (;;) {
    bytes->resize(std::max<std::size_t>(bytes->capacity(), used + kChunk));
    const ssize_t n = ::read(file.get(), bytes->data() + used, bytes->size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("cannot read", path, errno);
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
    if (S_ISCHR(info.st_mode) && used > kLongestDevice) return failed("cannot read", path, EFBIG);
  }
  bytes->resize(used);
  const std::span<const std::byte> all(*bytes);
  return FileContents(std::move(bytes), all);
} catch (const std::bad_alloc&) {
  return failed("cannot read", path, ENOMEM);
}

Result<void> write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  struct stat info{};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return failed("cannot write", path, EISDIR);
  if (exists && !S_ISREG(info.st_mode)) {
    Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() < 0) return failed("cannot write", path, errno);
    PJRT_CHECK(write_all(file.get(), bytes, path));
    if (file.close() != 0) return failed("cannot write", path, errno);
    return {};
  }
  std::string temporary = path.string() + ".XXXXXX";
  Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) return failed("cannot write", path, errno);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(file.get(), exists ? info.st_mode & 07777 : 0666 & ~mask);
  Result<void> written = write_all(file.get(), bytes, path);
  if (written && file.close() != 0) written = failed("cannot write", path, errno);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) written = failed("cannot write", path, errno);
  if (!written) ::unlink(temporary.c_str());
  return written;
}

}  // namespace pjrt::detail
