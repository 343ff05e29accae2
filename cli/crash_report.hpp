#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <string_view>

#include "pjrt/detail/running_calls.hpp"

/// What the command says when a plugin ends the process: by a fatal signal, abort(), an exception that nobody catches,
/// or exit(). One line that names the plugin, the C function that was running and the signal, then the end of what was
/// written to stderr while it was silenced.

namespace pjrt::cli {

/// What is known of a process when it dies. Lies in memory that a parent process may share.
struct CrashRecord {
  detail::RunningCalls calls;
  /// The command's work is done; what ends the process now is its own exit.
  std::atomic<bool> done{false};
  /// The report, if the process could still write one, without the command's name.
  std::array<char, 1536> line{};
};

/// How a process ended, for `write_crash_line`: a signal, or exit() inside a plugin if 0.
struct Ending {
  int signal = 0;
  /// The thread that the signal hit; 0 if it is not known.
  int thread = 0;
};

/// Writes the line into a record, without line break or the command's name. May be called in a signal handler.
void write_crash_line(CrashRecord& record, Ending ending) noexcept;

/// From now on a crash of this process is reported: to the user, or with `record` to the parent process that shares it.
/// `command` is "pjrt run". To be called again (as `renew_crash_report`) after a plugin was loaded, for some set signal
/// handlers of their own.
void report_crashes(std::string_view command, CrashRecord* record = nullptr);
void renew_crash_report() noexcept;

/// The work is done and its output written: from now on exit() is the command's own.
void end_crash_report() noexcept;

}  // namespace pjrt::cli
