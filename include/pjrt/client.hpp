#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pjrt/buffer.hpp"
#include "pjrt/compile_options.hpp"
#include "pjrt/detail/ref.hpp"
#include "pjrt/device.hpp"
#include "pjrt/device_assignment.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/future.hpp"
#include "pjrt/host_buffer.hpp"
#include "pjrt/key_value_store.hpp"
#include "pjrt/loaded_executable.hpp"
#include "pjrt/memory.hpp"
#include "pjrt/named_value.hpp"
#include "pjrt/plugin.hpp"
#include "pjrt/program.hpp"
#include "pjrt/topology.hpp"

namespace pjrt {

namespace abi {
struct PJRT_Client;
struct PJRT_FulfillAliasBufferCallback;
}  // namespace abi

/// How a client is made.
struct ClientOptions {
  /// What the plugin is told, e.g. {{"cpu_device_count", 4}}. Options this library knows are checked for their type;
  /// the rest is for the plugin to judge.
  NamedValues options;
  /// Where the processes of a multi-process program meet; null for one process.
  std::shared_ptr<KeyValueStore> key_value_store;
};

/// Reads "name=value" as a client option: of the kind this library knows the name to take, else of the kind the value
/// looks like (true, 4, 0.5, 0,1,2, text). InvalidArgument if it is not of that form.
PJRT_EXPORT Result<NamedValue> parse_client_option(std::string_view text);

/// Where an uploaded array goes and how it lies there.
struct UploadOptions {
  /// Default: the client's first addressable device.
  std::optional<Device> device;
  /// A memory other than the device's default one; decides the device too.
  std::optional<Memory> memory;
  /// Default: the device's own. InvalidArgument for strides; Unimplemented for an order that the plugin is found not to
  /// honour.
  std::optional<MemoryLayout> layout;
};

/// For uploads that may use the host's memory where it lies.
struct ViewOptions {
  std::optional<Device> device;
  std::optional<Memory> memory;
  /// What keeps the memory alive; dropped when the plugin needs it no more. Null: the caller keeps it until then.
  std::shared_ptr<const void> keep_alive;
};

/// How long the plugin may look at the host's memory (`PJRT_HostBufferSemantics`).
enum class HostBufferSemantics : int {
  /// Only during the call: the plugin copies. What `upload` does.
  ImmutableOnlyDuringCall = 0,
  /// Until the transfer is done. What `upload_async` does.
  ImmutableUntilTransferCompletes = 1,
  /// As long as the buffer lives; never written. What `upload_view` does.
  ImmutableZeroCopy = 2,
  /// As long as the buffer lives, or what it is donated to; may be written. What `upload_mutable_view` does.
  MutableZeroCopy = 3,
};

/// One process of a multi-process program, as `Client::update_global_process_info` tells it to the plugin.
struct ProcessInfo {
  enum class State : int { Unspecified = 0, Uninitialized = 1, Disconnected = 2, Connected = 3, Error = 4 };
  int task_id = 0;
  std::uint64_t incarnation_id = 0;
  State state = State::Unspecified;
  /// Of a process in state Error.
  ErrorCode error_code = ErrorCode::Ok;
  std::string error_message;
};

class AliasBuffer;
class DmaMapping;
class TransferManager;
struct ShapeSpec;
struct DeserializeOptions;

/// A running instance of a plugin: its devices, and what compiles, uploads and creates on them.
///
/// A cheap handle; copies mean the same client, which goes with the last handle that needs it. Wraps
/// PJRT_Client_Destroy. What is made from it keeps it alive, so that handles may be destroyed in any order. All members
/// may be used from several threads.
class PJRT_EXPORT Client {
 public:
  /// Moving copies, so that no handle is ever empty.
  Client(const Client&) noexcept = default;
  Client& operator=(const Client&) noexcept = default;

  /// Wraps PJRT_Client_Create. Errors: an option of the wrong type or that the plugin refuses or ignores:
  /// InvalidArgument; no such hardware: what the plugin says.
  static Result<Client> create(const Plugin& plugin, const ClientOptions& options = {});

  Plugin plugin() const noexcept;
  /// "cpu", "cuda", "tpu". Wraps PJRT_Client_PlatformName.
  const std::string& platform_name() const& noexcept;
  std::string platform_name() const&& { return platform_name(); }
  /// For people. Wraps PJRT_Client_PlatformVersion.
  const std::string& platform_version() const& noexcept;
  std::string platform_version() const&& { return platform_version(); }
  /// Which process of a multi-process program this is. Wraps PJRT_Client_ProcessIndex.
  int process_index() const noexcept;

