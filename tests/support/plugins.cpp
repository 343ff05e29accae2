#include "support/plugins.hpp"

#include <dlfcn.h>

#include <map>
#include <mutex>

#include "core/discovery.hpp"
#include "pjrt/abi/core.h"
#include "support/call_counter.hpp"
#include "support/matchers.hpp"

namespace pjrt::test {

std::optional<std::filesystem::path> plugin_file(const std::string& name) {
  const std::filesystem::path folder = std::filesystem::path(PJRT_TEST_SOURCE_DIR) / ".plugins" / name;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator
           it(folder, std::filesystem::directory_options::follow_directory_symlink, error),
       end;
       !error && it != end; it.increment(error)) {
    const std::string file = it->path().filename().string();
    if (file.ends_with(".so") &&
        (file.find("pjrt") != std::string::npos || file.find("plugin") != std::string::npos || file == "libtpu.so"))
      return it->path();
  }
  return std::nullopt;
}

std::optional<std::string> why_not(const std::string& name) {
  const std::optional<std::filesystem::path> path = plugin_file(name);
  if (!path) return "plugin " + name + " is not there; run scripts/fetch-plugins " + name;
  if (const auto ok = detail::check_surroundings(*path); !ok) return to_string(ok.error());
  return std::nullopt;
}

Plugin counted_plugin(const std::string& name) {
  static std::mutex mutex;
  static std::map<std::string, Plugin> plugins;
  const std::lock_guard lock(mutex);
  if (const auto it = plugins.find(name); it != plugins.end()) return it->second;
  if (const auto why = why_not(name)) {
    [&] { GTEST_SKIP() << *why; }();
    // What googletest takes for "was reported already".
    throw ::testing::AssertionException({::testing::TestPartResult::kSkip, __FILE__, __LINE__, why->c_str()});
  }
  const std::optional<std::filesystem::path> path = plugin_file(name);
  ::setenv("TPU_SKIP_MDS_QUERY", "1", 0);
  ::setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1", 0);
  void* library = ::dlopen(path->c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  const auto get = reinterpret_cast<const abi::PJRT_Api* (*)()>(::dlsym(library, "GetPjrtApi"));
  Plugin plugin = value_of(Plugin::adopt(count_calls(get(), name), name));
  plugins.emplace(name, plugin);
  return plugin;
}

Client make_client(const Plugin& plugin, int cpu_devices) {
  ClientOptions options;
  if (cpu_devices > 0) options.options.add("cpu_device_count", cpu_devices);
  return value_of(Client::create(plugin, options));
}

}  // namespace pjrt::test
