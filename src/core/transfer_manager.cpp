#include "pjrt/transfer_manager.hpp"

#include <mutex>
#include <utility>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/checks.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/layout_probe.hpp"
#include "core/placement.hpp"
#include "core/try.hpp"

namespace pjrt {

namespace fn = abi::fn;

struct TransferManager::State {
  /// Plugins abort or crash at a second final state, a second retrieval, an index out of range; so it is counted here.
  struct Slot {
    std::size_t size = 0;
    std::int64_t appended = 0;
    bool finished = false;
    bool retrieved = false;
  };

  detail::Ref<detail::ClientState> client;
  const detail::DeviceRecord* device = nullptr;
  abi::PJRT_AsyncHostToDeviceTransferManager* raw = nullptr;
  std::vector<ShapeSpec> specs;
  std::mutex mutex;
  std::vector<Slot> slots;

  const detail::PluginState& plugin() const noexcept { return *client->plugin; }
  ~State() {
    if (raw != nullptr) detail::call_quietly<fn::PJRT_AsyncHostToDeviceTransferManager_Destroy>(plugin(), {.transfer_manager = raw});
  }

  Result<void> check_index(std::size_t i) const {
    if (i < slots.size()) return {};
    return std::unexpected(Error(ErrorCode::OutOfRange, "there is no buffer " + std::to_string(i) + "; the transfer has " + std::to_string(slots.size())));
  }
  std::string name(std::size_t i) const { return "buffer " + std::to_string(i) + " (" + to_string(specs[i].shape) + ")"; }

  /// Notes that bytes are coming, or says why they may not.
  Result<void> begin(std::size_t i, std::int64_t offset, std::size_t size, bool last) {
    PJRT_CHECK(check_index(i));
    Slot& slot = slots[i];
    if (slot.finished) return std::unexpected(Error(ErrorCode::FailedPrecondition, name(i) + " has had its last bytes or an error already"));
    if (offset < 0 || static_cast<std::uint64_t>(offset) > slot.size || size > slot.size - static_cast<std::size_t>(offset)) {
      return std::unexpected(Error(ErrorCode::InvalidArgument, std::to_string(size) + " bytes at offset " + std::to_string(offset) + " do not lie in " + name(i) + " of " +
                                                                   std::to_string(slot.size) + " bytes"));
    }
    if (last) slot.finished = true;
    return {};
  }

  Event send(std::size_t i, const Chunk& chunk, std::int64_t offset, bool last) {
    auto args = detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_TransferData>(plugin(), {.transfer_manager = raw,
                                                                                              .buffer_index = static_cast<int>(i),
                                                                                              .data = chunk.bytes().data(),
                                                                                              .offset = offset,
                                                                                              .transfer_size = static_cast<std::int64_t>(chunk.size()),
                                                                                              .is_last_transfer = last});
    if (!args) return Event::ready(std::unexpected(std::move(args).error()));
    return keep(detail::make_event(plugin(), client, args->done_with_h2d_transfer), chunk.owner());
  }

  static Event keep(Event done, std::shared_ptr<const void> owner) {
    if (owner != nullptr && !done.is_ready() && !done.on_ready([owner](const Result<void>&) {})) (void)done.await();
    return done;
  }
};

TransferManager::TransferManager(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
TransferManager::TransferManager(TransferManager&&) noexcept = default;
TransferManager& TransferManager::operator=(TransferManager&&) noexcept = default;
TransferManager::~TransferManager() = default;

Result<TransferManager> Client::create_buffers_for_async_host_to_device(std::span<const ShapeSpec> specs, const Memory& memory) const {
  PJRT_TRY(const detail::Placement placement, detail::place(state_, {}, memory));
  auto state = std::make_unique<TransferManager::State>();
  state->client = state_;
  state->device = placement.record;
  state->specs.assign(specs.begin(), specs.end());

  std::vector<abi::PJRT_ShapeSpec> c_specs;
  std::vector<std::unique_ptr<detail::MemoryLayoutC>> layouts;
  std::vector<abi::PJRT_Buffer_MemoryLayout*> c_layouts;
  bool any_layout = false;
  for (const ShapeSpec& spec : state->specs) {
    PJRT_CHECK(detail::check_shape(*state_->plugin, spec.shape));
    if (spec.layout && !spec.layout->is_row_major()) {
      PJRT_TRY(const bool honoured, detail::honours_layouts(*state_));
      if (!honoured) return std::unexpected(Error(ErrorCode::Unimplemented, "plugin " + plugin().description() + " does not honour layouts other than row-major"));
    }
    abi::PJRT_ShapeSpec& c = c_specs.emplace_back();
    c.struct_size = abi::struct_size<abi::PJRT_ShapeSpec>;
    c.dims = spec.shape.dims.data();
    c.num_dims = spec.shape.rank();
    c.element_type = detail::to_c(spec.shape.type);
    any_layout |= spec.layout.has_value();
    layouts.push_back(spec.layout ? std::make_unique<detail::MemoryLayoutC>(*spec.layout) : nullptr);
    c_layouts.push_back(layouts.back() ? layouts.back()->get() : nullptr);
  }
  abi::PJRT_Client_CreateBuffersForAsyncHostToDevice_Args args{};
  args.client = state_->raw;
  args.shape_specs = c_specs.data();
  args.num_shape_specs = c_specs.size();
  args.device_layouts = any_layout ? c_layouts.data() : nullptr;
  args.num_device_layouts = any_layout ? c_layouts.size() : 0;
  args.memory = placement.memory;
  PJRT_CHECK(detail::call<fn::PJRT_Client_CreateBuffersForAsyncHostToDevice>(*state_->plugin, args));
  state->raw = args.transfer_manager;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    PJRT_TRY(const auto size, detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_BufferSize>(
                                  *state_->plugin, {.transfer_manager = state->raw, .buffer_index = static_cast<int>(i)}));
    state->slots.push_back({size.buffer_size, 0, false, false});
  }
  return TransferManager(std::move(state));
}

Result<std::size_t> TransferManager::buffer_count() const {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_BufferCount>(state_->plugin(), {.transfer_manager = state_->raw}));
  return args.buffer_count;
}

