// pjrt run: opens a model, runs it once, prints, writes or checks what it gives.

#include <filesystem>
#include <iostream>
#include <memory>

#include "array_file.hpp"
#include "command.hpp"
#include "compare.hpp"
#include "input_spec.hpp"
#include "json.hpp"
#include "pjrt/model/npz.hpp"
#include "pjrt/model/session.hpp"
#include "pjrt/print.hpp"
#include "profiling.hpp"
#include "quiet.hpp"
#include "terminal.hpp"

namespace pjrt::cli {
namespace {

namespace fs = std::filesystem;

struct Run {
  Output output;
  PluginOptions plugin;
  std::string model;
  std::vector<std::string> inputs;
  std::vector<std::string> compile_options;
  std::string output_file;
  std::string expected_file;
  std::string profile_file;
  Tolerance tolerance;
  std::uint64_t seed = 0;

  Status run() const {
    CLI_TRY(const NamedValues client_options, plugin.parsed_client_options());
    SessionOptions options;
    options.client_options = client_options;
    options.device = plugin.device;
    CLI_CHECK(apply_compile_options(options.compile_options, compile_options));
    for (const std::string& text : inputs) CLI_CHECK(parse_input(text));  // before the work begins
    CLI_CHECK(check_standard_input());
    CLI_CHECK(check_output());
    if (!profile_file.empty()) CLI_CHECK(check_profile_file(profile_file));

    CLI_TRY(const model::Model opened, model::Model::open(model_file(model)));
    CLI_TRY(options.plugin, plugin.load(output));
    CLI_TRY(const Session session, open(opened, options));
    CLI_TRY(const std::vector<std::optional<HostBuffer>> arrays, gather_inputs(session, inputs, seed));
    std::optional<Recording> recording;
    if (!profile_file.empty()) {
      CLI_TRY(recording, Recording::start(*options.plugin));
    }
    CLI_TRY(const SessionOutputs outputs, session.run(arrays));
    if (recording) CLI_CHECK(recording->save(profile_file));

    if (!output_file.empty()) CLI_CHECK(write(outputs));
    if (!expected_file.empty()) return check(outputs);
    if (output_file.empty()) {
      if (output.json) {
        std::cout << text_of(json(outputs)) << "\n";
      } else {
        print(outputs);
      }
    }
    return kDone;
  }

  /// Standard input can be read once.
  std::expected<void, Failure> check_standard_input() const {
    const auto is_it = [](std::string_view file) { return file == "-" || file == "/dev/stdin" || file == "/dev/fd/0"; };
    std::size_t count = (is_it(model) ? 1U : 0U) + (is_it(expected_file) ? 1U : 0U);
    for (const std::string& text : inputs) {
      CLI_TRY(const InputSpec spec, parse_input(text));
      const auto* file = std::get_if<InputSpec::File>(&spec.what);
      if (file != nullptr && is_it(file->path.native())) ++count;
    }
    if (count < 2) return {};
    return std::unexpected(wrong_usage("standard input is given " + std::to_string(count) + " times; it is read once"));
  }

  /// Compilers print what they think of a program, and what they were doing when it makes them crash.
  Result<Session> open(const model::Model& opened, const SessionOptions& options) const {
    const QuietStderr quiet(!output.verbose);
    return Session::open(opened, options);
  }

  /// Whether the output can be written at all, before a long run.
  std::expected<void, Failure> check_output() const {
    if (output_file.empty()) return {};
    fs::path path(output_file);
    std::error_code error;
    if (const fs::path kind = path.extension();
        path.has_filename() && !kind.empty() && kind != ".npz" && kind != ".npy" && !fs::is_directory(path, error)) {
      return std::unexpected(
          wrong_usage("--output " + output_file + ": arrays are written to an .npz, an .npy or a folder"));
    }
    if (!path.has_filename()) path = path.parent_path();  // "folder/", which need not be there yet
    const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
    if (!fs::is_directory(folder, error))
      return std::unexpected(Failure(
          Error(ErrorCode::NotFound, "cannot write " + output_file + ": there is no folder " + folder.string())));
    return {};
  }

