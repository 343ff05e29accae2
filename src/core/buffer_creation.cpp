// Buffers that are not uploads: uninitialized, in error, aliases of what is to come, views of device memory.

#include <utility>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/checks.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/layout_probe.hpp"
#include "core/placement.hpp"
#include "core/try.hpp"
#include "pjrt/client.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace {

/// The layout asked for, or row-major: some plugins abort, and others never become usable, when none is given.
Result<Layout> explicit_layout(detail::ClientState& client, const Shape& shape, const std::optional<MemoryLayout>& wanted) {
  if (!wanted) return Layout::row_major(shape.rank());
  const auto* tiled = std::get_if<Layout>(&*wanted);
  if (tiled == nullptr) return std::unexpected(Error(ErrorCode::InvalidArgument, "a new buffer's layout is an order of dimensions, not strides"));
  if (tiled->rank() != shape.rank()) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "layout " + to_string(*tiled) + " for an array of shape " + to_string(shape)));
  }
  if (!tiled->is_row_major()) {
    PJRT_TRY(const bool honoured, detail::honours_layouts(client));
    if (!honoured) {
      return std::unexpected(Error(ErrorCode::Unimplemented, "plugin " + Plugin(client.plugin).description() + " does not honour layouts other than row-major"));
    }
  }
  return *tiled;
}

}  // namespace

Result<Buffer> Client::create_uninitialized_buffer(Shape shape, const UploadOptions& options) const {
  PJRT_CHECK(detail::check_shape(*state_->plugin, shape));
  PJRT_TRY(const detail::Placement placement, detail::place(state_, options.device, options.memory));
  PJRT_TRY(Layout layout, explicit_layout(*state_, shape, options.layout));
  detail::MemoryLayoutC c_layout(layout);
  abi::PJRT_Client_CreateUninitializedBuffer_Args args{};
  args.client = state_->raw;
  args.shape_dims = shape.dims.data();
  args.shape_num_dims = shape.rank();
  args.shape_element_type = detail::to_c(shape.type);
  args.shape_layout = c_layout.get();
  args.device = placement.device;
  args.memory = placement.memory;
  PJRT_CHECK(detail::call<fn::PJRT_Client_CreateUninitializedBuffer>(*state_->plugin, args));
  return detail::make_buffer(state_, args.buffer, std::move(shape), placement.record, MemoryLayout(std::move(layout)));
}

Result<Buffer> Client::create_error_buffer(const Error& error, Shape shape, const Memory& memory) const {
  PJRT_CHECK(detail::check_shape(*state_->plugin, shape));
  PJRT_TRY(const detail::Placement placement, detail::place(state_, {}, memory));
  Layout layout = Layout::row_major(shape.rank());
  detail::MemoryLayoutC c_layout(layout);
  const detail::PayloadsC payloads(error);
  const std::string message(error.message());
  abi::PJRT_Client_CreateErrorBuffer_Args args{};
  args.client = state_->raw;
  args.error_code = detail::to_c(error.code());
  args.error_message = message.data();
  args.error_message_size = message.size();
  args.shape_dims = shape.dims.data();
  args.shape_num_dims = shape.rank();
  args.shape_element_type = detail::to_c(shape.type);
  args.shape_layout = c_layout.get();
  args.memory = placement.memory;
  args.payload = payloads.data();
  args.num_payload = payloads.size();
  PJRT_CHECK(detail::call<fn::PJRT_Client_CreateErrorBuffer>(*state_->plugin, args));
  return detail::make_buffer(state_, args.buffer, std::move(shape), placement.record, MemoryLayout(std::move(layout)));
}

Result<AliasBuffer> Client::create_alias_buffer(Shape shape, const Memory& memory) const {
  PJRT_CHECK(detail::check_shape(*state_->plugin, shape));
  PJRT_TRY(const detail::Placement placement, detail::place(state_, {}, memory));
  Layout layout = Layout::row_major(shape.rank());
  detail::MemoryLayoutC c_layout(layout);
  abi::PJRT_Client_CreateAliasBuffer_Args args{};
  args.client = state_->raw;
  args.memory = placement.memory;
  args.shape_dims = shape.dims.data();
  args.shape_num_dims = shape.rank();
  args.shape_element_type = detail::to_c(shape.type);
  args.shape_layout = c_layout.get();
  PJRT_CHECK(detail::call<fn::PJRT_Client_CreateAliasBuffer>(*state_->plugin, args));
  AliasFulfillment fulfillment(state_, shape, args.fulfill_alias_buffer_cb);
  return AliasBuffer(detail::make_buffer(state_, args.alias_buffer, std::move(shape), placement.record, MemoryLayout(std::move(layout))), std::move(fulfillment));
}

