#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "core/client_state.hpp"
#include "core/try.hpp"
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
  /// What took the buffer away ("bitcast", "donated to parameter 1 of step"); null while it is ours. Points at immortal
  /// text.
  std::atomic<const char*> consumed{nullptr};
  /// Its memory is an alias's, which somebody has promised to bring: plugins abort when it is asked for after the
  /// promise failed.
  bool promised = false;
  /// The host memory it was made of, if nobody may write there.
  const void* read_only_memory = nullptr;

  /// Plugins crash when external references are counted by several threads.
  std::mutex references_mutex;
  int external_references = 0;
  /// The layout, once known: row-major unless said otherwise at creation; asked for when unknown. Written under the
  /// mutex, before `layout_known` is set; read without it afterwards.
  std::mutex layout_mutex;
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

/// The error of an alias that failed; FailedPrecondition while it has not been fulfilled yet.
Result<void> check_fulfilled(BufferState& state);

/// Runs `take`, which takes the buffer's memory away, and marks the buffer as consumed if that succeeds.
/// FailedPrecondition while external references want the memory to stay: some plugins abort, others let it be
/// overwritten under them.
template <class F>
auto consume(BufferState& b, const char* how, F take) -> decltype(take()) {
  {
    const std::lock_guard lock(b.references_mutex);
    PJRT_CHECK(check_live(b));
    if (b.external_references > 0) {
      return std::unexpected(Error(ErrorCode::FailedPrecondition,
                                   "the memory of the buffer " + pjrt::to_string(b.shape) + " is held in place by " +
                                       std::to_string(b.external_references) + " external references"));
    }
    b.consumed.store(how, std::memory_order_release);
  }
  auto result = take();
  if (!result) b.consumed.store(nullptr, std::memory_order_release);
  return result;
}

/// The layout; row-major without asking where that is known. An empty optional means row-major.
Result<std::optional<MemoryLayout>> layout_of(BufferState& state);

}  // namespace pjrt::detail
