// Names of inputs and outputs: what a listing shows is found, in whichever way people spell it. The paths are what
// jax.tree_util.keystr gives for the keys in the tests' names.

#include "model/names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/printable.hpp"
#include "support/matchers.hpp"

namespace pjrt::model {
namespace {

using test::value_of;

std::vector<SessionValue> values(std::initializer_list<const char*> paths) {
  std::vector<SessionValue> all;
  for (const char* path : paths) all.push_back({path, "", {ElementType::F32, {}}, {}, true});
  return all;
}

NameIndex index_of(std::initializer_list<const char*> paths, std::string_view what = "input") {
  return {values(paths), what};
}

const char* const kOddPaths[] = {
    R"(args[0][''])",
    R"(args[0]['.'])",
    R"(args[0]['a=b'])",
    R"(args[0]['a[0]'])",
    R"(args[0]['back\\slash'])",
    R"(args[0]['both\'"'])",
    R"(args[0]['esc\x1b[31m'])",
    R"(args[0]["it's"])",
    R"(args[0]['layers.0.bias'])",
    R"(args[0]['layers.0.weight'])",
    R"(args[0]['mlp/~/linear_0'])",
    R"(args[0]['new\nline'])",
    R"(args[0]['q="1"'])",
    R"(args[0]['x y'])",
    "args[0]['\xc3\xbc.\xce\xbc']",
    R"(args[0]['\u202ertl'])",
    R"(args[1][3])",
    R"(args[1][10][0])",
    R"(args[2][b'k'])",
    R"(args[3][('t', 1)])",
    R"(args[4][1.5])",
};

std::vector<SessionValue> odd_values() {
  std::vector<SessionValue> all;
  for (const char* path : kOddPaths) all.push_back({path, "", {ElementType::F32, {}}, {}, true});
  return all;
}

TEST(Name, ThatAListingShowsIsFound) {
  const std::vector<SessionValue> all = odd_values();
  const NameIndex index(all, "input");
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(value_of(index.find(all[i].path)), i) << all[i].path;
    EXPECT_EQ(value_of(index.find(label(all[i]))), i) << all[i].path;
  }
}

TEST(Name, MayBeTheKeyAsPythonHoldsIt) {
  const NameIndex index(odd_values(), "input");
  const std::pair<const char*, std::size_t> keys[] = {{".", 1},
                                                      {"a=b", 2},
                                                      {"a[0]", 3},
                                                      {"back\\slash", 4},
                                                      {"both'\"", 5},
                                                      {"esc\x1b[31m", 6},
                                                      {"it's", 7},
                                                      {"layers.0.bias", 8},
                                                      {"layers.0.weight", 9},
                                                      {"mlp/~/linear_0", 10},
                                                      {"new\nline", 11},
                                                      {"q=\"1\"", 12},
                                                      {"x y", 13},
                                                      {"\xc3\xbc.\xce\xbc", 14},
                                                      {"\xe2\x80\xaertl", 15},
                                                      {"3", 16},
                                                      {"k", 18},
                                                      {"('t', 1)", 19},
                                                      {"1.5", 20}};
  for (const auto& [key, i] : keys) EXPECT_EQ(value_of(index.find(key)), i) << key;
}

TEST(Name, MayBeTheQuotedKey) {
  const NameIndex index(odd_values(), "input");
  EXPECT_EQ(value_of(index.find("['layers.0.weight']")), 9U);
  EXPECT_EQ(value_of(index.find("\"layers.0.weight\"")), 9U);
  EXPECT_EQ(value_of(index.find("['']")), 0U);
  EXPECT_EQ(value_of(index.find(R"(["back\\slash"])")), 4U);
  EXPECT_EQ(value_of(index.find(R"(args[0]["it\'s"])")), 7U);
}

TEST(Name, MayBeTheEndOfAPathHoweverItIsSpelled) {
  const NameIndex index =
      index_of({"args[0]['params']['conv1']['kernel']", "args[0]['params']['conv2']['kernel']", "args[1].step"});
  for (const char* name : {"['conv1']['kernel']", "conv1.kernel", "params.conv1.kernel", "[\"conv1\"].kernel",
                           "conv1/kernel", "params/conv1/kernel", "args.0.params.conv1.kernel", ".conv1.kernel"})
    EXPECT_EQ(value_of(index.find(name)), 0U) << name;
  EXPECT_EQ(value_of(index.find("step")), 2U);
  EXPECT_EQ(value_of(index.find(".step")), 2U);
}

TEST(Name, MayBeTheEndOfAPathWithDottedKeys) {
  const NameIndex index =
      index_of({"args[0]['params']['dense.1']['kernel']", "args[0]['params']['dense.2']['kernel']"});
  EXPECT_EQ(value_of(index.find("params.dense.1.kernel")), 0U);
  EXPECT_EQ(value_of(index.find("dense.2/kernel")), 1U);
}

TEST(Name, OfTheAuthorIsFoundLikeAPath) {
  const std::vector<SessionValue> all = {{"args[0]['w']", "params['w']", {ElementType::F32, {}}, {}, true},
                                         {"args[1]", "x", {ElementType::F32, {}}, {}, true}};
  const NameIndex index(all, "input");
  EXPECT_EQ(value_of(index.find("params['w']")), 0U);
  EXPECT_EQ(value_of(index.find("params.w")), 0U);
  EXPECT_EQ(value_of(index.find("x")), 1U);
  EXPECT_EQ(value_of(index.find("args[0]['w'] (params['w'])")), 0U);
}

TEST(Name, ThatIsAnExactKeyWinsOverPathsThatReadTheSame) {
  const NameIndex index = index_of({"args[0]['layers'][0]['w']", "args[0]['layers.0.w']"});
  EXPECT_EQ(value_of(index.find("layers.0.w")), 1U);
  EXPECT_EQ(value_of(index.find("['layers'][0]['w']")), 0U);
  const NameIndex paths = index_of({"args[0]['arg1']", "arg1"});
  EXPECT_EQ(value_of(paths.find("arg1")), 1U);
}

TEST(Name, ThatFitsSeveralIsRefusedWithThem) {
  const NameIndex index = index_of({"args[0]['a']['w']", "args[0]['b']['w']", "args[0]['c']"});
  EXPECT_ERROR(index.find("w"), InvalidArgument, "'w' may be any of the inputs args[0]['a']['w'], args[0]['b']['w']");
  EXPECT_EQ(value_of(index.find("b.w")), 1U);
}

TEST(Name, MayBeANumber) {
  const NameIndex inputs = index_of({"args[0]", "args[1]"});
  EXPECT_EQ(value_of(inputs.find("arg1")), 1U);
  EXPECT_EQ(value_of(inputs.find("arr_1")), 1U);
  EXPECT_ERROR(inputs.find("arg2"), NotFound, "there is no input 'arg2'");
  EXPECT_ERROR(inputs.find("arr_01"), NotFound, "");
  EXPECT_ERROR(inputs.find("out0"), NotFound, "");
  const NameIndex outputs = index_of({"result[0]", "result[1]"}, "output");
  EXPECT_EQ(value_of(outputs.find("out1")), 1U);
  EXPECT_EQ(value_of(outputs.find("arr_0")), 0U);
}

TEST(Name, ThatLooksLikeANumberIsOneOnlyWhereNothingIsCalledSo) {
  const NameIndex index = index_of({"args[0]['arr_1']", "args[0]['arr_0']"});
  EXPECT_EQ(value_of(index.find("arr_0")), 1U);
  EXPECT_EQ(value_of(index.find("arr_1")), 0U);
}

TEST(Name, ThatIsNotThereComesWithAFewThatAre) {
  std::vector<SessionValue> all;
  for (int i = 0; i < 4000; ++i)
    all.push_back({"args[0]['layer" + std::to_string(i) + "']", "", {ElementType::F32, {}}, {}, true});
  const Result<std::size_t> i = NameIndex(all, "input").find("weights");
  ASSERT_FALSE(i);
  const std::string text = to_string(i.error());
  EXPECT_THAT(text, ::testing::HasSubstr("there is no input 'weights'"));
  EXPECT_THAT(text, ::testing::HasSubstr("args[0]['layer0'], "));
  EXPECT_THAT(text, ::testing::HasSubstr("and 3994 more"));
  EXPECT_LT(text.size(), 400U);
}

TEST(Name, ThatIsMisspelledIsGuessed) {
  const NameIndex index = index_of({"args[0]['embedding']", "args[0]['attention_mask']"});
  EXPECT_ERROR(index.find("attention-mask"), NotFound, "did you mean args[0]['attention_mask']?");
  EXPECT_ERROR(index.find("Embeding"), NotFound, "did you mean args[0]['embedding']?");
}

TEST(Name, OfNothingIsNotFound) {
  EXPECT_ERROR(index_of({"args[0]"}).find(""), NotFound, "there is no input ''");
  EXPECT_ERROR(index_of({}).find("x"), NotFound, "the model has no inputs");
}

TEST(Name, InMessagesHasNoRawControls) {
  const Result<std::size_t> i = index_of({"args[0]"}).find("\x1b[31m");
  ASSERT_FALSE(i);
  EXPECT_THAT(to_string(i.error()), ::testing::HasSubstr("'\\x1b[31m'"));
}

TEST(Name, MayBeDeepWithoutDeepStacks) {
  std::string path = "args";
  for (int i = 0; i < 100000; ++i) path += "[0]";
  const std::vector<SessionValue> all = {{path, "", {ElementType::F32, {}}, {}, true}};
  EXPECT_EQ(value_of(NameIndex(all, "input").find(path)), 0U);
}

/// Processor time that finding every one of `count` names takes, making the index included.
double time_for(int count) {
  std::vector<SessionValue> all;
  for (int i = 0; i < count; ++i) {
    all.push_back({"args[0]['layers'][" + std::to_string(i / 4) + "]['w" + std::to_string(i % 4) + "']",
                   "",
                   {ElementType::F32, {}},
                   {},
                   true});
  }
  const std::clock_t begin = std::clock();
  const NameIndex index(all, "input");
  for (int i = 0; i < count; ++i) {
    const std::string name = "layers." + std::to_string(i / 4) + ".w" + std::to_string(i % 4);
    EXPECT_EQ(value_of(index.find(name)), static_cast<std::size_t>(i));
  }
  return static_cast<double>(std::clock() - begin);
}

TEST(Name, LookUpTakesAsLongInLargeModelsAsInSmallOnes) {
  const auto best_for = [](int count) { return std::min({time_for(count), time_for(count), time_for(count)}); };
  const double small = best_for(500);
  const double large = best_for(8000);  // 16 times as many; 256 times as long if every name were compared
  EXPECT_LT(large, 100 * small);
}

// What names look like on a terminal.

TEST(Printable, EscapesAsPythonDoes) {  // repr() of these
  EXPECT_EQ(pjrt::detail::printable("a\x1b[31m"), "a\\x1b[31m");
  EXPECT_EQ(pjrt::detail::printable("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(pjrt::detail::printable("\x7f"), "\\x7f");
  EXPECT_EQ(pjrt::detail::printable("\xc2\x9b"
                                    "31m"),
            "\\x9b31m");  // C1: the one-character CSI
  EXPECT_EQ(pjrt::detail::printable("\xe2\x80\xae"
                                    "x"),
            "\\u202ex");                                                  // right-to-left override
  EXPECT_EQ(pjrt::detail::printable("\xe2\x81\xa6"), "\\u2066");          // isolate
  EXPECT_EQ(pjrt::detail::printable("\xf3\xa0\x80\x81"), "\\U000e0001");  // a tag
  EXPECT_EQ(pjrt::detail::printable("\xef\xbb\xbf"), "\\ufeff");
}

TEST(Printable, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(pjrt::detail::printable("\xff"), "\\xff");
  EXPECT_EQ(pjrt::detail::printable("\x9b"), "\\x9b");
  EXPECT_EQ(pjrt::detail::printable("\xc3"), "\\xc3");                             // cut off
  EXPECT_EQ(pjrt::detail::printable("\xc0\x9b"), "\\xc0\\x9b");                    // overlong
  EXPECT_EQ(pjrt::detail::printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(pjrt::detail::printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
}

TEST(Printable, LeavesLettersOfEveryScript) {
  EXPECT_EQ(pjrt::detail::printable("\xc3\xbc \xe6\x95\xb0 \xf0\x9f\x99\x82 \\n"),
            "\xc3\xbc \xe6\x95\xb0 \xf0\x9f\x99\x82 \\n");
}

}  // namespace
}  // namespace pjrt::model
