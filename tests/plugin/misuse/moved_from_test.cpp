// Every public member of every handle on an object that was moved from, and every index at its size: what can fail
// answers FailedPrecondition, the rest is empty. tests/consumer/moved_from_test.py compares the members that stand here
// with the headers.

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/ext/layouts.hpp"
#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

#define EXPECT_EMPTY(...) EXPECT_ERROR((__VA_ARGS__), FailedPrecondition, "")

class MovedFrom : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  Buffer three() const { return value_of(client.upload(Floats{1, 2, 3}, {3})); }
  Memory memory() const { return value_of(client.devices().front().default_memory()); }
  LoadedExecutable add() const { return value_of(client.compile(Program::mlir(test::kAdd))); }
  TransferManager transfer() const {
    const std::vector<ShapeSpec> specs = {{{ElementType::F32, {3}}, {}}};
    return value_of(client.create_buffers_for_async_host_to_device(specs, memory()));
  }

  Client client = test::make_client(test::counted_plugin(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Matrix, MovedFrom, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(MovedFrom, Buffer) {
  Buffer b = three();
  const Buffer taken = std::move(b);
  EXPECT_EQ(b.type(), ElementType::Invalid);
  EXPECT_EQ(b.dims(), Dimensions());
  EXPECT_EQ(b.shape(), Shape());
  EXPECT_EMPTY(b.unpadded_dims());
  EXPECT_EMPTY(b.dynamic_dimension_indices());
  EXPECT_EMPTY(b.layout());
  EXPECT_EMPTY(b.on_device_size());
  EXPECT_EQ(b.device(), Device::none());
  EXPECT_EMPTY(b.memory());
  EXPECT_EMPTY(b.is_on_cpu());
  EXPECT_EQ(b.client().devices().size(), 0u);
  EXPECT_OK(b.delete_now());
  EXPECT_TRUE(b.is_deleted());
  EXPECT_EMPTY(b.ready().await());
  EXPECT_EMPTY(b.to_host());
  EXPECT_EMPTY(b.to_host_async().await());
  Floats out(3);
  EXPECT_EMPTY(b.to_host(std::span(out)));
  EXPECT_EMPTY(b.to_vector<float>());
  EXPECT_FALSE(b.host_view<float>());
  EXPECT_EMPTY(b.copy_raw_to_host(std::as_writable_bytes(std::span(out))).await());
  EXPECT_EMPTY(b.copy_raw_to_host_future(4));
  EXPECT_EMPTY(b.copy_to_device(client.devices()[0]));
  EXPECT_EMPTY(b.copy_to_memory(memory()));
  EXPECT_EMPTY(std::move(b).bitcast({ElementType::S32, {3}}));
  EXPECT_EMPTY(std::move(b).donate_with_control_dependency());
  EXPECT_EMPTY(b.external_reference());
  EXPECT_EMPTY(b.unsafe_pointer());
  EXPECT_EQ(b.raw(), nullptr);
  EXPECT_EMPTY(add()(b, taken));
  EXPECT_EMPTY(add().prepare(b, taken));
}

TEST_P(MovedFrom, LoadedExecutable) {
  LoadedExecutable e = add();
  const Buffer x = three();
  const LoadedExecutable taken = std::move(e);
  EXPECT_EMPTY(e.executable().name());
  EXPECT_EQ(e.client().platform_name(), "");
  EXPECT_EQ(e.name(), "");
  EXPECT_EMPTY(e.parameters());
  EXPECT_TRUE(e.output_shapes().empty());
  EXPECT_EQ(e.addressable_devices().size(), 0u);
  EXPECT_EMPTY(e.addressable_device_logical_ids());
  EXPECT_EMPTY(e.device_assignment());
  EXPECT_EMPTY(e.delete_now());
  EXPECT_TRUE(e.is_deleted());
  EXPECT_EMPTY(e.fingerprint());
  EXPECT_EMPTY(e(x, x));
  const std::vector<std::vector<Argument>> lists = {{x, x}};
  EXPECT_EMPTY(e.execute(lists));
  EXPECT_EMPTY(e.prepare(x, x));
  EXPECT_EQ(e.raw(), nullptr);
}

TEST_P(MovedFrom, ExecutableOfAnEmptyHandle) {
  LoadedExecutable e = add();
  const LoadedExecutable taken = std::move(e);
  const Executable x = e.executable();
  EXPECT_EMPTY(x.name());
  EXPECT_EMPTY(x.num_replicas());
  EXPECT_EMPTY(x.num_partitions());
  EXPECT_EMPTY(x.num_outputs());
  EXPECT_EMPTY(x.output_shapes());
  EXPECT_EMPTY(x.output_memory_kinds());
  EXPECT_EMPTY(x.parameter_memory_kinds());
  EXPECT_EMPTY(x.size_of_generated_code());
  EXPECT_EMPTY(x.fingerprint());
  EXPECT_EMPTY(x.cost_analysis());
  EXPECT_EMPTY(x.memory_stats());
  EXPECT_EMPTY(x.compile_options());
  EXPECT_EMPTY(x.serialized_compile_options());
  EXPECT_EMPTY(x.optimized_program());
  EXPECT_EMPTY(x.serialize());
  EXPECT_EMPTY(x.serialize_raw());
  EXPECT_EQ(x.plugin().name(), "none");
  EXPECT_EQ(x.raw(), nullptr);
  EXPECT_EMPTY(client.load(x));
}

TEST_P(MovedFrom, ClientOfAnEmptyHandle) {
  Buffer b = three();
  const Buffer taken = std::move(b);
  const Client c = b.client();
  EXPECT_EQ(c.plugin().function_count(), 0);
  EXPECT_EQ(c.platform_name(), "");
  EXPECT_EQ(c.platform_version(), "");
  EXPECT_EQ(c.process_index(), 0);
  EXPECT_EQ(c.devices().size(), 0u);
  EXPECT_EQ(c.addressable_devices().size(), 0u);
  EXPECT_EQ(c.memories().size(), 0u);
  EXPECT_EMPTY(c.lookup_device(0));
  EXPECT_EMPTY(c.lookup_addressable_device(0));
  EXPECT_EMPTY(c.topology());
  EXPECT_EMPTY(c.default_device_assignment(1, 1));
  EXPECT_EMPTY(c.compile(Program::mlir(test::kAdd)));
  EXPECT_FALSE(c.upload(1.0f));
  EXPECT_FALSE(c.upload(Floats{1}, {1}));
  EXPECT_FALSE(c.upload_async(HostBuffer::scalar(1.0f)).await());
  EXPECT_FALSE(c.upload_view(HostBuffer::scalar(1.0f)));
  EXPECT_FALSE(c.upload_mutable_view(HostBuffer::scalar(1.0f)));
  EXPECT_FALSE(c.create_uninitialized_buffer({ElementType::F32, {1}}));
  EXPECT_FALSE(c.create_error_buffer(Error(ErrorCode::Internal, "x"), {ElementType::F32, {1}}, memory()));
  EXPECT_FALSE(c.create_alias_buffer({ElementType::F32, {1}}, memory()));
  float x = 0;
  EXPECT_FALSE(c.create_view_of_device_buffer(&x, {ElementType::F32, {}}, {}));
  EXPECT_EMPTY(c.dma_map(std::as_writable_bytes(std::span(&x, 1))));
  EXPECT_EMPTY(c.update_global_process_info({}));
  EXPECT_FALSE(c.create_buffers_for_async_host_to_device({}, memory()));
  EXPECT_FALSE(c.deserialize_raw({}, {}));
  const LoadedExecutable add = value_of(client.compile(Program::mlir(test::kAdd)));
  EXPECT_FALSE(c.deserialize(value_of(add.executable().serialize())));
  EXPECT_FALSE(c.extension<ext::Layouts>());
  EXPECT_EQ(c.raw(), nullptr);
}

TEST_P(MovedFrom, ClientDeviceMemoryAndTopologyCopy) {
  Client c = client;
  const Client taken = std::move(c);
  EXPECT_EQ(c, taken);
  Device d = client.devices().front();
  const Device device = std::move(d);
  EXPECT_EQ(d, device);
  Memory m = memory();
  const Memory kept = std::move(m);
  EXPECT_EQ(m, kept);
  Topology t = value_of(client.topology());
  const Topology topology = std::move(t);
  EXPECT_EQ(value_of(t.platform_name()), value_of(topology.platform_name()));
}

TEST_P(MovedFrom, DevicesPastTheEndAreEmpty) {
  const Devices devices = client.devices();
  const Device d = devices[devices.size()];
  EXPECT_EQ(d.id(), -1);
  EXPECT_EQ(d.local_hardware_id(), -1);
  EXPECT_EQ(d.process_index(), -1);
  EXPECT_FALSE(d.is_addressable());
  EXPECT_EQ(d.kind(), "");
  EXPECT_EQ(d.to_string(), "no device");
  EXPECT_EQ(d.description().id(), -1);
  EXPECT_EMPTY(d.description().attributes());
  EXPECT_EQ(d.memories().size(), 0u);
  EXPECT_FALSE(d.default_memory());
  EXPECT_FALSE(d.memory("device"));
  EXPECT_EMPTY(d.memory_stats());
  EXPECT_EMPTY(d.clear_memory_stats());
  EXPECT_EMPTY(d.attributes());
  EXPECT_EMPTY(d.poison_execution(1, Error(ErrorCode::Internal, "x")));
  EXPECT_EMPTY(d.create_async_tracking_event("x"));
  EXPECT_EQ(d.raw(), nullptr);
  EXPECT_FALSE(client.upload(1.0f, {.device = d}));
  EXPECT_FALSE(three().copy_to_device(d));
}

TEST_P(MovedFrom, MemoriesPastTheEndAreEmpty) {
  const Memories memories = client.memories();
  const Memory m = memories[memories.size()];
  EXPECT_EQ(m.id(), -1);
  EXPECT_EQ(m.kind_id(), -1);
  EXPECT_EQ(m.kind(), "");
  EXPECT_EQ(m.debug_string(), "");
  EXPECT_EQ(m.to_string(), "no memory");
  EXPECT_TRUE(m.devices().empty());
  EXPECT_EQ(m.raw(), nullptr);
  EXPECT_FALSE(client.upload(1.0f, {.memory = m}));
  EXPECT_FALSE(three().copy_to_memory(m));
}

TEST_P(MovedFrom, Outputs) {
  const Buffer x = three();
  Outputs outputs = value_of(add()(x, x));
  EXPECT_EMPTY(outputs[outputs.size()].to_host());
  EXPECT_EMPTY(std::as_const(outputs)[700].to_host());
  Outputs taken = std::move(outputs);
  EXPECT_EQ(outputs.size(), 0u);
  EXPECT_TRUE(outputs.empty());
  EXPECT_EQ(outputs.begin(), outputs.end());
  EXPECT_FALSE(outputs.completion());
  EXPECT_OK(outputs.await());
  EXPECT_FALSE(std::move(outputs).take<1>());
  EXPECT_TRUE(std::move(outputs).take_all().empty());
  // What somebody puts into the buffer past the end is gone the next time.
  taken[9] = three();
  EXPECT_EMPTY(taken[9].to_host());
}

TEST_P(MovedFrom, PreparedExecution) {
  const Buffer x = three();
  PreparedExecution p = value_of(add().prepare(x, x));
  EXPECT_EMPTY(p.output(0).to_host());  // it has not run
  EXPECT_OK(p.run());
  EXPECT_EMPTY(p.output(p.num_outputs()).to_host());
  PreparedExecution taken = std::move(p);
  EXPECT_EMPTY(p.run());
  EXPECT_EMPTY(p.output(0).to_host());
  EXPECT_EQ(p.num_outputs(), 0u);
  EXPECT_EMPTY(p.take_output(0));
  EXPECT_EMPTY(p.feed_back(0, 0));
  EXPECT_EMPTY(p.set_argument(0, x));
}

TEST_P(MovedFrom, TransferManager) {
  TransferManager m = transfer();
  TransferManager taken = std::move(m);
  EXPECT_EMPTY(m.buffer_count());
  EXPECT_EMPTY(m.buffer_size(0));
  EXPECT_EMPTY(m.device());
  EXPECT_TRUE(m.specs().empty());
  EXPECT_EMPTY(m.retrieve_buffer(0));
  EXPECT_EMPTY(m.transfer_data(0, Chunk(nullptr, {}), 0, true).await());
  EXPECT_EMPTY(m.add(0, Chunk(nullptr, {})).await());
  EXPECT_EMPTY(m.transfer_chunked(0, {}, 1));
  EXPECT_EMPTY(m.transfer_literal(0, HostBuffer::scalar(1.0f)).await());
  EXPECT_EMPTY(m.transfer_all({}).await());
  EXPECT_EMPTY(m.set_buffer_error(0, Error(ErrorCode::Internal, "x")));
  EXPECT_EMPTY(m.add_metadata({}));
  EXPECT_EMPTY(m.raw(0).add(Chunk(nullptr, {})).await());
  EXPECT_EMPTY(m.raw(0).transfer(Chunk(nullptr, {}), 0, true).await());
  EXPECT_EMPTY(m.raw(0).retrieve());
  EXPECT_EMPTY(m.typed<float>(0));
}

TEST_P(MovedFrom, ReferencesAndViews) {
  const Buffer x = three();
  ExternalReference reference = value_of(x.external_reference());
  const ExternalReference taken = std::move(reference);
  EXPECT_EMPTY(reference.device_pointer());

  auto view = value_of(x.host_view<float>());
  EXPECT_EQ(view[view.size()], 0.0f);
  const auto kept = std::move(view);
  EXPECT_TRUE(view.span().empty());
  EXPECT_EQ(view.size(), 0u);
  EXPECT_EQ(view[0], 0.0f);
  EXPECT_EQ(view.begin(), view.end());
  EXPECT_EQ(kept[2], 3.0f);
}

TEST_P(MovedFrom, Promises) {
  AliasBuffer alias = value_of(client.create_alias_buffer({ElementType::F32, {3}}, memory()));
  AliasFulfillment fulfillment = std::move(alias.fulfillment);
  EXPECT_EMPTY(alias.fulfillment.fulfill(three()));
  EXPECT_EMPTY(alias.fulfillment.fail(Error(ErrorCode::Internal, "x")));
  EXPECT_OK(fulfillment.fulfill(three()));

  std::array<std::byte, 12> out;
  if (Result<RawCopy> copy = three().copy_raw_to_host_future(12)) {  // since API 0.84
    RawCopy taken = *std::move(copy);
    EXPECT_EMPTY(copy->provide(out));
    EXPECT_EMPTY(copy->fail(Error(ErrorCode::Internal, "x")));
    EXPECT_EMPTY(copy->event().await());
    EXPECT_OK(taken.provide(out));
    EXPECT_OK(taken.event().await());
  }
  if (Result<DonatedBuffer> donated = three().donate_with_control_dependency()) {  // since API 0.88
    ControlDependency taken = std::move(donated->dependency);
    EXPECT_EMPTY(donated->dependency.resolve());
    EXPECT_OK(taken.resolve());
  }
  if (auto made = Event::create(client.plugin())) {  // since API 0.89
    EventSetter taken = std::move(made->second);
    EXPECT_EMPTY(made->second.set());
    EXPECT_OK(taken.set());
  }
}

TEST_P(MovedFrom, AnAssignedPromiseBreaksTheOldOne) {
  const auto make = [&] { return value_of(client.create_alias_buffer({ElementType::F32, {3}}, memory())); };
  AliasBuffer first = make();
  AliasBuffer second = make();
  first.fulfillment = std::move(second.fulfillment);  // the first promise is gone at this moment, not later
  EXPECT_ERROR(first.buffer.ready().await(), Cancelled, "");
  EXPECT_OK(first.fulfillment.fulfill(three()));
  EXPECT_EQ(value_of(second.buffer.to_vector<float>()), (Floats{1, 2, 3}));
}

TEST_P(MovedFrom, ExecuteContextCopies) {
  ExecuteContext context = value_of(ExecuteContext::create(client.plugin()));
  const ExecuteContext taken = std::move(context);
  EXPECT_EQ(context.raw(), taken.raw());
  EXPECT_EQ(context.plugin(), client.plugin());
}

}  // namespace
}  // namespace pjrt
