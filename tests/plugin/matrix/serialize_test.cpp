// Executables written down and loaded again: by who wrote them, and by nobody else.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pjrt/pjrt.hpp"
#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"

namespace pjrt {
namespace {

using test::value_of;
using Floats = std::vector<float>;

class Serialized : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }

  SerializedExecutable add() const {
    return value_of(value_of(client.compile(Program::mlir(test::kAdd))).executable().serialize());
  }
  /// 1 + 10, 2 + 20, 3 + 30 on the executable's device.
  static Floats run(const LoadedExecutable& executable) {
    const Client client = executable.client();
    const UploadOptions there{.device = executable.addressable_devices().front()};
    const Outputs sum = value_of(executable(value_of(client.upload(Floats{1, 2, 3}, {3}, there)),
                                            value_of(client.upload(Floats{10, 20, 30}, {3}, there))));
    return value_of(sum[0].to_vector<float>());
  }
  std::int64_t loads() const { return test::calls_of(GetParam(), "PJRT_Executable_DeserializeAndLoad"); }

  Client client = test::make_client(test::counted_plugin(GetParam()), 2);
};

INSTANTIATE_TEST_SUITE_P(Matrix, Serialized, ::testing::ValuesIn(test::kCpuVersions));

TEST_P(Serialized, ComputeTheSame) {
  const LoadedExecutable loaded = value_of(client.deserialize(add()));
  EXPECT_EQ(loaded.name(), "add");
  EXPECT_EQ(run(loaded), (Floats{11, 22, 33}));
}

TEST_P(Serialized, HaveParametersAndOutputsAsBefore) {
  const LoadedExecutable loaded = value_of(client.deserialize(add()));
  ASSERT_EQ(loaded.output_shapes().size(), 1u);
  EXPECT_EQ(to_string(loaded.output_shapes()[0]), "f32[3]");
  const std::span<const Parameter> parameters = value_of(loaded.parameters());
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_EQ(to_string(parameters[1].shape), "f32[3]");
}

TEST_P(Serialized, StillDonate) {
  const LoadedExecutable compiled = value_of(client.compile(Program::mlir(test::kAddTo)));
  const LoadedExecutable loaded = value_of(client.deserialize(value_of(compiled.executable().serialize())));
  const Buffer a = value_of(client.upload(Floats{1, 2, 3}, {3}));
  const Buffer b = value_of(client.upload(Floats{10, 20, 30}, {3}));
  EXPECT_EQ(value_of(value_of(loaded(a, b))[0].to_vector<float>()), (Floats{11, 22, 33}));
  EXPECT_TRUE(a.is_deleted());
}

TEST_P(Serialized, MayBeKeptInAFile) {
  const test::TemporaryFolder folder;
  ASSERT_OK(add().save(folder / "add"));
  const SerializedExecutable loaded = value_of(SerializedExecutable::load(folder / "add"));
  EXPECT_EQ(run(value_of(client.deserialize(loaded))), (Floats{11, 22, 33}));
}

TEST_P(Serialized, MayBeLoadedByAnotherClientOfThePlugin) {
  const SerializedExecutable serialized = add();
  const Client other = test::make_client(client.plugin());
  EXPECT_EQ(run(value_of(other.deserialize(serialized))), (Floats{11, 22, 33}));
}

TEST_P(Serialized, OutliveProgramAndClient) {
  std::optional<Client> other = test::make_client(client.plugin());
  std::optional<LoadedExecutable> compiled = value_of(other->compile(Program::mlir(test::kAdd)));
  const detail::OwnedBytes bytes = value_of(compiled->executable().serialize_raw());
  compiled.reset();
  other.reset();
  EXPECT_EQ(run(value_of(client.deserialize_raw(bytes, {}))), (Floats{11, 22, 33}));
}

TEST_P(Serialized, SayWhoWroteThem) {
  const SerializedExecutable::Origin origin = add().origin();
  EXPECT_EQ(origin.api_version, client.plugin().api_version());
  EXPECT_TRUE(origin.platform.starts_with("cpu")) << origin.platform;
  EXPECT_FALSE(origin.plugin_id.empty());
}

TEST_P(Serialized, GoToTheDeviceOfOtherOptions) {
  const DeviceAssignment second = DeviceAssignment::single(client.devices()[1].id());
  const LoadedExecutable loaded =
      value_of(client.deserialize(add(), {.compile_options = CompileOptions().device_assignment(second)}));
  ASSERT_EQ(loaded.addressable_devices().size(), 1u);
  EXPECT_EQ(loaded.addressable_devices().front(), client.devices()[1]);
  EXPECT_EQ(run(loaded), (Floats{11, 22, 33}));
}

TEST_P(Serialized, OptionsAreCheckedAsForCompiling) {  // without a replica, plugins abort
  const SerializedExecutable serialized = add();
  EXPECT_ERROR(client.deserialize(serialized, {.compile_options = CompileOptions().num_replicas(0)}), InvalidArgument,
               "at least one replica");
  EXPECT_ERROR(client.deserialize(serialized, {.compile_options = CompileOptions().num_partitions(100)}),
               InvalidArgument, "the client has 2");
  EXPECT_EQ(loads(), 0);
}

TEST_P(Serialized, OriginOfTheComputationNeedsApi0111) {
  const Result<LoadedExecutable> loaded = client.deserialize(add(), {.computation_origin = {0, 0, 0}});
  if (GetParam() == "cpu") {
    EXPECT_EQ(run(value_of(client.deserialize(add(), {.computation_origin = {0, 0, 0}}))), (Floats{11, 22, 33}));
  } else {
    EXPECT_ERROR(loaded, Unimplemented, "0.111");
    EXPECT_EQ(loads(), 0);
  }
}

