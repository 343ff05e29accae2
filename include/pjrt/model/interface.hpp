#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pjrt/element_type.hpp"
#include "pjrt/error.hpp"
#include "pjrt/executable.hpp"
#include "pjrt/export.hpp"
#include "pjrt/model/model.hpp"
#include "pjrt/shape.hpp"
#include "pjrt/sharding.hpp"

namespace pjrt {

/// An array that a session takes or gives.
struct SessionValue {
  /// Its place: the pytree path "args[0]['w']" of a jax.export artifact, else "arg0", "out0".
  std::string path;
  /// What the program's author called it; may be empty.
  std::string name;
  /// The whole array, however many devices it is cut for.
  Shape shape;
  /// How it is cut among the devices.
  Sharding sharding;
  /// Whether the program takes it; JAX drops what a function does not use.
  bool used = true;
  /// In a session of several replicas, the replica whose array this is. nullopt: every replica has the same.
  std::optional<int> replica;
};

namespace model {

/// What a compiled model takes and gives, in the model's own words.
struct Interface {
  /// All of them in order, those the program does not use included.
  std::vector<SessionValue> inputs;
  std::vector<SessionValue> outputs;
  /// The type of the scalar that the program takes before them: the number of the platform among those the artifact was
  /// made for. nullopt for programs of one platform.
  std::optional<ElementType> platform_index;
};

/// The interface of `executable`, which was compiled from `model`, here or ahead of time. The shardings are those that
/// the partitioner settled on. Unimplemented if neither the model nor the plugin tells the parameters.
PJRT_EXPORT Result<Interface> interface_of(const Model& model, const Executable& executable);

}  // namespace model
}  // namespace pjrt
