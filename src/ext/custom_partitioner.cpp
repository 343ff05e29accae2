#include "pjrt/ext/custom_partitioner.hpp"

#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/keep_for_ever.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

namespace {

using CString = abi::JAX_CustomCallPartitioner_string;

/// What the plugin holds of a partitioner. Compilations may use it after the plugin gave it up for another, so the
/// block is never freed; there are as many as registrations.
struct Registered {
  abi::JAX_CustomCallPartitioner_Callbacks callbacks{};  // first: the plugin hands its address back
  CustomCallPartitioner partitioner;
  bool given_up = false;  // by the plugin

  /// What went wrong on a thread where it could not be said.
  std::mutex mutex;
  std::map<std::thread::id, Error> kept;

  void keep(Error error) {
    const std::lock_guard lock(mutex);
    kept.emplace(std::this_thread::get_id(), std::move(error));
  }
  std::optional<Error> take_kept() {
    const std::lock_guard lock(mutex);
    auto node = kept.extract(std::this_thread::get_id());
    return node.empty() ? std::nullopt : std::optional(std::move(node.mapped()));
  }
};

Registered& registered(abi::JAX_CustomCallPartitioner_Callbacks* callbacks) {
  return *reinterpret_cast<Registered*>(callbacks);
}

/// Strings that the plugin reads after the callback returned.
struct Handed {
  std::string message;
  std::string module;
  std::vector<std::string> operand_shardings;
  std::vector<CString> operand_texts;
  std::string result_sharding;
};

CString to_c(const std::string& s) {
  return {s.data(), s.size()};
}
std::string_view text(const CString& s) {
  return pjrt::detail::text(s.data, s.size);
}

/// Plugins call cleanup_fn whether there is something to clean up or not.
Handed& hand(abi::JAX_CustomCallPartitioner_version_and_error& header) {
  auto* handed = new Handed;
  header.data = handed;
  header.cleanup_fn = [](void* data) { delete static_cast<Handed*>(data); };
  header.has_error = false;
  return *handed;
}

CustomCallArray array(const abi::JAX_CustomCallPartitioner_aval& a) {
  return {text(a.shape), a.has_sharding ? std::optional(text(a.sharding)) : std::nullopt};
}

std::vector<CustomCallArray> arrays(const abi::JAX_CustomCallPartitioner_aval* all, std::size_t count) {
  std::vector<CustomCallArray> copies;
  for (std::size_t i = 0; i < count; ++i) copies.push_back(array(all[i]));
  return copies;
}

template <class F, class... Args>
auto run(const char* what, const F& function, Args&&... args) -> decltype(function(args...)) {
#if defined(__cpp_exceptions)
  try {
    return function(args...);
  } catch (const std::exception& e) {
    return std::unexpected(Error(ErrorCode::Internal, std::string(what) + " threw: " + e.what()));
  } catch (...) {
    return std::unexpected(
        Error(ErrorCode::Internal, std::string(what) + " threw something that is not a std::exception"));
  }
#else
  return function(args...);
#endif
}

Result<PartitionedCustomCall> partitioned(Registered& r, const abi::JAX_CustomCallPartitioner_Partition_Args& args) {
  if (auto error = r.take_kept()) return std::unexpected(*std::move(error));
  const std::vector<CustomCallArray> operands = arrays(args.op_args, args.num_args);
  const CustomCallToPartition call{operands, array(args.op_result), text(args.backend_config)};
  auto result = run("the partitioner", r.partitioner.partition, call);
  if (result && result->operand_shardings.size() != args.num_args) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the partitioner gave " + std::to_string(result->operand_shardings.size()) +
                                              " shardings for " + std::to_string(args.num_args) + " operands"));
  }
  return result;
}

