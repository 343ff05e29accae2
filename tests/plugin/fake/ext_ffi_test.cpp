// The FFI extension: types, user data and handlers of custom calls.

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/ffi.hpp"
#include "support/eventually.hpp"

namespace pjrt {
namespace {

using test::value_of;
namespace fn = test::fn;

/// Counts how many there are.
struct Counted {
  Counted() { ++alive; }
  Counted(const Counted&) = delete;
  ~Counted() { --alive; }
  static inline int alive = 0;
};

/// Plugins keep what describes a type for ever.
std::vector<abi::PJRT_FFI_Type_Info*>& kept_types() {
  static auto* const all = new std::vector<abi::PJRT_FFI_Type_Info*>;
  return *all;
}

class ExtFfi : public test::OnFake {
 protected:
  ExtFfi() {
    fake.on<fn::PJRT_FFI_Type_Register>([this](auto& a) {
      names.emplace_back(a.type_name, a.type_name_size);
      kept_types().push_back(a.type_info);
      a.type_id = static_cast<std::int64_t>(40 + names.size());
    });
  }
  const ext::Ffi ffi = value_of(ext::Ffi::of(plugin));
  std::vector<std::string> names;
};

TEST_F(ExtFfi, TypesGetTheNumberThatThePluginGivesThem) {
  EXPECT_EQ(value_of(ffi.register_type<Counted>("Counted")).id, 41);
  EXPECT_EQ(value_of(ffi.register_type<std::string>("Text")).id, 42);
  EXPECT_EQ(names, (std::vector<std::string>{"Counted", "Text"}));
  EXPECT_EQ(fake.calls_of<fn::PJRT_FFI_Type_Register>()[0].struct_size, 48u);
}

TEST_F(ExtFfi, TypesTellThePluginHowToDeleteTheirObjects) {
  EXPECT_OK(ffi.register_type<Counted>("Counted"));
  auto* object = new Counted;
  EXPECT_EQ(Counted::alive, 1);
  kept_types().back()->deleter(object);
  EXPECT_EQ(Counted::alive, 0);
  EXPECT_EQ(kept_types().back()->serialize, nullptr);
  EXPECT_EQ(kept_types().back()->deserialize, nullptr);
}

TEST_F(ExtFfi, ATypeWhoseNameIsTakenIsAnError) {
  fake.fail<fn::PJRT_FFI_Type_Register>(ErrorCode::Internal, "taken");
  EXPECT_ERROR(ffi.register_type<Counted>("Counted"), Internal, "taken");
}

TEST_F(ExtFfi, UserDataReachesThePluginAndLivesWithTheContext) {
  auto data = std::make_shared<Counted>();
  std::optional<ExecuteContext> context = value_of(ExecuteContext::create(plugin));
  EXPECT_OK(ffi.add_user_data(*context, ext::FfiType<Counted>{42}, data));
  const auto calls = fake.calls_of<fn::PJRT_FFI_UserData_Add>();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].context, context->raw());
  EXPECT_EQ(calls[0].user_data.type_id, 42);
  EXPECT_EQ(calls[0].user_data.data, data.get());
  EXPECT_EQ(data.use_count(), 2);
  context.reset();
  EXPECT_EQ(data.use_count(), 1);
}

TEST_F(ExtFfi, UserDataLivesUntilTheRunsOfItsContextAreOver) {
  auto data = std::make_shared<Counted>();
  std::shared_ptr<fake::Run> run;
  {
    const Client client = make_client();
    ExecuteOptions options{.context = value_of(ExecuteContext::create(plugin))};
    EXPECT_OK(ffi.add_user_data(*options.context, ext::FfiType<Counted>{42}, data));
    const LoadedExecutable exe =
        compile(client, {.outputs = {{ElementType::F32, {}}}, .run = [&](std::shared_ptr<fake::Run> r) {
                           r->later();
                           run = std::move(r);
                         }});
    EXPECT_OK(exe.execute(std::span<const Argument>(), options));
  }
  EXPECT_EQ(fake.live()["execute context"], 1);
  EXPECT_EQ(data.use_count(), 2);
  run->finish();
  EXPECT_EQ(fake.live()["execute context"], 0);
  EXPECT_EQ(data.use_count(), 1);
  EXPECT_TRUE(test::becomes_true([&] { return fake.live()["client"] == 0; }));  // on a thread of its own
}

