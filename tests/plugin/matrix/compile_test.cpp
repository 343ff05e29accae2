// Compiling programs in every form they come in, and what is said when they cannot be compiled.

#include <gtest/gtest.h>

#include <string>

#include "plugin/programs.hpp"
#include "support/call_counter.hpp"
#include "support/data.hpp"
#include "support/matchers.hpp"
#include "support/plugins.hpp"
#include "support/wire.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::HasSubstr;

class Compile : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REQUIRE_PLUGIN(GetParam()); }
  Client client = test::make_client(test::counted_plugin(GetParam()));

  float run_on_41(const Program& program, const CompileOptions& options = {}) const {
    const LoadedExecutable executable = value_of(client.compile(program, options));
    const Outputs outputs = value_of(executable(value_of(client.upload(41.0f))));
    return value_of(outputs[0].to_vector<float>()).at(0);
  }
  std::string error_of(const Program& program) const {
    const Result<LoadedExecutable> result = client.compile(program);
    return result ? "compiled" : to_string(result.error());
  }
  std::string stablehlo(const char* attribute) const {
    const NamedValues attributes = value_of(client.plugin().attributes());
    const std::vector<std::int64_t>& version = *attributes.find(attribute)->int64_list();
    return std::to_string(version[0]) + "." + std::to_string(version[1]) + "." + std::to_string(version[2]);
  }
};

INSTANTIATE_TEST_SUITE_P(Matrix, Compile, ::testing::ValuesIn(test::kCpuVersions));

Program file(const std::string& name) {
  return value_of(Program::load(test::data_file("program/" + name)));
}

TEST_P(Compile, MlirText) {
  EXPECT_EQ(run_on_41(file("add_one.mlir")), 42);
}
TEST_P(Compile, MlirBytecode) {
  EXPECT_EQ(run_on_41(file("add_one_unversioned.mlirbc")), 42);
}
TEST_P(Compile, PortableArtifactsOfTheFirstVersion) {
  EXPECT_EQ(run_on_41(file("add_one_1.0.0.mlirbc")), 42);
}
TEST_P(Compile, PortableArtifactsOfALaterVersion) {
  EXPECT_EQ(run_on_41(file("add_one_1.9.0.mlirbc")), 42);
}
TEST_P(Compile, HloProtos) {
  EXPECT_EQ(run_on_41(file("add_one.hlo.pb")), 42);
}

// HloModuleProtoWithConfig { hlo_module = 1 }
Program optimized_hlo(const LoadedExecutable& executable) {
  const Program optimized = value_of(executable.executable().optimized_program());
  return Program::hlo(test::only_bytes(optimized.code(), 1));
}

TEST_P(Compile, OptimizedHloThroughTheBackendAlone) {
  const LoadedExecutable executable = value_of(client.compile(file("add_one.mlir")));
  EXPECT_EQ(run_on_41(optimized_hlo(executable), CompileOptions().run_backend_only(true)), 42);
}

// Optimizing it again aborts the process in the plugin.
TEST_P(Compile, OptimizedHloIsNotOptimizedAgain) {
  const LoadedExecutable executable = value_of(client.compile(file("add_one.mlir")));
  EXPECT_ERROR(client.compile(optimized_hlo(executable)), InvalidArgument,
               "'jit__lambda' has a schedule: it is optimized already");
  EXPECT_ERROR(client.compile(optimized_hlo(executable)), InvalidArgument, "CompileOptions::run_backend_only");
}

TEST_P(Compile, GivesAnExecutableTheNameOfItsModule) {
  EXPECT_EQ(value_of(client.compile(Program::mlir(test::kAdd))).name(), "add");
}

TEST_P(Compile, TheSameProgramTwiceGivesExecutablesOfTheirOwn) {
  LoadedExecutable first = value_of(client.compile(Program::mlir(test::kDouble)));
  const LoadedExecutable second = value_of(client.compile(Program::mlir(test::kDouble)));
  ASSERT_OK(first.delete_now());
  const Outputs outputs = value_of(second(value_of(client.upload(std::vector<float>{1, 2, 3}, {3}))));
  EXPECT_EQ(value_of(outputs[0].to_vector<float>()), (std::vector<float>{2, 4, 6}));
}

// Refusals.

