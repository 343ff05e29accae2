// Copies from device to host: whole arrays as the host wants them, and raw bytes.

#include <cstring>
#include <utility>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/handle_errors.hpp"
#include "core/layout_probe.hpp"
#include "core/pred.hpp"
#include "core/try.hpp"
#include "pjrt/buffer.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace {

/// Waits for an event of ours and frees it.
Result<void> await_and_destroy(const detail::PluginState& plugin, abi::PJRT_Event* event) {
  if (event == nullptr) return {};
  abi::PJRT_Event_Await_Args wait{};
  wait.event = event;
  Result<void> outcome = detail::call<fn::PJRT_Event_Await>(plugin, wait);
  detail::call_quietly<fn::PJRT_Event_Destroy>(plugin, {.event = event});
  return outcome;
}

/// What a download of a buffer has to reckon with.
struct Plan {
  Shape shape;
  /// Asked of the plugin; empty means "as it lies", which is row-major then.
  std::optional<Layout> host_layout;
  /// The plugin cannot reorder: it copies in this order, and we do the rest.
  std::optional<Layout> reorder_from;
};

Result<Plan> plan_download(detail::BufferState& b) {
  PJRT_CHECK(detail::check_live(b));
  if (host_size(b.shape.type) == 0) {
    return std::unexpected(Error(ErrorCode::Unimplemented, "a buffer of type " + std::string(name(b.shape.type)) +
                                                               " holds no values that could be copied to the host"));
  }
  Plan plan{b.shape, {}, {}};
  if (b.may_be_dynamic) {
    PJRT_TRY(const auto dims, detail::call<fn::PJRT_Buffer_UnpaddedDimensions>(b.plugin(), {.buffer = b.raw}));
    plan.shape.dims = Dimensions(std::span(dims.unpadded_dims, dims.num_dims));
  }
  if (plan.shape.rank() < 2 || element_count(plan.shape.dims) == 0) return plan;  // no order to speak of
  PJRT_TRY(const std::optional<MemoryLayout> special, detail::layout_of(b));
  if (!special) return plan;
  const auto* layout = std::get_if<Layout>(&*special);
  if (layout == nullptr || !layout->tiles().empty()) {
    plan.host_layout = Layout::row_major(plan.shape.rank());
    return plan;
  }
  PJRT_TRY(const bool honoured, detail::honours_layouts(*b.client));
  if (honoured) {
    plan.host_layout = Layout::row_major(plan.shape.rank());
  } else {
    plan.reorder_from = *layout;
  }
  return plan;
}

Result<abi::PJRT_Event*> start_download(detail::BufferState& b, const std::optional<Layout>& host_layout, void* out,
                                        std::size_t size) {
  std::optional<detail::MemoryLayoutC> layout;
  if (host_layout) layout.emplace(*host_layout);
  abi::PJRT_Buffer_ToHostBuffer_Args args{};
  args.src = b.raw;
  args.host_layout = layout ? layout->get() : nullptr;
  args.dst = out;
  args.dst_size = size;
  PJRT_CHECK(detail::call<fn::PJRT_Buffer_ToHostBuffer>(b.plugin(), args));
  return args.event;
}

/// The strides of a dense array whose dimensions vary in the order of `layout`.
Dimensions strides_of(const Shape& shape, const Layout& layout) {
  Dimensions strides(shape.dims);
  auto stride = static_cast<std::int64_t>(host_size(shape.type));
  for (const std::int64_t d : layout.minor_to_major()) {
    const auto i = static_cast<std::size_t>(d);
    strides.data()[i] = stride;
    stride *= shape.dims[i];
  }
  return strides;
}

/// Programs and raw copies can leave other bytes than 0 and 1 on the device; no bool may have them.
void normalize(const Plan& plan, std::span<std::byte> out) {
  if (plan.shape.type == ElementType::Pred && !detail::preds_are_normal(out)) detail::normalize_preds(out);
}

