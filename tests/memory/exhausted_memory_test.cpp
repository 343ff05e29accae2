// The n-th `operator new` of this thread fails, for every n: no exception leaves a function that returns a Result, an
// Event or a Future, and nothing ends the process. On the plugin of API 0.106, which allocates past this program's
// operators.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/model/npz.hpp"
#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace {

thread_local long allocations_left = -1;  // before one fails; -1: none does
thread_local bool failed = false;

void* allocate(std::size_t size, std::size_t alignment = 0) {
  if (allocations_left == 0) {
    failed = true;
    throw std::bad_alloc();
  }
  if (allocations_left > 0) --allocations_left;
  void* memory = alignment > 0 ? std::aligned_alloc(alignment, (size + alignment) / alignment * alignment)
                               : std::malloc(size > 0 ? size : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return allocate(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

/// Runs `step` with each of its allocations failing in turn, until it makes no more. Some allocations may fail without
/// harm; an error must be an Error. Returns how often one failed.
template <class F>
int sweep(F step, long most = 3000, long stride = 1) {
  int failures = 0;
  for (long n = 0; n < most; n += n < 200 ? 1 : stride) {
    failed = false;
    allocations_left = n;
    bool threw = false;
    bool worked = false;
    try {
      worked = static_cast<bool>(step());
    } catch (...) {
      threw = true;
    }
    allocations_left = -1;
    EXPECT_FALSE(threw) << "an exception left the library at allocation " << n;
    if (threw) return failures;
    if (!failed) {
      EXPECT_TRUE(worked) << "it fails with all the memory it wants";
      return failures;
    }
    ++failures;
  }
  return failures;
}

TEST(ExhaustedMemory, OfArrays) {
  const Floats values = {1, 2, 3, 4, 5, 6};
  const HostBuffer array = value_of(HostBuffer::copy_of(values, {2, 3}));
  const std::vector<std::byte> file = array.to_npy();
  const HostView strided = value_of(HostView::strided(values.data(), {ElementType::F32, {2, 3}}, {4, 8}));
  EXPECT_GT(sweep([&] { return HostBuffer::copy_of(strided); }), 0);
  EXPECT_GT(sweep([&] { return HostBuffer::parse_npy(file); }), 0);
  EXPECT_GT(sweep([&] { return array.to_vector<float>(); }), 0);
  EXPECT_GT(sweep([&] { return HostBuffer::from_vector(Floats(), {0}); }), 0);
  sweep([&] { return array.reshape({3, 2}); });
  sweep([&] { return array.reinterpret(ElementType::S32); });
  EXPECT_GT(sweep([&] { return !array.at<float>({5, 5}); }), 0);  // the error needs memory, too
}

TEST(ExhaustedMemory, OfErrors) {
  const HostBuffer array = HostBuffer::scalar(1.0f);
  allocations_left = 0;
  const Result<float> missing = array.at<float>({1});
  allocations_left = -1;
  EXPECT_ERROR(missing, ResourceExhausted, "the host's memory is exhausted");
}

TEST(ExhaustedMemory, OfEvents) {
  const Event ready = Event::ready();
  EXPECT_GT(sweep([&] { return ready.on_ready([](const Result<void>&) {}); }), 0);
  sweep([&] { return ready.await(); });
}

TEST(ExhaustedMemory, OfModels) {
  const std::string text = test::kShardedAdd;
  const auto bytes = test::as_bytes(text);
  EXPECT_GT(sweep([&] { return model::Model::parse(bytes); }, 2000, 7), 0);
  const std::string artifact =
      test::read_all(std::filesystem::path(PJRT_TEST_SOURCE_DIR) / "models/digits/model.jaxexp");
  const auto artifact_bytes = test::as_bytes(artifact);
  EXPECT_GT(sweep([&] { return model::Model::parse(artifact_bytes); }, 2000, 17), 0);
  const std::string assignment = value_of(DeviceAssignment::create(2, 2, {0, 1, 2, 3})).serialize();
  EXPECT_GT(sweep([&] { return DeviceAssignment::parse(assignment); }), 0);
  const std::string options = CompileOptions().num_partitions(2).flag("xla_dump_to", "x").serialize();
  EXPECT_GT(sweep([&] { return CompileOptions::parse(options); }), 0);
  EXPECT_GT(sweep([&] { return Layout::parse("{2,1,0:T(8,128)(2,1)}"); }), 0);
  EXPECT_GT(sweep([&] { return Sharding::parse_text("{devices=[2,2]<=[4]}", 2); }), 0);
}

class ExhaustedMemoryOnAPlugin : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cpu-0.106"); }

  Plugin plugin = value_of(Plugin::load(test::plugin_file("cpu-0.106")->string()));
};

TEST_F(ExhaustedMemoryOnAPlugin, OfClients) {
  EXPECT_GT(sweep([&] { return Client::create(plugin); }, 400, 37), 0);
  EXPECT_GT(sweep([&] { return plugin.attributes(); }), 0);
}

TEST_F(ExhaustedMemoryOnAPlugin, OfTransfers) {
  const Client client = value_of(Client::create(plugin));
  const Floats values = {1, 2, 3};
  const HostView view = value_of(HostView::of(values, {3}));
  const HostBuffer array = value_of(HostBuffer::copy_of(values, {3}));
  const Memory memory = client.memories()[0];
  const Buffer buffer = value_of(client.upload(view));
  EXPECT_GT(sweep([&] { return client.upload(view); }), 0);
  EXPECT_GT(sweep([&] { return client.upload_async(array).await(); }), 0);
  EXPECT_GT(sweep([&] { return client.upload_view(array); }), 0);
  EXPECT_GT(sweep([&] { return buffer.to_host(); }), 0);
  EXPECT_GT(sweep([&] { return buffer.to_vector<float>(); }), 0);
  EXPECT_GT(sweep([&] { return buffer.to_host_async().await(); }), 0);
  EXPECT_GT(sweep([&] { return buffer.ready().await(); }), 0);
  EXPECT_GT(sweep([&] { return buffer.copy_to_memory(memory); }), 0);
  sweep([&] { return buffer.layout(); });
  sweep([&] { return buffer.external_reference(); });
  EXPECT_GT(sweep([&] { return client.create_uninitialized_buffer({ElementType::F32, {3}}); }), 0);
  EXPECT_GT(sweep([&] { return client.create_alias_buffer({ElementType::F32, {3}}, memory); }), 0);
  const std::vector<ShapeSpec> specs = {{{ElementType::F32, {3}}, {}}};
  EXPECT_GT(sweep([&] { return client.create_buffers_for_async_host_to_device(specs, memory); }), 0);
}

TEST_F(ExhaustedMemoryOnAPlugin, OfPrograms) {
  const Client client = value_of(Client::create(plugin));
  const Program program = Program::mlir(test::kAdd);
  EXPECT_GT(sweep([&] { return client.compile(program); }, 600, 41), 0);
  const LoadedExecutable add = value_of(client.compile(program));
  const Buffer x = value_of(client.upload(Floats{1, 2, 3}, {3}));
  EXPECT_GT(sweep([&] { return add(x, x); }), 0);
  EXPECT_GT(sweep([&] { return add.prepare(x, x); }), 0);
  EXPECT_FALSE(sweep([&] { return add.parameters(); }));
  const Executable executable = add.executable();
  EXPECT_GT(sweep([&] { return executable.output_shapes(); }), 0);
  EXPECT_GT(sweep([&] { return executable.serialize(); }), 0);
  EXPECT_GT(sweep([&] { return executable.optimized_program(); }), 0);
  const SerializedExecutable serialized = value_of(executable.serialize());
  EXPECT_GT(sweep([&] { return client.deserialize(serialized); }, 400, 37), 0);
}

TEST_F(ExhaustedMemoryOnAPlugin, OfSessions) {
  const model::Model model = model::Model::from_program(Program::mlir(test::kAdd));
  const Client client = value_of(Client::create(plugin));
  EXPECT_GT(sweep([&] { return Session::open(model, client); }, 1200, 61), 0);
  const Session session = value_of(Session::open(model, client));
  const HostBuffer three = value_of(HostBuffer::copy_of(Floats{1, 2, 3}, {3}));
  const NamedArrays inputs = {{"arg0", three}, {"arg1", three}};
  EXPECT_GT(sweep([&] { return session.run(inputs); }, 1000, 5), 0);
  EXPECT_GT(sweep([&] { return session.find_input("nothing of that name").has_value() ? false : true; }), 0);
}

}  // namespace
}  // namespace pjrt
