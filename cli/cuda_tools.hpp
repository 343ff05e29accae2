#pragma once

#include <string>
#include <vector>

#include "command.hpp"

namespace pjrt::cli {

/// Where the CUDA plugin finds what it compiles with: ptxas, and for many mathematical functions libdevice.
struct CudaTools {
  /// For the plugin: xla_gpu_cuda_data_dir, if it needs to be told.
  std::vector<std::string> flags;
  bool has_ptxas = true;
  /// For people, if libdevice was not found: how to get it.
  std::vector<std::string> hints;
};

/// What to say where ptxas is missing. Without a GPU the plugin does not say it: it may crash when a compilation fails.
Error no_ptxas();

/// Looks for the tools in `folder` if one is given, else on PATH, beside the plugin (as wheels and
/// scripts/fetch-plugins lay them out), and in /usr/local/cuda; puts the folder of ptxas first on PATH, as the plugin
/// looks there.
std::expected<CudaTools, Failure> find_cuda_tools(const Plugin& plugin, const std::string& folder);

}  // namespace pjrt::cli
