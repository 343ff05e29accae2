// The AbiVersion extension: what programs need of runtimes.

#include <gtest/gtest.h>

#include <optional>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/abi_version.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

class ExtAbiVersion : public test::OnFake {
 protected:
  ExtAbiVersion() {
    fake.on<fn::PJRT_Client_RuntimeAbiVersion>([this](auto& a) { a.abi_version = runtime(); });
    fake.on<fn::PJRT_Executable_GetAbiVersion>([this](auto& a) { a.abi_version = program(); });
    fake.on<fn::PJRT_RuntimeAbiVersion_FromProto>([this](auto& a) {
      proto.assign(a.serialized_proto, a.serialized_proto_size);
      a.abi_version = runtime();
    });
    fake.on<fn::PJRT_ExecutableAbiVersion_FromProto>([this](auto& a) {
      proto.assign(a.serialized_proto, a.serialized_proto_size);
      a.abi_version = program();
    });
    fake.on<fn::PJRT_RuntimeAbiVersion_Destroy>([this](auto& a) { fake.drop(a.abi_version, "runtime version"); });
    fake.on<fn::PJRT_ExecutableAbiVersion_Destroy>([this](auto& a) { fake.drop(a.abi_version, "executable version"); });
    fake.on<fn::PJRT_RuntimeAbiVersion_ToProto>([this](auto& a) {
      fake.give_bytes("runtime proto", a.serialized_proto, a.serialized_proto_size, a.serialized_proto_holder,
                      a.serialized_proto_deleter);
    });
    fake.on<fn::PJRT_ExecutableAbiVersion_ToProto>([this](auto& a) {
      fake.give_bytes("program proto", a.serialized_proto, a.serialized_proto_size, a.serialized_proto_holder,
                      a.serialized_proto_deleter);
    });
    fake.on<fn::PJRT_RuntimeAbiVersion_PlatformId>([](auto& a) { a.platform_id = ~0ull; });
    fake.on<fn::PJRT_ExecutableAbiVersion_PlatformId>([](auto& a) { a.platform_id = 5; });
  }
  abi::PJRT_RuntimeAbiVersion* runtime() { return fake.token<abi::PJRT_RuntimeAbiVersion>("runtime version"); }
  abi::PJRT_ExecutableAbiVersion* program() { return fake.token<abi::PJRT_ExecutableAbiVersion>("executable version"); }

  Client client = make_client();
  const Executable executable = compile(client, {}).executable();
  const ext::AbiVersion versions = value_of(client.extension<ext::AbiVersion>());
  std::string proto;
};

TEST_F(ExtAbiVersion, OfAClientIsDestroyedOnce) {
  {
    const ext::RuntimeAbiVersion v = value_of(versions.runtime_version(client));
    EXPECT_EQ(fake.calls_of<fn::PJRT_Client_RuntimeAbiVersion>()[0].client, client.raw());
    EXPECT_EQ(value_of(v.to_proto()), "runtime proto");
    EXPECT_EQ(value_of(v.platform_id()), 18446744073709551615u);
    EXPECT_EQ(fake.live()["bytes"], 0);
    EXPECT_EQ(fake.live()["runtime version"], 1);
  }
  EXPECT_EQ(fake.live()["runtime version"], 0);
}

TEST_F(ExtAbiVersion, OfAnExecutableIsDestroyedOnce) {
  {
    const ext::ExecutableAbiVersion v = value_of(versions.executable_version(executable));
    EXPECT_EQ(fake.calls_of<fn::PJRT_Executable_GetAbiVersion>()[0].executable, executable.raw());
    EXPECT_EQ(value_of(v.to_proto()), "program proto");
    EXPECT_EQ(value_of(v.platform_id()), 5u);
    EXPECT_EQ(fake.live()["executable version"], 1);
  }
  EXPECT_EQ(fake.live()["executable version"], 0);
}

TEST_F(ExtAbiVersion, IsReadBackFromItsBytes) {
  EXPECT_OK(versions.runtime_version_from_proto(std::string_view("a\0b", 3)));
  EXPECT_EQ(proto, std::string("a\0b", 3));
  EXPECT_OK(versions.executable_version_from_proto("c"));
  EXPECT_EQ(proto, "c");
}

TEST_F(ExtAbiVersion, TellsWhetherProgramsOfAnotherRuntimeRunHere) {
  const ext::RuntimeAbiVersion here = value_of(versions.runtime_version(client));
  const ext::RuntimeAbiVersion there = value_of(versions.runtime_version_from_proto("x"));
  EXPECT_OK(here.check_compatible(there));
  const auto asked = fake.calls_of<fn::PJRT_RuntimeAbiVersion_IsCompatibleWithRuntime>();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_NE(asked[0].abi_version, asked[0].other_abi_version);
  fake.fail<fn::PJRT_RuntimeAbiVersion_IsCompatibleWithRuntime>(ErrorCode::FailedPrecondition, "too new");
  EXPECT_ERROR(here.check_compatible(there), FailedPrecondition, "too new");
}

