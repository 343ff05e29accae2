#include "pjrt/buffer.hpp"

#include <utility>

#include "core/buffer_state.hpp"
#include "core/checks.hpp"
#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/try.hpp"
#include "pjrt/client.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace detail {

void retain(BufferState* s) noexcept { s->references.fetch_add(1, std::memory_order_relaxed); }

void release(BufferState* s) noexcept {
  if (s->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete s;
}

BufferState::~BufferState() {
  if (raw != nullptr) call_quietly<fn::PJRT_Buffer_Destroy>(plugin(), {.buffer = raw});
}

Buffer make_buffer(Ref<ClientState> client, abi::PJRT_Buffer* raw, Shape shape, const DeviceRecord* device, KnownLayout layout,
                   bool may_be_dynamic) {
  auto* state = new BufferState;
  state->raw = raw;
  state->shape = std::move(shape);
  state->device = device;
  state->may_be_dynamic = may_be_dynamic;
  if (auto* known = std::get_if<MemoryLayout>(&layout)) {
    const auto* tiled = std::get_if<Layout>(known);
    if (tiled == nullptr || !tiled->is_row_major()) state->layout = std::move(*known);
    state->layout_known = true;
  } else {
    // Only CPU plugins are known to lay arrays out row by row unless told otherwise.
    state->layout_known = std::holds_alternative<RowMajor>(layout) && (client->is_cpu || state->shape.rank() < 2);
  }
  state->client = std::move(client);
  return Buffer(Ref<BufferState>::adopt(state));
}

Result<void> check_live(const BufferState& state) {
  const char* how = state.consumed.load(std::memory_order_acquire);
  if (how == nullptr) return {};
  return std::unexpected(Error(ErrorCode::FailedPrecondition, "the buffer " + pjrt::to_string(state.shape) + " is gone: it was " + how));
}

Result<BufferState*> live(const Buffer& buffer) {
  BufferState* state = buffer.state().get();
  if (state == nullptr) return std::unexpected(Error(ErrorCode::FailedPrecondition, "the buffer was moved from"));
  PJRT_CHECK(check_live(*state));
  return state;
}

Result<std::optional<MemoryLayout>> layout_of(BufferState& state) {
  const std::lock_guard lock(state.mutex);
  if (!state.layout_known) {
    PJRT_TRY(const auto args, call<fn::PJRT_Buffer_GetMemoryLayout>(state.plugin(), {.buffer = state.raw}));
    PJRT_TRY(MemoryLayout layout, from_c(args.layout));
    const auto* tiled = std::get_if<Layout>(&layout);
    if (tiled == nullptr || !tiled->is_row_major()) state.layout = std::move(layout);
    state.layout_known.store(true, std::memory_order_release);
  }
  return state.layout;
}

}  // namespace detail

const Shape& Buffer::shape() const noexcept {
  static const Shape nothing;
  return state_ ? state_->shape : nothing;
}

abi::PJRT_Buffer* Buffer::raw() const noexcept { return state_ ? state_->raw : nullptr; }

Client Buffer::client() const { return Client(state_->client); }

Result<Buffer> Buffer::adopt(const Client& client, abi::PJRT_Buffer* raw) {
  const detail::Ref<detail::ClientState>& state = client.state();
  Buffer buffer = detail::make_buffer(state, raw, {}, nullptr, detail::UnknownLayout{}, true);  // owns it from here on
  PJRT_TRY(const auto type, detail::call<fn::PJRT_Buffer_ElementType>(*state->plugin, {.buffer = raw}));
  PJRT_TRY(const auto dims, detail::call<fn::PJRT_Buffer_Dimensions>(*state->plugin, {.buffer = raw}));
  buffer.state()->shape = Shape{detail::from_c(type.type), Dimensions(std::span(dims.dims, dims.num_dims))};
  return buffer;
}

Result<Dimensions> Buffer::unpadded_dims() const {
  PJRT_TRY(const detail::BufferState* b, detail::live(*this));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_UnpaddedDimensions>(b->plugin(), {.buffer = b->raw}));
  return Dimensions(std::span(args.unpadded_dims, args.num_dims));
}

Result<std::vector<std::size_t>> Buffer::dynamic_dimension_indices() const {
  PJRT_TRY(const detail::BufferState* b, detail::live(*this));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_DynamicDimensionIndices>(b->plugin(), {.buffer = b->raw}));
  return std::vector<std::size_t>(args.dynamic_dim_indices, args.dynamic_dim_indices + args.num_dynamic_dims);
}

Result<MemoryLayout> Buffer::layout() const {
  PJRT_TRY(detail::BufferState* b, detail::live(*this));
  PJRT_TRY(std::optional<MemoryLayout> special, detail::layout_of(*b));
  if (special) return *std::move(special);
  return Layout::row_major(shape().rank());
}

Result<std::size_t> Buffer::on_device_size() const {
  PJRT_TRY(const detail::BufferState* b, detail::live(*this));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_OnDeviceSizeInBytes>(b->plugin(), {.buffer = b->raw}));
  return args.on_device_size_in_bytes;
}

Device Buffer::device() const {
  detail::ClientState& client = *state_->client;
  const detail::DeviceRecord* record = state_->device;
  if (record == nullptr) {
    const auto args = detail::call<fn::PJRT_Buffer_Device>(*client.plugin, {.buffer = state_->raw});
    if (args) record = detail::find_device(client, args->device).value_or(nullptr);
  }
  return {state_->client, record != nullptr ? record : client.devices.front()};
}

