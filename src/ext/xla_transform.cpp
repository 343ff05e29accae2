#include "pjrt/ext/xla_transform.hpp"

#include <exception>
#include <memory>
#include <utility>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/keep_for_ever.hpp"
#include "core/try.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;

namespace {

/// What the plugin holds of a transform. It may call it after it was cleared, by a compilation under way, so the block
/// is never freed; there are as many as registrations.
struct Registered {
  abi::PJRT_XlaTransform_Callbacks callbacks{};  // first: the plugin hands its address back
  XlaTransform::Transform transform;
};

/// Bytes or a message that the plugin reads after the callback returned.
struct Handed {
  std::string bytes;
};

Result<std::optional<std::string>> run(const Registered& registered, std::string_view module) {
#if defined(__cpp_exceptions)
  try {
    return registered.transform(module);
  } catch (const std::exception& e) {
    return std::unexpected(Error(ErrorCode::Internal, std::string("the transform threw: ") + e.what()));
  } catch (...) {
    return std::unexpected(Error(ErrorCode::Internal, "the transform threw something that is not a std::exception"));
  }
#else
  return registered.transform(module);
#endif
}

void on_transform(abi::PJRT_XlaTransform_Callbacks* callbacks, abi::PJRT_XlaTransform_Args* args) {
  const pjrt::detail::InCallback here;
  auto result =
      run(*reinterpret_cast<Registered*>(callbacks), pjrt::detail::text(args->hlo_module.data, args->hlo_module.size));
  args->header.has_error = !result;
  args->changed = result && result->has_value();
  if (result && !*result) return;
  auto handed = std::make_unique<Handed>(Handed{result ? **std::move(result) : std::string(result.error().message())});
  const abi::PJRT_XlaTransform_string text{handed->bytes.data(), handed->bytes.size()};
  if (result) {
    args->transformed_hlo_module = text;
  } else {
    args->header.code = pjrt::detail::to_c(result.error().code());
    args->header.error_msg = text;
  }
  args->header.cleanup_fn = [](void* data) { delete static_cast<Handed*>(data); };
  args->header.data = handed.release();
}

}  // namespace

Result<void> XlaTransform::register_transform(std::string_view name, Stage stage, Transform transform) const try {
  if (name.empty() || !transform)
    return std::unexpected(Error(ErrorCode::InvalidArgument, "a transform has a name and a function"));
  auto registered = std::make_unique<Registered>();
  registered->callbacks.version = 1;
  registered->callbacks.dtor = [](abi::PJRT_XlaTransform_Callbacks*) {};
  registered->callbacks.transform_hlo_module = on_transform;
  registered->transform = std::move(transform);
  abi::PJRT_Register_Xla_Transform_Args args{};
  args.name = name.data();
  args.name_size = name.size();
  args.stage = static_cast<abi::PJRT_XlaTransform_PipelineStage>(stage);
  args.callbacks = &registered->callbacks;
  PJRT_CHECK(pjrt::detail::call_extension<fn::PJRT_Register_Xla_Transform_Fn>(state(), args));
  pjrt::detail::keep_for_ever(std::move(registered));
  return {};
}
PJRT_CATCH

Result<bool> XlaTransform::clear_transform(std::string_view name, Stage stage) const try {
  if (name.empty()) return std::unexpected(Error(ErrorCode::InvalidArgument, "a transform has a name"));
  abi::PJRT_Clear_Xla_Transform_Args args{};
  args.stage = static_cast<abi::PJRT_XlaTransform_PipelineStage>(stage);
  args.name = name.data();
  args.name_size = name.size();
  PJRT_CHECK(pjrt::detail::call_extension<fn::PJRT_Clear_Xla_Transform_Fn>(state(), args));
  return args.cleared;
}
PJRT_CATCH

}  // namespace pjrt::ext
