#pragma once

#include <cstdint>

/// What fork() does to plugins. Their threads do not exist in the child, and their locks may be held by nobody, so that
/// a call hangs or crashes. In a child, every plugin that was started before is marked as lost, and the choke point
/// refuses its functions; destructors of what the parent made then do nothing.
namespace pjrt::detail {

/// Has every plugin of the list marked in children from now on.
void watch_forks();

/// How many forks lie between this process and the first that used the library. Costs one load.
std::uint32_t process_generation() noexcept;

}  // namespace pjrt::detail
