// What the library costs over the same calls made by hand on the C table: both in one process, batch by batch in turn,
// so that the machine's moods fall on both alike. Prints medians of the batches, their ratio, and allocations for each
// operation.
//
//   overhead [PLUGIN]

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <vector>

#include "allocations.hpp"
#include "pjrt/abi/functions.hpp"
#include "pjrt/pjrt.hpp"

namespace {

using pjrt::or_throw;
namespace abi = pjrt::abi;

constexpr const char* kAdd = R"(
module @add {
  func.func public @main(%a: tensor<f32>, %b: tensor<f32>) -> tensor<f32> {
    %sum = stablehlo.add %a, %b : tensor<f32>
    return %sum : tensor<f32>
  }
})";

void check(abi::PJRT_Error* error) {
  if (error != nullptr) {
    std::fputs("a call by hand failed\n", stderr);
    std::exit(1);
  }
}

/// Nanoseconds and allocations of one call of `f`, averaged over a batch.
struct Sample {
  double ns;
  double allocations;
};

Sample batch(const std::function<void()>& f, int calls) {
  const std::int64_t before = bench::allocations();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < calls; ++i) f();
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  return {time.count() / calls, static_cast<double>(bench::allocations() - before) / calls};
}

Sample median(std::vector<Sample> samples) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end(),
                   [](const Sample& a, const Sample& b) { return a.ns < b.ns; });
  return *middle;
}

void compare(const char* what, int calls, int batches, const std::function<void()>& by_hand,
             const std::function<void()>& library) {
  std::vector<Sample> hand;
  std::vector<Sample> ours;
  batch(by_hand, calls);
  batch(library, calls);
  for (int i = 0; i < batches; ++i) {
    if (i % 2 == 0) {
      hand.push_back(batch(by_hand, calls));
      ours.push_back(batch(library, calls));
    } else {
      ours.push_back(batch(library, calls));
      hand.push_back(batch(by_hand, calls));
    }
  }
  const Sample h = median(hand);
  const Sample l = median(ours);
  std::printf("%-34s %12.0f %12.0f %8.3f %10.1f %10.1f\n", what, h.ns, l.ns, l.ns / h.ns, h.allocations, l.allocations);
}

}  // namespace

