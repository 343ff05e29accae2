// The Layouts extension: layouts in XLA's own words.

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "fake_plugin/fixture.hpp"
#include "pjrt/ext/layouts.hpp"

namespace pjrt {
namespace {

using test::value_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
namespace fn = test::fn;

class ExtLayouts : public test::OnFake {
 protected:
  ExtLayouts() {
    fake.on<fn::PJRT_Layouts_MemoryLayout_Serialize>([this](auto& a) {
      fake.give_bytes(texts.at(a.layout), a.serialized_bytes, a.serialized_bytes_size, a.serialized_layout,
                      a.serialized_layout_deleter);
    });
    fake.on<fn::PJRT_Layouts_MemoryLayout_Destroy>([this](auto& a) { fake.drop(a.layout, "layout"); });
    fake.on<fn::PJRT_Layouts_PJRT_Client_GetDefaultLayout>([this](auto& a) {
      default_shape = {static_cast<ElementType>(a.type), Dimensions(std::span(a.dims, a.num_dims))};
      a.layout = layout("{1,0:T(8,128)}");
    });
    fake.on<fn::PJRT_Layouts_PJRT_Topology_GetDefaultLayout>([this](auto& a) {
      default_shape = {static_cast<ElementType>(a.type), Dimensions(std::span(a.dims, a.num_dims))};
      a.layout = layout("{1,0:T(64,128)(8,1)E(4)}");
    });
    fake.on<fn::PJRT_Layouts_PJRT_Buffer_MemoryLayout>([this](auto& a) { a.layout = layout("{0,1}"); });
  }
  abi::PJRT_Layouts_MemoryLayout* layout(std::string text) {
    auto* made = fake.token<abi::PJRT_Layouts_MemoryLayout>("layout");
    texts[made] = std::move(text);
    return made;
  }

