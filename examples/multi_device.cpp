// Several devices: what they are, a program on each of them, arrays from one to another, a program on all of them at
// once.

#include <iostream>
#include <pjrt/pjrt.hpp>

using pjrt::or_throw;

namespace {

constexpr const char* kSquare = R"(
module @square {
  func.func public @main(%x: tensor<3xf32>) -> tensor<3xf32> {
    %y = stablehlo.multiply %x, %x : tensor<3xf32>
    return %y : tensor<3xf32>
  }
})";

/// The sum of what all replicas are given.
constexpr const char* kSumOfAll = R"(
module @sum_of_all {
  func.func public @main(%x: tensor<3xf32>) -> tensor<3xf32> {
    %sum = "stablehlo.all_reduce"(%x) ({
    ^bb0(%a: tensor<f32>, %b: tensor<f32>):
      %c = stablehlo.add %a, %b : tensor<f32>
      stablehlo.return %c : tensor<f32>
    }) {replica_groups = dense<[[0, 1, 2, 3]]> : tensor<1x4xi64>} : (tensor<3xf32>) -> tensor<3xf32>
    return %sum : tensor<3xf32>
  }
})";

std::string text(const pjrt::Buffer& buffer) {
  return to_string(or_throw(buffer.to_host()));
}

}  // namespace

int main() try {
  const auto plugin = or_throw(pjrt::Plugin::load("cpu"));
  const auto client = or_throw(pjrt::Client::create(plugin, {.options = {{"cpu_device_count", 4}}}));

  std::cout << client.devices().size() << " devices of platform " << client.platform_name() << "\n";
  for (const pjrt::Device& device : client.devices()) {
    std::cout << "  " << device.id() << " " << device.kind() << ", process " << device.process_index() << ", memory "
              << or_throw(device.default_memory()).kind();
    const pjrt::Result<pjrt::MemoryStats> stats = device.memory_stats();
    std::cout << ", " << (stats ? std::to_string(stats->bytes_in_use) + " bytes in use" : "no statistics") << "\n";
  }
  const pjrt::Topology topology = or_throw(client.topology());
  std::cout << "The topology describes " << or_throw(topology.device_descriptions()).size() << " devices\n";

  std::cout << "A program on each device, its argument that device's number:\n";
  const auto square = or_throw(client.compile(pjrt::Program::mlir(kSquare), pjrt::CompileOptions{}.portable(true)));
  for (const pjrt::Device& device : client.devices()) {
    const auto number = static_cast<float>(device.id());
    const pjrt::Buffer x = or_throw(client.upload(std::vector<float>(3, number), {3}, {.device = device}));
    const std::vector<pjrt::Argument> arguments{x};
    const pjrt::Outputs outputs = or_throw(square.execute(arguments, {.device = device}));
    std::cout << "  " << device.id() << ": " << text(outputs[0]) << "\n";
  }

  std::cout << "An array that goes from device to device:\n";
  const pjrt::Device first = or_throw(client.lookup_device(0));
  pjrt::Buffer travelling = or_throw(client.upload(std::vector<float>{1, 2, 3}, {3}, {.device = first}));
  for (int id = 1; id < 4; ++id) {
    travelling = or_throw(travelling.copy_to_device(or_throw(client.lookup_device(id))));
    pjrt::Future<pjrt::HostBuffer> arrived = travelling.to_host_async();  // or waits at once: to_host
    std::cout << "  on " << travelling.device().id() << ": " << to_string(or_throw(arrived.await())) << "\n";
  }

  std::cout << "A program on all of them at once, which sums over them:\n";
  const auto sum = or_throw(client.compile(pjrt::Program::mlir(kSumOfAll), pjrt::CompileOptions{}.num_replicas(4)));
  std::vector<std::vector<pjrt::Buffer>> arguments;
  for (const pjrt::Device& device : sum.addressable_devices()) {
    const auto number = static_cast<float>(device.id());
    arguments.emplace_back();
    arguments.back().push_back(
        or_throw(client.upload(std::vector<float>{number, 10 * number, 1}, {3}, {.device = device})));
  }
  for (const pjrt::Outputs& outputs : or_throw(sum.execute(arguments)))
    std::cout << "  on " << outputs[0].device().id() << ": " << text(outputs[0]) << "\n";
  return 0;
} catch (const pjrt::Exception& e) {
  std::cerr << "multi_device: " << e.what() << "\n";
  return 1;
}
