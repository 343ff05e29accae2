#include "pjrt/plugin.hpp"

#include <dlfcn.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/discovery.hpp"
#include "core/elf.hpp"
#include "core/plugin_list.hpp"
#include "core/printable.hpp"
#include "core/try.hpp"

namespace pjrt {
namespace detail {
namespace {

/// Walks the plugin's chain: what each extension is, and a copy of those we know as wide as ours.
void read_extensions(PluginState& state) {
  constexpr int kLongestChain = 256;  // a cycle would be the plugin's fault; do not hang on it
  int links = 0;
  for (const abi::PJRT_Extension_Base* e = state.raw->extension_start; e != nullptr && links < kLongestChain;
       e = e->next, ++links) {
    ExtensionInfo info;
    info.type = static_cast<int>(e->type);
    info.struct_size = e->struct_size;
    info.raw = e;
    const bool in_range = info.type >= 0 && info.type < static_cast<int>(abi::extension_types.size());
    const abi::ExtensionType* type = in_range ? &abi::extension_types[static_cast<std::size_t>(info.type)] : nullptr;
    info.known = type != nullptr && type->struct_size != 0;
    info.name = info.known ? std::string_view(type->name) : "unknown";

    const auto* words = reinterpret_cast<void* const*>(e);
    const std::size_t end = info.struct_size / sizeof(void*);
    const std::size_t known_end = info.known ? type->struct_size / sizeof(void*) : 0;
    for (std::size_t i = sizeof(abi::PJRT_Extension_Base) / sizeof(void*); i < end; ++i) {
      if (i < known_end && words[i] != nullptr) ++info.functions;
      if (i >= known_end) ++info.unknown_functions;
    }
    auto& copy = state.extension_copies[in_range ? static_cast<std::size_t>(info.type) : 0];
    if (info.known && copy == nullptr) {
      copy = std::make_unique<void*[]>(known_end + 1);
      const std::size_t whole_words = std::min<std::size_t>(end * sizeof(void*), type->struct_size);
      std::memcpy(copy.get(), e, whole_words);
    }
    state.extensions.push_back(info);
  }
}

Error unusable(ErrorCode code, const std::string& who, const std::string& what) {
  return Error(code, who + " cannot be used: " + what);
}

/// Those of the needed libraries that the loader does not find, as text: "libfoo.so.1 and libbar.so". Empty if all are
/// there; then a library of theirs is missing, which the loader's own words name.
std::string missing_libraries(const std::vector<std::string>& needed) {
  std::vector<std::string> missing;
  for (const std::string& name : needed) {
    void* library = ::dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (library != nullptr) {
      ::dlclose(library);
    } else if (const char* why = ::dlerror(); why != nullptr && std::strstr(why, "No such file") != nullptr) {
      missing.push_back(printable(name));
    }
  }
  std::string text;
  for (std::size_t i = 0; i < missing.size(); ++i)
    text += (i == 0 ? "" : i + 1 == missing.size() ? " and " : ", ") + missing[i];
  return text;
}

/// Why the loader refused a library, in words that say what to do.
Error not_loaded(const std::filesystem::path& path, const LibraryFile& library, std::string why) {
  const std::string subject = "plugin " + printable(path.string()) + " cannot be loaded: ";
  if (why.find("cannot open shared object file") != std::string::npos) {
    if (const std::string missing = missing_libraries(library.needed); !missing.empty()) {
      return Error(ErrorCode::FailedPrecondition, subject + "it needs " + missing + ", not found on this machine")
          .with_note("install what it needs, or name its folder in LD_LIBRARY_PATH")
          .with_note(std::move(why));
    }
  }
  Error error(ErrorCode::InvalidArgument, subject + printable(why));
  rlimit limit{};
  std::error_code ignored;
  if (why.find("failed to map") == std::string::npos && why.find("Cannot allocate memory") == std::string::npos)
    return error;
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    error = std::move(error).with_note("the address space of this process is limited to " +
                                       std::to_string(limit.rlim_cur >> 20) + " MiB (ulimit -v), and the file has " +
                                       std::to_string(std::filesystem::file_size(path, ignored) >> 20) + " MiB");
  }
  return error;
}

Result<const PluginState*> open_file(const std::filesystem::path& path, std::string name) {
  const std::string shown = printable(path.string());
  struct stat file{};
  if (::stat(path.c_str(), &file) != 0) {
    const ErrorCode code = errno == ENOENT || errno == ENOTDIR ? ErrorCode::NotFound
                           : errno == EACCES                   ? ErrorCode::PermissionDenied
                                                               : ErrorCode::InvalidArgument;
    return std::unexpected(Error(code, "plugin " + shown + ": " + inspect_library(path, "").problem.value_or("")));
  }
  const std::lock_guard lock(PluginList::mutex());
  if (const PluginState* known = PluginList::find(file)) return known;

  const LibraryFile library_file = inspect_library(path, "GetPjrtApi");
  if (library_file.problem) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "plugin " + shown + " cannot be loaded: " + *library_file.problem));
  }
  // Before its initializers run.
  if (!library_file.exports_symbol) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, shown + " is not a PJRT plugin: it exports no GetPjrtApi"));
  }
  PJRT_CHECK(check_surroundings(path));
  prepare_environment(path);
  void* library = nullptr;
  {
    const CallScope scope("dlopen", path.c_str());  // constructors of the library run here
    library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  }
  if (library == nullptr) {
    const char* why = ::dlerror();
    return std::unexpected(not_loaded(path, library_file, why != nullptr ? why : "unknown reason"));
  }
  using GetPjrtApi = const abi::PJRT_Api* (*)();
  const auto get = reinterpret_cast<GetPjrtApi>(::dlsym(library, "GetPjrtApi"));
  if (get == nullptr) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, shown + " is not a PJRT plugin: it exports no GetPjrtApi"));
  }
  const abi::PJRT_Api* api = nullptr;
  {
    const CallScope scope("GetPjrtApi", path.c_str());
    api = get();
  }
  PJRT_TRY(PluginState * state, make_plugin_state(api, std::move(name), path));
  state->device = file.st_dev;
  state->inode = file.st_ino;
  PluginList::add(*state);
  return state;
}

}  // namespace