TEST_F(ExtAbiVersion, TellsWhetherAProgramRunsHere) {
  const ext::RuntimeAbiVersion here = value_of(versions.runtime_version(client));
  const ext::ExecutableAbiVersion v = value_of(versions.executable_version(executable));
  EXPECT_OK(here.check_compatible(v));
  EXPECT_EQ(fake.calls_of<fn::PJRT_RuntimeAbiVersion_IsCompatibleWithExecutable>()[0].executable_abi_version, v.raw());
  fake.fail<fn::PJRT_RuntimeAbiVersion_IsCompatibleWithExecutable>(ErrorCode::FailedPrecondition, "too old");
  EXPECT_ERROR(here.check_compatible(v), FailedPrecondition, "too old");
}

TEST_F(ExtAbiVersion, ThatWasMovedFromIsEmptyAndNotDestroyed) {
  {
    ext::RuntimeAbiVersion r = value_of(versions.runtime_version(client));
    ext::ExecutableAbiVersion e = value_of(versions.executable_version(executable));
    ext::RuntimeAbiVersion r2 = std::move(r);
    const ext::ExecutableAbiVersion e2 = std::move(e);
    EXPECT_ERROR(r.to_proto(), FailedPrecondition, "the ABI version was moved from");
    EXPECT_ERROR(r.platform_id(), FailedPrecondition, "moved from");
    EXPECT_ERROR(e.to_proto(), FailedPrecondition, "moved from");
    EXPECT_ERROR(e.platform_id(), FailedPrecondition, "moved from");
    EXPECT_ERROR(r2.check_compatible(r), FailedPrecondition, "moved from");
    EXPECT_ERROR(r2.check_compatible(e), FailedPrecondition, "moved from");
    r = std::move(r2);
    EXPECT_OK(r.check_compatible(e2));
  }
  EXPECT_EQ(calls_of("PJRT_RuntimeAbiVersion_Destroy"), 1u);
  EXPECT_EQ(calls_of("PJRT_ExecutableAbiVersion_Destroy"), 1u);
}

TEST_F(ExtAbiVersion, HandsErrorsOn) {
  const ext::RuntimeAbiVersion r = value_of(versions.runtime_version(client));
  const ext::ExecutableAbiVersion e = value_of(versions.executable_version(executable));
  for (const char* function :
       {"PJRT_Client_RuntimeAbiVersion", "PJRT_Executable_GetAbiVersion", "PJRT_RuntimeAbiVersion_FromProto",
        "PJRT_ExecutableAbiVersion_FromProto", "PJRT_RuntimeAbiVersion_ToProto", "PJRT_ExecutableAbiVersion_ToProto",
        "PJRT_RuntimeAbiVersion_PlatformId", "PJRT_ExecutableAbiVersion_PlatformId"}) {
    fake.fail(function, {ErrorCode::Unavailable, function});
  }
  EXPECT_ERROR(versions.runtime_version(client), Unavailable, "PJRT_Client_RuntimeAbiVersion");
  EXPECT_ERROR(versions.executable_version(executable), Unavailable, "PJRT_Executable_GetAbiVersion");
  EXPECT_ERROR(versions.runtime_version_from_proto("x"), Unavailable, "PJRT_RuntimeAbiVersion_FromProto");
  EXPECT_ERROR(versions.executable_version_from_proto("x"), Unavailable, "PJRT_ExecutableAbiVersion_FromProto");
  EXPECT_ERROR(r.to_proto(), Unavailable, "PJRT_RuntimeAbiVersion_ToProto");
  EXPECT_ERROR(r.platform_id(), Unavailable, "PJRT_RuntimeAbiVersion_PlatformId");
  EXPECT_ERROR(e.to_proto(), Unavailable, "PJRT_ExecutableAbiVersion_ToProto");
  EXPECT_ERROR(e.platform_id(), Unavailable, "PJRT_ExecutableAbiVersion_PlatformId");
}

TEST_F(ExtAbiVersion, OfWhatBelongsToAnotherPluginIsRefused) {
  const Client other = value_of(Client::create(with_table({})));
  const ext::AbiVersion theirs = value_of(other.extension<ext::AbiVersion>());
  EXPECT_ERROR(versions.runtime_version(other), InvalidArgument, "the client belongs to plugin odd");
  EXPECT_ERROR(versions.executable_version(compile(other, {}).executable()), InvalidArgument, "belongs to plugin odd");
  const ext::RuntimeAbiVersion here = value_of(versions.runtime_version(client));
  EXPECT_ERROR(here.check_compatible(value_of(theirs.runtime_version_from_proto("x"))), InvalidArgument,
               "different plugins");
  EXPECT_ERROR(here.check_compatible(value_of(theirs.executable_version_from_proto("x"))), InvalidArgument,
               "different plugins");
}

// A struct of the base alone: 24 bytes.
TEST_F(ExtAbiVersion, OfAnOlderPluginLacksItsFunctions) {
  const auto shorter = value_of(ext::AbiVersion::of(with_extension(ext::AbiVersion::kType, 24)));
  const Client own = value_of(Client::create(shorter.plugin()));
  EXPECT_ERROR(shorter.runtime_version(own), Unimplemented, "PJRT_Client_RuntimeAbiVersion is not offered");
  EXPECT_ERROR(shorter.executable_version_from_proto("x"), Unimplemented,
               "PJRT_ExecutableAbiVersion_FromProto is not offered");
}

}  // namespace
}  // namespace pjrt
