#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "model/safetensors.hpp"
#include "pjrt/model/npz.hpp"

namespace {

void read_as_npz(std::span<const std::byte> bytes) {
  using namespace pjrt;
  const Result<model::NpzFile> file = model::NpzFile::parse(bytes);
  if (!file) return;
  for (const std::string& name : file->names()) {
    const Result<Shape> shape = file->shape(name, ElementType::BF16);
    // What unpacks to much is right, and slow.
    if (!shape || host_byte_size(*shape).value_or(0) > 1 << 20) continue;
    const Result<HostBuffer> array = file->read(name, ElementType::BF16);
    if (array && array->shape() != *shape) __builtin_trap();
  }
}

void read_as_safetensors(std::span<const std::byte> bytes) {
  using namespace pjrt;
  detail::MemorySource source(bytes);
  const auto entries = model::read_safetensors_head(source);
  if (!entries) return;
  for (const model::Safetensor& entry : *entries) {
    const Result<HostBuffer> array = model::read_safetensor(source, entry);
    if (!array || array->bytes().size() != entry.size || entry.size > bytes.size()) __builtin_trap();
  }
}

}  // namespace

/// Reads bytes as an .npz and as a safetensors file.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_as_npz(std::as_bytes(std::span(data, size)));
  read_as_safetensors(std::as_bytes(std::span(data, size)));
  return 0;
}
