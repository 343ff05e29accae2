// The size that arguments say they have, and what plugins of other sizes make of it.

#include <gtest/gtest.h>

#include "core/call.hpp"
#include "fake_plugin/fixture.hpp"
#include "fake_plugin/subject.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

template <class... F>
struct EveryFunction {
  template <class Check>
  static void each(Check&& check) {
    (check.template operator()<F>(), ...);
  }
};

class StructSize : public test::OnEveryFake {};
INSTANTIATE_TEST_SUITE_P(Fake, StructSize, ::testing::ValuesIn(fake::kMinors), test::fake_name);

// An older plugin accepts larger arguments than it knows, and reads what it knows of them.
TEST_P(StructSize, OfEveryFunctionIsThatOfTheNewestVersionAndTheRestIsZero) {
  int functions = 0;
  abi::core_functions_of<EveryFunction>::each([&]<class F>() {
    if (!plugin.has_function(F::info.name)) return;
    ++functions;
    fake.on<F>([](auto&) {});
    auto args = test::with_subject<typename F::Args>();
    EXPECT_OK(detail::call<F>(plugin.state(), args));
    const auto seen = fake.calls_of<F>();
    ASSERT_EQ(seen.size(), 1u);
    auto expected = test::with_subject<typename F::Args>();
    expected.struct_size = abi::struct_size<typename F::Args>;
    EXPECT_EQ(std::memcmp(&seen[0], &expected, abi::struct_size<typename F::Args>), 0) << F::info.name;
  });
  EXPECT_EQ(functions, plugin.function_count());
}

// Sizes in the C API of 0.114, counted by hand from its declarations: a size_t, a pointer and what follows.
TEST_P(StructSize, IsWhatTheCApiSays) {
  EXPECT_EQ(abi::struct_size<abi::PJRT_Error_Message_Args>, 40u);
  EXPECT_EQ(abi::struct_size<abi::PJRT_Device_MemoryStats_Args>, 201u);
  EXPECT_EQ(abi::struct_size<abi::PJRT_Executable_DeserializeAndLoad_Args>, 72u);
  EXPECT_EQ(abi::struct_size<abi::PJRT_Executable_GetCompiledMemoryStats_Args>, 144u);
  EXPECT_EQ(abi::struct_size<abi::PJRT_Client_CreateErrorBuffer_Args>, 112u);
  EXPECT_EQ(abi::struct_size<abi::PJRT_Device_PoisonExecution_Args>, 72u);
  EXPECT_EQ(abi::struct_size<abi::PJRT_ExecuteOptions>, 144u);
  EXPECT_EQ(abi::struct_size<abi::PJRT_Program>, 48u);
}

TEST_P(StructSize, ThatANewerPluginFindsTooSmallIsItsErrorAndNothingHappens) {
  const Client client = make_client();
  fake.wanted_sizes["PJRT_Client_BufferFromHostBuffer"] = 500;
  EXPECT_ERROR(client.upload(1.0f), InvalidArgument,
               "Unexpected PJRT_Client_BufferFromHostBuffer_Args size: expected 500");
  EXPECT_EQ(fake.live()["buffer"], 0);
}

}  // namespace
}  // namespace pjrt
