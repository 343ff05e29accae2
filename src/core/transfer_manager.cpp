#include "pjrt/transfer_manager.hpp"

#include <mutex>
#include <utility>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/checks.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/handle_errors.hpp"
#include "core/layout_probe.hpp"
#include "core/placement.hpp"
#include "core/pred.hpp"
#include "core/ranges.hpp"
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
    detail::Ranges filled;
  };

  detail::Ref<detail::ClientState> client;
  const detail::DeviceRecord* device = nullptr;
  abi::PJRT_AsyncHostToDeviceTransferManager* raw = nullptr;
  std::vector<ShapeSpec> specs;
  std::mutex mutex;
  std::vector<Slot> slots;

  const detail::PluginState& plugin() const noexcept { return *client->plugin; }
  ~State() {
    if (raw != nullptr)
      detail::call_quietly<fn::PJRT_AsyncHostToDeviceTransferManager_Destroy>(plugin(), {.transfer_manager = raw});
  }

  Result<void> check_index(std::size_t i) const {
    if (i < slots.size()) return {};
    return std::unexpected(Error(ErrorCode::OutOfRange, "there is no buffer " + std::to_string(i) +
                                                            "; the transfer has " + std::to_string(slots.size())));
  }
  std::string name(std::size_t i) const {
    return "buffer " + std::to_string(i) + " (" + to_string(specs[i].shape) + ")";
  }

  Result<void> check_untouched(std::size_t i) {
    const std::lock_guard lock(mutex);
    if (!slots[i].finished && !slots[i].retrieved && !slots[i].filled.overlap(0, slots[i].size)) return {};
    return std::unexpected(
        Error(ErrorCode::FailedPrecondition, name(i) + " has been filled, in part at least, or retrieved already"));
  }

  /// Whether elements in row-major order are what the device has. Only CPU plugins are known to lay arrays out so
  /// unless told otherwise.
  bool is_row_major(std::size_t i) const {
    const ShapeSpec& spec = specs[i];
    return spec.layout ? spec.layout->is_row_major() : client->is_cpu || spec.shape.rank() < 2;
  }

  /// What the buffer will have had after these bytes, or why they may not come. Noted with `had`, once they are sent.
  Result<detail::Ranges> check(std::size_t i, std::int64_t offset, std::size_t size, bool last) const {
    PJRT_CHECK(check_index(i));
    const Slot& slot = slots[i];
    if (slot.finished)
      return std::unexpected(
          Error(ErrorCode::FailedPrecondition, name(i) + " has had its last bytes or an error already"));
    if (offset < 0 || static_cast<std::uint64_t>(offset) > slot.size ||
        size > slot.size - static_cast<std::size_t>(offset)) {
      return std::unexpected(Error(ErrorCode::InvalidArgument,
                                   std::to_string(size) + " bytes at offset " + std::to_string(offset) +
                                       " do not lie in " + name(i) + " of " + std::to_string(slot.size) + " bytes"));
    }
    const auto begin = static_cast<std::size_t>(offset);
    if (const std::optional<detail::Ranges::Range> twice = slot.filled.overlap(begin, begin + size)) {
      // Which of two transfers in flight comes last is not defined.
      return std::unexpected(Error(ErrorCode::InvalidArgument, "bytes " + std::to_string(twice->begin) + " to " +
                                                                   std::to_string(twice->end) + " of " + name(i) +
                                                                   " are transferred twice"));
    }
    detail::Ranges all = slot.filled;
    all.add(begin, begin + size);
    if (last) {
      // What no transfer fills would be handed out as it happened to lie in memory.
      if (const std::optional<detail::Ranges::Range> gap = all.gap(slot.size)) {
        return std::unexpected(Error(ErrorCode::FailedPrecondition,
                                     "the transfer cannot be the last of " + name(i) + ": bytes " +
                                         std::to_string(gap->begin) + " to " + std::to_string(gap->end) + " of " +
                                         std::to_string(slot.size) + " have not been transferred"));
      }
    }
    return all;
  }

  void had(std::size_t i, detail::Ranges all, bool last) noexcept {
    slots[i].filled = std::move(all);
    slots[i].finished = last;
  }

  /// Sends a chunk behind the one before.
  Event append(std::size_t i, const Chunk& chunk) {
    Slot& slot = slots[i];
    const std::int64_t offset = slot.appended;
    const bool last = static_cast<std::size_t>(offset) + chunk.size() == slot.size;
    Result<Event> sent = send(i, chunk, offset, last);
    if (!sent) return Event::ready(std::unexpected(std::move(sent).error()));
    slot.appended += static_cast<std::int64_t>(chunk.size());
    return *std::move(sent);
  }

  Result<Event> send(std::size_t i, const Chunk& chunk, std::int64_t offset, bool last) {
    PJRT_TRY(detail::Ranges all, check(i, offset, chunk.size(), last));
    if (specs[i].shape.type == ElementType::Pred && !detail::preds_are_normal(chunk.bytes())) {
      std::vector<std::byte> copy(chunk.bytes().begin(), chunk.bytes().end());
      detail::normalize_preds(copy);
      return send(i, Chunk(std::move(copy)), offset, last);
    }
    auto args = detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_TransferData>(
        plugin(), {.transfer_manager = raw,
                   .buffer_index = static_cast<int>(i),
                   .data = chunk.bytes().data(),
                   .offset = offset,
                   .transfer_size = static_cast<std::int64_t>(chunk.size()),
                   .is_last_transfer = last});
    if (!args) return std::unexpected(std::move(args).error());
    had(i, std::move(all), last);
    return keep(detail::make_transfer_event(plugin(), client, args->done_with_h2d_transfer), chunk.owner());
  }

  static Event keep(Event done, std::shared_ptr<const void> owner) {
    if (owner != nullptr) detail::hold_until_ready(done, std::move(owner));
    return done;
  }
};

