#include "model/interface.hpp"

#include <utility>

#include "core/try.hpp"
#include "model/names.hpp"

namespace pjrt::model {

using pjrt::detail::Signature;

namespace {

/// What the partitioner settled on for an array, if the compiled program says so.
std::optional<Sharding> compiled_sharding(const std::vector<std::string>& shardings, std::size_t i, std::size_t rank) {
  if (i >= shardings.size()) return std::nullopt;
  Result<Sharding> sharding = Sharding::parse(shardings[i], rank);
  return sharding ? std::optional(*std::move(sharding)) : std::nullopt;
}

/// The whole array that a device's tile belongs to.
Shape whole(const Shape& tile, const Sharding& sharding) {
  Shape shape = tile;
  const std::vector<std::int64_t> tiles = sharding.tiles(tile.rank());
  for (std::size_t i = 0; i < tile.rank(); ++i) shape.dims.data()[i] *= tiles[i];
  return shape;
}

/// Picks the sharding under which a device's tile has the dimensions that the compiled program gives it.
Result<Sharding> choose_sharding(const std::string& label, const Shape& shape, const Shape& tile,
                                 std::optional<Sharding> compiled, const Result<std::optional<Sharding>>& exported) {
  const auto fits = [&](const Sharding& s) { return s.tile_dims(shape.dims) == tile.dims; };
  if (compiled && fits(*compiled)) return *std::move(compiled);
  if (exported && *exported && fits(**exported)) return **exported;
  if (fits(Sharding::replicated())) return Sharding::replicated();
  if (!exported) return std::unexpected(exported.error().with_context(label));
  return std::unexpected(
      Error(ErrorCode::Unimplemented,
            label + ": how " + to_string(shape) + " is cut into tiles of " + to_string(tile.dims) + " is not known"));
}

Result<Interface> of_export(const JaxExport& artifact, const Signature& signature, std::span<const Shape> tiles) {
  Interface all;
  const std::size_t first = artifact.has_platform_index() ? 1 : 0;
  const std::size_t wanted = first + artifact.kept_inputs().size();
  if (signature.known && signature.parameters.size() != wanted) {
    return std::unexpected(Error(ErrorCode::Internal, "the compiled program takes " +
                                                          std::to_string(signature.parameters.size()) +
                                                          " arrays, the artifact says " + std::to_string(wanted)));
  }
  if (first == 1) all.platform_index = signature.known ? signature.parameters.front().shape.type : ElementType::S32;
  std::size_t parameter = first;
  for (const ExportedValue& v : artifact.inputs()) {
    SessionValue& value = all.inputs.emplace_back(SessionValue{v.path(), v.name(), v.shape(), {}, v.is_kept()});
    if (!v.is_kept()) continue;
    const Shape tile = signature.known ? signature.parameters[parameter].shape : v.shape();
    PJRT_TRY(value.sharding,
             choose_sharding(label(value), v.shape(), tile,
                             compiled_sharding(signature.parameter_shardings, parameter, tile.rank()), v.sharding()));
    ++parameter;
  }
  for (std::size_t i = 0; i < artifact.outputs().size(); ++i) {
    const ExportedValue& v = artifact.outputs()[i];
    SessionValue& value = all.outputs.emplace_back(SessionValue{v.path(), v.name(), v.shape(), {}, true});
    const Shape tile = i < tiles.size() ? tiles[i] : v.shape();
    PJRT_TRY(value.sharding,
             choose_sharding(label(value), v.shape(), tile,
                             compiled_sharding(signature.output_shardings, i, tile.rank()), v.sharding()));
  }
  return all;
}

Result<Interface> of_program(const Signature& signature, std::span<const Shape> tiles) {
  if (!signature.known)
    return std::unexpected(
        Error(ErrorCode::Unimplemented, "the plugin does not tell the parameters of its executables"));
  Interface all;
  for (std::size_t i = 0; i < signature.parameters.size(); ++i) {
    const Shape& tile = signature.parameters[i].shape;
    const Sharding sharding =
        compiled_sharding(signature.parameter_shardings, i, tile.rank()).value_or(Sharding::replicated());
    all.inputs.push_back(
        {"arg" + std::to_string(i), signature.parameters[i].name, whole(tile, sharding), sharding, true});
  }
  for (std::size_t i = 0; i < tiles.size(); ++i) {
    const Sharding sharding =
        compiled_sharding(signature.output_shardings, i, tiles[i].rank()).value_or(Sharding::replicated());
    all.outputs.push_back({"out" + std::to_string(i), "", whole(tiles[i], sharding), sharding, true});
  }
  return all;
}

}  // namespace

Result<Interface> interface_of(const Model& model, const Signature& signature, std::span<const Shape> tiles) try {
  return model.jax_export() != nullptr ? of_export(*model.jax_export(), signature, tiles)
                                       : of_program(signature, tiles);
}
PJRT_CATCH

Result<Interface> interface_of(const Model& model, const Executable& executable) try {
  PJRT_TRY(const std::vector<Shape> tiles, executable.output_shapes());
  return interface_of(model, pjrt::detail::read_signature(executable, tiles.size()), tiles);
}
PJRT_CATCH

}  // namespace pjrt::model
