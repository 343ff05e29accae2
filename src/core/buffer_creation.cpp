// Buffers that are not uploads: uninitialized, in error, aliases of what is to come, views of device memory.

#include <utility>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/checks.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/handle_errors.hpp"
#include "core/layout_probe.hpp"
#include "core/placement.hpp"
#include "core/try.hpp"
#include "pjrt/client.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace {

/// The layout asked for, or row-major: some plugins abort, and others never become usable, when none is given.
Result<Layout> explicit_layout(detail::ClientState& client, const Shape& shape,
                               const std::optional<MemoryLayout>& wanted) {
  if (!wanted) return Layout::row_major(shape.rank());
  PJRT_CHECK(detail::check_layout_of_new(client, shape, *wanted));
  return std::get<Layout>(*wanted);
}

}  // namespace

Result<Buffer> Client::create_uninitialized_buffer(Shape shape, const UploadOptions& options) const try {
  PJRT_CHECK(detail::check_shape(*state_->plugin, shape));
  PJRT_TRY(const detail::Placement placement, detail::place(state_, options.device, options.memory));
  PJRT_TRY(Layout layout, explicit_layout(*state_, shape, options.layout));
  detail::MemoryLayoutC c_layout(layout, shape.type);
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
PJRT_CATCH

Result<Buffer> Client::create_error_buffer(const Error& error, Shape shape, const Memory& memory) const try {
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
PJRT_CATCH

Result<AliasBuffer> Client::create_alias_buffer(Shape shape, const Memory& memory) const try {
  PJRT_CHECK(detail::check_shape(*state_->plugin, shape));
  if (is_packed(shape.type)) {
    return std::unexpected(
        Error(ErrorCode::Unimplemented,
              "an alias of type " + std::string(name(shape.type)) +
                  " could never be fulfilled: C has no words for the layout of elements that share bytes"));
  }
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
  Buffer alias = detail::make_buffer(state_, args.alias_buffer, std::move(shape), placement.record,
                                     MemoryLayout(std::move(layout)));
  alias.state()->promised = true;
  AliasFulfillment fulfillment(alias.state(), memory, args.fulfill_alias_buffer_cb);
  return AliasBuffer(std::move(alias), std::move(fulfillment));
}
PJRT_CATCH

Result<void> AliasFulfillment::tell(detail::BufferState* buffer, const Error* error) try {
  const detail::ClientState& client = *memory_.client_state();
  abi::PJRT_Client_FulfillAliasBuffer_Args args{};
  args.client = client.raw;
  args.buffer = buffer != nullptr ? buffer->raw : nullptr;
  if (error != nullptr) {
    args.status_code = detail::to_c(error->code());
    args.error_message = error->message().data();
    args.error_message_size = error->message().size();
  }
  args.fulfill_alias_buffer_cb = std::exchange(raw_, nullptr);
  alias_ = {};
  return detail::call<fn::PJRT_Client_FulfillAliasBuffer>(*client.plugin, args);
}
PJRT_CATCH

Result<void> AliasFulfillment::fulfill(Buffer&& buffer) try {
  if (raw_ == nullptr)
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "the alias has been fulfilled already"));
  PJRT_TRY(detail::BufferState * b, detail::live(buffer));
  if (!(b->client == memory_.client_state())) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the buffer belongs to another client than the alias"));
  }
  if (b == alias_.get())
    return std::unexpected(Error(ErrorCode::InvalidArgument, "an alias cannot be fulfilled with itself"));
  if (b->shape != alias_->shape) {
    return std::unexpected(Error(ErrorCode::InvalidArgument,
                                 "the buffer is " + to_string(b->shape) + ", the alias " + to_string(alias_->shape)));
  }
  PJRT_TRY(const Memory memory, buffer.memory());
  if (!(memory == memory_)) {  // older plugins would not notice
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the buffer lies in memory " + memory.to_string() +
                                                                 ", the alias in " + memory_.to_string()));
  }
  PJRT_TRY(const std::optional<MemoryLayout> special, detail::layout_of(*b));
  if (special) return std::unexpected(Error(ErrorCode::InvalidArgument, "the alias is row-major, the buffer is not"));
  if (b->read_only_memory != nullptr) {
    const Result<std::uintptr_t> address = buffer.unsafe_pointer();
    if (address && *address == reinterpret_cast<std::uintptr_t>(b->read_only_memory)) {
      return std::unexpected(
          Error(ErrorCode::InvalidArgument,
                "the buffer lies in host memory that may not be written, and an alias may be donated")
              .with_note("copy_to_memory gives a copy that can fulfil it; so does upload"));
    }
  }
  return detail::consume(*b, "used to fulfil an alias", [&] { return tell(b, nullptr); });
}
PJRT_CATCH

