// pjrt info: what a plugin is and has, without a client.

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.hpp"
#include "json.hpp"

namespace pjrt::cli {
namespace {

struct Info {
  Output output;
  PluginOptions plugin;

  Status run() const {
    CLI_TRY(const Plugin p, plugin.load(output));
    CLI_TRY(const NamedValues attributes, p.attributes());
    const std::vector<PluginCandidate> others = unusable();
    if (output.json) {
      std::cout << text_of(json(p, attributes, others)) << "\n";
    } else {
      print(p, attributes);
      for (const PluginCandidate& c : others) {
        std::cout << (&c == others.data() ? "unusable    " : "            ")
                  << one_line(c.path.string() + ": " + *c.problem + " (" + c.source + ")") << "\n";
      }
    }
    return kDone;
  }

  /// Plugins that a search by name comes across and that cannot be used.
  static std::vector<PluginCandidate> unusable() {
    std::vector<PluginCandidate> found = find_plugins().found;
    std::erase_if(found, [](const PluginCandidate& c) { return !c.problem.has_value(); });
    return found;
  }

  static nlohmann::ordered_json json(const Plugin& p, const NamedValues& attributes,
                                     const std::vector<PluginCandidate>& others) {
    nlohmann::ordered_json j;
    j["path"] = p.path().string();
    j["api_version"] = {{"major", p.api_version().major}, {"minor", p.api_version().minor}};
    j["platform"] = platform(p);
    j["attributes"] = to_json(attributes);
    j["extensions"] = nlohmann::ordered_json::array();
    for (const ExtensionInfo& e : p.extensions()) {
      j["extensions"].push_back({{"type", e.type}, {"name", e.name}, {"known", e.known}, {"functions", e.functions}});
    }
    j["functions"] = {{"present", p.function_count()}, {"absent", p.absent_functions()}};
    j["unusable"] = nlohmann::ordered_json::array();
    for (const PluginCandidate& c : others) {
      j["unusable"].push_back(
          {{"name", c.name}, {"path", c.path.string()}, {"place", c.source}, {"problem", *c.problem}});
    }
    return j;
  }

  static void print(const Plugin& p, const NamedValues& attributes) {
    const auto absent = p.absent_functions();
    std::cout << "plugin      " << one_line(p.name()) << "\n"
              << "path        " << one_line(p.path().string()) << "\n"
              << "platform    " << platform(p) << "\n"
              << "API         " << to_string(p.api_version()) << "\n"
              << "functions   " << p.function_count() << " of " << p.function_count() + static_cast<int>(absent.size())
              << "\n";
    for (std::size_t i = 0; i < absent.size(); ++i)
      std::cout << (i == 0 ? "absent      " : "            ") << absent[i] << "\n";
    for (std::size_t i = 0; i < attributes.size(); ++i) {
      std::cout << (i == 0 ? "attributes  " : "            ") << one_line(attributes[i].name) << " = "
                << one_line(to_string(attributes[i].value)) << "\n";
    }
    bool first = true;
    for (const ExtensionInfo& e : p.extensions()) {
      std::cout << (first ? "extensions  " : "            ")
                << (e.known ? one_line(e.name) : "type " + std::to_string(e.type) + ", unknown") << ": " << e.functions
                << (e.functions == 1 ? " function" : " functions");
      if (e.known && e.unknown_functions > 0) std::cout << " and " << e.unknown_functions << " newer than this program";
      std::cout << "\n";
      first = false;
    }
  }

  /// A plugin names its platform only through a client, which may not be had; its file tells as much.
  static std::string platform(const Plugin& p) { return p.platform_hint(); }
};

}  // namespace

Subcommand add_info(CLI::App& app) {
  auto command = std::make_shared<Info>();
  CLI::App* sub = app.add_subcommand("info", "show a plugin's version, attributes, extensions and functions");
  add_output_options(*sub, command->output);
  add_plugin_options(*sub, command->plugin, false, false);
  return {sub, &command->output, [command] { return command->run(); }};
}

}  // namespace pjrt::cli
