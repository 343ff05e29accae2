#pragma once

#include <string>

#include "pjrt/compile_options.hpp"
#include "pjrt/executable.hpp"
#include "pjrt/topology.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

/// Devices that are not here, to compile for.

namespace pjrt::test {

/// An NVIDIA H100 as stream_executor.GpuTargetConfigProto, in protobuf's text form; the numbers are of NVIDIA's data
/// sheet.
inline constexpr const char* kH100 = R"(
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
dnn_version_info { major: 9 minor: 1 }
gpu_device_info {
  cuda_compute_capability { major: 9 }
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  device_memory_size: 84978434048
  memory_bandwidth: 3352320000000
  l2_cache_size: 52428800
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  shared_memory_per_core: 233472
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
})";

/// Four chips of two cores each.
inline Topology tpu_v4(const Plugin& tpu) {
  return value_of(Topology::create(tpu, "v4:2x2x1"));
}

/// `shape`: slices x hosts of a slice x GPUs of a host. The CUDA plugin asks for no name of it; the library does.
inline Topology h100(const Plugin& cuda, const std::string& shape = "1 x 1 x 1") {
  return value_of(Topology::create(cuda, "h100", NamedValues{{"target_config", kH100}, {"topology", shape}}));
}

}  // namespace pjrt::test