TransferManager::TransferManager(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
TransferManager::TransferManager(TransferManager&&) noexcept = default;
TransferManager& TransferManager::operator=(TransferManager&&) noexcept = default;
TransferManager::~TransferManager() = default;

Result<TransferManager::State*> TransferManager::state() const try {
  if (state_ != nullptr) return state_.get();
  return std::unexpected(detail::moved_from("transfer manager"));
}
PJRT_CATCH

Result<TransferManager::State*> TransferManager::state(std::size_t index) const try {
  PJRT_TRY(State * s, state());
  PJRT_CHECK(s->check_index(index));
  return s;
}
PJRT_CATCH

Result<TransferManager> Client::create_buffers_for_async_host_to_device(std::span<const ShapeSpec> specs,
                                                                        const Memory& memory) const try {
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
    if (spec.layout) PJRT_CHECK(detail::check_layout_of_new(*state_, spec.shape, *spec.layout));
    abi::PJRT_ShapeSpec& c = c_specs.emplace_back();
    c.struct_size = abi::struct_size<abi::PJRT_ShapeSpec>;
    c.dims = spec.shape.dims.data();
    c.num_dims = spec.shape.rank();
    c.element_type = detail::to_c(spec.shape.type);
    any_layout |= spec.layout.has_value();
    layouts.push_back(spec.layout ? std::make_unique<detail::MemoryLayoutC>(*spec.layout, spec.shape.type) : nullptr);
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
    PJRT_TRY(const auto size,
             detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_BufferSize>(
                 *state_->plugin, {.transfer_manager = state->raw, .buffer_index = static_cast<int>(i)}));
    state->slots.emplace_back().size = size.buffer_size;
  }
  return TransferManager(std::move(state));
}
PJRT_CATCH

Result<std::size_t> TransferManager::buffer_count() const try {
  PJRT_TRY(const State* s, state());
  PJRT_TRY(const auto args, detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_BufferCount>(
                                s->plugin(), {.transfer_manager = s->raw}));
  return args.buffer_count;
}
PJRT_CATCH

Result<std::size_t> TransferManager::buffer_size(std::size_t index) const try {
  PJRT_TRY(const State* s, state(index));
  return s->slots[index].size;
}
PJRT_CATCH

Result<Device> TransferManager::device() const try {
  PJRT_TRY(const State* s, state());
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_Device>(s->plugin(), {.transfer_manager = s->raw}));
  PJRT_TRY(const detail::DeviceRecord* record, detail::find_device(*s->client, args.device_out));
  return Device(s->client, record);
}
PJRT_CATCH

std::span<const ShapeSpec> TransferManager::specs() const& noexcept {
  return state_ != nullptr ? std::span<const ShapeSpec>(state_->specs) : std::span<const ShapeSpec>();
}

