// Compiled programs: what they say of themselves, keeping and loading them, and plugins that answer what makes no
// sense.

#include <gtest/gtest.h>

#include <optional>

#include "fake_plugin/fixture.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fn = test::fn;

const Program kProgram("fake", "program");

template <class... F>
struct EveryFunction {
  template <class Check>
  static void each(Check&& check) {
    (check.template operator()<F>(), ...);
  }
};

void answer_as_usual(fake::FakePlugin& fake, std::string_view function) {
  abi::core_functions_of<EveryFunction>::each([&]<class F>() {
    if (function == F::info.name) fake.on<F>([&fake](auto& a) { return fake.usual<F>(a); });
  });
}

class FakeExecutable : public test::OnFake {
 protected:
  FakeExecutable() {
    fake.program("program",
                 {.outputs = {{ElementType::F32, {2, 3}}, {ElementType::S8, {}}}, .replicas = 2, .partitions = 2});
  }
  LoadedExecutable load() { return value_of(client_.compile(kProgram)); }

  Client client_ = make_client(4);
  const Topology topology_ = value_of(client_.topology());
};

TEST_F(FakeExecutable, TellsWhatItIs) {
  const LoadedExecutable loaded = load();
  EXPECT_EQ(loaded.name(), "program");
  EXPECT_THAT(loaded.output_shapes(), ElementsAre(Shape{ElementType::F32, {2, 3}}, Shape{ElementType::S8, {}}));
  EXPECT_EQ(loaded.addressable_devices().size(), 4u);
  const Executable e = loaded.executable();
  EXPECT_EQ(value_of(e.name()), "program");
  EXPECT_EQ(value_of(e.num_replicas()), 2);
  EXPECT_EQ(value_of(e.num_partitions()), 2);
  EXPECT_EQ(value_of(e.num_outputs()), 2u);
  EXPECT_EQ(value_of(e.size_of_generated_code()), 7);
  EXPECT_EQ(value_of(e.fingerprint()), "program");
  EXPECT_THAT(value_of(e.output_memory_kinds()), ElementsAre("device", "device"));
  EXPECT_EQ(value_of(loaded.fingerprint()), "program");
}

TEST_F(FakeExecutable, TellsWhichDeviceRunsWhat) {
  const LoadedExecutable loaded = load();
  const auto ids = value_of(loaded.addressable_device_logical_ids());
  ASSERT_EQ(ids.size(), 4u);
  EXPECT_EQ(ids[1], (LogicalId{0, 1}));
  EXPECT_EQ(ids[2], (LogicalId{1, 0}));
  const DeviceAssignment a = value_of(loaded.device_assignment()).value();
  EXPECT_EQ(value_of(a.device({1, 0})), 2);
  EXPECT_EQ(fake.live()["bytes"], 0);
}

TEST_F(FakeExecutable, ThatIsPortableHasNoAssignment) {
  const LoadedExecutable loaded = compile(client_, {.portable = true});
  EXPECT_EQ(value_of(loaded.device_assignment()), std::nullopt);
  EXPECT_TRUE(loaded.addressable_devices().empty());
}

TEST_F(FakeExecutable, TellsItsParametersMemoriesAndCosts) {
  const Executable e = compile(client_, {.parameter_memory_kinds = {"device", "pinned_host"},
                                         .cost = {{"flops", 12.5f}, {"optimal", true}}})
                           .executable();
  EXPECT_THAT(value_of(e.parameter_memory_kinds()), ElementsAre("device", "pinned_host"));
  EXPECT_EQ(value_of(e.cost_analysis()), (NamedValues{{"flops", 12.5f}, {"optimal", true}}));
}

TEST_F(FakeExecutable, TheViewOfALoadedOneKeepsIt) {
  std::optional<Executable> view = load().executable();
  EXPECT_EQ(fake.live()["loaded executable"], 1);
  EXPECT_EQ(value_of(view->name()), "program");
  view.reset();
  EXPECT_EQ(fake.live()["loaded executable"], 0);
  EXPECT_EQ(calls_of("PJRT_Executable_Destroy"), 1u);
}

