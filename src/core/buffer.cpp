#include "pjrt/buffer.hpp"

#include <new>
#include <utility>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/checks.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/handle_errors.hpp"
#include "core/layout_probe.hpp"
#include "core/try.hpp"
#include "pjrt/client.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace detail {

void retain(BufferState* s) noexcept {
  s->references.fetch_add(1, std::memory_order_relaxed);
}

void release(BufferState* s) noexcept {
  if (s->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete s;
}

BufferState::~BufferState() {
  if (raw != nullptr) call_quietly<fn::PJRT_Buffer_Destroy>(plugin(), {.buffer = raw});
}

Buffer make_buffer(Ref<ClientState> client, abi::PJRT_Buffer* raw, Shape shape, const DeviceRecord* device,
                   KnownLayout layout, bool may_be_dynamic) {
  auto* state = new (std::nothrow) BufferState;
  if (state == nullptr) {
    call_quietly<fn::PJRT_Buffer_Destroy>(*client->plugin, {.buffer = raw});
    throw std::bad_alloc();
  }
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
  return std::unexpected(
      Error(ErrorCode::FailedPrecondition, "the buffer " + pjrt::to_string(state.shape) + " is gone: it was " + how));
}

Result<BufferState*> live(const Buffer& buffer) {
  BufferState* state = buffer.state().get();
  if (state == nullptr) return std::unexpected(moved_from("buffer"));
  PJRT_CHECK(check_live(*state));
  return state;
}

Result<void> check_fulfilled(BufferState& state) {
  if (!state.promised) return {};
  const Event ready = Buffer(Ref<BufferState>::share(&state)).ready();
  if (ready.is_ready()) return ready.outcome();
  return std::unexpected(Error(ErrorCode::FailedPrecondition,
                               "the alias " + pjrt::to_string(state.shape) + " has not been fulfilled yet"));
}

Result<std::optional<MemoryLayout>> layout_of(BufferState& state) {
  if (state.layout_known.load(std::memory_order_acquire)) return state.layout;
  if (state.shape.type == ElementType::Token) {  // plugins abort
    return std::unexpected(Error(ErrorCode::Unimplemented, "a token has no memory that could have a layout"));
  }
  const std::lock_guard lock(state.layout_mutex);
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

const Shape& Buffer::shape() const& noexcept {
  static const Shape nothing;
  return state_ ? state_->shape : nothing;
}

abi::PJRT_Buffer* Buffer::raw() const noexcept {
  return state_ ? state_->raw : nullptr;
}

Client Buffer::client() const noexcept {
  return Client(state_ ? state_->client : detail::no_client());
}

Result<Buffer> Buffer::adopt(const Client& client, abi::PJRT_Buffer* raw) try {
  if (raw == nullptr)
    return std::unexpected(Error(ErrorCode::InvalidArgument, "there is no buffer to adopt: it is null"));
  const detail::Ref<detail::ClientState>& state = client.state();
  Buffer buffer = detail::make_buffer(state, raw, {}, nullptr, detail::UnknownLayout{}, true);  // owns it from here on
  buffer.state()->promised = true;  // nobody knows where it comes from
  PJRT_TRY(const auto type, detail::call<fn::PJRT_Buffer_ElementType>(*state->plugin, {.buffer = raw}));
  PJRT_TRY(const auto dims, detail::call<fn::PJRT_Buffer_Dimensions>(*state->plugin, {.buffer = raw}));
  buffer.state()->shape = Shape{detail::from_c(type.type), Dimensions(std::span(dims.dims, dims.num_dims))};
  return buffer;
}
PJRT_CATCH

Result<Dimensions> Buffer::unpadded_dims() const try {
  PJRT_TRY(const detail::BufferState* b, detail::live(*this));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_UnpaddedDimensions>(b->plugin(), {.buffer = b->raw}));
  return Dimensions(std::span(args.unpadded_dims, args.num_dims));
}
PJRT_CATCH

Result<std::vector<std::size_t>> Buffer::dynamic_dimension_indices() const try {
  PJRT_TRY(const detail::BufferState* b, detail::live(*this));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_DynamicDimensionIndices>(b->plugin(), {.buffer = b->raw}));
  return std::vector<std::size_t>(args.dynamic_dim_indices, args.dynamic_dim_indices + args.num_dynamic_dims);
}
PJRT_CATCH