Result<void> AliasFulfillment::fail(const Error& error) try {
  if (raw_ == nullptr)
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "the alias has been fulfilled already"));
  const Result<void> told = tell(nullptr, &error);
  if (!told && told.error().code() != error.code()) return told;  // plugins answer with the error they were told
  return {};
}
PJRT_CATCH

AliasFulfillment& AliasFulfillment::operator=(AliasFulfillment&& other) noexcept {
  AliasFulfillment taken(std::move(other));  // what this one had goes now
  std::swap(alias_, taken.alias_);
  std::swap(memory_, taken.memory_);
  std::swap(raw_, taken.raw_);
  return *this;
}

AliasFulfillment::~AliasFulfillment() {
  if (raw_ == nullptr) return;
  const Error abandoned = detail::cancelled("the alias was abandoned before it was fulfilled");
  (void)detail::catching([&] { return tell(nullptr, &abandoned); });
}

Result<Buffer> Client::create_view_of_device_buffer(void* device_pointer, Shape shape, const UploadOptions& options,
                                                    std::function<void()> on_delete, std::intptr_t stream) const try {
  struct Deleter {
    std::function<void()> callback;
    ~Deleter() {
      if (callback) detail::run_guarded("a deleter", callback);
    }
  };
  using Shared = std::shared_ptr<Deleter>;
  const auto deleter = std::make_shared<Deleter>(std::move(on_delete));  // called once, whatever happens
  PJRT_CHECK(detail::check_shape(*state_->plugin, shape));
  PJRT_TRY(const detail::Placement placement, detail::place(state_, options.device, options.memory));
  PJRT_TRY(Layout layout, explicit_layout(*state_, shape, options.layout));
  if (device_pointer == nullptr && element_count(shape.dims) != 0) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the address of the device memory for " + to_string(shape) + " is null"));
  }
  if (state_->is_cpu && stream != 0) {
    return std::unexpected(Error(ErrorCode::Unimplemented, "CPU plugins have no streams"));
  }
  detail::MemoryLayoutC c_layout(layout, shape.type);
  abi::PJRT_Client_CreateViewOfDeviceBuffer_Args args{};
  args.client = state_->raw;
  args.device_buffer_ptr = detail::not_null(device_pointer);
  args.dims = shape.dims.data();
  args.num_dims = shape.rank();
  args.element_type = detail::to_c(shape.type);
  args.layout = c_layout.get();
  args.device = placement.device;
  args.memory = placement.memory;
  auto held_by_plugin = std::make_unique<Shared>(deleter);
  args.on_delete_callback_arg = held_by_plugin.get();
  args.on_delete_callback = [](void*, void* user) {  // never null: plugins call it without looking
    const detail::InCallback here;
    delete static_cast<Shared*>(user);
  };
  args.stream = stream;
  const Result<void> made = detail::call<fn::PJRT_Client_CreateViewOfDeviceBuffer>(*state_->plugin, args);
  const bool called = deleter.use_count() == 1;  // some plugins call it and then refuse, others only refuse
  if (made || called) (void)held_by_plugin.release();
  PJRT_CHECK(made);
  return detail::make_buffer(state_, args.buffer, std::move(shape), placement.record, MemoryLayout(std::move(layout)));
}
PJRT_CATCH

}  // namespace pjrt