Result<std::size_t> TransferManager::buffer_size(std::size_t index) const {
  PJRT_CHECK(state_->check_index(index));
  return state_->slots[index].size;
}

Result<Device> TransferManager::device() const {
  PJRT_TRY(const auto args, detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_Device>(state_->plugin(), {.transfer_manager = state_->raw}));
  PJRT_TRY(const detail::DeviceRecord* record, detail::find_device(*state_->client, args.device_out));
  return Device(state_->client, record);
}

std::span<const ShapeSpec> TransferManager::specs() const noexcept { return state_->specs; }

Result<Buffer> TransferManager::retrieve_buffer(std::size_t index) {
  PJRT_CHECK(state_->check_index(index));
  const std::lock_guard lock(state_->mutex);
  if (state_->slots[index].retrieved) {
    return std::unexpected(Error(ErrorCode::FailedPrecondition, state_->name(index) + " has been retrieved already"));
  }
  PJRT_TRY(const auto args, detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer>(
                                state_->plugin(), {.transfer_manager = state_->raw, .buffer_index = static_cast<int>(index)}));
  state_->slots[index].retrieved = true;
  const ShapeSpec& spec = state_->specs[index];
  detail::KnownLayout layout = detail::RowMajor{};
  if (spec.layout) layout = MemoryLayout(*spec.layout);
  return detail::make_buffer(state_->client, args.buffer_out, spec.shape, state_->device, std::move(layout));
}

Event TransferManager::transfer_data(std::size_t index, Chunk chunk, std::int64_t offset, bool last) {
  const std::lock_guard lock(state_->mutex);
  if (auto ok = state_->begin(index, offset, chunk.size(), last); !ok) return Event::ready(std::move(ok));
  return state_->send(index, chunk, offset, last);
}

Event TransferManager::add(std::size_t index, Chunk chunk) {
  const std::lock_guard lock(state_->mutex);
  if (auto ok = state_->check_index(index); !ok) return Event::ready(std::move(ok));
  State::Slot& slot = state_->slots[index];
  const std::int64_t offset = slot.appended;
  const bool last = static_cast<std::size_t>(offset) + chunk.size() == slot.size;
  if (auto ok = state_->begin(index, offset, chunk.size(), last); !ok) return Event::ready(std::move(ok));
  slot.appended += static_cast<std::int64_t>(chunk.size());
  return state_->send(index, chunk, offset, last);
}

Result<void> TransferManager::transfer_chunked(std::size_t index, std::span<const std::byte> bytes, std::size_t chunk_size, const TransferProgress& progress) {
  if (chunk_size == 0) return std::unexpected(Error(ErrorCode::InvalidArgument, "chunks of 0 bytes never end"));
  PJRT_TRY(const std::size_t size, buffer_size(index));
  if (bytes.size() != size) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, state_->name(index) + " takes " + std::to_string(size) + " bytes, not " + std::to_string(bytes.size())));
  }
  std::size_t done = 0;
  do {
    const std::size_t n = std::min(chunk_size, size - done);
    PJRT_CHECK(add(index, Chunk(nullptr, bytes.subspan(done, n))).await());
    done += n;
    if (progress) progress(static_cast<std::int64_t>(done), static_cast<std::int64_t>(size));
  } while (done < size);
  return {};
}