Result<MemoryLayout> Buffer::layout() const try {
  PJRT_TRY(detail::BufferState * b, detail::live(*this));
  PJRT_TRY(std::optional<MemoryLayout> special, detail::layout_of(*b));
  if (special) return *std::move(special);
  return Layout::row_major(shape().rank());
}
PJRT_CATCH

Result<std::size_t> Buffer::on_device_size() const try {
  PJRT_TRY(const detail::BufferState* b, detail::live(*this));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_OnDeviceSizeInBytes>(b->plugin(), {.buffer = b->raw}));
  return args.on_device_size_in_bytes;
}
PJRT_CATCH

Device Buffer::device() const {
  if (!state_) return Device::none();
  if (state_->device != nullptr) return {state_->client, state_->device};
  const auto args = detail::call<fn::PJRT_Buffer_Device>(state_->plugin(), {.buffer = state_->raw});
  if (!args) return Device::none();
  const auto known = state_->client->device_by_raw.find(args->device);
  return known != state_->client->device_by_raw.end() ? Device(state_->client, known->second) : Device::none();
}

Result<Memory> Buffer::memory() const try {
  if (raw() == nullptr) PJRT_CHECK(detail::live(*this));  // moved from, or let go by a prepared execution
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_Memory>(state_->plugin(), {.buffer = state_->raw}));
  const auto it = state_->client->memory_by_raw.find(args.memory);
  if (it == state_->client->memory_by_raw.end()) {
    return std::unexpected(Error(ErrorCode::Internal, "the plugin names a memory that none of its devices has"));
  }
  return Memory(state_->client, it->second);
}
PJRT_CATCH

Result<bool> Buffer::is_on_cpu() const try {
  if (raw() == nullptr) PJRT_CHECK(detail::live(*this));
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_IsOnCpu>(state_->plugin(), {.buffer = state_->raw}));
  return args.is_on_cpu;
}
PJRT_CATCH

Result<void> Buffer::delete_now() try {
  if (!state_ || state_->consumed.load() != nullptr) return {};
  PJRT_CHECK(detail::call<fn::PJRT_Buffer_Delete>(state_->plugin(), {.buffer = state_->raw}));
  const char* nobody = nullptr;
  state_->consumed.compare_exchange_strong(nobody, "deleted");
  return {};
}
PJRT_CATCH

bool Buffer::is_deleted() const noexcept {
  if (!state_ || state_->consumed.load() != nullptr) return true;
  const auto args = detail::call<fn::PJRT_Buffer_IsDeleted>(state_->plugin(), {.buffer = state_->raw});
  return args && args->is_deleted;
}

Event Buffer::ready() const try {
  const Result<detail::BufferState*> b = detail::live(*this);
  if (!b) return Event::ready(std::unexpected(b.error()));
  auto args = detail::call<fn::PJRT_Buffer_ReadyEvent>((*b)->plugin(), {.buffer = (*b)->raw});
  if (!args) return Event::ready(std::unexpected(std::move(args).error()));
  return detail::make_event((*b)->plugin(), (*b)->client, args->event);
}
PJRT_CATCH_EVENT

Result<std::uintptr_t> Buffer::unsafe_pointer() const try {
  PJRT_TRY(const detail::BufferState* b, detail::live(*this));
  if (b->promised) PJRT_CHECK(ready().await());
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_UnsafePointer>(b->plugin(), {.buffer = b->raw}));
  return args.buffer_pointer;
}
PJRT_CATCH

namespace {

/// Checks what plugins do not look at before they copy.
Result<detail::BufferState*> check_copy(const Buffer& buffer, const detail::Ref<detail::ClientState>& to) {
  PJRT_TRY(detail::BufferState * b, detail::live(buffer));
  if (!to) return std::unexpected(detail::moved_from("destination"));
  if (to->plugin != b->client->plugin) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the buffer belongs to plugin " + Plugin(b->client->plugin).description() +
                                              ", the destination to plugin " + Plugin(to->plugin).description() +
                                              "; copy through the host"));
  }
  PJRT_TRY(const std::optional<MemoryLayout> special, detail::layout_of(*b));
  if (!special || !b->client->is_cpu) return b;
  PJRT_TRY(const bool honoured, detail::honours_layouts(*b->client));
  if (honoured) return b;
  return std::unexpected(
      Error(ErrorCode::Unimplemented,
            "plugin " + Plugin(b->client->plugin).description() +
                " does not honour layouts: its copies of buffers that are not row-major may come out transposed")
          .with_note("to_host and upload copy it through the host"));
}