TEST_P(Compile, EmptyProgramsAreRefusedWithoutAskingThePlugin) {
  const std::int64_t before = test::calls_of(GetParam(), "PJRT_Client_Compile");
  EXPECT_ERROR(client.compile(Program::mlir("")), InvalidArgument, "the program is empty");
  EXPECT_ERROR(client.compile(Program::hlo(std::string())), InvalidArgument, "the program is empty");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_Compile"), before);
}

TEST_P(Compile, UnknownFormatsAreNamed) {
  EXPECT_ERROR(client.compile(Program("tflite", "code")), InvalidArgument, "'tflite'");
}

TEST_P(Compile, TheFormatOfOptimizedProgramsIsOutputOnly) {
  const LoadedExecutable executable = value_of(client.compile(file("add_one.mlir")));
  const Program optimized = value_of(executable.executable().optimized_program());
  EXPECT_ERROR(client.compile(optimized), InvalidArgument, "'hlo_with_config'");
}

TEST_P(Compile, SyntaxErrorsSayWhere) {
  EXPECT_ERROR(client.compile(Program::mlir("module {\n  func.func oops\n}")), Unknown, "2:13: error");
}

TEST_P(Compile, TypeErrorsSayWhat) {
  const Program program = Program::mlir(R"(module {
  func.func public @main(%a: tensor<3xf32>) -> tensor<4xf32> {
    return %a : tensor<3xf32>
  }
})");
  EXPECT_ERROR(client.compile(program), Unknown, "3:5: error");
  EXPECT_ERROR(client.compile(program), Unknown, "doesn't match function result type ('tensor<4xf32>')");
}

TEST_P(Compile, ErrorsThatVersionsDoNotExplainSayNothingOfThem) {
  EXPECT_THAT(error_of(Program::mlir("oops")), Not(HasSubstr("has StableHLO")));
  EXPECT_THAT(error_of(Program::mlir("module {}")), Not(HasSubstr("has StableHLO")));
  EXPECT_THAT(error_of(Program::mlir("func.func @main() { stablehlo.no_such_operation }")),
              HasSubstr("has StableHLO " + stablehlo("stablehlo_minimum_version")));
}

/// An artifact of a version that no plugin has, with an operation that none knows.
std::string of_the_future() {
  std::string artifact = test::read_all(test::data_file("program/add_one_1.9.0.mlirbc"));
  artifact.replace(artifact.find("add_v1"), 6, "xyz_v9");
  return artifact.replace(artifact.find("1.9.0"), 5, "99.1.0");
}

TEST_P(Compile, ProgramsOfANewerStableHloSayItFirst) {
  const std::string error = error_of(Program::mlir(of_the_future()));
  EXPECT_THAT(error, HasSubstr(": the program needs StableHLO 99.1.0, plugin " + GetParam()));
  EXPECT_THAT(error, HasSubstr("has StableHLO " + stablehlo("stablehlo_minimum_version") + " to " +
                               stablehlo("stablehlo_current_version")));
}

TEST_P(Compile, DamagedPortableArtifactsAreRefusedWithoutAskingThePlugin) {
  const std::int64_t before = test::calls_of(GetParam(), "PJRT_Client_Compile");
  const std::string artifact = test::read_all(test::data_file("program/add_one_1.9.0.mlirbc"));
  EXPECT_ERROR(client.compile(Program::mlir(artifact.substr(0, artifact.size() / 2))), DataLoss,
               "MLIR bytecode: a section is malformed or cut off");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_Compile"), before);
}

TEST_P(Compile, WhatWouldEndTheProcessIsRefusedWithoutAskingThePlugin) {
  const std::int64_t before = test::calls_of(GetParam(), "PJRT_Client_Compile");
  EXPECT_ERROR(client.compile(Program::mlir("func.func @main(%a: tensor<?xf32>) -> tensor<?xf32> { return %a : "
                                            "tensor<?xf32> }")),
               Unimplemented, "arg0 is f32[?]");
  EXPECT_ERROR(client.compile(Program::mlir(R"(func.func @main(%a: tensor<f32>) -> tensor<f32> {
    %0 = stablehlo.custom_call @foo(%a) {called_computations = [@nosuch]} : (tensor<f32>) -> tensor<f32>
    return %0 : tensor<f32>
  })")),
               InvalidArgument, "the module uses @nosuch, which it does not define");
  std::string type = "tensor<f32>";
  for (int i = 0; i < 1000; ++i) type = "tuple<" + type + ">";
  EXPECT_ERROR(client.compile(Program::mlir("func.func @main(%a: " + type + ") { return }")), InvalidArgument,
               "nested more than 512 deep");
  EXPECT_EQ(test::calls_of(GetParam(), "PJRT_Client_Compile"), before);
}

