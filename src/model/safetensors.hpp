#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/byte_source.hpp"
#include "pjrt/export.hpp"
#include "pjrt/host_buffer.hpp"

/// The safetensors format: eight bytes of length, a JSON object that says where each array lies, and the arrays.

namespace pjrt::model {

struct Safetensor {
  std::string name;
  Shape shape;
  std::uint64_t size = 0;  // bytes in the file
};

/// Reads the head of a file. The arrays come in the order in which they lie, without gaps. InvalidArgument for a head
/// that is malformed or does not agree with itself; Unimplemented for types whose elements share bytes.
PJRT_EXPORT Result<std::vector<Safetensor>> read_safetensors_head(pjrt::detail::ByteSource& source);

/// Reads the next array, which is `entry`.
PJRT_EXPORT Result<HostBuffer> read_safetensor(pjrt::detail::ByteSource& source, const Safetensor& entry);

}  // namespace pjrt::model