  /// What an output is called in files: "out0", "out0@1" of replica 1.
  static std::string key(const SessionOutputs& outputs, std::size_t i) {
    return outputs.value(i).replica ? outputs.value(i).path : "out" + std::to_string(i);
  }

  std::expected<void, Failure> write(const SessionOutputs& outputs) const {
    const fs::path path(output_file);
    std::error_code error;
    if (!path.has_filename()) fs::create_directory(path.parent_path(), error);
    if (fs::is_directory(path, error)) {
      for (std::size_t i = 0; i < outputs.size(); ++i) CLI_CHECK(outputs[i].save(path / (key(outputs, i) + ".npy")));
      return {};
    }
    if (path.extension() == ".npy") {
      if (outputs.size() != 1) {
        return std::unexpected(wrong_usage("--output " + output_file +
                                           ": an .npy file holds one array, and the model gives " +
                                           std::to_string(outputs.size())));
      }
      CLI_CHECK(outputs[0].save(path));
      return {};
    }
    std::vector<std::pair<std::string, HostBuffer>> arrays;
    for (std::size_t i = 0; i < outputs.size(); ++i) arrays.emplace_back(key(outputs, i), outputs[i]);
    CLI_CHECK(model::save_npz(path, arrays));
    return {};
  }

  /// An array that is expected; only its shape if that is another than the output's.
  struct Expected {
    Shape shape;
    std::optional<HostBuffer> array;
  };

  Status check(const SessionOutputs& outputs) const {
    CLI_TRY(const auto expected, read_expected(outputs));
    auto rows = nlohmann::ordered_json::array();
    bool all_equal = true;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const std::string name = key(outputs, i);
      const std::string label = name + (outputs.value(i).path == name ? "" : " (" + outputs.value(i).path + ")");
      const Result<Comparison> c = expected[i]->array
                                       ? compare(outputs[i], *expected[i]->array, tolerance)
                                       : std::unexpected(shape_differs(outputs[i].shape(), expected[i]->shape));
      std::string text;
      if (!c) {
        text = std::string(c.error().message());
      } else if (c->differing > 0) {
        text = std::to_string(c->differing) + " of " + std::to_string(outputs[i].element_count()) +
               " elements differ; the worst " + c->worst;
      }
      all_equal &= text.empty();
      rows.push_back({{"output", label}, {"equal", text.empty()}, {"difference", text}});
      if (!output.json) std::cout << shown(label) << ": " << (text.empty() ? "as expected" : text) << "\n";
    }
    if (output.json) std::cout << text_of({{"equal", all_equal}, {"outputs", rows}}) << "\n";
    return all_equal ? kDone : kDiffers;
  }

