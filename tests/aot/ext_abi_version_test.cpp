// Whether a program compiled elsewhere will run: versions of runtimes and of programs, without a device.

#include "pjrt/ext/abi_version.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "aot/targets.hpp"
#include "pjrt/ext/ffi.hpp"
#include "plugin/ffi_handlers.hpp"
#include "plugin/programs.hpp"
#include "support/wire.hpp"
#include "support/wire_writer.hpp"

namespace pjrt {
namespace {

using ext::AbiVersion;
using ext::ExecutableAbiVersion;
using ext::RuntimeAbiVersion;
using test::value_of;

// The messages, by their fields: xla.PjRtRuntimeAbiVersionProto and PjRtExecutableAbiVersionProto {1: platform, 2:
// version}.

std::string pjrt_version(std::uint64_t platform, const std::string& version) {
  return test::put_number(1, platform) + test::put_bytes(2, version);
}

std::uint64_t platform_in(const std::string& proto) {
  return test::fields_of(proto, 1).at(0).value;
}

class TpuAbiVersions : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("tpu"); }

  ExecutableAbiVersion of_add() const {
    return value_of(versions.executable_version(value_of(compile(test::tpu_v4(tpu), Program::mlir(test::kAdd)))));
  }
  /// {1: base version, 3: hardware}.
  RuntimeAbiVersion runtime(std::uint64_t base_version) const {
    const std::uint64_t platform = value_of(of_add().platform_id());
    return value_of(versions.runtime_version_from_proto(
        pjrt_version(platform, test::put_number(1, base_version) + test::put_bytes(3, "default"))));
  }

  Plugin tpu = test::counted_plugin("tpu");
  AbiVersion versions = value_of(tpu.extension<AbiVersion>());
};

TEST_F(TpuAbiVersions, ProgramsVersionSurvivesItsSerializedForm) {
  const ExecutableAbiVersion version = of_add();
  const std::string bytes = value_of(version.to_proto());
  const ExecutableAbiVersion again = value_of(versions.executable_version_from_proto(bytes));
  EXPECT_EQ(value_of(again.to_proto()), bytes);
  EXPECT_EQ(value_of(again.platform_id()), value_of(version.platform_id()));
}

TEST_F(TpuAbiVersions, SerializedFormBeginsWithThePlatform) {
  const ExecutableAbiVersion version = of_add();
  EXPECT_EQ(value_of(version.platform_id()), platform_in(value_of(version.to_proto())));
}

TEST_F(TpuAbiVersions, RuntimesVersionSurvivesItsSerializedForm) {
  const RuntimeAbiVersion version = runtime(7);
  const std::string bytes = value_of(version.to_proto());
  EXPECT_EQ(bytes,
            pjrt_version(value_of(version.platform_id()), test::put_number(1, 7) + test::put_bytes(3, "default")));
}

TEST_F(TpuAbiVersions, OldRuntimeDoesNotRunANewProgram) {
  EXPECT_ERROR(runtime(3).check_compatible(of_add()), FailedPrecondition,
               "not supported by the current runtime (which has version 3)");
}

TEST_F(TpuAbiVersions, TwoRuntimesAreNotComparedByThisPlugin) {
  const RuntimeAbiVersion a = runtime(3);
  EXPECT_ERROR(a.check_compatible(runtime(3)), Unimplemented, "PJRT_RuntimeAbiVersion_IsCompatibleWithRuntime");
}

TEST_F(TpuAbiVersions, BytesThatAreNoMessageAreRefused) {
  for (const char* bytes : {"garbage", "\xff\xff"}) {
    EXPECT_ERROR(versions.runtime_version_from_proto(bytes), InvalidArgument, "parse");
    EXPECT_ERROR(versions.executable_version_from_proto(bytes), InvalidArgument, "parse");
  }
}

TEST_F(TpuAbiVersions, VersionsOfOtherPlatformsAreRefused) {
  EXPECT_ERROR(versions.runtime_version_from_proto(""), Unimplemented, "platform: 0");
  EXPECT_ERROR(versions.runtime_version_from_proto(test::put_number(1, 1)), Unimplemented, "platform: 1");
  EXPECT_ERROR(versions.executable_version_from_proto(test::put_number(1, 1)), Unimplemented, "platform: 1");
}

TEST_F(TpuAbiVersions, OneThatWasMovedFromSaysSo) {
  RuntimeAbiVersion version = runtime(3);
  const RuntimeAbiVersion there = std::move(version);
  EXPECT_OK(there.platform_id());
  EXPECT_ERROR(version.platform_id(), FailedPrecondition, "moved from");
  EXPECT_ERROR(version.to_proto(), FailedPrecondition, "moved from");
  EXPECT_ERROR(version.check_compatible(there), FailedPrecondition, "moved from");
}

