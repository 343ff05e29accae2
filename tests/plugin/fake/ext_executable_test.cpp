// What extensions tell of compiled programs: ExecutableMetadata and Shardings.

#include <gtest/gtest.h>

#include <optional>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/executable_metadata.hpp"
#include "pjrt/ext/shardings.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
using ::testing::Optional;
namespace fn = test::fn;

/// What the plugin lends until it is told to destroy it.
struct Metadata {
  static constexpr auto kKind = "metadata";
  abi::PJRT_ExecutableMetadata c;
};

class ExtExecutable : public test::OnFake {
 protected:
  Client client = make_client();
  const Executable executable = compile(client, {}).executable();
};

class ExtExecutableMetadata : public ExtExecutable {
 protected:
  ExtExecutableMetadata() {
    fake.on<fn::PJRT_ExecutableMetadata_GetExecutableMetadata>([this](auto& a) {
      asked = a.executable;
      a.metadata = &fake.make<Metadata>(abi::PJRT_ExecutableMetadata{"a\0b", 3})->c;
    });
    fake.on<fn::PJRT_ExecutableMetadata_DestroySerializedMetadata>(
        [this](auto& a) { fake.drop(a.metadata, Metadata::kKind); });
  }
  const ext::ExecutableMetadata metadata = value_of(client.extension<ext::ExecutableMetadata>());
  abi::PJRT_Executable* asked = nullptr;
};

TEST_F(ExtExecutableMetadata, IsCopiedAndGivenBack) {
  EXPECT_EQ(value_of(metadata.serialized_metadata(executable)), std::string("a\0b", 3));
  EXPECT_EQ(asked, executable.raw());
  EXPECT_EQ(fake.live()["metadata"], 0);
  EXPECT_EQ(calls_of("PJRT_ExecutableMetadata_DestroySerializedMetadata"), 1u);
}

TEST_F(ExtExecutableMetadata, ThatIsNotThereIsEmpty) {
  fake.on<fn::PJRT_ExecutableMetadata_GetExecutableMetadata>([](auto&) {});
  EXPECT_EQ(value_of(metadata.serialized_metadata(executable)), "");
  EXPECT_EQ(calls_of("PJRT_ExecutableMetadata_DestroySerializedMetadata"), 0u);
}

TEST_F(ExtExecutableMetadata, HandsErrorsOn) {
  fake.fail<fn::PJRT_ExecutableMetadata_GetExecutableMetadata>(ErrorCode::Internal, "no proto");
  EXPECT_ERROR(metadata.serialized_metadata(executable), Internal, "no proto");
}

TEST_F(ExtExecutableMetadata, OfAnotherPluginsExecutableIsRefused) {
  const Client other = value_of(Client::create(with_table({})));
  EXPECT_ERROR(metadata.serialized_metadata(compile(other, {}).executable()), InvalidArgument,
               "the executable belongs to plugin odd");
}

TEST_F(ExtExecutableMetadata, WithoutItsFunctionIsUnimplemented) {
  const auto shorter = value_of(ext::ExecutableMetadata::of(with_extension(ext::ExecutableMetadata::kType, 24)));
  const Client own = value_of(Client::create(shorter.plugin()));
  EXPECT_ERROR(shorter.serialized_metadata(compile(own, {}).executable()), Unimplemented,
               "PJRT_ExecutableMetadata_GetExecutableMetadata is not offered");
}

class ExtShardings : public ExtExecutable {
 protected:
  static constexpr const char* kTexts[] = {"\x08\x03", "ab"};
  static constexpr std::size_t kSizes[] = {2, 1};
  const ext::Shardings shardings = value_of(client.extension<ext::Shardings>());
};

TEST_F(ExtShardings, AreOneForEachParameterAndOutput) {
  fake.on<fn::PJRT_Shardings_PJRT_Executable_ParameterShardings>([&](auto& a) {
    EXPECT_EQ(a.executable, executable.raw());
    a.num_parameters = 2;
    a.shardings = kTexts;
    a.sharding_sizes = kSizes;
  });
  fake.on<fn::PJRT_Shardings_PJRT_Executable_OutputShardings>([](auto& a) {
    a.num_outputs = 1;
    a.shardings = kTexts;
    a.sharding_sizes = kSizes;
  });
  EXPECT_THAT(value_of(shardings.parameter_shardings(executable)), Optional(ElementsAre("\x08\x03", "a")));
  EXPECT_THAT(value_of(shardings.output_shardings(executable)), Optional(ElementsAre("\x08\x03")));
}

// CPU plugins answer so for a program on one device.
TEST_F(ExtShardings, OfAProgramThatIsNotPartitionedAreNone) {
  EXPECT_EQ(value_of(shardings.parameter_shardings(executable)), std::nullopt);
  EXPECT_EQ(value_of(shardings.output_shardings(executable)), std::nullopt);
}

TEST_F(ExtShardings, HandErrorsOn) {
  fake.fail<fn::PJRT_Shardings_PJRT_Executable_ParameterShardings>(ErrorCode::Unimplemented, "p");
  fake.fail<fn::PJRT_Shardings_PJRT_Executable_OutputShardings>(ErrorCode::Unavailable, "o");
  EXPECT_ERROR(shardings.parameter_shardings(executable), Unimplemented, "p (");
  EXPECT_ERROR(shardings.output_shardings(executable), Unavailable, "o (");
}

TEST_F(ExtShardings, OfAnotherPluginsExecutableAreRefused) {
  const Client other = value_of(Client::create(with_table({})));
  const Executable theirs = compile(other, {}).executable();
  EXPECT_ERROR(shardings.parameter_shardings(theirs), InvalidArgument, "the executable belongs to plugin odd");
  EXPECT_ERROR(shardings.output_shardings(theirs), InvalidArgument, "the executable belongs to plugin odd");
}

// 24 bytes and two functions.
TEST_F(ExtShardings, OfAnOlderPluginLackTheLast) {
  const auto shorter = value_of(ext::Shardings::of(with_extension(ext::Shardings::kType, 32)));
  const Client own = value_of(Client::create(shorter.plugin()));
  const Executable theirs = compile(own, {}).executable();
  EXPECT_OK(shorter.parameter_shardings(theirs));
  EXPECT_ERROR(shorter.output_shardings(theirs), Unimplemented,
               "PJRT_Shardings_PJRT_Executable_OutputShardings is not offered");
}

}  // namespace
}  // namespace pjrt
