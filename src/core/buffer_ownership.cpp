// External references to a buffer's memory, and donation with a control dependency.

#include <utility>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/handle_errors.hpp"
#include "core/try.hpp"
#include "pjrt/buffer.hpp"

namespace pjrt {

namespace fn = abi::fn;

Result<ExternalReference> Buffer::external_reference() const try {
  PJRT_TRY(detail::BufferState * b, detail::live(*this));
  if (b->promised) PJRT_CHECK(ready().await());
  const std::lock_guard lock(b->references_mutex);
  PJRT_CHECK(detail::check_live(*b));
  abi::PJRT_Buffer_IncreaseExternalReferenceCount_Args args{};
  args.buffer = b->raw;
  PJRT_CHECK(detail::call<fn::PJRT_Buffer_IncreaseExternalReferenceCount>(b->plugin(), args));
  ++b->external_references;
  return ExternalReference(state_);
}
PJRT_CATCH

Result<void*> ExternalReference::device_pointer() const try {
  if (!state_) return std::unexpected(detail::moved_from("external reference"));
  const std::lock_guard lock(state_->references_mutex);
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Buffer_OpaqueDeviceMemoryDataPointer>(state_->plugin(), {.buffer = state_->raw}));
  return args.device_memory_ptr;
}
PJRT_CATCH

void ExternalReference::drop() noexcept {
  if (!state_) return;
  {
    const std::lock_guard lock(state_->references_mutex);
    --state_->external_references;
    detail::call_quietly<fn::PJRT_Buffer_DecreaseExternalReferenceCount>(state_->plugin(), {.buffer = state_->raw});
  }
  state_ = {};
}

ExternalReference& ExternalReference::operator=(ExternalReference&& other) noexcept {
  if (this != &other) {
    drop();
    state_ = std::move(other.state_);
  }
  return *this;
}

ExternalReference::~ExternalReference() {
  drop();
}

Result<std::pair<ExternalReference, const void*>> detail::view_in_place(const Buffer& buffer, ElementType type) {
  PJRT_TRY(BufferState * b, live(buffer));
  if (type != b->shape.type) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the buffer holds " + std::string(name(b->shape.type)) +
                                                                 ", not " + std::string(name(type))));
  }
  PJRT_TRY(const bool on_cpu, buffer.is_on_cpu());
  const auto refuse = [](std::string why) {
    return std::unexpected(Error(ErrorCode::Unimplemented, "the buffer cannot be looked at in place: " + std::move(why))
                               .with_note("to_host copies it"));
  };
  if (!on_cpu) return refuse("its memory is not the host's");
  if (is_packed(type)) return refuse("elements of " + std::string(name(type)) + " share bytes on the device");
  PJRT_TRY(const std::optional<MemoryLayout> special, layout_of(*b));
  if (special) return refuse("its layout is not row-major");
  if (b->may_be_dynamic) {
    PJRT_TRY(const Dimensions dims, buffer.unpadded_dims());
    if (dims != b->shape.dims) return refuse("its size is dynamic");
  }
  PJRT_CHECK(buffer.ready().await());
  PJRT_TRY(ExternalReference reference, buffer.external_reference());
  PJRT_TRY(const void* address, reference.device_pointer());
  return std::pair(std::move(reference), address);
}

struct ControlDependency::Pending {
  detail::Ref<detail::ClientState> client;
  void* callback_data;
  void (*callback)(abi::PJRT_Buffer_DonateWithControlDependency_Callback_Args*);
};

ControlDependency::ControlDependency(std::unique_ptr<Pending> pending) noexcept : pending_(std::move(pending)) {}
ControlDependency::ControlDependency(ControlDependency&&) noexcept = default;
ControlDependency& ControlDependency::operator=(ControlDependency&& other) noexcept {
  ControlDependency taken(std::move(other));  // what this one had goes now
  std::swap(pending_, taken.pending_);
  return *this;
}

ControlDependency::~ControlDependency() {
  if (pending_ == nullptr) return;
  const Result<void> abandoned =
      std::unexpected(detail::cancelled("the control dependency was destroyed before it was resolved"));
  (void)detail::catching([&] { return tell(abandoned); });
}

Result<void> ControlDependency::tell(const Result<void>& outcome) {
  const std::unique_ptr<Pending> pending = std::move(pending_);
  abi::PJRT_Buffer_DonateWithControlDependency_Callback_Args args{};
  args.callback_data = pending->callback_data;
  if (!outcome) {
    args.error_code = detail::to_c(outcome.error().code());
    args.error_message = outcome.error().message().data();
    args.error_message_size = outcome.error().message().size();
  }
  return detail::call_back(*pending->client->plugin, "the callback of PJRT_Buffer_DonateWithControlDependency",
                           pending->callback, args);
}

Result<void> ControlDependency::resolve(Result<void> outcome) try {
  if (pending_ == nullptr)
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "the control dependency has been resolved already"));
  return tell(outcome);
}
PJRT_CATCH

Result<DonatedBuffer> Buffer::donate_with_control_dependency() && try {
  PJRT_TRY(detail::BufferState * b, detail::live(*this));
  PJRT_TRY(const std::optional<MemoryLayout> special, detail::layout_of(*b));
  auto pending = std::make_unique<ControlDependency::Pending>();
  PJRT_TRY(const auto args, detail::consume(*b, "donated with a control dependency", [&] {
             return detail::call<fn::PJRT_Buffer_DonateWithControlDependency>(b->plugin(), {.buffer = b->raw});
           }));
  pending->client = b->client;
  pending->callback_data = args.callback_data;
  pending->callback = args.dependency_ready_callback;
  detail::KnownLayout layout = detail::RowMajor{};
  if (special) layout = *special;
  Buffer donated =
      detail::make_buffer(b->client, args.out_buffer, b->shape, b->device, std::move(layout), b->may_be_dynamic);
  donated.state()->promised = b->promised;
  donated.state()->read_only_memory = b->read_only_memory;
  return DonatedBuffer(std::move(donated), ControlDependency(std::move(pending)));
}
PJRT_CATCH

}  // namespace pjrt