TEST_P(Compile, ErrorsOfHloProtosSayNothingOfStableHlo) {
  EXPECT_THAT(error_of(Program::hlo(std::string("no proto"))), Not(HasSubstr("StableHLO")));
}

TEST_P(Compile, ErrorsNameTheFunction) {
  EXPECT_EQ(client.compile(Program::mlir("oops")).error().function(), "PJRT_Client_Compile");
}

TEST_P(Compile, ModulesWithoutMainAreRefused) {
  EXPECT_ERROR(client.compile(Program::mlir("module {}")), Unknown, "`main`");
}

TEST_P(Compile, CustomCallsWithoutAHandlerAreNamed) {
  const Program program = Program::mlir(R"(module {
    func.func public @main(%a: tensor<3xf32>) -> tensor<3xf32> {
      %0 = stablehlo.custom_call @no_such_target(%a) {api_version = 4 : i32} : (tensor<3xf32>) -> tensor<3xf32>
      return %0 : tensor<3xf32>
    }
  })");
  EXPECT_ERROR(client.compile(program), NotFound, "no_such_target");
}

TEST_P(Compile, HostTransfersAreUnimplemented) {
  const Program program = Program::mlir(R"(module {
    func.func public @main(%a: tensor<3xf32>) -> tensor<3xf32> {
      %t = stablehlo.create_token : !stablehlo.token
      %0 = "stablehlo.send"(%a, %t) {channel_handle = #stablehlo.channel_handle<handle = 1, type = 2>, is_host_transfer = true}
          : (tensor<3xf32>, !stablehlo.token) -> !stablehlo.token
      return %a : tensor<3xf32>
    }
  })");
  const Result<LoadedExecutable> result = client.compile(program);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code(), ErrorCode::Unimplemented);
}

TEST_P(Compile, ProgramsCutOffAnywhereAreRefused) {
  for (const char* name : {"add_one_1.0.0.mlirbc", "add_one_unversioned.mlirbc", "add_one.hlo.pb"}) {
    const std::string whole = test::read_all(test::data_file(std::string("program/") + name));
    const std::string format = std::string(name).ends_with(".pb") ? "hlo" : "mlir";
    for (std::size_t size = 1; size < whole.size(); size += 1 + whole.size() / 24) {
      EXPECT_FALSE(client.compile(Program(format, whole.substr(0, size)))) << size << " bytes of " << name;
    }
  }
}

TEST_P(Compile, AFailureLeavesTheClientWell) {
  ASSERT_FALSE(client.compile(Program::mlir("oops")));
  EXPECT_EQ(run_on_41(file("add_one.mlir")), 42);
}

// Some plugins throw C++ exceptions out of a compilation of types that they half know.
TEST_P(Compile, EveryElementTypeCompilesOrIsRefused) {
  for (const char* type : {"i1",           "i2",
                           "ui2",          "i4",
                           "ui4",          "i8",
                           "ui8",          "i16",
                           "ui16",         "i32",
                           "ui32",         "i64",
                           "ui64",         "f16",
                           "bf16",         "f32",
                           "f64",          "complex<f32>",
                           "complex<f64>", "f8E5M2",
                           "f8E4M3FN",     "f8E4M3B11FNUZ",
                           "f8E5M2FNUZ",   "f8E4M3FNUZ",
                           "f8E4M3",       "f8E3M4",
                           "f8E8M0FNU",    "f4E2M1FN",
                           "f6E2M3FN",     "f6E3M2FN"}) {
    const std::string t = std::string("tensor<4x") + type + ">";
    const Result<LoadedExecutable> result =
        client.compile(Program::mlir("module { func.func public @main(%a: " + t + ") -> " + t +
                                     " { %b = stablehlo.reverse %a, dims = [0] : " + t + " return %b : " + t + " } }"));
    EXPECT_TRUE(result || !result.error().message().empty()) << type;
  }
}

}  // namespace
}  // namespace pjrt
