// pjrt inspect: what a model file is, takes and gives, without running it; whether it fits devices that need not be
// here; what a topology is.

#include <iostream>
#include <memory>

#include "command.hpp"
#include "compiled.hpp"
#include "json.hpp"
#include "pjrt/model/model.hpp"
#include "pjrt/sharding.hpp"
#include "terminal.hpp"
#include "topology_table.hpp"

namespace pjrt::cli {
namespace {

using model::ExportedValue;
using model::JaxExport;
using model::Model;

struct Inspect {
  Output output;
  PluginOptions plugin;
  TargetOptions target_options;
  std::vector<std::string> compile_options;
  std::string model;

  Status run() const {
    if (model.empty()) return show_topology();
    CLI_TRY(const Model m, Model::open(model_file(model)));
    const bool compiles = target_options.given() || !plugin.plugin.empty();
    if (!compiles) {
      if (!compile_options.empty() || !plugin.client_options.empty())
        return std::unexpected(wrong_usage("options for compiling need --plugin or --topology beside them"));
      show(json(m), [&] { print(m); });
      return kDone;
    }
    CLI_TRY(const Target target, open_target(plugin, target_options, output, m.device_count()));
    const std::expected<Compiled, Failure> compiled = compile_for(target, m, compile_options, output);
    if (compiled) {
      nlohmann::ordered_json j = json(m);
      j["compiled"] = to_json(target, *compiled);
      show(j, [&] {
        print(m);
        cli::print(target, *compiled, /*with_values=*/false);
      });
      return kDone;
    }
    // Compilers that know how much memory a device has say themselves that it is not enough: an answer, not a failure.
    if (compiled.error().error.code() != ErrorCode::ResourceExhausted) return std::unexpected(compiled.error());
    const std::string why = shown(compiled.error().error.message());
    nlohmann::ordered_json j = json(m);
    j["compiled"] = to_json(target);
    j["compiled"]["fits"] = false;
    j["compiled"]["reason"] = why;
    show(j, [&] {
      print(m);
      cli::print(target);
      std::cout << "fits          NO: " << why << "\n";
    });
    return kDone;
  }

  Status show_topology() const {
    if (!target_options.given()) return std::unexpected(wrong_usage("a MODEL is wanted, or --topology NAME"));
    CLI_TRY(const Target target, open_target(plugin, target_options, output, 1));
    show(topology_json(target), [&] { print_topology(target); });
    return kDone;
  }

  void show(const nlohmann::ordered_json& j, const std::function<void()>& print_text) const {
    if (output.json) {
      std::cout << text_of(j) << "\n";
    } else {
      print_text();
    }
  }

  static nlohmann::ordered_json value_json(const model::ModuleValue& v) {
    nlohmann::ordered_json j = {{"path", v.path}, {"name", v.name}};
    j["type"] = v.is_array ? std::string(pjrt::name(v.shape.type)) : v.type;
    if (v.is_array) {
      j["shape"] = nlohmann::ordered_json::array();
      for (const std::int64_t dim : v.shape.dims) {
        if (dim == model::ModuleValue::kUnknown) {
          j["shape"].push_back("?");
        } else {
          j["shape"].push_back(dim);
        }
      }
    }
    if (v.donated) j["donated"] = true;
    if (v.sharding) {
      j["sharding"] = to_string(*v.sharding);
    } else if (!v.sharding_text.empty()) {
      j["sharding"] = v.sharding_text;
    }
    return j;
  }

  /// What a module says that is no jax.export artifact.
  static void add_module(nlohmann::ordered_json& j, const Model& m) {
    j["replicas"] = m.replica_count();
    j["partitions"] = m.partition_count();
    j["custom_calls"] = std::vector<std::string>(m.custom_calls().begin(), m.custom_calls().end());
    if (const auto good = m.check(); !good) j["cannot_run"] = good.error().message();
    j["inputs"] = nlohmann::ordered_json::array();
    for (const model::ModuleValue& v : m.arguments()) j["inputs"].push_back(value_json(v));
    j["outputs"] = nlohmann::ordered_json::array();
    for (const model::ModuleValue& v : m.results()) j["outputs"].push_back(value_json(v));
  }

  static nlohmann::ordered_json value_json(const ExportedValue& v) {
    nlohmann::ordered_json j = {
        {"path", v.path()}, {"name", v.name()}, {"dtype", v.dtype()}, {"type", pjrt::name(v.type())}};
    j["shape"] = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < v.dims().size(); ++i) {
      if (v.shape().dims[i] == ExportedValue::kSymbolic) {
        j["shape"].push_back(v.dims()[i]);
      } else {
        j["shape"].push_back(v.shape().dims[i]);
      }
    }
    j["used"] = v.is_kept();
    if (v.is_donated()) j["donated"] = true;
    if (const auto sharding = v.sharding(); sharding && *sharding) j["sharding"] = to_string(**sharding);
    return j;
  }

