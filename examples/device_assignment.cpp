// Which device runs which part of a program: an assignment made by hand, the client's own, and a program compiled for
// one.

#include <iostream>
#include <pjrt/pjrt.hpp>

using pjrt::or_throw;

namespace {

/// Each replica adds its number to what it is given.
constexpr const char* kAddReplica = R"(
module @add_replica {
  func.func public @main(%x: tensor<ui32>) -> tensor<ui32> {
    %replica = stablehlo.replica_id : tensor<ui32>
    %sum = stablehlo.add %x, %replica : tensor<ui32>
    return %sum : tensor<ui32>
  }
})";

void show(const pjrt::DeviceAssignment& assignment) {
  for (int replica = 0; replica < assignment.num_replicas(); ++replica) {
    std::cout << "  replica " << replica << ":";
    for (int partition = 0; partition < assignment.num_partitions(); ++partition)
      std::cout << " " << or_throw(assignment.device({replica, partition}));
    std::cout << "\n";
  }
}

}  // namespace

int main() try {
  std::cout << "By hand, two replicas of two partitions:\n";
  const auto manual = or_throw(pjrt::DeviceAssignment::create(2, 2, {3, 1, 2, 0}));
  show(manual);

  const std::optional<pjrt::LogicalId> part = manual.lookup(2);
  std::cout << "  device 2 runs replica " << part->replica << ", partition " << part->partition << "\n";
  std::cout << "  device 9 " << (manual.lookup(9) ? "has" : "has no") << " part in it\n";

  if (const auto wrong = pjrt::DeviceAssignment::create(2, 2, {0, 1, 2}); !wrong)
    std::cout << "Three devices for it: " << wrong.error().message() << "\n";

  const auto plugin = or_throw(pjrt::Plugin::load("cpu"));
  const auto client = or_throw(pjrt::Client::create(plugin, {.options = {{"cpu_device_count", 4}}}));
  std::cout << "The client's own, four replicas:\n";
  show(or_throw(client.default_device_assignment(4, 1)));

  // Replica 0 on device 2, replica 1 on device 0.
  const auto swapped = or_throw(pjrt::DeviceAssignment::create(2, 1, {2, 0}));
  const auto program =
      or_throw(client.compile(pjrt::Program::mlir(kAddReplica), pjrt::CompileOptions{}.device_assignment(swapped)));
  std::cout << "Compiled for:\n";
  show(or_throw(program.device_assignment()).value());

  std::vector<std::vector<pjrt::Buffer>> arguments;
  for (const pjrt::Device& device : program.addressable_devices()) {
    arguments.emplace_back();
    arguments.back().push_back(or_throw(client.upload(std::uint32_t{100}, {.device = device})));
  }
  const std::vector<pjrt::Outputs> outputs = or_throw(program.execute(arguments));
  for (const pjrt::Outputs& of_device : outputs) {
    std::cout << "  device " << of_device[0].device().id() << " gives "
              << or_throw(of_device[0].to_vector<std::uint32_t>())[0] << "\n";
  }
  return 0;
} catch (const pjrt::Exception& e) {
  std::cerr << "device_assignment: " << e.what() << "\n";
  return 1;
}
