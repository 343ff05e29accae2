// Fields that came with a version: passed on from there on, refused before, and empty where a plugin cannot have
// written them.

#include <gtest/gtest.h>

#include <cstring>

#include "core/call.hpp"
#include "fake_plugin/fixture.hpp"
#include "fake_plugin/subject.hpp"

namespace pjrt {
namespace {

using test::value_of;

class VersionedFields : public test::OnFake {
 protected:
  Plugin of_version(int minor) {
    return value_of(Plugin::adopt(fake.table({.minor = minor}), "fake of 0." + std::to_string(minor)));
  }
};

template <class... F>
struct EveryFunction {
  template <class Check>
  static void each(Check&& check) {
    (check.template operator()<F>(), ...);
  }
};

/// Arguments with nothing but one field set, and what the function works on.
template <class Args>
Args with(const abi::NewerField& field) {
  Args args = test::with_subject<Args>();
  std::memset(reinterpret_cast<char*>(&args) + field.offset, 1, field.size);
  return args;
}

template <class Args>
bool has_only(const Args& args, const abi::NewerField& field) {
  Args expected = with<Args>(field);
  expected.struct_size = abi::struct_size<Args>;
  return std::memcmp(&args, &expected, abi::struct_size<Args>) == 0;
}

TEST_F(VersionedFields, OfArgumentsAreRefusedBeforeTheirVersionAndPassedOnFromIt) {
  int fields = 0;
  abi::core_functions_of<EveryFunction>::each([&]<class F>() {
    using Args = typename F::Args;
    for (const abi::NewerField& field : abi::newer_fields<Args>) {
      ++fields;
      fake.on<F>([](auto&) {});
      const std::string name =
          std::string(F::info.name) + ": '" + field.name + "' needs PJRT API 0." + std::to_string(field.since_minor);
      Args args = with<Args>(field);
      if (F::info.since_minor < field.since_minor) {
        EXPECT_ERROR(detail::call<F>(of_version(field.since_minor - 1).state(), args), Unimplemented, name);
      }
      EXPECT_TRUE(fake.calls_of<F>().empty()) << "the plugin was asked";
      args = with<Args>(field);
      EXPECT_OK(detail::call<F>(of_version(field.since_minor).state(), args));
      ASSERT_EQ(fake.calls_of<F>().size(), 1u);
      EXPECT_TRUE(has_only(fake.calls_of<F>().front(), field)) << name;
      fake.reset();
    }
  });
  EXPECT_EQ(fields, 10);  // kv_try_get (2), error payload (2), view's memory, poison payload (2), overridden options
                          // (2), load options
}

TEST_F(VersionedFields, ThatAreNotSetPassOnOldPlugins) {
  fake.on<test::fn::PJRT_Executable_DeserializeAndLoad>([](auto&) {});
  auto args = test::with_subject<abi::PJRT_Executable_DeserializeAndLoad_Args>();
  EXPECT_OK(detail::call<test::fn::PJRT_Executable_DeserializeAndLoad>(of_version(57).state(), args));
}

TEST_F(VersionedFields, OfExecuteOptionsAreRefusedBeforeTheirVersionAndAllowedFromIt) {
  for (const abi::NewerField& field : abi::newer_fields<abi::PJRT_ExecuteOptions>) {
    const auto options = with<abi::PJRT_ExecuteOptions>(field);
    const std::string name = std::string("'") + field.name + "' needs PJRT API 0." + std::to_string(field.since_minor);
    EXPECT_ERROR(detail::check_newer_fields(of_version(field.since_minor - 1).state(), options, "f"), Unimplemented,
                 name);
    EXPECT_OK(detail::check_newer_fields(of_version(field.since_minor).state(), options, "f"));
  }
}

/// An execution with one option each, and the version it came with.
struct Option {
  const char* name;
  int since;
  std::function<void(ExecuteOptions&, const Plugin&)> set;
};

class VersionedExecuteOptions : public test::OnEveryFake {};
INSTANTIATE_TEST_SUITE_P(Fake, VersionedExecuteOptions, ::testing::ValuesIn(fake::kMinors), test::fake_name);

TEST_P(VersionedExecuteOptions, AreRefusedByOlderPluginsAndPassedToNewerOnes) {
  const Option options[] = {
      {"context", 64, [](auto& o, const Plugin& p) { o.context = value_of(ExecuteContext::create(p)); }},
      {"call_location", 76, [](auto& o, auto&) { o.call_location = "train.cpp:42"; }},
      {"num_tasks", 78, [](auto& o, auto&) { o.task_ids = {3}, o.incarnation_ids = {4}; }},
      {"multi_slice_config", 97,
       [](auto& o, auto&) { o.multi_slice_config = reinterpret_cast<abi::PJRT_MultiSlice_Config*>(&o); }},
      {"use_major_to_minor_data_layout_for_callbacks", 108,
       [](auto& o, auto&) { o.use_major_to_minor_data_layout_for_callbacks = true; }},
      {"hlo_output_callbacks", 112,
       [](auto& o, auto&) { o.hlo_output_callbacks = {{1, 1, [](auto, auto, auto&, auto) {}}}; }},
  };
  const Client client = make_client();
  const LoadedExecutable exe = compile(client, {});
  for (const Option& option : options) {
    ExecuteOptions o;
    option.set(o, plugin);
    const auto outputs = exe.execute(std::span<const Argument>(), o);
    if (GetParam() >= option.since) {
      EXPECT_OK(outputs);
    } else {
      EXPECT_ERROR(outputs, Unimplemented,
                   std::string("'") + option.name + "' needs PJRT API 0." + std::to_string(option.since));
    }
  }
}

class VersionedOutputs : public test::OnEveryFake {};
INSTANTIATE_TEST_SUITE_P(Fake, VersionedOutputs, ::testing::ValuesIn(fake::kMinors), test::fake_name);

// The fake writes 72, 90 and 104 into the fields that came with these versions.
TEST_P(VersionedOutputs, OfCompiledMemoryStatsAreEmptyOnOlderPlugins) {
  const Client client = make_client();
  const CompiledMemoryStats stats = value_of(compile(client, {}).executable().memory_stats());
  const auto since = [](std::int64_t minor) { return GetParam() >= minor ? std::optional(minor) : std::nullopt; };
  EXPECT_EQ(stats.generated_code, 7);
  EXPECT_EQ(stats.host_temp, 7);
  EXPECT_EQ(stats.peak, since(72));
  EXPECT_EQ(stats.total, since(90));
  EXPECT_EQ(stats.total_allocation, since(104));
  EXPECT_EQ(stats.indefinite_allocations, since(104));
  EXPECT_EQ(stats.peak_unpadded_heap, since(104));
}

TEST_P(VersionedOutputs, OfMemoryStatsAreEmptyOnOlderPlugins) {
  const MemoryStats stats = value_of(make_client().devices()[0].memory_stats());
  EXPECT_EQ(stats.bytes_in_use, 1024);
  EXPECT_EQ(stats.peak_allocated_bytes, GetParam() >= 113 ? std::optional<std::int64_t>(4096) : std::nullopt);
}

TEST_P(VersionedOutputs, PayloadsAreEmptyOnPluginsThatCannotGiveThem) {
  fake.fail<test::fn::PJRT_Client_Create>(ErrorCode::Aborted, "no", {{"type.url/x", "value"}});
  const auto refused = Client::create(plugin);
  EXPECT_ERROR(refused, Aborted, "no");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().payloads().size(), GetParam() >= 99 ? 1u : 0u);
}

}  // namespace
}  // namespace pjrt