Event TransferManager::transfer_literal(std::size_t index, HostBuffer array) {
  const auto start = [&]() -> Result<Event> {
    PJRT_CHECK(state_->check_index(index));
    const Shape& shape = state_->specs[index].shape;
    if (array.shape() != shape) {
      return std::unexpected(Error(ErrorCode::InvalidArgument, "the array is " + to_string(array.shape()) + ", " + state_->name(index)));
    }
    PJRT_TRY(const HostBuffer dense, array.dense());
    Layout layout = Layout::row_major(shape.rank());  // plugins abort without one
    detail::MemoryLayoutC c_layout(layout);
    const std::lock_guard lock(state_->mutex);
    if (!state_->plugin().api.PJRT_AsyncHostToDeviceTransferManager_TransferLiteral) {
      return std::unexpected(detail::absent_function(state_->plugin(), fn::PJRT_AsyncHostToDeviceTransferManager_TransferLiteral::info));
    }
    PJRT_CHECK(state_->begin(index, 0, state_->slots[index].size, true));
    PJRT_TRY(const auto args, detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_TransferLiteral>(state_->plugin(), {.transfer_manager = state_->raw,
                                                                                                                         .buffer_index = static_cast<int>(index),
                                                                                                                         .data = dense.view().data(),
                                                                                                                         .shape_dims = shape.dims.data(),
                                                                                                                         .shape_num_dims = shape.rank(),
                                                                                                                         .shape_element_type = detail::to_c(shape.type),
                                                                                                                         .shape_layout = c_layout.get()}));
    return State::keep(detail::make_event(state_->plugin(), state_->client, args.done_with_h2d_transfer), dense.owner());
  };
  Result<Event> event = start();
  return event ? *std::move(event) : Event::ready(std::unexpected(std::move(event).error()));
}

Future<std::vector<Buffer>> TransferManager::transfer_all(std::vector<HostBuffer> arrays) {
  const auto start = [&]() -> Result<std::vector<Buffer>> {
    if (arrays.size() != state_->specs.size()) {
      return std::unexpected(Error(ErrorCode::InvalidArgument, std::to_string(arrays.size()) + " arrays for " + std::to_string(state_->specs.size()) + " buffers"));
    }
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      if (arrays[i].shape() != state_->specs[i].shape) {
        return std::unexpected(Error(ErrorCode::InvalidArgument, "array " + std::to_string(i) + " is " + to_string(arrays[i].shape()) + ", " + state_->name(i)));
      }
    }
    std::vector<Buffer> buffers;
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      PJRT_TRY(HostBuffer dense, arrays[i].dense());
      const Event sent = add(i, to_device_form(i, std::move(dense)));
      if (sent.is_ready()) PJRT_CHECK(sent.outcome());
      PJRT_TRY(Buffer buffer, retrieve_buffer(i));
      buffers.push_back(std::move(buffer));
    }
    return buffers;
  };
  Result<std::vector<Buffer>> buffers = start();
  if (!buffers) return Future<std::vector<Buffer>>(std::move(buffers).error());
  std::vector<Event> ready;
  for (const Buffer& b : *buffers) ready.push_back(b.ready());
  return {Event::all(std::move(ready)), *std::move(buffers)};
}

Result<void> TransferManager::set_buffer_error(std::size_t index, const Error& error) {
  PJRT_CHECK(state_->check_index(index));
  const std::lock_guard lock(state_->mutex);
  State::Slot& slot = state_->slots[index];
  if (slot.finished) return std::unexpected(Error(ErrorCode::FailedPrecondition, state_->name(index) + " has had its last bytes or an error already"));
  const std::string message(error.message());
  abi::PJRT_AsyncHostToDeviceTransferManager_SetBufferError_Args args{};
  args.transfer_manager = state_->raw;
  args.buffer_index = static_cast<int>(index);
  args.error_code = detail::to_c(error.code());
  args.error_message = message.data();
  args.error_message_size = message.size();
  slot.finished = true;
  return detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_SetBufferError>(state_->plugin(), args);
}

Result<void> TransferManager::add_metadata(std::span<const std::pair<std::string, std::string>> metadata) {
  NamedValues values;
  for (const auto& [key, value] : metadata) values.add(key, value);
  const detail::NamedValuesC c_values(values);
  abi::PJRT_AsyncHostToDeviceTransferManager_AddMetadata_Args args{};
  args.transfer_manager = state_->raw;
  args.transfer_metadata = c_values.data();
  args.num_metadata = c_values.size();
  return detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_AddMetadata>(state_->plugin(), args);
}

Result<void> TransferManager::check_typed(std::size_t index, ElementType type) const {
  PJRT_CHECK(state_->check_index(index));
  if (state_->specs[index].shape.type != type) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, state_->name(index) + " does not hold " + std::string(name(type))));
  }
  return {};
}

Chunk TransferManager::to_device_form(std::size_t index, HostBuffer elements) const {
  const ElementType type = state_->specs[index].shape.type;
  if (is_packed(type)) return Chunk(pack(elements.bytes(), bit_width(type)));
  return {elements.owner(), elements.bytes()};
}

}  // namespace pjrt
