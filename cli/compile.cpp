// pjrt compile: compiles a model ahead of time and keeps the executable in a file.

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>

#include "command.hpp"
#include "compiled.hpp"
#include "json.hpp"
#include "pjrt/serialized_executable.hpp"

namespace pjrt::cli {
namespace {

namespace fs = std::filesystem;

struct Compile {
  Output output;
  PluginOptions plugin;
  TargetOptions target_options;
  std::string model;
  std::string file;
  std::vector<std::string> compile_options;

  Status run() const {
    CLI_CHECK(check_file());
    CLI_TRY(const model::Model opened, model::Model::open(model_file(model)));
    CLI_TRY(const Target target, open_target(plugin, target_options, output, opened.device_count()));
    const auto begin = std::chrono::steady_clock::now();
    CLI_TRY(const Compiled compiled, compile_for(target, opened, compile_options, output));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    CLI_TRY(const SerializedExecutable serialized, compiled.executable.serialize());
    if (!file.empty()) CLI_CHECK(serialized.save(file));
    if (output.json) {
      nlohmann::ordered_json j;
      if (!file.empty()) j["file"] = file;
      const SerializedExecutable::Origin& origin = serialized.origin();
      j["bytes"] = serialized.bytes().size();
      j["origin"] = {{"platform", origin.platform},
                     {"api_version", to_string(origin.api_version)},
                     {"xla_version", origin.xla_version},
                     {"plugin_id", origin.plugin_id}};
      j["compile_seconds"] = took.count();
      j.update(to_json(target, compiled));
      std::cout << text_of(j) << "\n";
      return kDone;
    }
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.2f s", took.count());
    if (!file.empty()) std::cout << "written       " << file << ", ";
    if (file.empty()) std::cout << "not written   ";
    std::cout << bytes_text(static_cast<std::int64_t>(serialized.bytes().size())) << ", by the "
              << serialized.origin().platform << " plugin of API " << to_string(serialized.origin().api_version)
              << "; compiling took " << seconds << "\n";
    print(target, compiled, /*with_values=*/true);
    return kDone;
  }

  /// Whether the file can be written at all, before a long compilation.
  std::expected<void, Failure> check_file() const {
    if (file.empty()) return {};
    const fs::path path(file);
    std::error_code error;
    if (!path.has_filename() || fs::is_directory(path, error))
      return std::unexpected(wrong_usage("--output " + file + " is a folder; the executable is one file"));
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (!fs::is_directory(folder, error))
      return std::unexpected(
          Failure(Error(ErrorCode::NotFound, "cannot write " + file + ": there is no folder " + folder.string())));
    return {};
  }
};

}  // namespace

Subcommand add_compile(CLI::App& app) {
  auto command = std::make_shared<Compile>();
  CLI::App* sub = app.add_subcommand("compile", "compile a model ahead of time, for devices that need not be here");
  sub->add_option("model", command->model, "a jax.export artifact, StableHLO or HLO file")
      ->required()
      ->type_name("MODEL");
  sub->add_option(
         "-o,--output", command->file,
         "where the executable goes; only the plugin that wrote it can load it. It is code: load only files from a "
         "trusted source")
      ->type_name("FILE")
      ->check(not_empty());
  sub->add_option("--compile-option", command->compile_options, "an XLA flag or compile option; may be repeated")
      ->type_name("K=V")
      ->allow_extra_args(false);
  add_target_options(*sub, command->target_options);
  add_output_options(*sub, command->output);
  add_plugin_options(*sub, command->plugin, true, false);
  return {sub, &command->output, [command] { return command->run(); }};
}

}  // namespace pjrt::cli