int main(int argc, char** argv) try {
  ::setenv("TF_CPP_MIN_LOG_LEVEL", "3", 0);
  const pjrt::Plugin plugin = or_throw(argc > 1 ? pjrt::Plugin::load(argv[1]) : pjrt::Plugin::load_default());
  const abi::PJRT_Api& api = *plugin.raw();
  const pjrt::Client client =
      or_throw(pjrt::Client::create(plugin, {.options = {{"cpu_device_count", 1}}, .key_value_store = nullptr}));
  const pjrt::LoadedExecutable add = or_throw(client.compile(pjrt::Program::mlir(kAdd)));
  const pjrt::Buffer x = or_throw(client.upload(1.0F));
  const pjrt::Buffer y = or_throw(client.upload(2.0F));

  std::printf("%s, API %s\n\n%-34s %12s %12s %8s %10s %10s\n", plugin.description().c_str(),
              to_string(plugin.api_version()).c_str(), "operation", "by hand ns", "library ns", "ratio", "allocs",
              "allocs");

  const auto destroy = [&](abi::PJRT_Buffer* buffer) {
    abi::PJRT_Buffer_Destroy_Args args{};
    args.struct_size = abi::struct_size<abi::PJRT_Buffer_Destroy_Args>;
    args.buffer = buffer;
    check(api.PJRT_Buffer_Destroy(&args));
  };
  const auto destroy_event = [&](abi::PJRT_Event* event) {
    abi::PJRT_Event_Destroy_Args args{};
    args.struct_size = abi::struct_size<abi::PJRT_Event_Destroy_Args>;
    args.event = event;
    check(api.PJRT_Event_Destroy(&args));
  };

  const auto execute_by_hand = [&] {
    abi::PJRT_ExecuteOptions options{};
    options.struct_size = abi::struct_size<abi::PJRT_ExecuteOptions>;
    abi::PJRT_Buffer* arguments[] = {x.raw(), y.raw()};
    abi::PJRT_Buffer* const* argument_list = arguments;
    abi::PJRT_Buffer* output = nullptr;
    abi::PJRT_Buffer** output_list = &output;
    abi::PJRT_LoadedExecutable_Execute_Args args{};
    args.struct_size = abi::struct_size<abi::PJRT_LoadedExecutable_Execute_Args>;
    args.executable = add.raw();
    args.options = &options;
    args.argument_lists = &argument_list;
    args.num_devices = 1;
    args.num_args = 2;
    args.output_lists = &output_list;
    check(api.PJRT_LoadedExecutable_Execute(&args));
    destroy(output);
  };
  compare("execute scalar add, plain", 2000, 101, execute_by_hand, [&] { (void)or_throw(add(x, y)); });
  pjrt::PreparedExecution prepared = or_throw(add.prepare(x, y));
  compare("execute scalar add, prepared", 2000, 101, execute_by_hand, [&] { or_throw(prepared.run()); });

  const auto upload_by_hand = [&](const std::vector<float>& values, abi::PJRT_HostBufferSemantics semantics) {
    const std::int64_t dims[] = {static_cast<std::int64_t>(values.size())};
    abi::PJRT_Client_BufferFromHostBuffer_Args args{};
    args.struct_size = abi::struct_size<abi::PJRT_Client_BufferFromHostBuffer_Args>;
    args.client = client.raw();
    args.data = values.data();
    args.type = abi::PJRT_Buffer_Type_F32;
    args.dims = dims;
    args.num_dims = 1;
    args.host_buffer_semantics = semantics;
    args.device = client.devices()[0].raw();
    check(api.PJRT_Client_BufferFromHostBuffer(&args));
    destroy_event(args.done_with_host_buffer);
    destroy(args.buffer);
  };
  const auto download_by_hand = [&](const pjrt::Buffer& buffer, std::vector<float>& out) {
    abi::PJRT_Buffer_ToHostBuffer_Args args{};
    args.struct_size = abi::struct_size<abi::PJRT_Buffer_ToHostBuffer_Args>;
    args.src = buffer.raw();
    args.dst = out.data();
    args.dst_size = out.size() * sizeof(float);
    check(api.PJRT_Buffer_ToHostBuffer(&args));
    abi::PJRT_Event_Await_Args wait{};
    wait.struct_size = abi::struct_size<abi::PJRT_Event_Await_Args>;
    wait.event = args.event;
    check(api.PJRT_Event_Await(&wait));
    destroy_event(args.event);
  };
  struct Size {
    const char* name;
    std::size_t count;
    int calls;
    int batches;
  };
  for (const Size& size : {Size{"1 float", 1, 2000, 101}, Size{"4 KiB", 1024, 2000, 51}, Size{"1 MiB", 1 << 18, 50, 51},
                           Size{"64 MiB", 1 << 24, 2, 15}}) {
    const auto count = static_cast<std::int64_t>(size.count);
    const std::vector<float> values(size.count, 1.5F);
    compare((std::string("upload ") + size.name).c_str(), size.calls, size.batches,
            [&] { upload_by_hand(values, abi::PJRT_HostBufferSemantics_kImmutableOnlyDuringCall); },
            [&] { (void)or_throw(client.upload(values, {count})); });
    const pjrt::Buffer buffer = or_throw(client.upload(values, {count}));
    std::vector<float> out(size.count);
    compare((std::string("download ") + size.name).c_str(), size.calls, size.batches,
            [&] { download_by_hand(buffer, out); }, [&] { or_throw(buffer.to_host(std::span(out))); });
  }
  const pjrt::HostBuffer large = or_throw(pjrt::HostBuffer::zeros(pjrt::Shape{pjrt::ElementType::F32, {1 << 24}}));
  compare(
      "upload 64 MiB without a copy", 20, 51,
      [&] {
        const std::int64_t dims[] = {1 << 24};
        abi::PJRT_Client_BufferFromHostBuffer_Args args{};
        args.struct_size = abi::struct_size<abi::PJRT_Client_BufferFromHostBuffer_Args>;
        args.client = client.raw();
        args.data = large.view().data();
        args.type = abi::PJRT_Buffer_Type_F32;
        args.dims = dims;
        args.num_dims = 1;
        args.host_buffer_semantics = abi::PJRT_HostBufferSemantics_kImmutableZeroCopy;
        args.device = client.devices()[0].raw();
        check(api.PJRT_Client_BufferFromHostBuffer(&args));
        destroy(args.buffer);
        destroy_event(args.done_with_host_buffer);
      },
      [&] {
        (void)or_throw(client.upload_view(large.view(), {.device = {}, .memory = {}, .keep_alive = large.owner()}));
      });
  return 0;
} catch (const pjrt::Exception& e) {
  std::cerr << "overhead: " << e.what() << "\n";
  return 1;
}
