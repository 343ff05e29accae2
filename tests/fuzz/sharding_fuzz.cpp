#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "mlir/pieces.hpp"
#include "pjrt/sharding.hpp"

namespace {

void use(const pjrt::Result<pjrt::Sharding>& sharding, std::size_t rank) {
  if (!sharding) {
    (void)to_string(sharding.error());
    return;
  }
  const std::vector<std::int64_t> dims(rank, 12);
  if (sharding->tiles(rank).size() != rank || sharding->tile_dims(dims).size() != rank) __builtin_trap();
  (void)sharding->tile_begin(1, dims);
  if (to_string(*sharding).empty()) __builtin_trap();
}

}  // namespace

/// Reads bytes as a sharding: as XLA's text, as a serialized OpSharding, and as Shardy's text. The first byte is the
/// rank.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t rank = data[0] % 8;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  use(pjrt::Sharding::parse_text(text, rank), rank);
  use(pjrt::Sharding::parse(text, rank), rank);
  pjrt::mlir::ShardingContext context{{{"mesh", "<[\"x\"=2, \"y\"=4]>"}}};
  (void)pjrt::mlir::gspmd_sharding(text, context, rank);
  (void)pjrt::mlir::shardy_sharding(text, context, rank);
  pjrt::mlir::add_meshes(text, context.meshes);
  for (const auto& [name, mesh] : std::map(context.meshes))
    (void)pjrt::mlir::shardy_sharding("#sdy.sharding<@" + name + ", [{\"x\"}]>", context, 1);
  return 0;
}