Result<Buffer> TransferManager::retrieve_buffer(std::size_t index) try {
  PJRT_TRY(State * s, state(index));
  const std::lock_guard lock(s->mutex);
  if (s->slots[index].retrieved) {
    return std::unexpected(Error(ErrorCode::FailedPrecondition, s->name(index) + " has been retrieved already"));
  }
  PJRT_TRY(const auto args, detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_RetrieveBuffer>(
                                s->plugin(), {.transfer_manager = s->raw, .buffer_index = static_cast<int>(index)}));
  s->slots[index].retrieved = true;
  const ShapeSpec& spec = s->specs[index];
  detail::KnownLayout layout = detail::RowMajor{};
  if (spec.layout) layout = MemoryLayout(*spec.layout);
  return detail::make_buffer(s->client, args.buffer_out, spec.shape, s->device, std::move(layout));
}
PJRT_CATCH

Event TransferManager::transfer_data(std::size_t index, Chunk chunk, std::int64_t offset, bool last) try {
  const Result<State*> s = state(index);
  if (!s) return Event::ready(std::unexpected(s.error()));
  const std::lock_guard lock((*s)->mutex);
  Result<Event> sent = (*s)->send(index, chunk, offset, last);
  return sent ? *std::move(sent) : Event::ready(std::unexpected(std::move(sent).error()));
}
PJRT_CATCH_EVENT

Event TransferManager::add(std::size_t index, Chunk chunk) try {
  const Result<State*> s = state(index);
  if (!s) return Event::ready(std::unexpected(s.error()));
  const std::lock_guard lock((*s)->mutex);
  return (*s)->append(index, chunk);
}
PJRT_CATCH_EVENT

Event TransferManager::add_elements(std::size_t index, HostBuffer elements) try {
  const auto start = [&]() -> Result<Event> {
    PJRT_TRY(State * s, state(index));
    const Shape& shape = s->specs[index].shape;
    const std::lock_guard lock(s->mutex);
    if (!is_packed(shape.type)) return s->append(index, Chunk(elements.owner(), elements.bytes()));
    const std::int64_t in_a_byte = 8 / bit_width(shape.type);
    const std::int64_t before = s->slots[index].appended * in_a_byte;
    const std::int64_t left = element_count(shape.dims).value_or(0) - before;
    const std::int64_t count = elements.element_count();
    if (count > left && !s->slots[index].finished) {
      return std::unexpected(Error(
          ErrorCode::InvalidArgument,
          std::to_string(count) + " elements after " + std::to_string(before) + " do not fit into " + s->name(index)));
    }
    if (count < left && count % in_a_byte != 0) {
      return std::unexpected(Error(ErrorCode::InvalidArgument,
                                   std::to_string(count) + " elements of " + std::string(pjrt::name(shape.type)) +
                                       " do not fill whole bytes; only the last chunk of " + s->name(index) + " may"));
    }
    return s->append(index, Chunk(pack(elements.bytes(), bit_width(shape.type))));
  };
  Result<Event> event = start();
  return event ? *std::move(event) : Event::ready(std::unexpected(std::move(event).error()));
}
PJRT_CATCH_EVENT

Result<void> TransferManager::transfer_chunked(std::size_t index, std::span<const std::byte> bytes,
                                               std::size_t chunk_size, const TransferProgress& progress) try {
  if (chunk_size == 0) return std::unexpected(Error(ErrorCode::InvalidArgument, "chunks of 0 bytes never end"));
  PJRT_TRY(const State* s, state(index));
  const std::size_t size = s->slots[index].size;
  if (bytes.size() != size) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, s->name(index) + " takes " + std::to_string(size) +
                                                                 " bytes, not " + std::to_string(bytes.size())));
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
PJRT_CATCH

