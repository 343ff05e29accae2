#include "quiet.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace pjrt::cli {
namespace {

std::atomic<int> visible{-1};   // a copy of stderr while it is silenced
std::atomic<int> silenced{-1};  // the file that it leads to meanwhile

}  // namespace

bool write_all(int fd, const char* text, std::size_t size) noexcept {
  while (size > 0) {
    const ssize_t n = ::write(fd, text, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

int nameless_file(const char* what) noexcept {
  const int memory = ::memfd_create(what, MFD_CLOEXEC);
  if (memory >= 0) return memory;
  const char* folder = std::getenv("TMPDIR");
  return ::open(folder != nullptr && *folder != '\0' ? folder : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

QuietStderr::QuietStderr(bool active) {
  if (!active || visible >= 0) return;
  std::fflush(stderr);
  int text = nameless_file("stderr");
  const bool is_kept = text >= 0;
  if (!is_kept) text = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (text < 0) return;
  const int copy = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) {
    ::close(text);
    return;
  }
  visible = copy;
  ::dup2(text, STDERR_FILENO);
  if (is_kept) {
    silenced = text;
  } else {
    ::close(text);
  }
  active_ = true;
}

QuietStderr::~QuietStderr() {
  if (!active_) return;
  std::fflush(stderr);
  const int copy = visible.exchange(-1);
  const int text = silenced.exchange(-1);
  ::dup2(copy, STDERR_FILENO);
  ::close(copy);
  if (text >= 0) ::close(text);
}

int visible_stderr() noexcept {
  const int copy = visible;
  return copy >= 0 ? copy : STDERR_FILENO;
}

int silenced_text() noexcept {
  return silenced;
}

}  // namespace pjrt::cli
