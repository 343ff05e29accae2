#pragma once

#include <functional>
#include <string>

#include "crash_report.hpp"

namespace pjrt::cli {

/// Calls `work` in a child process and returns its exit status, in both processes: the child ends with it.
///
/// What the child writes to stdout and, unless `verbose`, to stderr appears when its work is done, whole. If it dies
/// before that, none of it appears. However it dies, one line on stderr says so, and the status is kFailed. Signals
/// that ask the process to end are handed to the child first; the child dies with its parent. To be called before any
/// thread is started.
int run_isolated(const std::string& command, bool verbose, const std::function<int(CrashRecord*)>& work);

}  // namespace pjrt::cli
