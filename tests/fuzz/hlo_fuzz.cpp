#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/file_kind.hpp"
#include "pjrt/model/model.hpp"
#include "proto/hlo.hpp"

/// Reads bytes as a model of any format, and as a serialized HloModuleProto.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pjrt;
  const auto bytes = std::as_bytes(std::span(data, size));
  const std::string_view code(reinterpret_cast<const char*>(data), size);
  std::size_t seen = name(detail::kind_of(bytes)).size();
  for (const char* format : {"hlo", "hlo_with_config"}) {
    const Result<proto::HloSignature> signature = proto::parse_hlo_signature(code, format);
    if (signature && signature->donated.size() != signature->parameters.size()) __builtin_trap();
  }
  if (const Result<proto::HloDevices> devices = proto::parse_hlo_devices(code);
      devices && (devices->replicas < 1 || devices->partitions < 1))
    __builtin_trap();
  const Result<model::Model> model = model::Model::parse(bytes);
  if (!model) return to_string(model.error()).empty();
  if (model->device_count() < 1) __builtin_trap();
  for (const auto values : {model->arguments(), model->results()}) {
    for (const model::ModuleValue& value : values) seen += value.type.size() + value.path.size();
  }
  if (const Result<CompileOptions> options = model->compile_options()) seen += options->num_replicas() > 0 ? 1 : 0;
  return seen == 0;
}
