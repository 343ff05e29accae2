#pragma once

namespace pjrt::cli {

/// While it lives, what is written to stderr goes nowhere. Some plugins print pages there while they load, whatever
/// their log level is, on machines without their hardware.
class QuietStderr {
 public:
  explicit QuietStderr(bool active);
  ~QuietStderr();
  QuietStderr(const QuietStderr&) = delete;
  QuietStderr& operator=(const QuietStderr&) = delete;

 private:
  int saved_ = -1;
};

}  // namespace pjrt::cli
