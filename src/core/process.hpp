#pragma once

#include <cstdint>

/// What the beginning and the end of processes do to plugins.
///
/// fork: a plugin's threads do not exist in the child, and its locks may be held by nobody, so that a call hangs or
/// crashes. exit: the plugin's own statics are destroyed before those of the program that were made earlier, so that
/// destroying a client that is one of these aborts. In both cases the plugins are marked as gone, and the choke point
/// refuses their functions: members answer FailedPrecondition, and destructors do nothing.
namespace pjrt::detail {

/// Has every plugin of the list marked in forked children. To be called whenever a plugin was loaded, before anything
/// of it is used: from then on they are marked, too, when the process ends, before that plugin's statics are destroyed.
void watch_process();

/// How many forks lie between this process and the first that used the library. Costs one load.
std::uint32_t process_generation() noexcept;

}  // namespace pjrt::detail