Result<void> download(detail::BufferState& b, const Plan& plan, std::span<std::byte> out) {
  if (!plan.reorder_from) {
    PJRT_TRY(abi::PJRT_Event * event, start_download(b, plan.host_layout, out.data(), out.size()));
    PJRT_CHECK(await_and_destroy(b.plugin(), event));
    normalize(plan, out);
    return {};
  }
  PJRT_TRY(HostBuffer as_it_lies, HostBuffer::allocate(plan.shape));
  const std::span<std::byte> bytes = as_it_lies.mutable_bytes();
  PJRT_TRY(abi::PJRT_Event * event, start_download(b, std::nullopt, bytes.data(), bytes.size()));
  PJRT_CHECK(await_and_destroy(b.plugin(), event));
  PJRT_TRY(const HostView view,
           HostView::strided(bytes.data(), plan.shape, strides_of(plan.shape, *plan.reorder_from)));
  view.copy_to(out.data());
  normalize(plan, out);
  return {};
}

std::unexpected<Error> moved_from() {
  return std::unexpected(detail::moved_from("buffer"));
}

}  // namespace

Result<HostBuffer> Buffer::to_host() const try {
  if (!state_) return moved_from();
  PJRT_TRY(Plan plan, plan_download(*state_));
  PJRT_TRY(HostBuffer host, HostBuffer::allocate(plan.shape));
  PJRT_CHECK(download(*state_, plan, host.mutable_bytes()));
  return host;
}
PJRT_CATCH

Future<HostBuffer> Buffer::to_host_async() const try {
  const auto start = [&]() -> Result<Future<HostBuffer>> {
    if (!state_) return moved_from();
    PJRT_TRY(const Plan plan, plan_download(*state_));
    PJRT_TRY(HostBuffer host, HostBuffer::allocate(plan.shape));
    if (plan.reorder_from) {  // the rare case that needs us afterwards
      PJRT_CHECK(download(*state_, plan, host.mutable_bytes()));
      return Future<HostBuffer>(Event::ready(), std::move(host));
    }
    const std::span<std::byte> out = host.mutable_bytes();
    PJRT_TRY(abi::PJRT_Event * event, start_download(*state_, plan.host_layout, out.data(), out.size()));
    Event done = detail::make_transfer_event(state_->plugin(), state_->client, event);
    const HostBuffer kept = host;  // the array is written to until then, whatever fails below
    const detail::AwaitedOnFailure copied(done);
    if (plan.shape.type == ElementType::Pred) {
      done = detail::after(done, [done, plan, host]() mutable {
        if (auto ok = done.outcome(); !ok) return Event::ready(std::move(ok));
        normalize(plan, host.mutable_bytes());
        return Event::ready();
      });
    }
    return Future<HostBuffer>(std::move(done), std::move(host));
  };
  Result<Future<HostBuffer>> future = start();
  if (!future) return Future<HostBuffer>(std::move(future).error());
  return *std::move(future);
}
PJRT_CATCH_FUTURE(HostBuffer)

Result<void> Buffer::copy_to_host(std::span<std::byte> out, ElementType type) const try {
  if (!state_) return moved_from();
  if (type != this->type()) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the buffer holds " + std::string(name(this->type())) +
                                                                 ", not " + std::string(name(type))));
  }
  PJRT_TRY(const Plan plan, plan_download(*state_));
  const std::int64_t wanted = host_byte_size(plan.shape).value_or(-1);
  if (static_cast<std::int64_t>(out.size()) != wanted) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, pjrt::to_string(plan.shape) + " has " +
                                                                 std::to_string(wanted) + " bytes, the destination " +
                                                                 std::to_string(out.size())));
  }
  std::byte nothing{};  // a null destination would ask for the size
  return download(*state_, plan, out.empty() ? std::span(&nothing, 0) : out);
}
PJRT_CATCH

namespace {

Event start_raw_copy(const detail::BufferState& b, std::span<std::byte> out, std::int64_t offset) {
  if (auto ok = detail::check_live(b); !ok) return Event::ready(std::move(ok));
  auto args = detail::call<fn::PJRT_Buffer_CopyRawToHost>(
      b.plugin(),
      {.buffer = b.raw, .dst = out.data(), .offset = offset, .transfer_size = static_cast<std::int64_t>(out.size())});
  if (!args) return Event::ready(std::unexpected(std::move(args).error()));
  return detail::make_transfer_event(b.plugin(), b.client, args->event);
}

/// CPU 0.81 crashes at a raw copy of contents that are not there, 0.106 does not; what is between is not known.
constexpr Version kRawCopiesWait{0, 106};

}  // namespace

