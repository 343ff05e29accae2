// What modules say of themselves: the same in every form, and as MLIR says it (tests/data/modules).

#include "mlir/facts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "support/data.hpp"
#include "support/matchers.hpp"

namespace pjrt::mlir {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string module_file(const std::string& name) {
  return test::read_all(test::data_file("modules/" + name));
}

/// Every form of every module.
struct Form {
  json facts;
  std::string file;
};
const std::vector<Form>& forms() {
  static const std::vector<Form> kForms = [] {
    std::vector<Form> all;
    for (const json& facts : json::parse(module_file("facts.json"))) {
      for (const json& file : facts["forms"]) all.push_back({facts, file});
    }
    return all;
  }();
  return kForms;
}

class ModuleForm : public ::testing::TestWithParam<std::size_t> {
 protected:
  const json& said = forms()[GetParam()].facts;
  const std::string file = forms()[GetParam()].file;
  const ModuleFacts facts = test::value_of(read_facts(module_file(file)));
  std::vector<ModuleValue> values() const {
    std::vector<ModuleValue> all = facts.arguments;
    all.insert(all.end(), facts.results.begin(), facts.results.end());
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(Modules, ModuleForm, ::testing::Range(std::size_t{0}, forms().size()), [](const auto& info) {
  std::string name = forms()[info.param].file;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
});

bool contains(const json& list, std::size_t i) {
  return std::ranges::find(list, json(i)) != list.end();
}

TEST_P(ModuleForm, SaysWhatMlirSays) {
  EXPECT_EQ(facts.replicas, said["replicas"]);
  EXPECT_EQ(facts.partitions, said["partitions"]);
  EXPECT_EQ(facts.uses_shardy, said["shardy"]);
  EXPECT_TRUE(facts.has_main);
  EXPECT_EQ(facts.name, said["module"]);
  EXPECT_EQ(json(facts.custom_calls), said["custom_calls"]);
  EXPECT_EQ(json(facts.missing_symbols), said["missing"]);
  EXPECT_EQ(json(facts.unbounded_calls), said["unbounded_calls"]);
  ASSERT_EQ(facts.arguments.size(), said["inputs"]);
  ASSERT_EQ(facts.results.size(), said["outputs"]);
  for (std::size_t i = 0; i < values().size(); ++i) {
    const ModuleValue value = values()[i];
    EXPECT_EQ(value.type.text, said["types"][i]) << i;
    if (!said["shown"].is_null()) {
      EXPECT_EQ(to_string(value.type), said["shown"][i]) << i;
    }
    if (!said["shardings"].is_null()) {
      const json sharding = value.sharding ? json(to_string(*value.sharding)) : json();
      EXPECT_EQ(sharding, said["shardings"][i]) << i << ": " << value.sharding_text;
    }
  }
  for (std::size_t i = 0; i < facts.arguments.size(); ++i) {
    EXPECT_EQ(facts.arguments[i].name, said["names"][i]) << i;
    EXPECT_EQ(facts.arguments[i].donated, contains(said["donated"], i)) << i;
    EXPECT_EQ(facts.arguments[i].type.is_unbounded, contains(said["unbounded"], i)) << i;
  }
}

TEST_P(ModuleForm, DamagedIsAnErrorOrAModule) {
  const std::string whole = module_file(file);
  for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 200)
    (void)read_facts(std::string_view(whole).substr(0, size));
  std::mt19937 generator(1);
  for (int i = 0; i < 300; ++i) {
    std::string wrong = whole;
    for (int n = 1 + i % 4; n > 0; --n) wrong[generator() % wrong.size()] = static_cast<char>(generator());
    if (const Result<ModuleFacts> result = read_facts(wrong)) (void)check(*result);
  }
}

// Text.

ModuleFacts text(const std::string& module) {
  return test::value_of(read_facts(module));
}

TEST(ModuleText, MayStandBehindAByteOrderMark) {
  EXPECT_EQ(text("\xef\xbb\xbfmodule @m attributes {mhlo.num_replicas = 3 : i32} {}").replicas, 3);
}

TEST(ModuleText, HasItsNumbersInTheModuleAlone) {
  EXPECT_EQ(text("module @m { module @inner attributes {mhlo.num_partitions = 4 : i32} {} }").partitions, 1);
  EXPECT_EQ(text("module @m attributes {a.b = {mhlo.num_partitions = 4 : i32}} {}").partitions, 1);
  EXPECT_EQ(text("module @m attributes {\"mhlo.num_partitions\" = 4 : i32} {}").partitions, 4);
  EXPECT_EQ(text("#n = 4 : i32\nmodule @m attributes {mhlo.num_partitions = #n} {}").partitions, 4);
  EXPECT_EQ(text("\"builtin.module\"() ({\n}) {mhlo.num_partitions = 4 : i32} : () -> ()").partitions, 4);
  EXPECT_EQ(text("\"builtin.module\"() ({ \"builtin.module\"() ({\n}) {mhlo.num_partitions = 4 : i32} : () -> ()\n}) "
                 "{mhlo.num_replicas = 2 : i32} : () -> ()")
                .partitions,
            1);
}

TEST(ModuleText, NumbersThatAreNoneAreRefused) {
  for (const char* number : {"0 : i32", "-1 : i32", "99999999999 : i64", "true", "\"2\"", "2.5 : f32", "[2]"})
    EXPECT_ERROR(read_facts("module attributes {mhlo.num_partitions = " + std::string(number) + "} {}"),
                 InvalidArgument, "mhlo.num_partitions is not a number from 1 to");
}

TEST(ModuleText, WordsInStringsAndCommentsDoNotCount) {
  const ModuleFacts facts = text(R"(// sdy.mesh @m, mhlo.num_replicas = 9 : i32
module @m attributes {jax.a = "\" mhlo.num_replicas = 9 : i32", jax.b = "stablehlo.custom_call @c sdy.x"} {
  func.func @main(%a: tensor<2xf32> loc("sdy.sharding")) -> tensor<2xf32> { // -> tensor<?xf32>
    return %a : tensor<2xf32> loc("@nowhere")
  } loc(callsite("f"("g") at "h"))
})");
  EXPECT_EQ(facts.replicas, 1);
  EXPECT_FALSE(facts.uses_shardy);
  EXPECT_THAT(facts.custom_calls, IsEmpty());
  EXPECT_THAT(facts.missing_symbols, IsEmpty());
  EXPECT_EQ(facts.arguments.at(0).name, "sdy.sharding");
}

TEST(ModuleText, OldGenericFormHasAttributesBehindRegions) {
  const ModuleFacts facts = text(R"("builtin.module"() ({
  "func.func"() ({
  ^bb0(%a: tensor<2x?xf32>):
    "func.return"(%a) : (tensor<2x?xf32>) -> ()
  }) {arg_attrs = [{tf.aliasing_output = 0 : i32}], function_type = (tensor<2x?xf32>) -> tensor<2x?xf32>, sym_name = "main"} : () -> ()
}) {mhlo.num_replicas = 2 : i32, sym_name = "old"} : () -> ())");
  EXPECT_EQ(facts.name, "old");
  EXPECT_EQ(facts.replicas, 2);
  ASSERT_EQ(facts.arguments.size(), 1U);
  EXPECT_EQ(to_string(facts.arguments[0].type), "f32[2,?]");
  EXPECT_TRUE(facts.arguments[0].donated);
  EXPECT_TRUE(facts.results.at(0).type.is_unbounded);
}

