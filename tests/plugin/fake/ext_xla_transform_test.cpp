// The XlaTransform extension: functions of the user's that rewrite programs inside the compiler.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/xla_transform.hpp"

namespace pjrt {
namespace {

using ext::XlaTransform;
using test::value_of;
using ::testing::ElementsAre;
namespace fn = test::fn;

using Answer = Result<std::optional<std::string>>;

/// Plugins keep registrations for ever.
std::vector<abi::PJRT_XlaTransform_Callbacks*>& kept() {
  static auto* const all = new std::vector<abi::PJRT_XlaTransform_Callbacks*>;
  return *all;
}

/// What a compiler sees of a transform.
struct Transformed {
  bool changed;
  std::string module;
  bool failed;
  int code;
  std::string message;
};

class ExtXlaTransform : public test::OnFake {
 protected:
  ExtXlaTransform() {
    fake.on<fn::PJRT_Register_Xla_Transform_Fn>([this](auto& a) {
      names.emplace_back(a.name, a.name_size);
      stages.push_back(a.stage);
      kept().push_back(a.callbacks);
    });
  }
  /// As the compiler would run the last one that was registered.
  static Transformed compile(std::string_view module) {
    abi::PJRT_XlaTransform_Args args{};
    args.struct_size = 89;
    args.header.api_version = 1;
    args.hlo_module = {module.data(), module.size()};
    kept().back()->transform_hlo_module(kept().back(), &args);
    const auto text = [](const abi::PJRT_XlaTransform_string& s) {
      return s.data ? std::string(s.data, s.size) : std::string();
    };
    Transformed t{args.changed, text(args.transformed_hlo_module), args.header.has_error, args.header.code,
                  text(args.header.error_msg)};
    if (args.header.cleanup_fn != nullptr) args.header.cleanup_fn(args.header.data);
    return t;
  }