  std::expected<std::vector<std::optional<Expected>>, Failure> read_expected(const SessionOutputs& outputs) const {
    std::vector<std::optional<Expected>> expected(outputs.size());
    /// Reads with `read`, unless the shape is another: then nothing more is wanted.
    const auto take = [&](std::size_t i, const auto& read) -> std::expected<void, Failure> {
      Expected& e = expected[i].emplace();
      const auto same_shape = [&](const Shape& shape) -> Result<void> {
        e.shape = shape;
        if (shape == outputs[i].shape()) return {};
        return std::unexpected(shape_differs(outputs[i].shape(), shape));
      };
      Result<HostBuffer> array = read(outputs[i].type(), same_shape);
      if (array) {
        e.array = *std::move(array);
      } else if (e.shape == Shape() || e.shape == outputs[i].shape()) {
        return std::unexpected(Failure(std::move(array).error()));
      }
      return {};
    };
    CLI_TRY(ArrayFile file, ArrayFile::open(expected_file));
    if (!file.is_archive()) {
      if (outputs.size() != 1)
        return std::unexpected(wrong_usage("--expected-output " + expected_file +
                                           ": an .npy file holds one array, and the model gives " +
                                           std::to_string(outputs.size())));
      CLI_CHECK(take(0, [&](ElementType as, const auto& check) { return file.read(as, check); }));
      return expected;
    }
    for (const std::string& name : file.names()) {
      const Result<std::size_t> i = outputs.find(name);
      if (!i) return std::unexpected(Failure(i.error().with_context(expected_file)));
      if (expected[*i]) {
        return std::unexpected(Failure(
            Error(ErrorCode::InvalidArgument, expected_file + " has two arrays for output " + outputs.value(*i).path)));
      }
      CLI_CHECK(take(*i, [&](ElementType as, const auto& check) { return file.read(name, as, check); }));
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!expected[i])
        return std::unexpected(
            Failure(Error(ErrorCode::NotFound, expected_file + " has no array for output " + outputs.value(i).path)));
    }
    return expected;
  }

  static void print(const SessionOutputs& outputs) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      std::cout << shown(outputs.value(i).path) << " " << to_string(outputs[i].shape()) << "\n"
                << to_string(outputs[i]) << "\n";
    }
  }

  static nlohmann::ordered_json json(const SessionOutputs& outputs) {
    auto rows = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      nlohmann::ordered_json row = {{"path", outputs.value(i).path}};
      row.update(to_json(outputs[i].shape()));
      row["values"] = values_json(outputs[i]);
      rows.push_back(std::move(row));
    }
    return {{"outputs", std::move(rows)}};
  }
};

}  // namespace

Subcommand add_run(CLI::App& app) {
  auto command = std::make_shared<Run>();
  CLI::App* sub = app.add_subcommand("run", "run a model once");
  sub->add_option("model", command->model, "a jax.export artifact, StableHLO or HLO file; - is standard input")
      ->required()
      ->type_name("MODEL");
  sub->add_option(
         "-i,--input", command->inputs,
         "an input: [name=]@x.npy, @x.npz, @x.safetensors, [name=]2x3xf32=1 2 3 4 5 6, [name=]8x128xf32:random; @- is "
         "standard input; may be repeated; with several replicas, arg0@1 is that of replica 1")
      ->type_name("SPEC")
      ->allow_extra_args(false);
  sub->add_option("-o,--output", command->output_file, "write the outputs to an .npz, an .npy, or a folder")
      ->type_name("FILE");
  sub->add_option("--expected-output", command->expected_file,
                  "compare the outputs with an .npz or .npy; exit status 3 if they differ")
      ->type_name("FILE")
      ->transform(
          [](const std::string& file) { return file.starts_with('@') ? file.substr(1) : file; });  // as --input has it
  const auto not_negative = [](const std::string& text) {
    return CLI::detail::trim_copy(text).find_first_of("-nN") == 0 ? "takes a number from 0 on, not " + text : "";
  };
  sub->add_option("--rtol", command->tolerance.rtol, "relative tolerance (default: by type)")->check(not_negative);
  sub->add_option("--atol", command->tolerance.atol, "absolute tolerance (default: by type)")->check(not_negative);
  sub->add_option("--seed", command->seed, "for :random inputs (default 0)")->check(not_negative);
  sub->add_option("--profile", command->profile_file,
                  "write what the run did when: .xplane.pb for TensorBoard and XProf, .json for Perfetto")
      ->type_name("FILE");
  sub->add_option("--compile-option", command->compile_options, "an XLA flag or compile option; may be repeated")
      ->type_name("K=V")
      ->allow_extra_args(false);
  add_output_options(*sub, command->output);
  add_plugin_options(*sub, command->plugin, true, true);
  return {sub, &command->output, [command] { return command->run(); }};
}

}  // namespace pjrt::cli
