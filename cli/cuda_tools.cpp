#include "cuda_tools.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>

namespace pjrt::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLibdevice = "nvvm/libdevice/libdevice.10.bc";

bool has_ptxas(const fs::path& folder) {
  return ::access((folder / "ptxas").c_str(), X_OK) == 0;
}

bool ptxas_is_on_path() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "";
  while (!rest.empty()) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    if (!folder.empty() && has_ptxas(folder)) return true;
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
  }
  return false;
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> all;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) all.push_back(it->path());
  }
  std::ranges::sort(all);
  return all;
}

/// Folders that may be the root of a CUDA toolkit. NVIDIA's wheels put one into site-packages/nvidia/cu13, where JAX's
/// plugin lies in site-packages/jax_plugins/xla_cuda13; fetch-plugins gives each wheel a site-packages of its own, side
/// by side.
std::vector<fs::path> candidates(const Plugin& plugin) {
  std::vector<fs::path> roots;
  const fs::path site = plugin.path().parent_path().parent_path().parent_path();
  std::vector<fs::path> sites = {site};
  if (site.has_parent_path()) {
    for (fs::path& other : folders_in(site.parent_path())) sites.push_back(std::move(other));
  }
  for (const fs::path& s : sites) {
    for (fs::path& root : folders_in(s / "nvidia")) roots.push_back(std::move(root));
  }
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* root = std::getenv(variable); root != nullptr && *root != '\0') roots.insert(roots.begin(), root);
  }
  roots.emplace_back("/usr/local/cuda");
  return roots;
}

void put_on_path(const fs::path& folder) {
  const char* path = std::getenv("PATH");
  ::setenv("PATH", (folder.string() + (path != nullptr && *path != '\0' ? ":" + std::string(path) : "")).c_str(), 1);
}

}  // namespace

Error no_ptxas() {
  return Error(ErrorCode::NotFound,
               "compiling for a GPU needs ptxas, NVIDIA's assembler, which is neither on PATH, nor beside the plugin, "
               "nor in /usr/local/cuda")
      .with_note(
          "pip install nvidia-cuda-nvcc (scripts/fetch-plugins cuda-nvcc), or name a CUDA toolkit with --cuda-dir");
}

std::expected<CudaTools, Failure> find_cuda_tools(const Plugin& plugin, const std::string& folder) {
  std::error_code error;
  CudaTools tools;
  std::vector<fs::path> roots = candidates(plugin);
  if (!folder.empty()) {
    if (!has_ptxas(fs::path(folder) / "bin"))
      return std::unexpected(wrong_usage("--cuda-dir " + folder + ": there is no program bin/ptxas in it"));
    roots.insert(roots.begin(), fs::path(folder));
  }
  if (!folder.empty() || !ptxas_is_on_path()) {
    const auto root = std::ranges::find_if(roots, [](const fs::path& r) { return has_ptxas(r / "bin"); });
    if (root != roots.end()) {
      put_on_path(fs::absolute(*root, error) / "bin");
    } else {
      tools.has_ptxas = false;
    }
  }
  const auto root = std::ranges::find_if(roots, [](const fs::path& r) { return fs::exists(r / kLibdevice); });
  if (root != roots.end()) {
    tools.flags.push_back("xla_gpu_cuda_data_dir=" + fs::absolute(*root, error).string());
  } else {
    tools.hints.emplace_back(
        "libdevice, NVIDIA's mathematical functions, was not found: pip install nvidia-nvvm (scripts/fetch-plugins "
        "cuda-nvvm), or name a CUDA toolkit with --cuda-dir");
  }
  return tools;
}

}  // namespace pjrt::cli
