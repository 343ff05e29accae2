#include "core/key_value_callbacks.hpp"

#include <cstring>
#include <exception>

#include "core/convert.hpp"
#include "core/event_state.hpp"

namespace pjrt::detail {
namespace {

/// Runs a store's function; what it throws becomes an error.
template <class F>
auto guarded(F&& f) -> decltype(f()) {
#if defined(__cpp_exceptions)
  try {
    return f();
  } catch (const std::exception& e) {
    return std::unexpected(Error(ErrorCode::Internal, std::string("the key-value store threw: ") + e.what()));
  } catch (...) {
    return std::unexpected(
        Error(ErrorCode::Internal, "the key-value store threw something that is not a std::exception"));
  }
#else
  return f();
#endif
}

/// The plugin makes the error object, and frees it.
abi::PJRT_Error* make_error(abi::PJRT_CallbackError* make, const Error& error) {
  const std::string message(error.message());
  return (*make)(detail::to_c(error.code()), message.data(), message.size());
}

/// A copy that the plugin gives back to `delete_value`; one byte at least, for plugins take null for "no value".
template <class Args>
void give(Args* args, const std::string& value) {
  args->value = new char[value.size() + 1];
  std::memcpy(args->value, value.data(), value.size());
  args->value[value.size()] = '\0';
  args->value_size = value.size();
  args->value_deleter_callback = [](char* v) { delete[] v; };
}

}  // namespace

// The plugin leaves struct_size, value and the deleter of the arguments uninitialized; they are only written here.

abi::PJRT_Error* key_value_get(abi::PJRT_KeyValueGetCallback_Args* args) {
  const InCallback here;
  auto* store = static_cast<KeyValueStore*>(args->user_arg);
  const Result<std::string> value = guarded(
      [&] { return store->get(text(args->key, args->key_size), std::chrono::milliseconds(args->timeout_in_ms)); });
  if (!value) return make_error(args->callback_error, value.error());
  give(args, *value);
  return nullptr;
}

abi::PJRT_Error* key_value_try_get(abi::PJRT_KeyValueTryGetCallback_Args* args) {
  const InCallback here;
  auto* store = static_cast<KeyValueStore*>(args->user_arg);
  const Result<std::string> value = guarded([&] { return store->try_get(text(args->key, args->key_size)); });
  if (!value) return make_error(args->callback_error, value.error());
  give(args, *value);
  return nullptr;
}

abi::PJRT_Error* key_value_put(abi::PJRT_KeyValuePutCallback_Args* args) {
  const InCallback here;
  auto* store = static_cast<KeyValueStore*>(args->user_arg);
  const Result<void> done =
      guarded([&] { return store->put(text(args->key, args->key_size), text(args->value, args->value_size)); });
  return done ? nullptr : make_error(args->callback_error, done.error());
}

}  // namespace pjrt::detail