TEST(ModuleText, TypesAreReadThroughAliases) {
  const ModuleFacts facts = text("!t = tensor<2x!e>\n!e = f32\nfunc.func @main(%a: !t) -> !t { return %a : !t }");
  EXPECT_EQ(to_string(facts.arguments.at(0).type), "f32[2]");
}

TEST(ModuleText, TypesWithoutANumberAreNamed) {
  const ModuleFacts facts = text(
      "func.func @main(%a: tensor<4x!quant.uniform<i8:f32, 0.5:3>>, %b: tensor<2xi128>, %c: !mine.type<[1, 2]>) "
      "{ return }");
  EXPECT_EQ(to_string(facts.arguments.at(0).type), "!quant.uniform<i8:f32, 0.5:3>[4]");
  EXPECT_EQ(to_string(facts.arguments.at(1).type), "i128[2]");
  EXPECT_EQ(to_string(facts.arguments.at(2).type), "!mine.type<[1, 2]>");
}

TEST(ModuleText, BoundsMayBeWrittenTheOldWay) {
  const ModuleFacts facts = text(
      "func.func @main(%a: tensor<?x?xf32, #stablehlo.type_extensions<bounds = [4, 5]>>, "
      "%b: tensor<?x?xf32, #stablehlo.bounds<4, ?>>, %c: tensor<*xf32>) { return }");
  EXPECT_FALSE(facts.arguments.at(0).type.is_unbounded);
  EXPECT_TRUE(facts.arguments.at(1).type.is_unbounded);
  EXPECT_TRUE(facts.arguments.at(2).type.is_unbounded);
}

TEST(ModuleText, DeclarationsAndOperationsOfOtherDialectsDefineSymbols) {
  EXPECT_THAT(text(R"(module {
  ml_program.global private mutable @a(dense<1> : tensor<i32>) : tensor<i32>
  "other.op"() {sym_name = "b"} : () -> ()
  func.func private @c(tensor<f32>)
  func.func @main(%x: tensor<f32>) { call @a() : () -> ()
    func.call @b() : () -> ()
    "func.call"(%x) {callee = @c} : (tensor<f32>) -> ()
    "func.call"(%x) <{callee = @d::@c}> : (tensor<f32>) -> ()
    return }
})")
                  .missing_symbols,
              ElementsAre("d"));
}

std::string repeated(const std::string& what, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += what;
  return all;
}