/// The copy as a handle. Some plugins forget in it which dimensions are dynamic.
Result<Buffer> make_copy(detail::BufferState& from, const detail::Ref<detail::ClientState>& to, abi::PJRT_Buffer* raw,
                         const detail::DeviceRecord* device) {
  PJRT_TRY(const std::optional<MemoryLayout> special, detail::layout_of(from));
  const detail::KnownLayout layout = special ? detail::KnownLayout(detail::UnknownLayout{}) : detail::RowMajor{};
  Buffer copy = detail::make_buffer(to, raw, from.shape, device, layout, from.may_be_dynamic);
  if (!from.may_be_dynamic) return copy;
  PJRT_TRY(const auto before,
           detail::call<fn::PJRT_Buffer_DynamicDimensionIndices>(from.plugin(), {.buffer = from.raw}));
  PJRT_TRY(const auto after, detail::call<fn::PJRT_Buffer_DynamicDimensionIndices>(from.plugin(), {.buffer = raw}));
  if (before.num_dynamic_dims == after.num_dynamic_dims) return copy;
  return std::unexpected(Error(ErrorCode::Unimplemented, "plugin " + Plugin(to->plugin).description() +
                                                             " loses the dynamic size of " +
                                                             pjrt::to_string(from.shape) + " in a copy")
                             .with_note("to_host and upload copy it through the host"));
}

}  // namespace

Result<Buffer> Buffer::copy_to_device(const Device& device) const try {
  PJRT_TRY(detail::BufferState * b, check_copy(*this, device.client_state()));
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Buffer_CopyToDevice>(b->plugin(), {.buffer = b->raw, .dst_device = device.raw()}));
  return make_copy(*b, device.client_state(), args.dst_buffer, device.record());
}
PJRT_CATCH

Result<Buffer> Buffer::copy_to_memory(const Memory& memory) const try {
  PJRT_TRY(detail::BufferState * b, check_copy(*this, memory.client_state()));
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Buffer_CopyToMemory>(b->plugin(), {.buffer = b->raw, .dst_memory = memory.raw()}));
  return make_copy(*b, memory.client_state(), args.dst_buffer, nullptr);
}
PJRT_CATCH

Result<Buffer> Buffer::bitcast(Shape shape, std::optional<Layout> layout) && try {
  PJRT_TRY(detail::BufferState * b, detail::live(*this));
  PJRT_CHECK(detail::check_shape(b->plugin(), shape));
  if (layout) PJRT_CHECK(detail::check_rank(shape, *layout));
  if (b->may_be_dynamic) {
    PJRT_TRY(const std::vector<std::size_t> dynamic, dynamic_dimension_indices());
    if (!dynamic.empty()) {
      return std::unexpected(
          Error(ErrorCode::InvalidArgument, "the size of the buffer " + pjrt::to_string(b->shape) +
                                                " is dynamic; the memory behind its elements is not an array"));
    }
  }
  detail::MemoryLayoutC layout_c(layout.value_or(Layout::row_major(shape.rank())));
  abi::PJRT_Buffer_Bitcast_Args args{};
  args.buffer = b->raw;
  args.element_type = detail::to_c(shape.type);
  args.dims = shape.dims.data();
  args.num_dims = shape.rank();
  args.device_layout = layout ? layout_c.get() : nullptr;
  PJRT_CHECK(detail::consume(*b, "bitcast", [&] { return detail::call<fn::PJRT_Buffer_Bitcast>(b->plugin(), args); }));
  detail::KnownLayout known = detail::UnknownLayout{};
  if (layout) known = MemoryLayout(*std::move(layout));
  Buffer result = detail::make_buffer(b->client, args.out_buffer, std::move(shape), b->device, std::move(known));
  result.state()->promised = b->promised;
  result.state()->read_only_memory = b->read_only_memory;
  return result;
}
PJRT_CATCH

}  // namespace pjrt