class CudaAbiVersions : public ::testing::Test {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cuda"); }

  /// stream_executor's messages: {1: platform name, 2 of a runtime or 3 of a program: {1: CUDA, 2: cuDNN, 3: CUB}}.
  static std::string versions_of(const std::string& cuda_toolkit) {
    return test::put_bytes(1, cuda_toolkit) + test::put_bytes(2, "9.1.0") + test::put_bytes(3, "2.8.0");
  }
  RuntimeAbiVersion runtime(const std::string& cuda_toolkit) const {
    return value_of(versions.runtime_version_from_proto(
        pjrt_version(platform(), test::put_bytes(1, "CUDA") + test::put_bytes(2, versions_of(cuda_toolkit)))));
  }
  ExecutableAbiVersion program(const std::string& cuda_toolkit) const {
    return value_of(versions.executable_version_from_proto(
        pjrt_version(platform(), test::put_bytes(1, "CUDA") + test::put_bytes(3, versions_of(cuda_toolkit)))));
  }
  ExecutableAbiVersion compiled() const {
    EXPECT_OK(value_of(cuda.extension<ext::Ffi>()).register_handler("pjrt_test_nothing", "CUDA", test::do_nothing));
    return value_of(
        versions.executable_version(value_of(compile(test::h100(cuda), Program::mlir(test::kCallNothing)))));
  }
  std::uint64_t platform() const {
    static const std::uint64_t id = value_of(compiled().platform_id());
    return id;
  }

  Plugin cuda = test::counted_plugin("cuda");
  AbiVersion versions = value_of(cuda.extension<AbiVersion>());
};

TEST_F(CudaAbiVersions, ProgramsVersionSurvivesItsSerializedForm) {
  const ExecutableAbiVersion version = compiled();
  const std::string bytes = value_of(version.to_proto());
  EXPECT_EQ(value_of(version.platform_id()), platform_in(bytes));
  EXPECT_EQ(value_of(value_of(versions.executable_version_from_proto(bytes)).to_proto()), bytes);
}

TEST_F(CudaAbiVersions, RuntimesVersionSurvivesItsSerializedForm) {
  const RuntimeAbiVersion version = runtime("13.0.0");
  EXPECT_EQ(value_of(version.platform_id()), platform());
  EXPECT_EQ(value_of(version.to_proto()),
            pjrt_version(platform(), test::put_bytes(1, "CUDA") + test::put_bytes(2, versions_of("13.0.0"))));
}

TEST_F(CudaAbiVersions, RuntimeRunsProgramsOfItsToolkitAndOlderOnes) {
  EXPECT_OK(runtime("13.0.0").check_compatible(program("13.0.0")));
  EXPECT_OK(runtime("13.0.0").check_compatible(program("12.8.0")));
}

TEST_F(CudaAbiVersions, RuntimeDoesNotRunProgramsOfANewerToolkit) {
  EXPECT_ERROR(runtime("13.0.0").check_compatible(program("14.0.0")), FailedPrecondition,
               "CUDA toolkit version mismatch");
}

TEST_F(CudaAbiVersions, TwoRuntimesAreNotComparedByThisPlugin) {
  const RuntimeAbiVersion a = runtime("13.0.0");
  EXPECT_ERROR(a.check_compatible(runtime("13.0.0")), Unimplemented, "PJRT_RuntimeAbiVersion_IsCompatibleWithRuntime");
}

TEST_F(CudaAbiVersions, BytesThatAreNoMessageAreRefused) {
  EXPECT_ERROR(versions.runtime_version_from_proto("garbage"), InvalidArgument, "parse");
  EXPECT_ERROR(versions.executable_version_from_proto("\xff\xff"), InvalidArgument, "parse");
  EXPECT_ERROR(versions.runtime_version_from_proto(""), NotFound, "platform");
}

TEST_F(CudaAbiVersions, VersionsOfDifferentPluginsAreNotCompared) {
  REQUIRE_PLUGIN("tpu");
  const Plugin tpu = test::counted_plugin("tpu");
  const ExecutableAbiVersion other =
      value_of(value_of(tpu.extension<AbiVersion>())
                   .executable_version(value_of(compile(test::tpu_v4(tpu), Program::mlir(test::kAdd)))));
  EXPECT_ERROR(runtime("13.0.0").check_compatible(other), InvalidArgument, "different plugins");
}

}  // namespace
}  // namespace pjrt
