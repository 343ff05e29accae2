#pragma once

#include <span>
#include <vector>

#include "pjrt/buffer.hpp"
#include "pjrt/executable.hpp"
#include "pjrt/ext/extension.hpp"
#include "pjrt/layout.hpp"
#include "pjrt/shape.hpp"
#include "pjrt/topology.hpp"

namespace pjrt::ext {

/// How arrays lie in device memory: tiles included, in XLA's own words, which the plugin serializes and frees behind
/// these calls. Wraps PJRT_Layouts_MemoryLayout_Serialize and PJRT_Layouts_MemoryLayout_Destroy.
class PJRT_EXPORT Layouts : public Extension {
  PJRT_EXTENSION(Layouts, 4)

  /// How a device of the client lays an array of that shape out. Wraps PJRT_Layouts_PJRT_Client_GetDefaultLayout.
  Result<Layout> default_layout(const Client& client, const Shape& shape) const;
  /// How the topology's devices would. Wraps PJRT_Layouts_PJRT_Topology_GetDefaultLayout.
  Result<Layout> default_layout(const Topology& topology, const Shape& shape) const;
  /// How a buffer lies. Wraps PJRT_Layouts_PJRT_Buffer_MemoryLayout.
  Result<Layout> layout_of(const Buffer& buffer) const;
  /// How a program's outputs will lie. Wraps PJRT_Layouts_PJRT_Executable_GetOutputLayouts, since 0.81.
  Result<std::vector<Layout>> output_layouts(const Executable& executable) const;
  /// How a program wants its arguments. Wraps PJRT_Layouts_PJRT_Executable_GetParameterLayouts, since 0.93.
  Result<std::vector<Layout>> parameter_layouts(const Executable& executable) const;
};

}  // namespace pjrt::ext
