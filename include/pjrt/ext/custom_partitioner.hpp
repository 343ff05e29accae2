#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt::ext {

/// An array of a custom call that is to be partitioned. Valid during the callback.
struct CustomCallArray {
  /// A serialized xla.ShapeProto.
  std::string_view shape;
  /// A serialized xla.OpSharding (see Sharding::parse); nullopt if there is none.
  std::optional<std::string_view> sharding;
};

/// A custom call that is to be partitioned. Valid during the callback.
struct CustomCallToPartition {
  std::span<const CustomCallArray> operands;
  CustomCallArray result;
  std::string_view backend_config;
};

/// What stands in its place on each device. Shardings are serialized xla.OpShardings.
struct PartitionedCustomCall {
  /// As MLIR text or bytecode: a module whose main function takes the operands' shards and gives the result's.
  std::string mlir_module;
  /// How it wants its operands, one for each.
  std::vector<std::string> operand_shardings;
  std::string result_sharding;
};

/// How a custom call is partitioned; only `partition` is needed. Called on the thread that compiles, several at once if
/// several programs are compiled. An error, or an exception, fails the compilation with its message: that of the other
/// two when `partition` would be called next on that thread, since plugins end the process at it.
struct CustomCallPartitioner {
  std::function<Result<PartitionedCustomCall>(const CustomCallToPartition& call)> partition;
  /// The result's sharding by those of the operands; nullopt for none. The sharding of `call.result` is not known here.
  std::function<Result<std::optional<std::string>>(const CustomCallToPartition& call)> infer_sharding_from_operands;
  /// The result's sharding by that which a user of the result wants. Without this, it is that one.
  std::function<Result<std::string>(std::string_view user_sharding, std::string_view result_shape,
                                    std::string_view backend_config)>
      propagate_user_sharding;
  bool can_side_effecting_have_replicated_sharding = false;
};

/// Custom calls in programs that are partitioned by the compiler.
class PJRT_EXPORT CustomPartitioner : public Extension {
  PJRT_EXTENSION(CustomPartitioner, 2)

  /// Partitions custom calls of that target name from now on, in all compilations of the plugin, for the life of the
  /// process. AlreadyExists if there is one for the name and the plugin keeps it. Wraps
  /// PJRT_Register_Custom_Partitioner.
  [[nodiscard]] Result<void> register_custom_partitioner(std::string_view name,
                                                         CustomCallPartitioner partitioner) const;
  /// Cuts custom calls of that target name along their leading dimensions as they stand, for they do the same to every
  /// index there: as many as a call's frontend attribute "num_batch_dims" says. Plugins crash at calls that do not
  /// state the layouts of their operands. Wraps PJRT_Register_Batch_Partitionable.
  [[nodiscard]] Result<void> register_batch_partitionable(std::string_view name) const;
};

}  // namespace pjrt::ext