  /// All devices, those of other processes included. Wraps PJRT_Client_Devices.
  Devices devices() const noexcept;
  /// The devices this process can use. Wraps PJRT_Client_AddressableDevices.
  Devices addressable_devices() const noexcept;
  /// Wraps PJRT_Client_LookupDevice.
  Result<Device> lookup_device(GlobalDeviceId id) const;
  /// Wraps PJRT_Client_LookupAddressableDevice.
  Result<Device> lookup_addressable_device(LocalHardwareId id) const;
  /// The memories this process can use. Wraps PJRT_Client_AddressableMemories.
  Memories memories() const noexcept;

  /// What the client runs on, for compiling ahead of time. Borrowed: it keeps the client. Wraps
  /// PJRT_Client_TopologyDescription.
  Result<Topology> topology() const;
  /// The assignment the plugin would make. Wraps PJRT_Client_DefaultDeviceAssignment.
  Result<DeviceAssignment> default_device_assignment(int num_replicas, int num_partitions) const;

  /// The extension `E` for this client, or an Unimplemented error that says which plugins have it.
  template <class E>
  Result<E> extension() const {
    return E::of(*this);
  }

  /// Compiles and loads. An error names the StableHLO versions of program and plugin. Wraps PJRT_Client_Compile.
  Result<LoadedExecutable> compile(const Program& program, const CompileOptions& options = {}) const;
  /// Loads what was compiled ahead of time, by the same plugin. Wraps PJRT_Client_Load, since 0.95.
  Result<LoadedExecutable> load(const Executable& executable, const CompileOptions& options = {}) const;
  /// Loads what `Executable::serialize` gave. FailedPrecondition if another plugin wrote it, or another version of this
  /// one. A serialized executable is code and must be trusted: plugins run it without checking it.
  /// Wraps PJRT_Executable_DeserializeAndLoad.
  Result<LoadedExecutable> deserialize(const SerializedExecutable& serialized, const DeserializeOptions& options) const;
  /// The same with default options.
  Result<LoadedExecutable> deserialize(const SerializedExecutable& serialized) const;
  /// Loads a plugin's bare bytes. Nothing tells whether this plugin wrote them; those of another version may load and
  /// compute wrong numbers, and damaged ones may crash or run anything. The bytes are code and must be trusted.
  Result<LoadedExecutable> deserialize_raw(std::span<const std::byte> payload, const DeserializeOptions& options) const;

  /// Copies an array to a device; the memory may go as soon as this returns. Wraps PJRT_Client_BufferFromHostBuffer.
  Result<Buffer> upload(const HostView& array, const UploadOptions& options = {}) const;
  /// The same for an array with its owner.
  Result<Buffer> upload(const HostBuffer& array, const UploadOptions& options = {}) const {
    return upload(array.view(), options);
  }
  /// A contiguous range of elements as a dense, row-major array. InvalidArgument if `dims` ask for another number of
  /// them.
  template <ElementRange R>
  Result<Buffer> upload(const R& values, Dimensions dims, const UploadOptions& options = {}) const {
    Result<HostView> view = HostView::of(values, std::move(dims));
    if (!view) return std::unexpected(std::move(view).error());
    return upload(*view, options);
  }
  /// An array without dimensions.
  template <HostElement T>
  Result<Buffer> upload(T value, const UploadOptions& options = {}) const {
    return upload(HostView(&value, Shape{element_type_of<T>, {}}), options);
  }

  /// Starts a copy and returns; the array's memory is kept until the plugin has read it. Ready when the buffer's
  /// contents are there.
  Future<Buffer> upload_async(HostBuffer array, const UploadOptions& options = {}) const;

  /// Makes a buffer of the host's memory itself where the plugin can (CPU plugins: dense, aligned to 64 bytes, one byte
  /// or more to an element), else copies. The memory must not change while the buffer lives; `keep_alive` is held as
  /// long as it is needed. `Buffer::unsafe_pointer` tells whether it was used in place.
  Result<Buffer> upload_view(const HostView& array, const ViewOptions& options) const;
  /// The same for an array with its owner, which is held beside `keep_alive`.
  Result<Buffer> upload_view(const HostBuffer& array, const ViewOptions& options = {}) const;
  /// The same for memory that executions may overwrite when the buffer is donated to them. InvalidArgument for a
  /// HostBuffer that borrows read-only memory.
  Result<Buffer> upload_mutable_view(const HostBuffer& array, const ViewOptions& options = {}) const;