Result<Memory> Buffer::memory() const {
  if (!state_) return std::unexpected(Error(ErrorCode::FailedPrecondition, "the buffer was moved from"));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_Memory>(state_->plugin(), {.buffer = state_->raw}));
  const auto it = state_->client->memory_by_raw.find(args.memory);
  if (it == state_->client->memory_by_raw.end()) {
    return std::unexpected(Error(ErrorCode::Internal, "the plugin names a memory that none of its devices has"));
  }
  return Memory(state_->client, it->second);
}

Result<bool> Buffer::is_on_cpu() const {
  if (!state_) return std::unexpected(Error(ErrorCode::FailedPrecondition, "the buffer was moved from"));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_IsOnCpu>(state_->plugin(), {.buffer = state_->raw}));
  return args.is_on_cpu;
}

Result<void> Buffer::delete_now() {
  if (!state_ || state_->consumed.load() != nullptr) return {};
  PJRT_CHECK(detail::call<fn::PJRT_Buffer_Delete>(state_->plugin(), {.buffer = state_->raw}));
  const char* nobody = nullptr;
  state_->consumed.compare_exchange_strong(nobody, "deleted");
  return {};
}

bool Buffer::is_deleted() const noexcept {
  if (!state_ || state_->consumed.load() != nullptr) return true;
  const auto args = detail::call<fn::PJRT_Buffer_IsDeleted>(state_->plugin(), {.buffer = state_->raw});
  return args && args->is_deleted;
}

Event Buffer::ready() const {
  const Result<detail::BufferState*> b = detail::live(*this);
  if (!b) return Event::ready(std::unexpected(b.error()));
  auto args = detail::call<fn::PJRT_Buffer_ReadyEvent>((*b)->plugin(), {.buffer = (*b)->raw});
  if (!args) return Event::ready(std::unexpected(std::move(args).error()));
  return detail::make_event((*b)->plugin(), (*b)->client, args->event);
}

Result<std::uintptr_t> Buffer::unsafe_pointer() const {
  PJRT_TRY(const detail::BufferState* b, detail::live(*this));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_UnsafePointer>(b->plugin(), {.buffer = b->raw}));
  return args.buffer_pointer;
}

namespace {

std::unexpected<Error> other_plugin(const detail::PluginState& mine, const detail::PluginState& theirs) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, "the buffer belongs to plugin " + Plugin(&mine).description() +
                                                               ", the destination to plugin " + Plugin(&theirs).description() +
                                                               "; copy through the host"));
}

}  // namespace

Result<Buffer> Buffer::copy_to_device(const Device& device) const {
  PJRT_TRY(detail::BufferState* b, detail::live(*this));
  const detail::Ref<detail::ClientState>& to = device.client_state();
  if (to->plugin != b->client->plugin) return other_plugin(*b->client->plugin, *to->plugin);
  PJRT_TRY(std::optional<MemoryLayout> special, detail::layout_of(*b));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_CopyToDevice>(b->plugin(), {.buffer = b->raw, .dst_device = device.raw()}));
  return detail::make_buffer(to, args.dst_buffer, b->shape, device.record(),
                             special ? detail::KnownLayout(detail::UnknownLayout{}) : detail::RowMajor{}, b->may_be_dynamic);
}

Result<Buffer> Buffer::copy_to_memory(const Memory& memory) const {
  PJRT_TRY(detail::BufferState* b, detail::live(*this));
  const detail::Ref<detail::ClientState>& to = memory.client_state();
  if (to->plugin != b->client->plugin) return other_plugin(*b->client->plugin, *to->plugin);
  PJRT_TRY(std::optional<MemoryLayout> special, detail::layout_of(*b));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_CopyToMemory>(b->plugin(), {.buffer = b->raw, .dst_memory = memory.raw()}));
  return detail::make_buffer(to, args.dst_buffer, b->shape, nullptr,
                             special ? detail::KnownLayout(detail::UnknownLayout{}) : detail::RowMajor{}, b->may_be_dynamic);
}

Result<Buffer> Buffer::bitcast(Shape shape, std::optional<Layout> layout) && {
  PJRT_TRY(detail::BufferState* b, detail::live(*this));
  if (const auto bad = element_count(shape.dims); !bad) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "no array has the dimensions " + pjrt::to_string(shape.dims)));
  }
  PJRT_CHECK(detail::check_element_type(b->plugin(), shape.type));
  detail::MemoryLayoutC layout_c(layout.value_or(Layout::row_major(shape.rank())));
  abi::PJRT_Buffer_Bitcast_Args args{};
  args.buffer = b->raw;
  args.element_type = detail::to_c(shape.type);
  args.dims = shape.dims.data();
  args.num_dims = shape.rank();
  args.device_layout = layout ? layout_c.get() : nullptr;
  PJRT_CHECK(detail::call<fn::PJRT_Buffer_Bitcast>(b->plugin(), args));
  b->consumed.store("bitcast", std::memory_order_release);
  detail::KnownLayout known = detail::UnknownLayout{};
  if (layout) known = MemoryLayout(*std::move(layout));
  return detail::make_buffer(b->client, args.out_buffer, std::move(shape), b->device, std::move(known));
}

}  // namespace pjrt
