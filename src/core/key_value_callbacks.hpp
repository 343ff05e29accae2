#pragma once

#include "pjrt/abi/core.h"
#include "pjrt/key_value_store.hpp"

namespace pjrt::detail {

/// The C callbacks that lead to a KeyValueStore; each takes the store as its user argument.
abi::PJRT_Error* key_value_get(abi::PJRT_KeyValueGetCallback_Args* args);
abi::PJRT_Error* key_value_try_get(abi::PJRT_KeyValueTryGetCallback_Args* args);
abi::PJRT_Error* key_value_put(abi::PJRT_KeyValuePutCallback_Args* args);

}  // namespace pjrt::detail
