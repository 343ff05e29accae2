#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

/// Programs run as a user runs them: arguments and environment go in; exit status, standard output and standard error
/// come out.

namespace pjrt::test {

/// What a program did.
struct Outcome {
  int status = -1;  // of exit; -1 if a signal ended it
  int signal = 0;
  bool timed_out = false;
  std::string out;
  std::string err;
};

void PrintTo(const Outcome& outcome, std::ostream* to);

/// Where a program's standard output leads. A full one takes nothing (/dev/full); nobody reads a broken pipe.
enum class StandardOutput { Captured, Closed, Full, BrokenPipe };

struct Surroundings {
  std::map<std::string, std::string> environment;  // besides what is always there
  StandardOutput standard_output = StandardOutput::Captured;
  std::filesystem::path folder = PJRT_TEST_SOURCE_DIR;  // where it runs
  std::chrono::seconds patience{100};
};

Outcome run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                    const Surroundings& surroundings = {});

/// The command `pjrt`, in an environment where nothing but its own folder leads to plugins: no PJRT_*, no home, no
/// Python.
Outcome run_pjrt(const std::vector<std::string>& arguments, const Surroundings& surroundings = {});

/// Exit status 0 and nothing on standard error.
::testing::AssertionResult succeeds(const Outcome& outcome);

/// This exit status, nothing on standard output, and one line on standard error that has all of these texts in it.
::testing::AssertionResult fails(const Outcome& outcome, int status, std::initializer_list<std::string_view> texts);

inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;
inline constexpr int kDiffers = 3;

/// A program that gives back its one argument, of a type as MLIR writes it: "2x3xf32".
std::string identity(std::string_view type);

/// Writes a file and gives back its path.
std::string write_file(const std::filesystem::path& path, std::string_view contents);

/// "args.0.w" for names of tests: everything that is no letter or digit becomes '_'.
std::string test_name(std::string_view text);

}  // namespace pjrt::test