  static nlohmann::ordered_json json(const Model& m) {
    nlohmann::ordered_json j;
    j["format"] = model::name(m.format());
    j["devices"] = m.device_count();
    if (const auto version = m.program().stablehlo_version()) j["stablehlo_version"] = *version;
    j["program_bytes"] = m.program().code().size();
    const JaxExport* e = m.jax_export();
    if (e == nullptr) {
      add_module(j, m);
      return j;
    }
    j["function"] = e->function_name();
    if (e->jax_version()) j["jax_version"] = *e->jax_version();
    j["serialization_version"] = e->serialization_version();
    j["calling_convention_version"] = e->calling_convention_version();
    j["platforms"] = std::vector<std::string>(e->platforms().begin(), e->platforms().end());
    j["ordered_effects"] = std::vector<std::string>(e->ordered_effects().begin(), e->ordered_effects().end());
    j["unordered_effects"] = std::vector<std::string>(e->unordered_effects().begin(), e->unordered_effects().end());
    j["disabled_checks"] = nlohmann::ordered_json::array();
    for (const model::DisabledCheck& c : e->disabled_checks()) j["disabled_checks"].push_back(to_string(c));
    j["custom_calls"] = std::vector<std::string>(e->custom_call_targets().begin(), e->custom_call_targets().end());
    j["has_vjp"] = e->has_vjp();
    j["inputs"] = nlohmann::ordered_json::array();
    for (const ExportedValue& v : e->inputs()) j["inputs"].push_back(value_json(v));
    j["outputs"] = nlohmann::ordered_json::array();
    for (const ExportedValue& v : e->outputs()) j["outputs"].push_back(value_json(v));
    return j;
  }

  static std::string joined(std::span<const std::string> texts) {
    std::string all;
    for (const std::string& t : texts) all += (all.empty() ? "" : ", ") + t;
    return all;
  }

  static void print_values(const char* title, std::span<const model::ModuleValue> values) {
    std::cout << title << "\n";
    for (const model::ModuleValue& v : values) {
      std::cout << "  " << v.path;
      if (!v.name.empty() && v.name != v.path) std::cout << " (" << shown(v.name) << ")";
      std::cout << "  " << shown(v.type);
      if (v.sharding) {
        std::cout << "  " << to_string(*v.sharding);
      } else if (!v.sharding_text.empty()) {
        std::cout << "  sharded " << shown(v.sharding_text);
      }
      if (v.donated) std::cout << "  donated";
      std::cout << "\n";
    }
    if (values.empty()) std::cout << "  none\n";
  }

  static void print_module(const Model& m) {
    if (!m.custom_calls().empty()) std::cout << "custom calls  " << shown(joined(m.custom_calls())) << "\n";
    if (const auto good = m.check(); !good) std::cout << "cannot run    " << shown(good.error().message()) << "\n";
    print_values("inputs", m.arguments());
    print_values("outputs", m.results());
  }

  static void print_values(const char* title, std::span<const ExportedValue> values) {
    std::cout << title << "\n";
    for (const ExportedValue& v : values) {
      std::cout << "  " << shown(v.path());
      if (!v.name().empty() && v.name() != v.path()) std::cout << " (" << shown(v.name()) << ")";
      std::cout << "  " << to_string(v);
      if (v.dtype().starts_with("key<") || v.dtype() == "float0") std::cout << "  as " << shown(v.dtype());
      if (const auto sharding = v.sharding(); sharding && *sharding) std::cout << "  " << to_string(**sharding);
      if (v.is_donated()) std::cout << "  donated";
      if (!v.is_kept()) std::cout << "  not used";
      std::cout << "\n";
    }
    if (values.empty()) std::cout << "  none\n";
  }

  static void print(const Model& m) {
    std::cout << "format        " << model::name(m.format()) << "\n";
    const JaxExport* e = m.jax_export();
    if (e != nullptr) {
      std::cout << "function      " << shown(e->function_name()) << "\n"
                << "jax           " << shown(e->jax_version().value_or("not said")) << " (calling convention "
                << e->calling_convention_version() << ")\n"
                << "platforms     " << shown(joined(e->platforms())) << "\n";
    }
    std::cout << "devices       " << m.device_count();
    if (e == nullptr && m.device_count() > 1)
      std::cout << " (replicas " << m.replica_count() << ", partitions " << m.partition_count() << ")";
    std::cout << "\n";
    if (m.format() == model::ModelFormat::Hlo) {
      std::cout << "program       " << m.program().code().size() << " bytes\n";
      return print_module(m);
    }
    std::cout << "StableHLO     " << m.program().stablehlo_version().value_or("no version") << ", "
              << m.program().code().size() << " bytes\n";
    if (e == nullptr) return print_module(m);
    if (!e->ordered_effects().empty())
      std::cout << "effects       ordered: " << shown(joined(e->ordered_effects())) << "\n";
    if (!e->unordered_effects().empty())
      std::cout << "effects       unordered: " << shown(joined(e->unordered_effects())) << "\n";
    for (const model::DisabledCheck& c : e->disabled_checks())
      std::cout << "disabled      " << shown(to_string(c)) << "\n";
    if (!e->custom_call_targets().empty())
      std::cout << "custom calls  " << shown(joined(e->custom_call_targets())) << "\n";
    if (const auto ok = e->check_static(); !ok) std::cout << "cannot run    " << shown(ok.error().message()) << "\n";
    print_values("inputs", e->inputs());
    print_values("outputs", e->outputs());
  }
};

}  // namespace

Subcommand add_inspect(CLI::App& app) {
  auto command = std::make_shared<Inspect>();
  CLI::App* sub = app.add_subcommand(
      "inspect", "show what a model file is, takes and gives; with --plugin or --topology, whether it fits");
  sub->add_option("model", command->model,
                  "a jax.export artifact, StableHLO or HLO file; without one, the topology is shown")
      ->type_name("MODEL");
  sub->add_option("--compile-option", command->compile_options, "an XLA flag or compile option; may be repeated")
      ->type_name("K=V")
      ->allow_extra_args(false);
  add_target_options(*sub, command->target_options);
  add_output_options(*sub, command->output);
  add_plugin_options(*sub, command->plugin, true, false);
  return {sub, &command->output, [command] { return command->run(); }};
}

}  // namespace pjrt::cli
