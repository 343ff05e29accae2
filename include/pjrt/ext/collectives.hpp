#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/element_type.hpp"
#include "pjrt/event.hpp"
#include "pjrt/ext/extension.hpp"

namespace pjrt {

namespace abi {
struct PJRT_Collectives;
struct PJRT_Collectives_Communicator;
}  // namespace abi

namespace ext {

/// How a reduction combines elements (`PJRT_Collectives_ReductionKind`).
enum class ReductionKind : int { Sum = 0, Product = 1, Min = 2, Max = 3 };

/// Who takes part in a collective (`PJRT_Collectives_CollectiveOpKind`).
enum class CollectiveOpKind : int { CrossModule = 0, CrossReplica = 1 };

/// Where the participants of one collective meet: the same for all of them, and another for each collective.
struct Rendezvous {
  std::int64_t run_id = 0;
  std::vector<std::int64_t> global_device_ids;
  /// How many of the participants are in this process.
  int num_local_participants = 1;
  CollectiveOpKind collective_op_kind = CollectiveOpKind::CrossReplica;
  std::int64_t op_id = 0;
  /// How long to wait for the others.
  std::chrono::nanoseconds timeout = std::chrono::minutes(1);
};

/// One participant's end of the line to the others. Move-only; keeps its Collectives. Members may be used from several
/// threads.
///
/// The arrays are host memory, row-major, and must stay until the event is ready. InvalidArgument for arrays that are
/// too small for `count` elements.
class PJRT_EXPORT Communicator {
 public:
  Communicator(Communicator&& other) noexcept
      : plugin_(other.plugin_), collectives_(std::move(other.collectives_)), raw_(std::exchange(other.raw_, nullptr)) {}
  Communicator& operator=(Communicator&& other) noexcept {
    Communicator taken(std::move(other));  // what this one had goes now
    std::swap(plugin_, taken.plugin_);
    std::swap(collectives_, taken.collectives_);
    std::swap(raw_, taken.raw_);
    return *this;
  }
  /// Wraps PJRT_Collectives_Communicator_Destroy.
  ~Communicator();

  /// Combines everybody's `count` elements; all get the result. Wraps PJRT_Collectives_Communicator_AllReduce.
  Event all_reduce(std::span<const std::byte> send, std::span<std::byte> receive, ElementType type, std::size_t count,
                   ReductionKind kind, const Rendezvous& rendezvous) const;
  /// Combines everybody's elements; each gets its own `count` of them. Wraps
  /// PJRT_Collectives_Communicator_ReduceScatter.
  Event reduce_scatter(std::span<const std::byte> send, std::span<std::byte> receive, ElementType type,
                       std::size_t count, ReductionKind kind, const Rendezvous& rendezvous) const;
  /// Each gives `count` elements; all get everybody's. Wraps PJRT_Collectives_Communicator_AllGather.
  Event all_gather(std::span<const std::byte> send, std::span<std::byte> receive, ElementType type, std::size_t count,
                   const Rendezvous& rendezvous) const;
  /// Gives `count` elements to each of `target_ranks`, and gets those of `source_rank`, if any. Wraps
  /// PJRT_Collectives_Communicator_CollectivePermute.
  Event collective_permute(std::span<const std::byte> send, std::span<std::byte> receive, ElementType type,
                           std::size_t count, std::optional<std::int64_t> source_rank,
                           std::span<const std::int64_t> target_ranks, const Rendezvous& rendezvous) const;
  /// Gives the n-th array, of `count` elements, to rank n, and gets one of each. Wraps
  /// PJRT_Collectives_Communicator_AllToAll.
  Event all_to_all(std::span<const std::span<const std::byte>> send, std::span<const std::span<std::byte>> receive,
                   ElementType type, std::size_t count, const Rendezvous& rendezvous) const;
  /// For people. Wraps PJRT_Collectives_Communicator_ToString.
  Result<std::string> to_string() const;

  /// For the library itself; owns `raw`.
  Communicator(const pjrt::detail::PluginState* plugin, std::shared_ptr<const void> collectives,
               abi::PJRT_Collectives_Communicator* raw) noexcept
      : plugin_(plugin), collectives_(std::move(collectives)), raw_(raw) {}

 private:
  template <class F>
  Event start(typename F::Args args, const Rendezvous& rendezvous) const;
  const pjrt::detail::PluginState* plugin_;
  std::shared_ptr<const void> collectives_;
  abi::PJRT_Collectives_Communicator* raw_;
};

/// A way for processes to compute together in host memory. A cheap value; copies mean the same one, and communicators
/// keep it. Wraps PJRT_Collectives_Destroy.
class PJRT_EXPORT Collectives {
 public:
  /// Moving copies, so that no handle is ever empty.
  Collectives(const Collectives&) noexcept = default;
  Collectives& operator=(const Collectives&) noexcept = default;

  /// One communicator for each rank of `rank_ids` that is in this process, among the devices named. `clique_ids` tell
  /// cliques of the same devices apart. libtpu numbers the devices of the n-th process from 2048 n on. Wraps
  /// PJRT_Collectives_CreateCommunicators.
  Result<std::vector<Communicator>> create_communicators(std::span<const std::int64_t> global_device_ids,
                                                         std::span<const std::int64_t> rank_ids,
                                                         std::span<const std::string> clique_ids = {}) const;
  abi::PJRT_Collectives* raw() const noexcept { return raw_.get(); }
  Plugin plugin() const noexcept { return Plugin(plugin_); }

  /// For the library itself.
  Collectives(const pjrt::detail::PluginState* plugin, std::shared_ptr<abi::PJRT_Collectives> raw) noexcept
      : plugin_(plugin), raw_(std::move(raw)) {}

 private:
  const pjrt::detail::PluginState* plugin_;
  std::shared_ptr<abi::PJRT_Collectives> raw_;
};

/// What is done with a Collectives that another extension makes (Megascale::create_collectives).
class PJRT_EXPORT CollectivesExtension : public Extension {
  PJRT_EXTENSION(CollectivesExtension, 21)

  /// Takes over a handle of this plugin's, and keeps `owner` as long as it.
  Collectives adopt(abi::PJRT_Collectives* raw, std::shared_ptr<const void> owner = nullptr) const;
};

}  // namespace ext
}  // namespace pjrt