Event TransferManager::transfer_literal(std::size_t index, HostBuffer array) try {
  const auto start = [&]() -> Result<Event> {
    PJRT_TRY(State * s, state(index));
    const Shape& shape = s->specs[index].shape;
    if (array.shape() != shape) {
      return std::unexpected(
          Error(ErrorCode::InvalidArgument, "the array is " + to_string(array.shape()) + ", " + s->name(index)));
    }
    PJRT_TRY(HostBuffer dense, array.dense());
    if (shape.type == ElementType::Pred && !detail::preds_are_normal(dense.bytes())) {
      PJRT_TRY(dense, array.clone());
    }
    Layout layout = Layout::row_major(shape.rank());  // plugins abort without one
    detail::MemoryLayoutC c_layout(layout);
    const std::lock_guard lock(s->mutex);
    PJRT_TRY(detail::Ranges all, s->check(index, 0, s->slots[index].size, true));
    PJRT_TRY(const auto args, detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_TransferLiteral>(
                                  s->plugin(), {.transfer_manager = s->raw,
                                                .buffer_index = static_cast<int>(index),
                                                .data = dense.view().data(),
                                                .shape_dims = shape.dims.data(),
                                                .shape_num_dims = shape.rank(),
                                                .shape_element_type = detail::to_c(shape.type),
                                                .shape_layout = c_layout.get()}));
    s->had(index, std::move(all), true);
    return State::keep(detail::make_transfer_event(s->plugin(), s->client, args.done_with_h2d_transfer), dense.owner());
  };
  Result<Event> event = start();
  return event ? *std::move(event) : Event::ready(std::unexpected(std::move(event).error()));
}
PJRT_CATCH_EVENT

Future<std::vector<Buffer>> TransferManager::transfer_all(std::vector<HostBuffer> arrays) try {
  const auto start = [&]() -> Result<std::vector<Buffer>> {
    PJRT_TRY(State * s, state());
    if (arrays.size() != s->specs.size()) {
      return std::unexpected(Error(ErrorCode::InvalidArgument, std::to_string(arrays.size()) + " arrays for " +
                                                                   std::to_string(s->specs.size()) + " buffers"));
    }
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      if (arrays[i].shape() != s->specs[i].shape) {
        return std::unexpected(Error(ErrorCode::InvalidArgument, "array " + std::to_string(i) + " is " +
                                                                     to_string(arrays[i].shape()) + ", " + s->name(i)));
      }
      PJRT_CHECK(s->check_untouched(i));
    }
    std::vector<Buffer> buffers;
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      PJRT_TRY(const HostBuffer dense, arrays[i].dense());
      const Event sent = s->is_row_major(i) ? add_elements(i, dense) : transfer_literal(i, dense);
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
PJRT_CATCH_FUTURE(std::vector<Buffer>)

Result<void> TransferManager::set_buffer_error(std::size_t index, const Error& error) try {
  PJRT_TRY(State * s, state(index));
  const std::lock_guard lock(s->mutex);
  State::Slot& slot = s->slots[index];
  if (slot.finished)
    return std::unexpected(
        Error(ErrorCode::FailedPrecondition, s->name(index) + " has had its last bytes or an error already"));
  const std::string message(error.message());
  abi::PJRT_AsyncHostToDeviceTransferManager_SetBufferError_Args args{};
  args.transfer_manager = s->raw;
  args.buffer_index = static_cast<int>(index);
  args.error_code = detail::to_c(error.code());
  args.error_message = message.data();
  args.error_message_size = message.size();
  slot.finished = true;
  return detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_SetBufferError>(s->plugin(), args);
}
PJRT_CATCH

Result<void> TransferManager::add_metadata(std::span<const std::pair<std::string, std::string>> metadata) try {
  PJRT_TRY(const State* s, state());
  NamedValues values;
  for (const auto& [key, value] : metadata) values.add(key, value);
  const detail::NamedValuesC c_values(values);
  abi::PJRT_AsyncHostToDeviceTransferManager_AddMetadata_Args args{};
  args.transfer_manager = s->raw;
  args.transfer_metadata = c_values.data();
  args.num_metadata = c_values.size();
  return detail::call<fn::PJRT_AsyncHostToDeviceTransferManager_AddMetadata>(s->plugin(), args);
}
PJRT_CATCH

Result<void> TransferManager::check_typed(std::size_t index, ElementType type) const try {
  PJRT_TRY(const State* s, state(index));
  if (s->specs[index].shape.type != type) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, s->name(index) + " does not hold " + std::string(name(type))));
  }
  if (!s->is_row_major(index)) {
    return std::unexpected(Error(ErrorCode::Unimplemented, "elements come in row-major order, and " + s->name(index) +
                                                               " may lie in another on the device")
                               .with_note("transfer_literal and transfer_all take whole arrays and reorder them"));
  }
  return {};
}
PJRT_CATCH

}  // namespace pjrt