Result<PluginState*> make_plugin_state(const abi::PJRT_Api* api, std::string name, std::filesystem::path path) {
  const std::string who = printable(path.empty() ? "plugin " + name : path.string());
  if (api == nullptr)
    return std::unexpected(unusable(ErrorCode::InvalidArgument, who, "its GetPjrtApi returns a null table"));

  const std::size_t first_slot = abi::core_functions.front().offset;
  if (api->struct_size < first_slot) {
    return std::unexpected(unusable(ErrorCode::InvalidArgument, who,
                                    "its table is too small: " + std::to_string(api->struct_size) +
                                        " bytes, and the version alone ends at " + std::to_string(first_slot)));
  }
  const Version version{api->pjrt_api_version.major_version, api->pjrt_api_version.minor_version};
  if (version.major != kApiVersion.major) {
    return std::unexpected(unusable(ErrorCode::Unimplemented, who,
                                    "it has PJRT API " + to_string(version) + "; this library speaks major version " +
                                        std::to_string(kApiVersion.major)));
  }
  if (version < kOldestApiVersion) {
    return std::unexpected(unusable(
        ErrorCode::Unimplemented, who,
        "it has PJRT API " + to_string(version) + "; the oldest that can be used is " + to_string(kOldestApiVersion)));
  }
  std::size_t needed = first_slot;
  for (const abi::CoreFunction& f : abi::core_functions) {
    if (f.since_minor <= kOldestApiVersion.minor) needed = std::max<std::size_t>(needed, f.offset + sizeof(void*));
  }
  if (api->struct_size < needed) {
    return std::unexpected(unusable(ErrorCode::InvalidArgument, who,
                                    "its table is too small: " + std::to_string(api->struct_size) +
                                        " bytes; PJRT API " + to_string(version) + " has at least " +
                                        std::to_string(needed)));
  }
  for (const abi::CoreFunction* f :
       {&abi::fn::PJRT_Error_Destroy::info, &abi::fn::PJRT_Error_Message::info, &abi::fn::PJRT_Error_GetCode::info}) {
    if (*reinterpret_cast<void* const*>(reinterpret_cast<const char*>(api) + f->offset) == nullptr) {
      return std::unexpected(unusable(ErrorCode::InvalidArgument, who, std::string("its table lacks ") + f->name));
    }
  }

  auto state = std::make_unique<PluginState>();
  state->name = std::move(name);
  state->path = std::move(path);
  state->version = version;
  state->raw = api;
  const std::size_t whole_slots = std::min(api->struct_size, sizeof(abi::PJRT_Api)) / sizeof(void*) * sizeof(void*);
  std::memcpy(&state->api, api, whole_slots);
  read_extensions(*state);

  if (state->api.PJRT_Plugin_Initialize != nullptr) {
    abi::PJRT_Plugin_Initialize_Args args{};
    if (auto ok = call<abi::fn::PJRT_Plugin_Initialize>(*state, args); !ok) {
      return std::unexpected(std::move(ok).error().with_note("while initializing " + who));
    }
  }
  return state.release();
}

}  // namespace detail