Event Buffer::copy_raw_to_host(std::span<std::byte> out, std::int64_t offset) const try {
  if (!state_) return Event::ready(moved_from());
  if (state_->plugin().version >= kRawCopiesWait) return start_raw_copy(*state_, out, offset);
  const Event contents = ready();
  return detail::after(contents, [state = state_, contents, out, offset] {
    if (auto ok = contents.outcome(); !ok) return Event::ready(std::move(ok));
    return start_raw_copy(*state, out, offset);
  });
}
PJRT_CATCH_EVENT

struct RawCopy::Pending {
  detail::Ref<detail::BufferState> buffer;
  std::int64_t size;
  void* callback_data;
  void (*callback)(abi::PJRT_Buffer_CopyRawToHostFuture_Callback_Args*);
};

RawCopy::RawCopy(Event event, std::unique_ptr<Pending> pending) noexcept
    : event_(std::move(event)), pending_(std::move(pending)) {}
RawCopy::RawCopy(RawCopy&&) noexcept = default;
RawCopy& RawCopy::operator=(RawCopy&& other) noexcept {
  RawCopy taken(std::move(other));  // what this one had goes now
  std::swap(event_, taken.event_);
  std::swap(pending_, taken.pending_);
  return *this;
}

RawCopy::~RawCopy() {
  if (pending_ == nullptr) return;
  const Error abandoned = detail::cancelled("the raw copy was destroyed before its destination was provided");
  (void)detail::catching([&] { return tell(nullptr, &abandoned); });
}

Result<void> RawCopy::tell(void* out, const Error* error) {
  const std::unique_ptr<Pending> pending = std::move(pending_);
  abi::PJRT_Buffer_CopyRawToHostFuture_Callback_Args args{};
  args.callback_data = pending->callback_data;
  args.dst = out;
  if (error != nullptr) {
    args.error_code = detail::to_c(error->code());
    args.error_message = error->message().data();
    args.error_message_size = error->message().size();
  }
  return detail::call_back(pending->buffer->plugin(), "the callback of PJRT_Buffer_CopyRawToHostFuture",
                           pending->callback, args);
}

Result<void> RawCopy::provide(std::span<std::byte> out) try {
  if (pending_ == nullptr)
    return std::unexpected(
        Error(ErrorCode::FailedPrecondition, "the destination of the raw copy has been provided already"));
  if (static_cast<std::int64_t>(out.size()) != pending_->size) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the raw copy is of " + std::to_string(pending_->size) +
                                                                 " bytes, the destination has " +
                                                                 std::to_string(out.size())));
  }
  return tell(out.data(), nullptr);
}
PJRT_CATCH

Result<void> RawCopy::fail(const Error& error) try {
  if (pending_ == nullptr)
    return std::unexpected(
        Error(ErrorCode::FailedPrecondition, "the destination of the raw copy has been provided already"));
  return tell(nullptr, &error);
}
PJRT_CATCH

Result<RawCopy> Buffer::copy_raw_to_host_future(std::int64_t size, std::int64_t offset) const try {
  PJRT_TRY(detail::BufferState * b, detail::live(*this));
  if (size < 0)
    return std::unexpected(Error(ErrorCode::InvalidArgument, "a raw copy of " + std::to_string(size) + " bytes"));
  auto pending = std::make_unique<RawCopy::Pending>();
  PJRT_TRY(const auto args, detail::call<fn::PJRT_Buffer_CopyRawToHostFuture>(
                                b->plugin(), {.buffer = b->raw, .offset = offset, .transfer_size = size}));
  pending->buffer = state_;
  pending->size = size;
  pending->callback_data = args.callback_data;
  pending->callback = args.future_ready_callback;
  return RawCopy(detail::make_event(b->plugin(), b->client, args.event), std::move(pending));
}
PJRT_CATCH

}  // namespace pjrt
