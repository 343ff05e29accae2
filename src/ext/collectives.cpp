#include "pjrt/ext/collectives.hpp"

#include <algorithm>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/handle_errors.hpp"
#include "core/try.hpp"
#include "pjrt/shape.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;
using pjrt::detail::call_extension;

namespace {

void* writable(std::span<const std::byte> bytes) {
  return const_cast<std::byte*>(bytes.data());
}

Result<void> check_holds(std::span<const std::byte> bytes, ElementType type, std::size_t count, const char* what) {
  const std::optional<std::int64_t> needed = host_byte_size(Shape{type, {static_cast<std::int64_t>(count)}});
  if (needed && static_cast<std::size_t>(*needed) <= bytes.size()) return {};
  return std::unexpected(Error(ErrorCode::InvalidArgument, "the array to " + std::string(what) + " has " +
                                                               std::to_string(bytes.size()) + " bytes, too few for " +
                                                               std::to_string(count) + " elements of " +
                                                               std::string(name(type))));
}

Result<void> check_both_hold(std::span<const std::byte> send, std::span<const std::byte> receive, ElementType type,
                             std::size_t count) {
  PJRT_CHECK(check_holds(send, type, count, "send"));
  return check_holds(receive, type, count, "receive");
}

/// The arguments that most collectives have.
template <class Args>
Args arguments(std::span<const std::byte> send, std::span<std::byte> receive, ElementType type, std::size_t count) {
  Args args{};
  args.send_buffer_ptr = writable(send);
  args.send_buffer_size = send.size();
  args.recv_buffer_ptr = receive.data();
  args.recv_buffer_size = receive.size();
  args.primitive_type = pjrt::detail::to_c(type);
  args.count = count;
  return args;
}

Event failed(Error error) {
  return Event::ready(std::unexpected(std::move(error)));
}

}  // namespace

Communicator::~Communicator() {
  if (raw_ != nullptr)
    call_extension_quietly<fn::PJRT_Collectives_Communicator_Destroy>(*plugin_, {.communicator = raw_});
}

template <class F>
Event Communicator::start(typename F::Args args, const Rendezvous& rendezvous) const try {
  if (raw_ == nullptr) return failed(pjrt::detail::moved_from("communicator"));
  abi::PJRT_Collectives_CpuExecutor executor{};
  executor.run_id = rendezvous.run_id;
  executor.global_device_ids = const_cast<std::int64_t*>(rendezvous.global_device_ids.data());
  executor.num_global_device_ids = rendezvous.global_device_ids.size();
  executor.num_local_participants = rendezvous.num_local_participants;
  executor.collective_op_kind = static_cast<abi::PJRT_Collectives_CollectiveOpKind>(rendezvous.collective_op_kind);
  executor.op_id = rendezvous.op_id;
  executor.timeout_in_ns = rendezvous.timeout.count();
  args.communicator = raw_;
  args.cpu_executor = &executor;
  if (auto ok = call_extension<F>(*plugin_, args); !ok) return failed(std::move(ok).error());
  return pjrt::detail::make_transfer_event(*plugin_, {}, args.event);
}
PJRT_CATCH_EVENT

Event Communicator::all_reduce(std::span<const std::byte> send, std::span<std::byte> receive, ElementType type,
                               std::size_t count, ReductionKind kind, const Rendezvous& rendezvous) const try {
  if (auto ok = check_both_hold(send, receive, type, count); !ok) return Event::ready(std::move(ok));
  auto args = arguments<abi::PJRT_Collectives_Communicator_AllReduce_Args>(send, receive, type, count);
  args.reduction_kind = static_cast<abi::PJRT_Collectives_ReductionKind>(kind);
  return start<fn::PJRT_Collectives_Communicator_AllReduce>(args, rendezvous);
}
PJRT_CATCH_EVENT

Event Communicator::reduce_scatter(std::span<const std::byte> send, std::span<std::byte> receive, ElementType type,
                                   std::size_t count, ReductionKind kind, const Rendezvous& rendezvous) const try {
  if (auto ok = check_both_hold(send, receive, type, count); !ok) return Event::ready(std::move(ok));
  auto args = arguments<abi::PJRT_Collectives_Communicator_ReduceScatter_Args>(send, receive, type, count);
  args.reduction_kind = static_cast<abi::PJRT_Collectives_ReductionKind>(kind);
  return start<fn::PJRT_Collectives_Communicator_ReduceScatter>(args, rendezvous);
}
PJRT_CATCH_EVENT

Event Communicator::all_gather(std::span<const std::byte> send, std::span<std::byte> receive, ElementType type,
                               std::size_t count, const Rendezvous& rendezvous) const try {
  if (auto ok = check_both_hold(send, receive, type, count); !ok) return Event::ready(std::move(ok));
  return start<fn::PJRT_Collectives_Communicator_AllGather>(
      arguments<abi::PJRT_Collectives_Communicator_AllGather_Args>(send, receive, type, count), rendezvous);
}
PJRT_CATCH_EVENT