TEST_F(FakeExecutable, CompiledAheadOfTimeStandsAloneAndIsLoaded) {
  std::optional<Executable> ahead = value_of(pjrt::compile(topology_, kProgram));
  EXPECT_EQ(value_of(ahead->name()), "program");
  const LoadedExecutable loaded = value_of(client_.load(*ahead));
  ahead.reset();
  EXPECT_EQ(loaded.name(), "program");
  EXPECT_EQ(loaded.addressable_devices().size(), 4u);
}

TEST_F(FakeExecutable, CompiledAheadOfTimeMayBeGivenAClient) {
  EXPECT_OK(pjrt::compile(topology_, kProgram, {}, &client_));
  EXPECT_EQ(fake.calls_of<fn::PJRT_Compile>().back().client, client_.raw());
  EXPECT_OK(pjrt::compile(topology_, kProgram));
  EXPECT_EQ(fake.calls_of<fn::PJRT_Compile>().back().client, nullptr);
  const Client other = value_of(Client::create(with_table({})));
  EXPECT_ERROR(pjrt::compile(topology_, kProgram, {}, &other), InvalidArgument, "the client is of plugin odd");
}

TEST_F(FakeExecutable, TheViewOfALoadedOneCannotBeLoaded) {
  EXPECT_ERROR(client_.load(load().executable()), InvalidArgument, "the executable is the view of a loaded one");
  EXPECT_EQ(calls_of("PJRT_Client_Load"), 0u);
}

TEST_F(FakeExecutable, IsSerializedAndLoadedAgain) {
  std::optional<LoadedExecutable> loaded = load();
  const SerializedExecutable bytes = value_of(loaded->executable().serialize());
  EXPECT_EQ(fake.live()["bytes"], 0);
  loaded.reset();
  EXPECT_EQ(test::text_of(bytes.payload()), "executable program");
  EXPECT_EQ(value_of(client_.deserialize(bytes)).name(), "program");
  EXPECT_EQ(value_of(client_.deserialize_raw(bytes.payload(), {})).name(), "program");
}

TEST_F(FakeExecutable, RawSerializedBytesAreThePluginsUntilTheLastCopyGoes) {
  auto bytes = std::make_optional(value_of(load().executable().serialize_raw()));
  EXPECT_EQ(bytes->text(), "executable program");
  auto copy = bytes;
  bytes.reset();
  EXPECT_EQ(fake.live()["bytes"], 1);
  copy.reset();
  EXPECT_EQ(fake.live()["bytes"], 0);
}

TEST_F(FakeExecutable, WrittenByAnotherPluginIsNotLoaded) {
  const SerializedExecutable bytes = value_of(load().executable().serialize());
  const Client older = value_of(Client::create(with_table({.minor = 100})));
  EXPECT_ERROR(older.deserialize(bytes), FailedPrecondition, "was written by another plugin");
  EXPECT_EQ(calls_of("PJRT_Executable_DeserializeAndLoad"), 0u);
}

TEST_F(FakeExecutable, IsLoadedWithOtherOptionsAndAPlaceInTheSlice) {
  const SerializedExecutable bytes = value_of(load().executable().serialize());
  CompileOptions options;
  options.num_replicas(2).num_partitions(2);
  int config = 0;
  fake.watch<fn::PJRT_Executable_DeserializeAndLoad>([&](const auto& a) {
    EXPECT_EQ(std::string(a.overridden_serialized_compile_options, a.overridden_serialized_compile_options_size),
              options.serialize());
    ASSERT_NE(a.load_options, nullptr);
    EXPECT_THAT(std::span(a.load_options->computation_origin, a.load_options->computation_origin_size),
                ElementsAre(1, 0, 2));
    EXPECT_EQ(static_cast<const void*>(a.load_options->multi_slice_config), &config);
  });
  const LoadedExecutable again = value_of(
      client_.deserialize(bytes, {.compile_options = options,
                                  .computation_origin = {1, 0, 2},
                                  .multi_slice_config = reinterpret_cast<abi::PJRT_MultiSlice_Config*>(&config)}));
  EXPECT_EQ(value_of(again.executable().serialized_compile_options()).text(), options.serialize());
}

