// What a plugin of an older version has and lacks: nothing behind its table's size is ever touched.

#include <gtest/gtest.h>

#include "core/call.hpp"
#include "fake_plugin/fixture.hpp"
#include "fake_plugin/subject.hpp"
#include "pjrt/version.hpp"

namespace pjrt {
namespace {

class Presence : public test::OnEveryFake {
 protected:
  /// Not behind the counter of calls, whose copy of the table has no poison behind its size.
  const Plugin bare = test::value_of(Plugin::load(test::fake_file(GetParam())));
};

INSTANTIATE_TEST_SUITE_P(Fake, Presence, ::testing::ValuesIn(fake::kMinors), test::fake_name);

/// Calls `check` with every core function as its template argument.
template <class... F>
struct EveryFunction {
  template <class Check>
  static void each(Check&& check) {
    (check.template operator()<F>(), ...);
  }
};
using CoreFunctions = abi::core_functions_of<EveryFunction>;

TEST_P(Presence, VersionIsTheTables) {
  EXPECT_EQ(bare.api_version(), (Version{0, GetParam()}));
}

// Counted on real plugins of these versions: 0.57 101, 0.67 112, 0.75 115, 0.81 118, 0.106 136, 0.114 138.
TEST_P(Presence, HasTheFunctionsOfItsVersion) {
  const std::map<int, int> counts = {{57, 101}, {67, 112}, {75, 115}, {81, 118}, {90, 128}, {106, 136}, {114, 138}};
  EXPECT_EQ(bare.function_count(), counts.at(GetParam()));
  EXPECT_EQ(bare.absent_functions().size(), 138u - static_cast<std::size_t>(counts.at(GetParam())));
}

TEST_P(Presence, EveryAbsentFunctionAnswersUnimplementedAndNamesBothVersions) {
  int absent = 0;
  CoreFunctions::each([&]<class F>() {
    if (bare.has_function(F::info.name)) return;
    ++absent;
    typename F::Args args{};
    const std::string needs = std::string(F::info.name) + " needs PJRT API 0." + std::to_string(F::info.since_minor);
    EXPECT_GT(F::info.since_minor, GetParam());
    EXPECT_ERROR(detail::call<F>(bare.state(), args), Unimplemented, needs);
    EXPECT_ERROR(detail::call<F>(bare.state(), args), Unimplemented, "has 0." + std::to_string(GetParam()));
  });
  EXPECT_EQ(absent, 138 - bare.function_count());
}

TEST_P(Presence, EveryPresentFunctionIsCalled) {
  int called = 0;
  CoreFunctions::each([&]<class F>() {
    if (!bare.has_function(F::info.name)) return;
    fake.on<F>([&](auto&) { ++called; });
    auto args = test::with_subject<typename F::Args>();
    EXPECT_OK(detail::call<F>(bare.state(), args));
  });
  EXPECT_EQ(called, bare.function_count());
}

}  // namespace
}  // namespace pjrt