void on_partition(abi::JAX_CustomCallPartitioner_Callbacks* callbacks,
                  abi::JAX_CustomCallPartitioner_Partition_Args* args) {
  const pjrt::detail::InCallback here;
  Handed& handed = hand(args->header);
  auto result = partitioned(registered(callbacks), *args);
  if (!result) {
    handed.message = result.error().message();
    args->header.has_error = true;
    args->header.code = pjrt::detail::to_c(result.error().code());
    args->header.error_msg = to_c(handed.message);
    return;
  }
  handed.module = std::move(result->mlir_module);
  handed.operand_shardings = std::move(result->operand_shardings);
  handed.result_sharding = std::move(result->result_sharding);
  for (const std::string& s : handed.operand_shardings) handed.operand_texts.push_back(to_c(s));
  args->mlir_module = to_c(handed.module);
  args->args_sharding = handed.operand_texts.data();
  args->result_sharding = to_c(handed.result_sharding);
}

void on_infer_sharding(abi::JAX_CustomCallPartitioner_Callbacks* callbacks,
                       abi::JAX_CustomCallPartitioner_InferShardingFromOperands_Args* args) {
  const pjrt::detail::InCallback here;
  Registered& r = registered(callbacks);
  Handed& handed = hand(args->header);
  args->has_result_sharding = false;
  if (!r.partitioner.infer_sharding_from_operands) return;
  const std::vector<CustomCallArray> operands = arrays(args->op_args, args->num_args);
  const CustomCallToPartition call{operands, {text(args->result_shape), std::nullopt}, text(args->backend_config)};
  auto result = run("the partitioner's inference", r.partitioner.infer_sharding_from_operands, call);
  if (!result) return r.keep(std::move(result).error());
  if (!*result) return;
  handed.result_sharding = **std::move(result);
  args->has_result_sharding = true;
  args->result_sharding = to_c(handed.result_sharding);
}

void on_propagate_user_sharding(abi::JAX_CustomCallPartitioner_Callbacks* callbacks,
                                abi::JAX_CustomCallPartitioner_PropagateUserSharding_Args* args) {
  const pjrt::detail::InCallback here;
  Registered& r = registered(callbacks);
  Handed& handed = hand(args->header);
  handed.result_sharding = text(args->result_sharding);
  if (r.partitioner.propagate_user_sharding) {
    auto result = run("the partitioner's propagation", r.partitioner.propagate_user_sharding,
                      text(args->result_sharding), text(args->result_shape), text(args->backend_config));
    if (result) {
      handed.result_sharding = *std::move(result);
    } else {
      r.keep(std::move(result).error());
    }
  }
  args->result_sharding = to_c(handed.result_sharding);
}

}  // namespace

Result<void> CustomPartitioner::register_custom_partitioner(std::string_view name,
                                                            CustomCallPartitioner partitioner) const try {
  if (name.empty() || !partitioner.partition) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "a partitioner has a name and a function that partitions"));
  }
  auto r = std::make_unique<Registered>();
  r->callbacks.dtor = [](abi::JAX_CustomCallPartitioner_Callbacks* callbacks) {
    registered(callbacks).given_up = true;
  };
  r->callbacks.partition = on_partition;
  r->callbacks.infer_sharding = on_infer_sharding;
  r->callbacks.propagate_user_sharding = on_propagate_user_sharding;
  r->callbacks.can_side_effecting_have_replicated_sharding = partitioner.can_side_effecting_have_replicated_sharding;
  r->partitioner = std::move(partitioner);
  PJRT_CHECK(pjrt::detail::call_extension<fn::PJRT_Register_Custom_Partitioner>(
      state(), {.name = name.data(), .name_size = name.size(), .callbacks = &r->callbacks}));
  if (r->given_up)
    return std::unexpected(Error(ErrorCode::AlreadyExists, "there is a partitioner for '" + std::string(name) + "'"));
  pjrt::detail::keep_for_ever(std::move(r));
  return {};
}
PJRT_CATCH

Result<void> CustomPartitioner::register_batch_partitionable(std::string_view name) const try {
  if (name.empty()) return std::unexpected(Error(ErrorCode::InvalidArgument, "a custom call has a name"));
  PJRT_CHECK(pjrt::detail::call_extension<fn::PJRT_Register_Batch_Partitionable>(
      state(), {.name = name.data(), .name_size = name.size()}));
  return {};
}
PJRT_CATCH

}  // namespace pjrt::ext
