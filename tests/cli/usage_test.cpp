// Command lines that say too little, too much or something else: exit status 2 and one line that names what is wrong.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/run_fixture.hpp"

namespace pjrt::test {
namespace {

struct Usage {
  const char* name;
  std::vector<std::string> arguments;
  const char* fault;
};

void PrintTo(const Usage& usage, std::ostream* out) {
  *out << usage.name;
}

const std::string kModel = export_file("f32_matmul.jaxexp");  // never opened: the command line is read first

class WrongUsage : public ::testing::TestWithParam<Usage> {};

INSTANTIATE_TEST_SUITE_P(
    Of, WrongUsage,
    ::testing::Values(
        Usage{"no_subcommand", {}, "subcommand is required"},
        Usage{"unknown_subcommand", {"fly"}, "there is no subcommand 'fly'"},
        Usage{"unknown_option", {"run", kModel, "--fast"}, "--fast"}, Usage{"no_model", {"run"}, "model is required"},
        Usage{"no_model_to_inspect", {"inspect"}, "a MODEL is wanted"},
        Usage{"two_models", {"run", kModel, "second.jaxexp"}, "second.jaxexp"},
        Usage{"input_without_value", {"run", kModel, "--input"}, "--input"},
        Usage{"device_that_is_no_number", {"run", kModel, "--device", "first"}, "--device = first"},
        Usage{"info_of_a_device", {"info", "--device", "0"}, "--device"},
        Usage{"tolerance_that_is_no_number", {"run", kModel, "--rtol", "little"}, "--rtol = little"},
        Usage{"negative_tolerance", {"run", kModel, "--atol", "-1"}, "--atol"},
        Usage{"nan_tolerance", {"run", kModel, "--rtol", "nan"}, "--rtol"},
        Usage{"negative_seed", {"run", kModel, "--seed", "-1"}, "--seed"},
        // inputs that say nothing
        Usage{"input_of_shape_only",
              {"run", kModel, "--input", "2x3xf32"},
              "'2x3xf32': it has neither values nor a file"},
        Usage{"input_of_no_file", {"run", kModel, "--input", "@"}, "'@' without a file"},
        Usage{"input_of_unknown_type", {"run", kModel, "--input", "2xf99=1"}, "'2xf99' is not a shape"},
        Usage{"input_of_negative_size", {"run", kModel, "--input", "-2xf32=1"}, "'-2xf32' is not a shape"},
        Usage{"input_of_a_size_no_integer_holds",
              {"run", kModel, "--input", "99999999999999999999xf32=1"},
              "'99999999999999999999xf32' is not a shape"},
        Usage{"input_filled_with_nonsense", {"run", kModel, "--input", "2xf32:twos"}, "random, zeros or ones"},
        Usage{"input_with_an_empty_name", {"run", kModel, "--input", "=2xf32=1"}, "its name is empty"},
        Usage{"named_input_of_no_shape", {"run", kModel, "--input", "x=two=1"}, "'two' is not a shape"},
        // options of client and compiler
        Usage{"client_option_without_value",
              {"run", kModel, "--client-option", "cpu_device_count"},
              "client option 'cpu_device_count' is not of the form name=value"},
        Usage{"client_option_without_name", {"devices", "--client-option", "=4"}, "'=4' is not of the form name=value"},
        Usage{"client_option_of_the_wrong_type",
              {"devices", "--client-option", "cpu_device_count=four"},
              "'cpu_device_count' takes an integer, not 'four'"},
        Usage{"compile_option_without_value",
              {"run", kModel, "--compile-option", "xla_dump_to"},
              "compile option 'xla_dump_to' is not of the form name=value"},
        Usage{"compile_option_that_is_no_count",
              {"run", kModel, "--compile-option", "num_replicas=0"},
              "'num_replicas' takes a positive number, not '0'"},
        Usage{"compile_option_that_is_no_bool",
              {"run", kModel, "--compile-option", "use_spmd=perhaps"},
              "'use_spmd' takes true or false, not 'perhaps'"},
        Usage{"output_of_a_kind_that_is_not_written",
              {"run", kModel, "--output", "out.json"},
              "out.json: arrays are written to an .npz, an .npy or a folder"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_P(WrongUsage, IsNamed) {
  EXPECT_TRUE(fails(run_pjrt(GetParam().arguments), kWrongUsage, {GetParam().fault}));
}

TEST(Usage, HelpOfEverySubcommandSucceeds) {
  for (const char* subcommand : {"run", "inspect", "info", "devices", "compile"}) {
    const Outcome outcome = run_pjrt({subcommand, "--help"});
    EXPECT_TRUE(succeeds(outcome)) << subcommand;
    EXPECT_NE(outcome.out.find("--json"), std::string::npos) << subcommand;
  }
}

TEST(Usage, VersionNamesTheApi) {
  const Outcome outcome = run_pjrt({"--version"});
  EXPECT_TRUE(succeeds(outcome));
  EXPECT_NE(outcome.out.find("PJRT API 0.114"), std::string::npos);
}

// Values that fit their input's type and number, or not: found out when the model says what it takes.

struct BadValues {
  const char* name;
  const char* type;  // in MLIR
  const char* input;
  const char* fault;
};

void PrintTo(const BadValues& values, std::ostream* out) {
  *out << values.name;
}

class WrongValues : public RunFixture<::testing::TestWithParam<BadValues>> {};

INSTANTIATE_TEST_SUITE_P(
    Of, WrongValues,
    ::testing::Values(BadValues{"too_many", "2xf32", "2xf32=1 2 3", "3 values for an array of f32[2], which has 2"},
                      BadValues{"too_few", "3xf32", "3xf32=1 2", "2 values for an array of f32[3], which has 3"},
                      BadValues{"none", "2xf32", "2xf32=", "0 values for an array of f32[2]"},
                      BadValues{"one_for_no_elements", "0xf32", "0xf32=1",
                                "1 values for an array of f32[0], which has 0"},
                      BadValues{"words", "2xf32", "2xf32=one", "'one' is not a value of type f32"},
                      BadValues{"fractions_of_integers", "2xi32", "2xs32=1.5", "'1.5' is not a value of type s32"},
                      BadValues{"out_of_range", "2xi8", "2xs8=128", "'128' is not a value of type s8"},
                      BadValues{"negative_of_unsigned", "2xui8", "2xu8=-1", "'-1' is not a value of type u8"},
                      BadValues{"out_of_the_range_of_4_bits", "2xi4", "2xs4=8", "'8' is not a value of type s4"},
                      BadValues{"no_bool", "2xi1", "2xpred=2", "'2' is not a value of type pred"},
                      BadValues{"half_a_complex", "2xcomplex<f32>", "2xc64=1+j2", "'1+j2' is not a value of type c64"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_P(WrongValues, AreNamedWithTheirInput) {
  EXPECT_TRUE(fails(run_on(program(identity(GetParam().type)), {GetParam().input}), kWrongUsage,
                    {"input arg0", GetParam().fault}));
}

}  // namespace
}  // namespace pjrt::test