Event Communicator::collective_permute(std::span<const std::byte> send, std::span<std::byte> receive, ElementType type,
                                       std::size_t count, std::optional<std::int64_t> source_rank,
                                       std::span<const std::int64_t> target_ranks, const Rendezvous& rendezvous) const
    try {
  if (auto ok = check_both_hold(send, receive, type, count); !ok) return Event::ready(std::move(ok));
  auto args = arguments<abi::PJRT_Collectives_Communicator_CollectivePermute_Args>(send, receive, type, count);
  args.has_source_rank = source_rank.has_value();
  args.source_rank = source_rank.value_or(0);
  args.target_ranks = const_cast<std::int64_t*>(target_ranks.data());
  args.num_target_ranks = target_ranks.size();
  return start<fn::PJRT_Collectives_Communicator_CollectivePermute>(args, rendezvous);
}
PJRT_CATCH_EVENT

Event Communicator::all_to_all(std::span<const std::span<const std::byte>> send,
                               std::span<const std::span<std::byte>> receive, ElementType type, std::size_t count,
                               const Rendezvous& rendezvous) const try {
  std::vector<void*> send_ptrs, receive_ptrs;
  std::vector<std::size_t> send_sizes, receive_sizes;
  for (const std::span<const std::byte> array : send) {
    if (auto ok = check_holds(array, type, count, "send"); !ok) return Event::ready(std::move(ok));
    send_ptrs.push_back(writable(array));
    send_sizes.push_back(array.size());
  }
  for (const std::span<std::byte> array : receive) {
    if (auto ok = check_holds(array, type, count, "receive"); !ok) return Event::ready(std::move(ok));
    receive_ptrs.push_back(array.data());
    receive_sizes.push_back(array.size());
  }
  abi::PJRT_Collectives_Communicator_AllToAll_Args args{};
  args.send_buffers_ptrs = send_ptrs.data();
  args.send_buffers_sizes = send_sizes.data();
  args.num_send_buffers = send_ptrs.size();
  args.recv_buffers_ptrs = receive_ptrs.data();
  args.recv_buffers_sizes = receive_sizes.data();
  args.num_recv_buffers = receive_ptrs.size();
  args.primitive_type = pjrt::detail::to_c(type);
  args.count = count;
  return start<fn::PJRT_Collectives_Communicator_AllToAll>(args, rendezvous);
}
PJRT_CATCH_EVENT

Result<std::string> Communicator::to_string() const try {
  if (raw_ == nullptr) return std::unexpected(pjrt::detail::moved_from("communicator"));
  PJRT_TRY(const auto args,
           call_extension<fn::PJRT_Collectives_Communicator_ToString>(*plugin_, {.communicator = raw_}));
  return std::string(
      pjrt::detail::own_bytes(*plugin_, args.str, args.str_size, args.str_holder, args.str_holder_deleter).text());
}
PJRT_CATCH

Result<std::vector<Communicator>> Collectives::create_communicators(std::span<const std::int64_t> global_device_ids,
                                                                    std::span<const std::int64_t> rank_ids,
                                                                    std::span<const std::string> clique_ids) const try {
  std::vector<const char*> clique_data;
  std::vector<std::size_t> clique_sizes;
  for (const std::string& id : clique_ids) {
    clique_data.push_back(id.data());
    clique_sizes.push_back(id.size());
  }
  abi::PJRT_Collectives_CreateCommunicators_Args args{};
  args.collectives = raw_.get();
  args.device_ids = global_device_ids.data();
  args.num_device_ids = global_device_ids.size();
  args.clique_ids = clique_data.empty() ? nullptr : clique_data.data();
  args.clique_id_sizes = clique_sizes.data();
  args.num_clique_ids = clique_sizes.size();
  args.rank_ids = const_cast<std::int64_t*>(rank_ids.data());
  args.num_device_ranks = rank_ids.size();
  PJRT_CHECK(call_extension<fn::PJRT_Collectives_CreateCommunicators>(*plugin_, args));
  std::vector<Communicator> communicators;
  communicators.reserve(args.num_communicators);
  for (std::size_t i = 0; i < args.num_communicators; ++i)
    communicators.emplace_back(plugin_, raw_, args.communicators[i]);
  if (args.communicators_holder_deleter != nullptr) args.communicators_holder_deleter(args.communicators_holder);
  return communicators;
}
PJRT_CATCH

Collectives CollectivesExtension::adopt(abi::PJRT_Collectives* raw, std::shared_ptr<const void> owner) const {
  const pjrt::detail::PluginState* plugin = &state();
  return Collectives(plugin, std::shared_ptr<abi::PJRT_Collectives>(raw, [plugin, owner = std::move(owner)](
                                                                             abi::PJRT_Collectives* collectives) {
                       call_extension_quietly<fn::PJRT_Collectives_Destroy>(*plugin, {.collectives = collectives});
                     }));
}

}  // namespace pjrt::ext
