#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"
#include "support/data.hpp"
#include "support/plugins.hpp"

namespace pjrt::test {

/// `pjrt run` on the default CPU plugin, with a folder for files.
template <class Base>
class RunFixture : public Base {
 protected:
  void SetUp() override { REQUIRE_PLUGIN("cpu"); }

  /// A file with a program as text.
  std::string program(std::string_view text) const { return write_file(folder / "model.mlir", text); }

  static Outcome run(const std::string& model, std::vector<std::string> options,
                     const Surroundings& surroundings = {}) {
    options.insert(options.begin(), {"run", model});
    return run_pjrt(options, surroundings);
  }
  /// The same with an `--input` before each of `inputs`, and `--json`.
  static Outcome run_on(const std::string& model, const std::vector<std::string>& inputs,
                        std::vector<std::string> options = {"--json"}) {
    for (const std::string& input : inputs) options.insert(options.end(), {"--input", input});
    return run(model, std::move(options));
  }

  const TemporaryFolder folder;
};

using RunTest = RunFixture<::testing::Test>;

/// What `--json` says of an output; an exception that ends the test for anything else.
inline nlohmann::json output(const Outcome& outcome, std::size_t i = 0) {
  EXPECT_TRUE(succeeds(outcome));
  return nlohmann::json::parse(outcome.out).at("outputs").at(i);
}

/// Its values as text without spaces: "[[1.5,2.0]]".
inline std::string values(const Outcome& outcome, std::size_t i = 0) {
  return output(outcome, i).at("values").dump();
}

inline std::string export_file(const std::string& name) {
  return data_file("exports/" + name);
}
/// Of tests/cli/data, written by numpy.
inline std::string cli_file(const std::string& name) {
  return std::string(PJRT_TEST_SOURCE_DIR) + "/tests/cli/data/" + name;
}
inline std::string npy_file(const std::string& name) {
  return data_file("npy/" + name + ".npy");
}

}  // namespace pjrt::test