Result<Plugin> Plugin::load(std::string_view name_or_path) try {
  if (name_or_path.empty()) return std::unexpected(Error(ErrorCode::InvalidArgument, "the name of a plugin is empty"));
  if (name_or_path.find('/') != std::string_view::npos) {
    const std::filesystem::path path(name_or_path);
    Result<const detail::PluginState*> state = detail::open_file(path, detail::plugin_name_of(path));
    if (!state) return std::unexpected(std::move(state).error());
    return Plugin(*state);
  }
  const PluginSearch search = find_plugins();
  Result<PluginCandidate> candidate = detail::choose_plugin(search, name_or_path);
  if (!candidate) return std::unexpected(std::move(candidate).error());
  Result<const detail::PluginState*> state = detail::open_file(candidate->path, candidate->name);
  if (!state) return std::unexpected(detail::with_others(std::move(state).error(), search, *candidate, name_or_path));
  return Plugin(*state);
}
PJRT_CATCH

Result<Plugin> Plugin::load_default() try { return load(detail::environment("PJRT_PLUGIN").value_or("cpu")); }
PJRT_CATCH

Result<Plugin> Plugin::adopt(const abi::PJRT_Api* api, std::string name) try {
  const std::lock_guard lock(detail::PluginList::mutex());
  if (const detail::PluginState* known = detail::PluginList::find(api)) return Plugin(known);
  PJRT_TRY(detail::PluginState * state, detail::make_plugin_state(api, std::move(name), {}));
  detail::PluginList::add(*state);
  return Plugin(state);
}
PJRT_CATCH

const std::string& Plugin::name() const noexcept {
  return state_->name;
}
const std::filesystem::path& Plugin::path() const noexcept {
  return state_->path;
}
Version Plugin::api_version() const noexcept {
  return state_->version;
}
const abi::PJRT_Api* Plugin::raw() const noexcept {
  return state_->raw;
}
std::span<const ExtensionInfo> Plugin::extensions() const noexcept {
  return state_->extensions;
}

std::string Plugin::platform_hint() const {
  std::string hint = detail::plugin_name_of(state_->path.empty() ? std::filesystem::path(state_->name) : state_->path);
  while (!hint.empty() && hint.back() >= '0' && hint.back() <= '9') hint.pop_back();  // cuda13
  return hint;
}

std::string Plugin::description() const {
  return state_->path.empty() ? state_->name : state_->name + " (" + state_->path.string() + ")";
}

Result<NamedValues> Plugin::attributes() const try {
  auto args = detail::call<abi::fn::PJRT_Plugin_Attributes>(*state_, {});
  if (!args) return std::unexpected(std::move(args).error());
  return detail::from_c(args->attributes, args->num_attributes);
}
PJRT_CATCH

bool Plugin::has_extension_type(int type) const noexcept {
  return std::ranges::any_of(state_->extensions, [type](const ExtensionInfo& e) { return e.type == type; });
}

namespace {

bool present(const abi::PJRT_Api& api, const abi::CoreFunction& f) {
  void* slot = nullptr;
  std::memcpy(&slot, reinterpret_cast<const char*>(&api) + f.offset, sizeof slot);
  return slot != nullptr;
}

}  // namespace

bool Plugin::has_function(std::string_view c_name) const noexcept {
  return std::ranges::any_of(abi::core_functions,
                             [&](const abi::CoreFunction& f) { return f.name == c_name && present(state_->api, f); });
}

int Plugin::function_count() const noexcept {
  return static_cast<int>(
      std::ranges::count_if(abi::core_functions, [&](const abi::CoreFunction& f) { return present(state_->api, f); }));
}

std::vector<std::string_view> Plugin::absent_functions() const {
  std::vector<std::string_view> names;
  for (const abi::CoreFunction& f : abi::core_functions) {
    if (!present(state_->api, f)) names.emplace_back(f.name);
  }
  return names;
}

}  // namespace pjrt
