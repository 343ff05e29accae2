#include "core/file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/try.hpp"

namespace pjrt::detail {
namespace {

constexpr std::size_t kChunk = 65536;
constexpr std::chrono::seconds kPatience{10};  // for somebody to open the other end of a FIFO

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

Result<FileSource> FileSource::open(const std::filesystem::path& path) {
  // O_NONBLOCK: a FIFO without a writer would block the call for ever. It is taken back where it would change reading.
  FileSource file(path, ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.fd_ < 0) return failed("cannot read", path, errno);
  PJRT_CHECK(file.look());
  return file;
}

Result<FileSource> FileSource::standard_input() {
  FileSource file("standard input", ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
  if (file.fd_ < 0) return failed("cannot read", file.path_, errno);
  PJRT_CHECK(file.look());
  return file;
}

FileSource::FileSource(FileSource&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      regular_(other.regular_),
      size_(other.size_),
      taken_(other.taken_),
      ahead_(std::move(other.ahead_)) {}

FileSource& FileSource::operator=(FileSource&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(regular_, other.regular_);
  std::swap(size_, other.size_);
  std::swap(taken_, other.taken_);
  std::swap(ahead_, other.ahead_);
  return *this;
}

FileSource::~FileSource() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> FileSource::look() {
  struct stat info{};
  if (::fstat(fd_, &info) != 0) return failed("cannot read", path_, errno);
  if (S_ISDIR(info.st_mode)) return failed("cannot read", path_, EISDIR);
  regular_ = S_ISREG(info.st_mode);
  if (regular_) {
    const off_t at = ::lseek(fd_, 0, SEEK_CUR);  // standard input may have been read already
    size_ = info.st_size > at && at >= 0 ? static_cast<std::uint64_t>(info.st_size - at) : 0;
    return {};
  }
  const int flags = ::fcntl(fd_, F_GETFL);
  if (flags < 0 || (flags & O_NONBLOCK) == 0) return {};
  if (S_ISFIFO(info.st_mode)) PJRT_CHECK(wait_for_writer());
  ::fcntl(fd_, F_SETFL, flags & ~O_NONBLOCK);
  return {};
}

/// Reading a FIFO gives nothing at all while nobody has opened its other end, and EAGAIN while somebody has and is
/// silent.
Result<void> FileSource::wait_for_writer() {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    std::byte first{};
    const ssize_t n = ::read(fd_, &first, 1);
    if (n > 0) {
      ahead_.push_back(first);
      ++taken_;
      return {};
    }
    if (n < 0 && errno == EAGAIN) return {};
    if (n < 0 && errno != EINTR) return failed("cannot read", path_, errno);
    pollfd state{fd_, POLLIN, 0};
    if (::poll(&state, 1, 0) > 0 && (state.revents & POLLHUP) != 0) return {};  // written by somebody who has gone
    if (std::chrono::steady_clock::now() > end) {
      return std::unexpected(
          Error(ErrorCode::Unavailable, "cannot read " + path_.string() + ": it is a FIFO that no process writes to"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Result<std::size_t> FileSource::read(std::span<std::byte> out) {
  if (!ahead_.empty()) {
    const std::size_t n = std::min(out.size(), ahead_.size());
    std::copy_n(ahead_.begin(), n, out.begin());
    ahead_.erase(ahead_.begin(), ahead_.begin() + static_cast<std::ptrdiff_t>(n));
    return n;
  }
  constexpr std::size_t kMost = std::size_t{1} << 30;  // the system reads no more at once
  for (;;) {
    const ssize_t n = ::read(fd_, out.data(), std::min(out.size(), kMost));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("cannot read", path_, errno);
    taken_ += static_cast<std::uint64_t>(n);
    return static_cast<std::size_t>(n);
  }
}

std::optional<std::uint64_t> FileSource::left() const {
  if (!regular_ || size_ == 0) return std::nullopt;  // /proc has regular files of size 0 that are not empty
  return ahead_.size() + (size_ > taken_ ? size_ - taken_ : 0);
}

Result<std::span<const std::byte>> FileSource::peek(std::size_t count) {
  std::vector<std::byte> bytes = std::exchange(ahead_, {});
  const std::size_t had = bytes.size();
  if (had < count) {
    bytes.resize(count);
    PJRT_TRY(const std::size_t n, read_fully(*this, std::span(bytes).subspan(had)));
    bytes.resize(had + n);
  }
  ahead_ = std::move(bytes);
  return std::span<const std::byte>(ahead_);
}

Result<FileContents> FileSource::read_all() {
  const std::uint64_t most = regular_ ? kLargestFile : kLongestStream;
  const auto too_long = [&](const std::string& size) {
    return std::unexpected(Error(ErrorCode::ResourceExhausted, "cannot read " + path_.string() + ": it is " + size +
                                                                   " bytes long; at most " + std::to_string(most) +
                                                                   " are read"));
  };
  const std::uint64_t expected = left().value_or(0);
  if (expected > most) return too_long(std::to_string(expected));
  // malloc and realloc: nothing is written before it is read, and growing moves pages instead of copying them.
  std::size_t capacity = static_cast<std::size_t>(expected) + 1;  // one more, to see the end
  if (expected == 0) capacity = kChunk;
  std::unique_ptr<void, decltype(&std::free)> memory(std::malloc(capacity), &std::free);
  if (memory == nullptr) return failed("cannot read", path_, ENOMEM);
  std::size_t used = 0;
  for (;;) {
    if (used == capacity) {
      if (used > most) return too_long("more than " + std::to_string(most));
      capacity = std::min<std::size_t>(std::max(2 * capacity, capacity + kChunk), static_cast<std::size_t>(most) + 1);
      void* larger = std::realloc(memory.get(), capacity);
      if (larger == nullptr) return failed("cannot read", path_, ENOMEM);
      (void)memory.release();
      memory.reset(larger);
    }
    PJRT_TRY(const std::size_t n, read(std::span(static_cast<std::byte*>(memory.get()) + used, capacity - used)));
    if (n == 0) break;
    used += n;
  }
  const auto* bytes = static_cast<const std::byte*>(memory.get());
  return FileContents(std::shared_ptr<const void>(memory.release(), &std::free), std::span(bytes, used));
}

Result<FileContents> read_file(const std::filesystem::path& path) {
  PJRT_TRY(FileSource file, FileSource::open(path));
  return file.read_all();
}

Result<void> write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  return write_file(path, std::span(&bytes, 1));
}

Result<void> write_file(const std::filesystem::path& path, std::span<const std::span<const std::byte>> parts) {
  struct stat info{};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return failed("cannot write", path, EISDIR);
  if (exists && !S_ISREG(info.st_mode)) {
    Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.get() < 0) return failed("cannot write", path, errno);
    for (const std::span<const std::byte> bytes : parts) PJRT_CHECK(write_all(file.get(), bytes, path));
    if (file.close() != 0) return failed("cannot write", path, errno);
    return {};
  }
  std::string temporary = path.string() + ".XXXXXX";
  Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) return failed("cannot write", path, errno);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(file.get(), exists ? info.st_mode & 07777 : 0666 & ~mask);
  Result<void> written;
  for (const std::span<const std::byte> bytes : parts) {
    if (written) written = write_all(file.get(), bytes, path);
  }
  if (written && file.close() != 0) written = failed("cannot write", path, errno);
  if (written && ::rename(temporary.c_str(), path.c_str()) != 0) written = failed("cannot write", path, errno);
  if (!written) ::unlink(temporary.c_str());
  return written;
}

}  // namespace pjrt::detail
