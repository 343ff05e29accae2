#pragma once

#include <atomic>
#include <mutex>
#include <optional>

#include "core/client_state.hpp"
#include "pjrt/buffer.hpp"

namespace pjrt::detail {

struct BufferState {
  std::atomic<int> references{1};
  Ref<ClientState> client;
  abi::PJRT_Buffer* raw = nullptr;
  Shape shape;
  /// Where it lies, if that is known without asking.
  const DeviceRecord* device = nullptr;
  /// Whether the sizes it really has may be smaller than `shape` says.
  bool may_be_dynamic = false;
  /// What took the buffer away ("bitcast", "donated to parameter 1 of step"); null while it is ours. Points at immortal text.
  std::atomic<const char*> consumed{nullptr};

  /// Guards what follows (`layout` may be read without it once `layout_known` is set); plugins crash when external references are counted by several threads.
  std::mutex mutex;
  int external_references = 0;
  /// The layout, once known: row-major unless said otherwise at creation; asked for when unknown.
  std::atomic<bool> layout_known{false};
  std::optional<MemoryLayout> layout;  // empty although known: row-major

  const PluginState& plugin() const noexcept { return *client->plugin; }
  ~BufferState();
};

/// How the layout of a new buffer is known.
struct RowMajor {};
struct UnknownLayout {};
using KnownLayout = std::variant<RowMajor, UnknownLayout, MemoryLayout>;

/// Owns `raw`.
Buffer make_buffer(Ref<ClientState> client, abi::PJRT_Buffer* raw, Shape shape, const DeviceRecord* device,
                   KnownLayout layout = RowMajor{}, bool may_be_dynamic = false);

/// FailedPrecondition if the buffer was moved from or consumed; says by what.
Result<BufferState*> live(const Buffer& buffer);
Result<void> check_live(const BufferState& state);

/// The layout; row-major without asking where that is known. An empty optional means row-major.
Result<std::optional<MemoryLayout>> layout_of(BufferState& state);

}  // namespace pjrt::detail