TEST_F(FakeExecutable, ThatThePluginDoesNotMakeIsAnErrorWithItsName) {
  EXPECT_ERROR(client_.compile(Program("fake", "no such program")), InvalidArgument,
               "there is no program 'no such program'");
  EXPECT_ERROR(client_.compile(Program("mlir", "module {}")), InvalidArgument, "programs are of format fake");
  EXPECT_ERROR(client_.compile(Program("fake", "")), InvalidArgument, "the program is empty");
}

TEST_F(FakeExecutable, ThatIsNullIsAnError) {
  fake.on<fn::PJRT_Client_Compile>([](auto&) {});
  EXPECT_ERROR(client_.compile(kProgram), Internal, "says that it succeeded, and gives null");
}

TEST_F(FakeExecutable, FailingInAnyCallWhileItIsReadDestroysIt) {
  load();
  std::vector<std::string> functions;
  for (const fake::Call& call : fake.calls()) functions.push_back(call.function);
  functions.erase(functions.begin(), std::ranges::find(functions, "PJRT_Client_Compile") + 1);
  int failed = 0;
  for (const std::string& function : functions) {
    if (function.ends_with("Destroy")) continue;
    fake.fail(function, {ErrorCode::Unavailable, "not now"});
    const auto result = client_.compile(kProgram);
    if (!result) {
      ++failed;
      EXPECT_ERROR(result, Unavailable, "not now (" + function + ")");
      EXPECT_EQ(fake.live()["loaded executable"], 0) << function;
      EXPECT_EQ(fake.live()["executable"], 0) << function;
      EXPECT_EQ(fake.live()["bytes"], 0) << function;
    }
    answer_as_usual(fake, function);
  }
  EXPECT_GE(failed, 4);  // the view, its name, the number of outputs, the devices
}

TEST_F(FakeExecutable, WhoseDevicesTheClientDoesNotListIsAnError) {
  const Client other = make_client();
  fake.on<fn::PJRT_LoadedExecutable_AddressableDevices>([&](auto& a) {
    static abi::PJRT_Device* theirs[1];
    theirs[0] = other.devices()[0].raw();
    a.addressable_devices = theirs;
    a.num_addressable_devices = 1;
  });
  EXPECT_ERROR(client_.compile(kProgram), Internal, "names a device that its client does not list");
  fake.on<fn::PJRT_LoadedExecutable_AddressableDevices>([](auto& a) { a.num_addressable_devices = 4; });
  EXPECT_ERROR(client_.compile(kProgram), Internal, "4 elements, and a null array of them");
}

TEST_F(FakeExecutable, WhoseListsAreNullButNotEmptySaysSo) {
  const LoadedExecutable loaded = load();
  const Executable e = loaded.executable();
  fake.on<fn::PJRT_Executable_OutputElementTypes>([](auto& a) { a.num_output_types = 2; });
  EXPECT_ERROR(e.output_shapes(), Internal,
               "2 elements, and a null array of them (PJRT_Executable_OutputElementTypes)");
  fake.on<fn::PJRT_Executable_OutputMemoryKinds>([](auto& a) { a.num_outputs = 3; });
  EXPECT_ERROR(e.output_memory_kinds(), Internal, "3 elements");
  fake.on<fn::PJRT_Executable_ParameterMemoryKinds>([](auto& a) { a.num_parameters = 1; });
  EXPECT_ERROR(e.parameter_memory_kinds(), Internal, "1 elements");
  fake.on<fn::PJRT_Executable_GetCostAnalysis>([](auto& a) { a.num_properties = 5; });
  EXPECT_ERROR(e.cost_analysis(), Internal, "5 named values, and a null array of them");
  fake.on<fn::PJRT_LoadedExecutable_AddressableDeviceLogicalIds>(
      [](auto& a) { a.num_addressable_device_logical_ids = 6; });
  EXPECT_ERROR(loaded.addressable_device_logical_ids(), Internal, "6 elements");
}

