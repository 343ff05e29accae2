#pragma once

#include <cstdint>

namespace bench {

/// Calls of operator new so far, the plugin's included.
std::int64_t allocations() noexcept;

}  // namespace bench
