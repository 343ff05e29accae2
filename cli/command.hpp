#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pjrt/client.hpp"
#include "pjrt/compile_options.hpp"
#include "pjrt/error.hpp"
#include "pjrt/plugin.hpp"

/// What the subcommands share: their options, their errors, their exit statuses.

namespace pjrt::cli {

/// Exit statuses: others script against these.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;
inline constexpr int kDiffers = 3;

/// How an error becomes an exit status: what the user typed wrong is kWrongUsage, everything else kFailed.
struct Failure {
  Error error;
  int status = kFailed;

  Failure(Error e, int s = kFailed) : error(std::move(e)), status(s) {}
};
inline Failure wrong_usage(Error error) {
  return {std::move(error), kWrongUsage};
}
inline Failure wrong_usage(std::string message) {
  return {Error(ErrorCode::InvalidArgument, std::move(message)), kWrongUsage};
}

/// An exit status, or what went wrong.
using Status = std::expected<int, Failure>;

/// Options that every subcommand has.
struct Output {
  bool json = false;
  bool verbose = false;
  bool isolate = false;
};

/// Options of subcommands that load a plugin and start a client.
struct PluginOptions {
  std::string plugin;
  std::vector<std::string> client_options;
  int device = 0;

  Result<Plugin> load(const Output& output) const;
  /// The client options typed so far; a malformed one is wrong usage.
  std::expected<NamedValues, Failure> parsed_client_options() const;
};

void add_output_options(CLI::App& app, Output& output);
/// Refuses "" for an option, which is a shell variable that is not set more often than a wish.
CLI::Validator not_empty();
void add_plugin_options(CLI::App& app, PluginOptions& options, bool with_client, bool with_device);

/// `--compile-option name=value`: XLA flags by name, and num_replicas, num_partitions, use_spmd, use_shardy.
std::expected<void, Failure> apply_compile_options(CompileOptions& options, const std::vector<std::string>& given);

/// One line for people; all of it with `verbose`.
std::string describe(const Error& error, bool verbose);

/// The text on one line: runs of spaces and line breaks become one space, other controls escapes (see shown).
std::string one_line(std::string_view text);

/// The file that MODEL names: "-" is standard input.
inline std::string model_file(const std::string& model) {
  return model == "-" ? "/dev/stdin" : model;
}

/// A subcommand to be added to the command line; `run` is called if it was chosen.
struct Subcommand {
  CLI::App* app = nullptr;
  const Output* output = nullptr;
  std::function<Status()> run;
};

Subcommand add_compile(CLI::App& app);
Subcommand add_info(CLI::App& app);
Subcommand add_devices(CLI::App& app);
Subcommand add_inspect(CLI::App& app);
Subcommand add_run(CLI::App& app);

}  // namespace pjrt::cli

/// `CLI_TRY(auto x, f());` hands an Error or Failure on as the status of the command.
#define CLI_TRY(target, ...) CLI_TRY_NAMED(CLI_CAT(cli_result_, __LINE__), target, __VA_ARGS__)
#define CLI_TRY_NAMED(result, target, ...)                                              \
  auto result = (__VA_ARGS__);                                                          \
  if (!result) return std::unexpected(::pjrt::cli::Failure(std::move(result).error())); \
  target = *std::move(result)
#define CLI_CHECK(...)                                \
  if (auto cli_checked = (__VA_ARGS__); !cli_checked) \
  return std::unexpected(::pjrt::cli::Failure(std::move(cli_checked).error()))
#define CLI_CAT(a, b) CLI_CAT2(a, b)
#define CLI_CAT2(a, b) a##b