Result<void> AliasFulfillment::tell(abi::PJRT_FulfillAliasBufferCallback* raw, detail::BufferState* buffer, const Error* error) {
  abi::PJRT_Client_FulfillAliasBuffer_Args args{};
  args.client = client_->raw;
  args.buffer = buffer != nullptr ? buffer->raw : nullptr;
  std::string message;
  if (error != nullptr) {
    message = error->message();
    args.status_code = detail::to_c(error->code());
    args.error_message = message.data();
    args.error_message_size = message.size();
  }
  args.fulfill_alias_buffer_cb = raw;
  return detail::call<fn::PJRT_Client_FulfillAliasBuffer>(*client_->plugin, args);
}

Result<void> AliasFulfillment::fulfill(Buffer&& buffer) {
  if (raw_ == nullptr) return std::unexpected(Error(ErrorCode::FailedPrecondition, "the alias has been fulfilled already"));
  PJRT_TRY(detail::BufferState* b, detail::live(buffer));
  if (!(b->client == client_)) return std::unexpected(Error(ErrorCode::InvalidArgument, "the buffer belongs to another client than the alias"));
  if (b->shape != shape_) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the buffer is " + to_string(b->shape) + ", the alias " + to_string(shape_)));
  }
  PJRT_TRY(const std::optional<MemoryLayout> special, detail::layout_of(*b));
  if (special) return std::unexpected(Error(ErrorCode::InvalidArgument, "the alias is row-major, the buffer is not"));
  PJRT_CHECK(tell(std::exchange(raw_, nullptr), b, nullptr));
  b->consumed.store("used to fulfil an alias", std::memory_order_release);
  return {};
}

Result<void> AliasFulfillment::fail(const Error& error) {
  if (raw_ == nullptr) return std::unexpected(Error(ErrorCode::FailedPrecondition, "the alias has been fulfilled already"));
  return tell(std::exchange(raw_, nullptr), nullptr, &error);
}

AliasFulfillment& AliasFulfillment::operator=(AliasFulfillment&& other) noexcept {
  std::swap(client_, other.client_);
  std::swap(shape_, other.shape_);
  std::swap(raw_, other.raw_);
  return *this;
}

AliasFulfillment::~AliasFulfillment() {
  if (raw_ == nullptr) return;
  const Error abandoned(ErrorCode::Cancelled, "the alias was abandoned before it was fulfilled");
  (void)tell(std::exchange(raw_, nullptr), nullptr, &abandoned);
}

Result<Buffer> Client::create_view_of_device_buffer(void* device_pointer, Shape shape, const UploadOptions& options, std::function<void()> on_delete,
                                                    std::intptr_t stream) const {
  struct Deleter {
    std::function<void()> callback;
    ~Deleter() {
      if (callback) detail::run_guarded("a deleter", callback);
    }
  };
  auto deleter = std::make_unique<Deleter>(std::move(on_delete));  // called whatever happens
  PJRT_CHECK(detail::check_shape(*state_->plugin, shape));
  PJRT_TRY(const detail::Placement placement, detail::place(state_, options.device, options.memory));
  PJRT_TRY(Layout layout, explicit_layout(*state_, shape, options.layout));
  if (state_->is_cpu && stream != 0) {
    return std::unexpected(Error(ErrorCode::Unimplemented, "CPU plugins have no streams"));
  }
  detail::MemoryLayoutC c_layout(layout);
  abi::PJRT_Client_CreateViewOfDeviceBuffer_Args args{};
  args.client = state_->raw;
  args.device_buffer_ptr = device_pointer;
  args.dims = shape.dims.data();
  args.num_dims = shape.rank();
  args.element_type = detail::to_c(shape.type);
  args.layout = c_layout.get();
  args.device = placement.device;
  args.memory = placement.memory;
  args.on_delete_callback_arg = deleter.get();
  args.on_delete_callback = [](void*, void* user) {  // never null: plugins call it without looking
    const detail::InCallback here;
    delete static_cast<Deleter*>(user);
  };
  args.stream = stream;
  PJRT_CHECK(detail::call<fn::PJRT_Client_CreateViewOfDeviceBuffer>(*state_->plugin, args));
  (void)deleter.release();
  return detail::make_buffer(state_, args.buffer, std::move(shape), placement.record, MemoryLayout(std::move(layout)));
}

}  // namespace pjrt
