#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include "pjrt/host_buffer.hpp"
#include "pjrt/print.hpp"

/// Reads bytes as an .npy file, raw elements as a type that the first byte chooses; what was read must survive writing.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pjrt;
  std::optional<ElementType> as;
  if (size > 0 && data[0] != 0) as = static_cast<ElementType>(data[0] % kElementTypeCount);
  const auto file = std::as_bytes(std::span(data, size)).subspan(size > 0 ? 1 : 0);
  const Result<HostBuffer> array = HostBuffer::parse_npy(file, as);
  if (!array) return to_string(array.error()).empty();
  if (array->dims().size() > kMaxRank || array->bytes().size() > size) __builtin_trap();
  if (array->type() == ElementType::Pred && !array->span<bool>()) __builtin_trap();
  const Result<HostBuffer> again = HostBuffer::parse_npy(array->to_npy(), array->type());
  if (!again || again->shape() != array->shape()) __builtin_trap();
  const auto a = array->bytes();
  const auto b = again->bytes();
  if (a.size() != b.size() || (!a.empty() && std::memcmp(a.data(), b.data(), a.size()) != 0)) __builtin_trap();
  return to_string(array->view()).empty();
}
