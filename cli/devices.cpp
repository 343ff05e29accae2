// pjrt devices: the devices of a client, their memories and attributes.

#include <iostream>
#include <memory>

#include "command.hpp"
#include "json.hpp"

namespace pjrt::cli {
namespace {

struct DevicesCommand {
  Output output;
  PluginOptions plugin;

  Status run() const {
    CLI_TRY(const NamedValues options, plugin.parsed_client_options());
    CLI_TRY(const Plugin p, plugin.load(output));
    CLI_TRY(const Client client, Client::create(p, {options, nullptr}));
    if (output.json) {
      std::cout << text_of(json(client)) << "\n";
    } else {
      print(client);
    }
    return kDone;
  }

  static nlohmann::ordered_json json(const Client& client) {
    nlohmann::ordered_json j;
    j["platform"] = client.platform_name();
    j["platform_version"] = client.platform_version();
    j["process_index"] = client.process_index();
    j["devices"] = nlohmann::ordered_json::array();
    for (const Device& d : client.devices()) {
      nlohmann::ordered_json row = {{"id", d.id()},
                                    {"kind", d.kind()},
                                    {"process_index", d.process_index()},
                                    {"addressable", d.is_addressable()},
                                    {"local_hardware_id", d.local_hardware_id()},
                                    {"text", d.to_string()}};
      row["memories"] = nlohmann::ordered_json::array();
      for (const Memory& m : d.memories()) row["memories"].push_back({{"id", m.id()}, {"kind", m.kind()}});
      if (const auto memory = d.default_memory()) row["default_memory"] = memory->kind();
      if (const auto attributes = d.description().attributes()) row["attributes"] = to_json(*attributes);
      if (const auto stats = d.memory_stats()) {
        row["bytes_in_use"] = stats->bytes_in_use;
        if (stats->bytes_limit) row["bytes_limit"] = *stats->bytes_limit;
      }
      j["devices"].push_back(std::move(row));
    }
    return j;
  }

  static void print(const Client& client) {
    std::cout << one_line(client.platform_name()) << " (" << one_line(client.platform_version()) << "), process "
              << client.process_index() << ", " << client.devices().size()
              << (client.devices().size() == 1 ? " device" : " devices") << "\n";
    for (const Device& d : client.devices()) {
      std::cout << "  " << d.id() << "  " << one_line(d.kind()) << "  " << one_line(d.to_string());
      if (!d.is_addressable()) std::cout << "  (of process " << d.process_index() << ")";
      std::string memories;
      for (const Memory& m : d.memories()) memories += (memories.empty() ? "" : ", ") + m.kind();
      if (!memories.empty()) std::cout << "  memories: " << one_line(memories);
      if (const auto stats = d.memory_stats(); stats && stats->bytes_limit) {
        std::cout << "  " << stats->bytes_in_use << " of " << *stats->bytes_limit << " bytes in use";
      }
      std::cout << "\n";
    }
  }
};

}  // namespace

Subcommand add_devices(CLI::App& app) {
  auto command = std::make_shared<DevicesCommand>();
  CLI::App* sub = app.add_subcommand("devices", "list a client's devices");
  add_output_options(*sub, command->output);
  add_plugin_options(*sub, command->plugin, true, false);
  return {sub, &command->output, [command] { return command->run(); }};
}

}  // namespace pjrt::cli