  const XlaTransform transforms = value_of(XlaTransform::of(plugin));
  std::vector<std::string> names;
  std::vector<int> stages;
};

TEST_F(ExtXlaTransform, AreRegisteredByNameAndStageWithVersion1) {
  const auto nothing = [](std::string_view) -> Answer { return std::nullopt; };
  EXPECT_OK(transforms.register_transform("first", XlaTransform::Stage::PreScheduler, nothing));
  EXPECT_OK(transforms.register_transform("second", XlaTransform::Stage::PostScheduler, nothing));
  EXPECT_THAT(names, ElementsAre("first", "second"));
  EXPECT_THAT(stages, ElementsAre(0, 1));
  EXPECT_EQ(kept().back()->version, 1);
  ASSERT_NE(kept().back()->dtor, nullptr);
}

TEST_F(ExtXlaTransform, SeeTheModuleAndGiveAnother) {
  std::string seen;
  EXPECT_OK(
      transforms.register_transform("t", XlaTransform::Stage::PreScheduler, [&](std::string_view module) -> Answer {
        seen = module;
        return std::string("x\0y", 3);
      }));
  const Transformed t = compile(std::string_view("a\0b", 3));
  EXPECT_EQ(seen, std::string("a\0b", 3));
  EXPECT_TRUE(t.changed);
  EXPECT_FALSE(t.failed);
  EXPECT_EQ(t.module, std::string("x\0y", 3));
}

TEST_F(ExtXlaTransform, MayLeaveTheModuleAsItIs) {
  EXPECT_OK(transforms.register_transform("t", XlaTransform::Stage::PreScheduler,
                                          [](std::string_view) -> Answer { return std::nullopt; }));
  const Transformed t = compile("module");
  EXPECT_FALSE(t.changed);
  EXPECT_FALSE(t.failed);
}

TEST_F(ExtXlaTransform, ThatFailTellTheCompilerCodeAndMessage) {
  EXPECT_OK(transforms.register_transform("t", XlaTransform::Stage::PreScheduler, [](std::string_view) -> Answer {
    return std::unexpected(Error(ErrorCode::PermissionDenied, "hands off"));
  }));
  const Transformed t = compile("module");
  EXPECT_TRUE(t.failed);
  EXPECT_FALSE(t.changed);
  EXPECT_EQ(t.code, 7);
  EXPECT_EQ(t.message, "hands off");
}

TEST_F(ExtXlaTransform, ThatThrowTellTheCompilerWhat) {
  EXPECT_OK(
      transforms.register_transform("t", XlaTransform::Stage::PreScheduler, [](std::string_view module) -> Answer {
        if (module == "odd") throw 1;
        throw std::runtime_error("out of ideas");
      }));
  EXPECT_EQ(compile("module").message, "the transform threw: out of ideas");
  EXPECT_EQ(compile("module").code, 13);
  EXPECT_EQ(compile("odd").message, "the transform threw something that is not a std::exception");
}

TEST_F(ExtXlaTransform, MayRunOnSeveralThreadsAtOnceAndAfterTheyWereCleared) {
  auto alive = std::make_shared<int>(0);
  fake.on<fn::PJRT_Clear_Xla_Transform_Fn>([](auto& a) { a.cleared = true; });
  EXPECT_OK(
      transforms.register_transform("t", XlaTransform::Stage::PreScheduler,
                                    [alive](std::string_view module) -> Answer { return std::string(module) + "!"; }));
  EXPECT_TRUE(value_of(transforms.clear_transform("t", XlaTransform::Stage::PreScheduler)));
  {
    std::vector<std::jthread> compilers;
    for (int i = 0; i < 4; ++i) {
      compilers.emplace_back([i] {
        const std::string module = std::to_string(i);
        for (int n = 0; n < 100; ++n) EXPECT_EQ(compile(module).module, module + "!");
      });
    }
  }
  EXPECT_EQ(alive.use_count(), 2);
}

TEST_F(ExtXlaTransform, ThePluginMayDropThem) {
  EXPECT_OK(transforms.register_transform("t", XlaTransform::Stage::PreScheduler,
                                          [](std::string_view) -> Answer { return std::nullopt; }));
  kept().back()->dtor(kept().back());
  EXPECT_FALSE(compile("still there").failed);
}

TEST_F(ExtXlaTransform, AreClearedByNameAndStage) {
  std::string name;
  abi::PJRT_Clear_Xla_Transform_Args seen{};
  fake.on<fn::PJRT_Clear_Xla_Transform_Fn>([&](auto& a) {
    seen = a;
    name.assign(a.name, a.name_size);
    a.cleared = name == "there";
  });
  EXPECT_TRUE(value_of(transforms.clear_transform("there", XlaTransform::Stage::PostScheduler)));
  EXPECT_EQ(static_cast<int>(seen.stage), 1);
  EXPECT_EQ(seen.callbacks, nullptr);
  EXPECT_FALSE(value_of(transforms.clear_transform("not there", XlaTransform::Stage::PreScheduler)));
  EXPECT_EQ(static_cast<int>(seen.stage), 0);
}

TEST_F(ExtXlaTransform, ThatThePluginRefusesAreDropped) {
  auto alive = std::make_shared<int>(0);
  fake.fail<fn::PJRT_Register_Xla_Transform_Fn>(ErrorCode::AlreadyExists, "taken");
  fake.fail<fn::PJRT_Clear_Xla_Transform_Fn>(ErrorCode::Internal, "stuck");
  EXPECT_ERROR(transforms.register_transform("t", XlaTransform::Stage::PreScheduler,
                                             [alive](std::string_view) -> Answer { return std::nullopt; }),
               AlreadyExists, "taken");
  EXPECT_EQ(alive.use_count(), 1);
  EXPECT_ERROR(transforms.clear_transform("t", XlaTransform::Stage::PreScheduler), Internal, "stuck");
}

TEST_F(ExtXlaTransform, WithoutANameOrAFunctionAreRefused) {
  EXPECT_ERROR(transforms.register_transform("", XlaTransform::Stage::PreScheduler,
                                             [](std::string_view) -> Answer { return std::nullopt; }),
               InvalidArgument, "a transform has a name and a function");
  EXPECT_ERROR(transforms.register_transform("t", XlaTransform::Stage::PreScheduler, {}), InvalidArgument,
               "a name and a function");
  EXPECT_ERROR(transforms.clear_transform("", XlaTransform::Stage::PreScheduler), InvalidArgument,
               "a transform has a name");
  EXPECT_TRUE(names.empty());
}

// 24 bytes and two functions.
TEST_F(ExtXlaTransform, OfAnOlderPluginCannotBeCleared) {
  const XlaTransform shorter = value_of(XlaTransform::of(with_extension(XlaTransform::kType, 32)));
  EXPECT_OK(shorter.register_transform("t", XlaTransform::Stage::PreScheduler,
                                       [](std::string_view) -> Answer { return std::nullopt; }));
  EXPECT_ERROR(shorter.clear_transform("t", XlaTransform::Stage::PreScheduler), Unimplemented,
               "PJRT_Clear_Xla_Transform_Fn is not offered by the XlaTransform extension of plugin odd");
}

}  // namespace
}  // namespace pjrt
