#pragma once

#include <span>

#include "core/executable_state.hpp"
#include "pjrt/model/interface.hpp"

namespace pjrt::model {

/// The same for a signature that is read already. `tiles` are the outputs as each device has them.
Result<Interface> interface_of(const Model& model, const pjrt::detail::Signature& signature,
                               std::span<const Shape> tiles);

}  // namespace pjrt::model