  std::map<const void*, std::string> texts;
  Shape default_shape;
  Client client = make_client();
  const ext::Layouts layouts = value_of(client.extension<ext::Layouts>());
  const Shape shape = {ElementType::F32, {16, 256}};
};

TEST_F(ExtLayouts, OfAClientsDevicesAreReadAndGivenBack) {
  const Layout l = value_of(layouts.default_layout(client, shape));
  EXPECT_EQ(default_shape, shape);
  EXPECT_THAT(l.minor_to_major(), ElementsAre(1, 0));
  ASSERT_EQ(l.tiles().size(), 1u);
  EXPECT_THAT(l.tiles()[0], ElementsAre(8, 128));
  EXPECT_THAT(fake.live(), ::testing::UnorderedElementsAre(::testing::Pair("client", 1)));
}

TEST_F(ExtLayouts, OfATopologysDevicesKeepWhatIsNoTile) {
  const Topology topology = value_of(Topology::create(plugin, "two devices"));
  const Layout l = value_of(layouts.default_layout(topology, {ElementType::S4, {16, 256}}));
  EXPECT_EQ(default_shape.type, ElementType::S4);
  EXPECT_EQ(l.tiles().size(), 2u);
  EXPECT_EQ(l.suffix(), "E(4)");
  EXPECT_EQ(fake.live()["layout"], 0);
}

TEST_F(ExtLayouts, OfABuffer) {
  const Buffer buffer = value_of(client.upload(std::vector<float>(6), {2, 3}));
  EXPECT_EQ(value_of(layouts.layout_of(buffer)), Layout::column_major(2));
  EXPECT_EQ(fake.calls_of<fn::PJRT_Layouts_PJRT_Buffer_MemoryLayout>()[0].buffer, buffer.raw());
  EXPECT_EQ(fake.live()["layout"], 0);
}

TEST_F(ExtLayouts, OfAnExecutableBelongToItAndAreNotDestroyed) {
  abi::PJRT_Layouts_MemoryLayout* own[] = {layout("{1,0}"), layout("{0,1}")};
  fake.on<fn::PJRT_Layouts_PJRT_Executable_GetOutputLayouts>([&](auto& a) {
    a.num_outputs = 2;
    a.layouts = own;
  });
  fake.on<fn::PJRT_Layouts_PJRT_Executable_GetParameterLayouts>([&](auto& a) {
    a.num_parameters = 1;
    a.layouts = own + 1;
  });
  const Executable executable = compile(client, {}).executable();
  EXPECT_THAT(value_of(layouts.output_layouts(executable)), ElementsAre(Layout::row_major(2), Layout::column_major(2)));
  EXPECT_THAT(value_of(layouts.parameter_layouts(executable)), ElementsAre(Layout::column_major(2)));
  EXPECT_EQ(fake.live()["layout"], 2);
  EXPECT_EQ(calls_of("PJRT_Layouts_MemoryLayout_Destroy"), 0u);
  for (auto* l : own) fake.drop(l, "layout");
}

TEST_F(ExtLayouts, OfAnExecutableWithoutAnyAreNone) {
  const Executable executable = compile(client, {}).executable();
  EXPECT_THAT(value_of(layouts.output_layouts(executable)), IsEmpty());
  EXPECT_THAT(value_of(layouts.parameter_layouts(executable)), IsEmpty());
}

TEST_F(ExtLayouts, ThatCannotBeReadAreGivenBackAllTheSame) {
  fake.fail<fn::PJRT_Layouts_MemoryLayout_Serialize>(ErrorCode::Internal, "no words");
  EXPECT_ERROR(layouts.default_layout(client, shape), Internal, "no words");
  EXPECT_EQ(fake.live()["layout"], 0);
  fake.on<fn::PJRT_Layouts_MemoryLayout_Serialize>([this](auto& a) {
    fake.give_bytes("{1,0", a.serialized_bytes, a.serialized_bytes_size, a.serialized_layout,
                    a.serialized_layout_deleter);
  });
  EXPECT_FALSE(layouts.default_layout(client, shape));
  EXPECT_EQ(fake.live()["layout"], 0);
  EXPECT_EQ(fake.live()["bytes"], 0);
}

TEST_F(ExtLayouts, HandErrorsOn) {
  const Topology topology = value_of(Topology::create(plugin, "two devices"));
  const Buffer buffer = value_of(client.upload(1.0f));
  const Executable executable = compile(client, {}).executable();
  fake.fail<fn::PJRT_Layouts_PJRT_Client_GetDefaultLayout>(ErrorCode::Internal, "client");
  fake.fail<fn::PJRT_Layouts_PJRT_Topology_GetDefaultLayout>(ErrorCode::Internal, "topology");
  fake.fail<fn::PJRT_Layouts_PJRT_Buffer_MemoryLayout>(ErrorCode::Internal, "buffer");
  fake.fail<fn::PJRT_Layouts_PJRT_Executable_GetOutputLayouts>(ErrorCode::Internal, "outputs");
  fake.fail<fn::PJRT_Layouts_PJRT_Executable_GetParameterLayouts>(ErrorCode::Internal, "parameters");
  EXPECT_ERROR(layouts.default_layout(client, shape), Internal, "client");
  EXPECT_ERROR(layouts.default_layout(topology, shape), Internal, "topology");
  EXPECT_ERROR(layouts.layout_of(buffer), Internal, "buffer");
  EXPECT_ERROR(layouts.output_layouts(executable), Internal, "outputs");
  EXPECT_ERROR(layouts.parameter_layouts(executable), Internal, "parameters");
  EXPECT_EQ(calls_of("PJRT_Layouts_MemoryLayout_Destroy"), 0u);
}

TEST_F(ExtLayouts, OfWhatBelongsToAnotherPluginAreRefused) {
  const Client other = value_of(Client::create(with_table({})));
  const Topology topology = value_of(other.topology());
  const Executable executable = compile(other, {}).executable();
  EXPECT_ERROR(layouts.default_layout(other, shape), InvalidArgument, "the client belongs to plugin odd");
  EXPECT_ERROR(layouts.default_layout(topology, shape), InvalidArgument, "the topology belongs to plugin odd");
  EXPECT_ERROR(layouts.layout_of(value_of(other.upload(1.0f))), InvalidArgument, "the buffer belongs to plugin odd");
  EXPECT_ERROR(layouts.output_layouts(executable), InvalidArgument, "the executable belongs to plugin odd");
  EXPECT_ERROR(layouts.parameter_layouts(executable), InvalidArgument, "the executable belongs to plugin odd");
}

// The CPU plugin of API 0.81 has 72 bytes: all but the parameters' layouts.
TEST_F(ExtLayouts, OfAnOlderPluginLackTheParameters) {
  const ext::Layouts shorter = value_of(ext::Layouts::of(with_extension(ext::Layouts::kType, 72)));
  const Client own = value_of(Client::create(shorter.plugin()));
  const Executable executable = compile(own, {}).executable();
  EXPECT_OK(shorter.output_layouts(executable));
  EXPECT_OK(shorter.default_layout(own, shape));
  EXPECT_ERROR(
      shorter.parameter_layouts(executable), Unimplemented,
      "PJRT_Layouts_PJRT_Executable_GetParameterLayouts is not offered by the Layouts extension of plugin odd");
}

}  // namespace
}  // namespace pjrt
