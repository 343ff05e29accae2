#include "core/call.hpp"

#include <algorithm>
#include <charconv>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "core/lent_error.hpp"

namespace pjrt::detail {
namespace {

constexpr const char* kEmptyHandle = "the handle is empty: what it was taken from was moved from, or it never was one";

std::string version_note(const PluginState& plugin) {
  return "plugin " + Plugin(&plugin).description() + " has " + to_string(plugin.version);
}

void destroy(const PluginState& plugin, abi::PJRT_Error* error) {
  abi::PJRT_Error_Destroy_Args args{};
  args.struct_size = abi::struct_size<abi::PJRT_Error_Destroy_Args>;
  args.error = error;
  plugin.api.PJRT_Error_Destroy(&args);
}

std::vector<ErrorPayload> payloads_of(const PluginState& plugin, const abi::PJRT_Error* error) {
  std::vector<ErrorPayload> payloads;
  abi::PJRT_Error_ForEachPayload_Args args{};
  args.struct_size = abi::struct_size<abi::PJRT_Error_ForEachPayload_Args>;
  args.error = error;
  args.user_arg = &payloads;
  args.visitor = [](const char* key, size_t key_size, const char* value, size_t value_size, void* user) {
    try {
      static_cast<std::vector<ErrorPayload>*>(user)->push_back(
          {std::string(key, key_size), std::string(value, value_size)});
    } catch (...) {  // there is no memory for it, and nothing may be thrown through the plugin
    }
  };
  if (plugin.api.PJRT_Error_ForEachPayload == nullptr) return payloads;
  if (abi::PJRT_Error* second = plugin.api.PJRT_Error_ForEachPayload(&args); second != nullptr) {
    (void)take_error(plugin, second, "PJRT_Error_ForEachPayload");
  }
  return payloads;
}

ErrorCode code_of(const PluginState& plugin, const abi::PJRT_Error* error) {
  abi::PJRT_Error_GetCode_Args code{};
  code.struct_size = abi::struct_size<abi::PJRT_Error_GetCode_Args>;
  code.error = error;
  code.code = abi::PJRT_Error_Code_UNKNOWN;
  if (abi::PJRT_Error* second = plugin.api.PJRT_Error_GetCode(&code); second != nullptr) destroy(plugin, second);
  return static_cast<ErrorCode>(code.code);
}

Error read_error(const PluginState& plugin, const abi::PJRT_Error* error, std::string_view function) {
  abi::PJRT_Error_Message_Args text{};
  text.struct_size = abi::struct_size<abi::PJRT_Error_Message_Args>;
  text.error = error;
  plugin.api.PJRT_Error_Message(&text);
  Error result(code_of(plugin, error),
               text.message != nullptr ? std::string(text.message, text.message_size) : std::string());
  std::vector<ErrorPayload> payloads = payloads_of(plugin, error);
  if (!payloads.empty()) result = std::move(result).with_payloads(std::move(payloads));
  return std::move(result).with_function(function);
}

}  // namespace

Error take_error(const PluginState& plugin, abi::PJRT_Error* error, std::string_view function) {
  struct Owner {
    const PluginState& plugin;
    abi::PJRT_Error* error;
    ~Owner() { destroy(plugin, error); }
  } const owner{plugin, error};
  return read_error(plugin, error, function);
}

Result<void> outcome_of_lent(const PluginState& plugin, const abi::PJRT_Error* error, std::string_view function) {
  if (error == nullptr || code_of(plugin, error) == ErrorCode::Ok) return {};
  return std::unexpected(read_error(plugin, error, function));
}

std::size_t wanted_size(const Error& error, std::size_t sent) {
  constexpr std::string_view kExpected = "size: expected ";  // the words before may be "Unexpected X_Args"
  const std::string_view text = error.message();
  const std::size_t at = text.find(kExpected);
  if (error.code() != ErrorCode::InvalidArgument || at == std::string_view::npos) return 0;
  std::size_t wanted = 0;
  std::from_chars(text.data() + at + kExpected.size(), text.data() + text.size(), wanted);
  return wanted > sent ? wanted : 0;
}

Error thrown_by_plugin(const PluginState& plugin, std::string_view function) noexcept {
  const auto error = [&](std::string_view what) {
    return Error(ErrorCode::Internal,
                 "plugin " + Plugin(&plugin).description() + " threw a C++ exception: " + std::string(what))
        .with_function(function);
  };
#if defined(__cpp_exceptions)
  try {
    try {
      throw;
    } catch (const std::bad_alloc&) {  // a plugin's, or ours while its error was read
      return caught();
    } catch (const std::exception& e) {
      return error(e.what());
    } catch (...) {
      return error("something that is not a std::exception of ours");
    }
  } catch (...) {
    return caught();
  }
#else
  return error("nothing");
#endif
}

Error empty_subject(const abi::Subject& subject, std::string_view function) {
  std::string what(subject.handle);
  what = what.substr(what.find('_') + 1);
  return Error(ErrorCode::FailedPrecondition, "the " + what + " is empty: it was moved from, or never was one")
      .with_function(function);
}

Error plugin_is_gone(const PluginState& plugin, std::string_view function) {
  if (plugin.gone.load() == Gone::Exiting) {
    return Error(ErrorCode::FailedPrecondition,
                 "plugin " + Plugin(&plugin).description() + " cannot be used while the process ends")
        .with_function(function);
  }
  return Error(ErrorCode::FailedPrecondition,
               "plugin " + Plugin(&plugin).description() +
                   " was started before fork(), and its threads do not exist in this child process")
      .with_note("fork before the first client is created, or let the child exec")
      .with_function(function);
}

Error absent_function(const PluginState& plugin, const abi::CoreFunction& function) {
  if (&plugin == &no_plugin()) return Error(ErrorCode::FailedPrecondition, kEmptyHandle).with_function(function.name);
  const Version needed{0, function.since_minor};
  std::string message(function.name);
  if (plugin.version < needed) {
    message += " needs PJRT API " + to_string(needed) + "; " + version_note(plugin);
  } else {
    message += " is missing from the table of plugin " + Plugin(&plugin).description();
  }
  return Error(ErrorCode::Unimplemented, std::move(message)).with_function(function.name);
}

Error absent_function(const PluginState& plugin, int extension, const abi::ExtensionEntry& entry) {
  const std::string name = entry.function != nullptr ? entry.function : entry.field;
  if (&plugin == &no_plugin()) return Error(ErrorCode::FailedPrecondition, kEmptyHandle).with_function(name);
  const std::string_view extension_name = abi::enumerator_name(static_cast<abi::PJRT_Extension_Type>(extension));
  return Error(ErrorCode::Unimplemented, name + " is not offered by the " + std::string(extension_name) +
                                             " extension of plugin " + Plugin(&plugin).description())
      .with_function(name);
}

Result<void> refuse_newer_fields(const PluginState& plugin, const void* args, std::span<const abi::NewerField> fields,
                                 std::string_view function) {
  const auto* bytes = static_cast<const unsigned char*>(args);
  for (const abi::NewerField& field : fields) {
    if (plugin.version.minor >= field.since_minor) continue;
    const bool set =
        std::any_of(bytes + field.offset, bytes + field.offset + field.size, [](unsigned char b) { return b != 0; });
    if (!set) continue;
    return std::unexpected(
        Error(ErrorCode::Unimplemented, std::string(function) + ": '" + field.name + "' needs PJRT API " +
                                            to_string(Version{0, field.since_minor}) + "; " + version_note(plugin))
            .with_function(function));
  }
  return {};
}

}  // namespace pjrt::detail