  /// A buffer whose contents are undefined. Row-major unless a layout is given. Wraps
  /// PJRT_Client_CreateUninitializedBuffer, since 0.69.
  Result<Buffer> create_uninitialized_buffer(Shape shape, const UploadOptions& options = {}) const;
  /// A buffer that is in error from the start; using it gives `error`. Payloads need API 0.103. Wraps
  /// PJRT_Client_CreateErrorBuffer, since 0.82.
  Result<Buffer> create_error_buffer(const Error& error, Shape shape, const Memory& memory) const;
  /// A buffer that can be used before there is one, and the promise to bring one. Unimplemented for elements that share
  /// bytes. Wraps PJRT_Client_CreateAliasBuffer, since 0.77.
  Result<AliasBuffer> create_alias_buffer(Shape shape, const Memory& memory) const;
  /// A buffer over device memory that somebody else owns, row-major unless a layout is given; `on_delete` is called
  /// once when the plugin needs it no more, also if this fails. What the buffer is donated to may overwrite the memory
  /// (CPU plugins copy first, except through an alias). CPU plugins want the address aligned to 64 bytes. `stream` is
  /// the platform's stream on which the memory becomes usable, 0 for now; CPU plugins have none: Unimplemented. Wraps
  /// PJRT_Client_CreateViewOfDeviceBuffer.
  Result<Buffer> create_view_of_device_buffer(void* device_pointer, Shape shape, const UploadOptions& options,
                                              std::function<void()> on_delete = {}, std::intptr_t stream = 0) const;

  /// Prepares host memory for fast transfers as long as the mapping lives. Wraps PJRT_Client_DmaMap and
  /// PJRT_Client_DmaUnmap, since 0.67. Unimplemented on CPU plugins.
  Result<DmaMapping> dma_map(std::span<std::byte> memory) const;
  /// Tells the plugin about the processes of the program. Wraps PJRT_Client_UpdateGlobalProcessInfo, since 0.73.
  [[nodiscard]] Result<void> update_global_process_info(std::span<const ProcessInfo> processes) const;

  /// Buffers that are filled piece by piece. Wraps PJRT_Client_CreateBuffersForAsyncHostToDevice, since 0.60.
  Result<TransferManager> create_buffers_for_async_host_to_device(std::span<const ShapeSpec> specs,
                                                                  const Memory& memory) const;

  abi::PJRT_Client* raw() const noexcept;
  friend bool operator==(const Client& a, const Client& b) noexcept { return a.state_ == b.state_; }

  /// The empty handle: no devices, no plugin; what can fail gives FailedPrecondition.
  static Client none() noexcept;
  /// For the library itself.
  explicit Client(detail::Ref<detail::ClientState> state) noexcept : state_(std::move(state)) {}
  const detail::Ref<detail::ClientState>& state() const noexcept { return state_; }

 private:
  detail::Ref<detail::ClientState> state_;
};

/// The promise to bring the contents of an alias buffer. Fulfilled exactly once: dropping it unfulfilled fails the
/// alias with Cancelled.
class PJRT_EXPORT AliasFulfillment {
 public:
  AliasFulfillment(AliasFulfillment&& other) noexcept
      : alias_(std::move(other.alias_)), memory_(other.memory_), raw_(std::exchange(other.raw_, nullptr)) {}
  AliasFulfillment& operator=(AliasFulfillment&& other) noexcept;
  ~AliasFulfillment();

  /// Makes `buffer` the alias's contents; consumes it. InvalidArgument for another shape, client or memory and for host
  /// memory used in place that may not be written, FailedPrecondition while there are external references. Wraps
  /// PJRT_Client_FulfillAliasBuffer, since 0.77.
  [[nodiscard]] Result<void> fulfill(Buffer&& buffer);
  /// Puts the alias in error.
  [[nodiscard]] Result<void> fail(const Error& error);

  /// For the library itself.
  AliasFulfillment(detail::Ref<detail::BufferState> alias, Memory memory,
                   abi::PJRT_FulfillAliasBufferCallback* raw) noexcept
      : alias_(std::move(alias)), memory_(std::move(memory)), raw_(raw) {}

 private:
  [[nodiscard]] Result<void> tell(detail::BufferState* buffer, const Error* error);
  detail::Ref<detail::BufferState> alias_;
  Memory memory_;
  abi::PJRT_FulfillAliasBufferCallback* raw_;
};

/// What create_alias_buffer gives.
class AliasBuffer {
 public:
  AliasBuffer(Buffer b, AliasFulfillment f) : buffer(std::move(b)), fulfillment(std::move(f)) {}
  Buffer buffer;
  AliasFulfillment fulfillment;
};

/// Host memory prepared for transfers; gives it back when it goes.
class PJRT_EXPORT DmaMapping {
 public:
  DmaMapping(DmaMapping&& other) noexcept
      : client_(std::move(other.client_)), memory_(std::exchange(other.memory_, {})) {}
  DmaMapping& operator=(DmaMapping&& other) noexcept {
    DmaMapping taken(std::move(other));  // what this one had goes now
    std::swap(client_, taken.client_);
    std::swap(memory_, taken.memory_);
    return *this;
  }
  ~DmaMapping();
  std::span<std::byte> memory() const noexcept { return memory_; }

  /// For the library itself.
  DmaMapping(detail::Ref<detail::ClientState> client, std::span<std::byte> memory) noexcept
      : client_(std::move(client)), memory_(memory) {}

 private:
  detail::Ref<detail::ClientState> client_;
  std::span<std::byte> memory_;
};

}  // namespace pjrt