TEST_F(FakeExecutable, WhoseTypesAndDimensionsDifferInNumberSaysSo) {
  const Executable e = load().executable();
  fake.on<fn::PJRT_Executable_OutputElementTypes>([](auto& a) {
    static abi::PJRT_Buffer_Type types[] = {abi::PJRT_Buffer_Type_F32};
    a.output_types = types;
    a.num_output_types = 1;
  });
  EXPECT_ERROR(e.output_shapes(), Internal, "the plugin gives 1 output types and 2 output dimensions");
}

TEST_F(FakeExecutable, WhoseShapesThePluginDoesNotTellIsReadFromItsOutputs) {
  fake.fail<fn::PJRT_Executable_OutputDimensions>(ErrorCode::Unimplemented, "no dimensions");
  const LoadedExecutable loaded = compile(client_, {.outputs = {{ElementType::S16, {4}}}});
  EXPECT_THAT(loaded.output_shapes(), IsEmpty());
  EXPECT_EQ(value_of(loaded())[0].shape(), (Shape{ElementType::S16, {4}}));
}

TEST_F(FakeExecutable, WhoseAssignmentIsGarbageSaysSoAndGivesTheBytesBack) {
  const LoadedExecutable loaded = load();
  fake.on<fn::PJRT_LoadedExecutable_GetDeviceAssignment>([this](auto& a) {
    fake.give_bytes("\xff\xff\xff", a.serialized_bytes, a.serialized_bytes_size, a.serialized_device_assignment,
                    a.serialized_device_assignment_deleter);
  });
  EXPECT_FALSE(loaded.device_assignment());
  EXPECT_EQ(fake.live()["bytes"], 0);
}

TEST_F(FakeExecutable, WhoseCompileOptionsAreGarbageSaysSoAndGivesTheBytesBack) {
  const Executable e = load().executable();
  fake.on<fn::PJRT_Executable_GetCompileOptions>([this](auto& a) {
    fake.give_bytes("\xff\xff\xff", a.serialized_bytes, a.serialized_bytes_size, a.serialized_compile_options,
                    a.serialized_compile_options_deleter);
  });
  EXPECT_FALSE(e.compile_options());
  EXPECT_EQ(fake.live()["bytes"], 0);
}

TEST_F(FakeExecutable, WhoseOptimizedProgramIsASecretRunsUnchecked) {
  const LoadedExecutable loaded = compile(client_, {.outputs = {{ElementType::F32, {}}}});
  EXPECT_ERROR(loaded.parameters(), Unimplemented, "does not tell the parameters of executable 'program'");
  EXPECT_ERROR(loaded.executable().optimized_program(), Unimplemented, "the program is a secret");
  EXPECT_OK(loaded());
}

TEST_F(FakeExecutable, WhoseOptimizedProgramIsGarbageRunsUnchecked) {
  const LoadedExecutable loaded = compile(client_, {.outputs = {{ElementType::F32, {}}}, .optimized = "\xff\xff\xff"});
  const Program optimized = value_of(loaded.executable().optimized_program());
  EXPECT_EQ(optimized.code(), "\xff\xff\xff");
  EXPECT_ERROR(loaded.parameters(), Unimplemented, "does not tell the parameters");
  EXPECT_OK(loaded());
}

}  // namespace
}  // namespace pjrt
