#pragma once

#include <cstddef>

namespace pjrt::cli {

/// While it lives, what is written to stderr is kept instead of shown. Some plugins print pages there while they load,
/// whatever their log level is, on machines without their hardware. If the process dies meanwhile, the crash report
/// shows the end of it; otherwise it is dropped. One at a time; another one inside it does nothing.
class QuietStderr {
 public:
  explicit QuietStderr(bool active);
  ~QuietStderr();
  QuietStderr(const QuietStderr&) = delete;
  QuietStderr& operator=(const QuietStderr&) = delete;

 private:
  bool active_ = false;
};

/// The stderr that the user sees. May be called in a signal handler.
int visible_stderr() noexcept;

/// The file that holds what was written to stderr since it was silenced; -1 if it is not. May be called in a signal
/// handler.
int silenced_text() noexcept;

/// Writes all of a text, however often it is interrupted; whether it could. May be called in a signal handler.
bool write_all(int fd, const char* text, std::size_t size) noexcept;

/// A file in memory, or on disk without a name, that is closed with the process; -1 if there is neither.
int nameless_file(const char* what) noexcept;

}  // namespace pjrt::cli