TEST(ModuleText, NestingOfEveryKindIsLimited) {
  constexpr std::size_t kDepth = 100'000;
  const auto nested = [&](const std::string& open, const std::string& inside, const std::string& close) {
    return repeated(open, kDepth) + inside + repeated(close, kDepth);
  };
  const std::string bombs[] = {
      "func.func @main(%a: " + nested("tuple<", "tensor<f32>", ">") + ") { return }",
      "module attributes {a.b = " + nested("[", "", "]") + "} {}",
      "module attributes {a.b = " + nested("{a = ", "1", "}") + "} {}",
      "module { func.func @main() { return } loc(" + nested("callsite(\"a\" at ", "\"b\"", ")") + ") }",
      "module {" + nested("\"a.b\"() ({ ", "", "}) : () -> ()\n") + "}",
      nested("module {", "", "}"),
      "func.func @main() -> " + nested("(", "", ")") + " { return }",
      "func.func @main(%a: tensor<" + nested("complex<", "f32", ">") + ">) { return }",
      "module " + repeated("{", kDepth),
      "module attributes {a = " + repeated("#a.b<", kDepth),
  };
  for (const std::string& bomb : bombs)
    EXPECT_ERROR(read_facts(bomb), InvalidArgument, "nested more than 512 deep") << bomb.substr(0, 80);
}

TEST(ModuleText, NestingByAliasesIsLimited) {
  std::string chain = "#a0 = []\n";
  for (int i = 1; i < 2000; ++i) chain += "#a" + std::to_string(i) + " = [#a" + std::to_string(i - 1) + "]\n";
  EXPECT_ERROR(read_facts(chain + "module {}"), InvalidArgument, "nested more than 512 deep");
}

TEST(ModuleText, NestingThatProgramsHaveIsFine) {
  EXPECT_TRUE(read_facts("module {" + repeated("\"a.b\"() ({ ", 200) + repeated("}) : () -> ()\n", 200) + "}"));
}

TEST(ModuleText, ManyAliasesAreFine) {
  std::string flat;
  for (int i = 0; i < 20'000; ++i)
    flat += "#loc" + std::to_string(i) + " = loc(\"x\"(\"a\":" + std::to_string(i) + ":1))\n";
  EXPECT_TRUE(read_facts(flat + "module {} loc(#loc1)"));
}

TEST(ModuleText, RankIsLimited) {
  EXPECT_TRUE(read_facts("func.func @main(%a: tensor<" + repeated("1x", 255) + "f32>) { return }"));
  EXPECT_ERROR(read_facts("func.func @main(%a: tensor<" + repeated("1x", 256) + "f32>) { return }"), InvalidArgument,
               "an array has more than 255 dimensions");
}

TEST(ModuleText, UnfinishedTextSaysWhere) {
  EXPECT_ERROR(read_facts("module {\n  func.func @main("), InvalidArgument, "line 2: a '(' is not closed");
  EXPECT_ERROR(read_facts("module {\n\n }}"), InvalidArgument, "line 3: a '}' closes nothing");
  EXPECT_ERROR(read_facts("module attributes {a.b = \"x} {}"), InvalidArgument, "line 1: a string does not end");
}

// What is checked before a program goes to a plugin.

TEST(ModuleCheck, NamesWhatHasNoFixedSize) {
  const Result<void> checked = check(text("func.func @main(%a: tensor<?xf32>) -> tensor<4x?xi1> { return }"));
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code(), ErrorCode::Unimplemented);
  EXPECT_EQ(checked.error().message(),
            "the module has dynamic dimensions without a bound (arg0 is f32[?]), which PJRT cannot compile; export it "
            "for fixed shapes");
  EXPECT_THAT(to_string(checked.error()), HasSubstr("out0 is pred[4,?]"));
}

TEST(ModuleCheck, NamesSymbolsThatAreMissing) {
  EXPECT_ERROR(check(text("func.func @main() { call @f() : () -> ()\n call @g() : () -> ()\n return }")),
               InvalidArgument, "the module uses @f, @g, which it does not define");
}

// Bytecode.

TEST(ModuleBytecode, OfAVersionThatIsNotKnownIsUnimplemented) {
  std::string module = module_file("replicas.mlirbc");
  module[4] = static_cast<char>(7 << 1 | 1);
  EXPECT_ERROR(read_facts(module), Unimplemented, "MLIR bytecode of version 7; versions 0 to 6 are known here");
}

TEST(ModuleBytecode, IntegersOfTypesThatPluginsDieOfAreRefused) {
  std::string module = module_file("replicas.mlirbc");
  module[209] = '\xd0';  // an integer of 3328 bits
  EXPECT_ERROR(read_facts(module), DataLoss, "type 6 is malformed");
  module = module_file("custom_calls.1.17.0.mlirbc");
  module[167] = 7;  // an integer attribute of type f16
  EXPECT_ERROR(read_facts(module), DataLoss, "attribute 26 is malformed");
}

}  // namespace
}  // namespace pjrt::mlir