TEST_F(ExtFfi, UserDataThatThePluginRefusesIsNotKept) {
  auto data = std::make_shared<Counted>();
  const ExecuteContext context = value_of(ExecuteContext::create(plugin));
  fake.fail<fn::PJRT_FFI_UserData_Add>(ErrorCode::NotFound, "no such type");
  EXPECT_ERROR(ffi.add_user_data(context, ext::FfiType<Counted>{1}, data), NotFound, "no such type");
  EXPECT_EQ(data.use_count(), 1);
}

TEST_F(ExtFfi, UserDataThatIsNullOrOfAnotherPluginsContextIsRefused) {
  const ExecuteContext context = value_of(ExecuteContext::create(plugin));
  EXPECT_ERROR(ffi.add_user_data(context, ext::FfiType<Counted>{1}, std::shared_ptr<Counted>()), InvalidArgument,
               "null");
  const ExecuteContext other = value_of(ExecuteContext::create(with_table({})));
  EXPECT_ERROR(ffi.add_user_data(other, ext::FfiType<Counted>{1}, std::make_shared<Counted>()), InvalidArgument,
               "the execute context belongs to plugin odd");
  EXPECT_EQ(calls_of("PJRT_FFI_UserData_Add"), 0u);
}

abi::XLA_FFI_Error* handle(abi::XLA_FFI_CallFrame*) {
  return nullptr;
}

TEST_F(ExtFfi, HandlersAreRegisteredByTargetAndPlatform) {
  std::string target, platform;
  abi::PJRT_FFI_Register_Handler_Args seen{};
  fake.on<fn::PJRT_FFI_Register_Handler>([&](auto& a) {
    seen = a;
    target.assign(a.target_name, a.target_name_size);
    platform.assign(a.platform_name, a.platform_name_size);
  });
  EXPECT_OK(ffi.register_handler("my_call", "CUDA", handle));
  EXPECT_EQ(target, "my_call");
  EXPECT_EQ(platform, "CUDA");
  EXPECT_EQ(seen.handler, reinterpret_cast<void*>(&handle));
  EXPECT_EQ(static_cast<int>(seen.traits), 0);
  EXPECT_OK(ffi.register_handler("my_call", "CUDA", handle, {.command_buffer_compatible = true}));
  EXPECT_EQ(static_cast<int>(seen.traits), 1);
}

TEST_F(ExtFfi, HandlersThatMakeNoSenseAreRefused) {
  EXPECT_ERROR(ffi.register_handler("f", "Host", nullptr), InvalidArgument, "the handler of 'f' is null");
  EXPECT_ERROR(ffi.register_handler("", "Host", handle), InvalidArgument, "a target name and a platform");
  EXPECT_ERROR(ffi.register_handler("f", "", handle), InvalidArgument, "a target name and a platform");
  EXPECT_EQ(calls_of("PJRT_FFI_Register_Handler"), 0u);
}

TEST_F(ExtFfi, AHandlerThatThePluginRefusesIsAnError) {
  fake.fail<fn::PJRT_FFI_Register_Handler>(ErrorCode::InvalidArgument, "wrong FFI version");
  EXPECT_ERROR(ffi.register_handler("f", "Host", handle), InvalidArgument, "wrong FFI version");
}

// 24 bytes and three functions.
TEST_F(ExtFfi, OfAnOlderPluginLacksItsLastFunctions) {
  const ext::Ffi shorter = value_of(ext::Ffi::of(with_extension(ext::Ffi::kType, 32)));
  EXPECT_OK(shorter.register_type<Counted>("Counted"));
  EXPECT_ERROR(shorter.register_handler("f", "Host", handle), Unimplemented,
               "PJRT_FFI_Register_Handler is not offered");
  const ExecuteContext context = value_of(ExecuteContext::create(shorter.plugin()));
  EXPECT_ERROR(shorter.add_user_data(context, ext::FfiType<Counted>{1}, std::make_shared<Counted>()), Unimplemented,
               "PJRT_FFI_UserData_Add is not offered");
}

}  // namespace
}  // namespace pjrt