// Those of others.

TEST_P(Serialized, OfAnotherPluginAreRefused) {  // it would load them and compute nonsense
  const SerializedExecutable serialized = add();
  for (const std::string& name : test::kCpuVersions) {
    if (name == GetParam() || test::why_not(name)) continue;
    const Client other = test::make_client(test::counted_plugin(name));
    EXPECT_ERROR(other.deserialize(serialized), FailedPrecondition, "was written by another plugin");
    EXPECT_ERROR(other.deserialize(serialized), FailedPrecondition, "compile the program again");
    EXPECT_EQ(test::calls_of(name, "PJRT_Executable_DeserializeAndLoad"), 0);
  }
}

TEST_P(Serialized, OfAnotherPlatformAreRefused) {
  const SerializedExecutable ours = add();
  SerializedExecutable::Origin origin = ours.origin();
  origin.platform = "tpu";
  EXPECT_ERROR(client.deserialize(SerializedExecutable(origin, ours.payload())), FailedPrecondition, "tpu plugin");
  EXPECT_EQ(loads(), 0);
}

// Damage.

TEST_P(Serialized, CutOffAreRefusedWithoutAskingThePlugin) {
  const SerializedExecutable whole = add();
  for (std::size_t size = 0; size < whole.bytes().size(); size += 1 + whole.bytes().size() / 50) {
    EXPECT_FALSE(SerializedExecutable::parse(whole.bytes().first(size))) << size;
  }
  EXPECT_EQ(loads(), 0);
}

TEST_P(Serialized, WithAWrongByteAreRefusedWithoutAskingThePlugin) {  // it may well load them
  const SerializedExecutable whole = add();
  for (std::size_t at = 0; at < whole.bytes().size(); at += 1 + whole.bytes().size() / 50) {
    std::vector<std::byte> bytes(whole.bytes().begin(), whole.bytes().end());
    bytes[at] ^= std::byte{4};
    EXPECT_FALSE(SerializedExecutable::parse(bytes)) << at;
  }
  EXPECT_EQ(loads(), 0);
}

TEST_P(Serialized, BareBytesThatAreCutOffAreAnError) {
  const SerializedExecutable whole = add();
  for (std::size_t size = 0; size < whole.payload().size(); size += 1 + whole.payload().size() / 20) {
    EXPECT_FALSE(client.deserialize_raw(whole.payload().first(size), {})) << size;
  }
}

TEST_P(Serialized, BareBytesThatAreNoneOfThePluginsAreAnError) {
  EXPECT_FALSE(client.deserialize_raw(test::as_bytes("garbage"), {}));
  EXPECT_FALSE(client.deserialize_raw({}, {}));
  EXPECT_FALSE(client.deserialize_raw(test::as_bytes(std::string(4096, '\xff')), {}));
}

TEST_P(Serialized, FailuresLeaveTheClientWell) {
  EXPECT_FALSE(client.deserialize_raw(test::as_bytes("garbage"), {}));
  EXPECT_EQ(run(value_of(client.deserialize(add()))), (Floats{11, 22, 33}));
}

// Compiled ahead of time.

TEST_P(Serialized, CompiledAheadOfTimeAreLoadedByAClient) {
  const Topology topology = value_of(client.topology());
  Result<Executable> compiled = compile(topology, Program::mlir(test::kAdd));
  if (GetParam() != "cpu") {
    EXPECT_ERROR(compiled, NotFound, "");
    return;
  }
  ASSERT_OK(compiled);
  EXPECT_EQ(value_of(compiled->name()), "add");
  EXPECT_EQ(value_of(compiled->num_outputs()), 1u);
  std::optional<LoadedExecutable> loaded = value_of(client.load(*compiled));
  EXPECT_EQ(run(*loaded), (Floats{11, 22, 33}));
  compiled = std::unexpected(Error(ErrorCode::Cancelled, "dropped"));  // the loaded one does not need it
  EXPECT_EQ(run(*loaded), (Floats{11, 22, 33}));
}

TEST_P(Serialized, CompiledAheadOfTimeOutliveTopologyAndClient) {
  if (GetParam() != "cpu") GTEST_SKIP() << "no compiling ahead of time on " << GetParam();
  std::optional<Client> other = test::make_client(client.plugin());
  std::optional<Topology> topology = value_of(other->topology());
  const Executable compiled = value_of(compile(*topology, Program::mlir(test::kAdd)));
  topology.reset();
  other.reset();
  EXPECT_EQ(run(value_of(client.load(compiled))), (Floats{11, 22, 33}));
  EXPECT_EQ(run(value_of(client.deserialize(value_of(compiled.serialize())))), (Floats{11, 22, 33}));
}

TEST_P(Serialized, ViewsOfLoadedExecutablesAreNotLoadedAgain) {  // "Missing shared_executable", or a crash
  const LoadedExecutable loaded = value_of(client.compile(Program::mlir(test::kAdd)));
  EXPECT_ERROR(client.load(loaded.executable()), InvalidArgument, "the view of a loaded one");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_Load"), 0);
}

TEST_P(Serialized, ExecutablesOfAnotherPluginAreNotLoaded) {
  const std::string name = GetParam() == "cpu" ? "cpu-0.106" : "cpu";
  REQUIRE_PLUGIN(name);
  const Client other = test::make_client(test::counted_plugin(name));
  const LoadedExecutable loaded = value_of(other.compile(Program::mlir(test::kAdd)));
  EXPECT_ERROR(client.load(loaded.executable()), InvalidArgument, "was compiled by plugin");
}

}  // namespace
}  // namespace pjrt
