#pragma once

#include "pjrt/detail/cxx23.hpp"

/// Marks what the shared library exports; everything else is hidden.
#if defined(PJRT_SHARED) && defined(__GNUC__)
#define PJRT_EXPORT __attribute__((visibility("default")))
#else
#define PJRT_EXPORT
#endif
