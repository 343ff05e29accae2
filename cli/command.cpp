#include "command.hpp"

#include <charconv>

#include "crash_report.hpp"
#include "quiet.hpp"
#include "terminal.hpp"

namespace pjrt::cli {

Result<Plugin> PluginOptions::load(const Output& output) const {
  const QuietStderr quiet(!output.verbose);
  Result<Plugin> loaded = plugin.empty() ? Plugin::load_default() : Plugin::load(plugin);
  renew_crash_report();
  return loaded;
}

std::expected<NamedValues, Failure> PluginOptions::parsed_client_options() const {
  NamedValues values;
  for (const std::string& text : client_options) {
    Result<NamedValue> option = parse_client_option(text);
    if (!option) return std::unexpected(wrong_usage(std::move(option).error()));
    values.add(std::move(option->name), std::move(option->value));
  }
  return values;
}

void add_output_options(CLI::App& app, Output& output) {
  app.add_flag("--json", output.json, "print JSON");
  app.add_flag("-v,--verbose", output.verbose, "whole error messages, and what the plugin logs");
  app.add_flag("--isolate", output.isolate,
               "work in a child process: if the plugin crashes, exit status 1 and one line that says where");
}

CLI::Validator not_empty() {
  return {[](const std::string& text) { return text.empty() ? std::string("a value is wanted") : std::string(); }, ""};
}

void add_plugin_options(CLI::App& app, PluginOptions& options, bool with_client, bool with_device) {
  app.add_option("--plugin", options.plugin, "a plugin's name or file (default: $PJRT_PLUGIN or cpu)")
      ->type_name("NAME|PATH");
  if (with_client) {
    app.add_option("--client-option", options.client_options, "an option for the client; may be repeated")
        ->type_name("K=V")
        ->allow_extra_args(false);
  }
  if (with_device)
    app.add_option("--device", options.device, "which of the client's devices, counted from 0")->type_name("N");
}

namespace {

std::expected<int, Failure> count(const std::string& name, const std::string& value) {
  int n = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
  if (error != std::errc() || end != value.data() + value.size() || n < 1) {
    return std::unexpected(wrong_usage("compile option '" + name + "' takes a positive number, not '" + value + "'"));
  }
  return n;
}

std::expected<bool, Failure> boolean(const std::string& name, const std::string& value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  return std::unexpected(wrong_usage("compile option '" + name + "' takes true or false, not '" + value + "'"));
}

}  // namespace

std::expected<void, Failure> apply_compile_options(CompileOptions& options, const std::vector<std::string>& given) {
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      return std::unexpected(wrong_usage("compile option '" + text + "' is not of the form name=value"));
    const std::string name = text.substr(0, equals);
    const std::string value = text.substr(equals + 1);
    if (name == "num_replicas") {
      CLI_TRY(const int n, count(name, value));
      options.num_replicas(n);
    } else if (name == "num_partitions") {
      CLI_TRY(const int n, count(name, value));
      options.num_partitions(n);
    } else if (name == "use_spmd") {
      CLI_TRY(const bool on, boolean(name, value));
      options.use_spmd(on);
    } else if (name == "use_shardy") {
      CLI_TRY(const bool on, boolean(name, value));
      options.use_shardy(on);
    } else {
      options.flag(name, value);  // the plugin reads the text by the flag's type
    }
  }
  return {};
}

namespace {

/// A message up to the end of the first diagnostic that it quotes of MLIR: "place: error: what is wrong". What follows
/// are notes that print the operation, and what else went wrong because of that.
std::string first_diagnostic(std::string_view message) {
  const std::size_t error = message.find(": error: ");
  const std::size_t end = error == std::string_view::npos ? error : message.find('\n', error);
  if (end == std::string_view::npos || message.find_first_not_of(" \n", end) == std::string_view::npos)
    return std::string(message);
  return std::string(message.substr(0, end)) + " … (-v for the rest)";
}

}  // namespace

std::string describe(const Error& error, bool verbose) {
  if (verbose) return shown_lines(to_string(error));
  constexpr std::size_t kLongest = 1000;
  std::string text = first_diagnostic(error.message());
  if (!error.function().empty()) text += " (" + std::string(error.function()) + ")";
  for (const std::string& note : error.notes()) text += "; " + note;
  std::string line = one_line(text);
  if (line.size() <= kLongest) return line;
  std::size_t end = kLongest;
  while ((static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;  // not inside a character of UTF-8
  return line.substr(0, end) + " … (-v for the rest)";
}

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (line.ends_with(' ')) line.pop_back();
  return shown(line);
}

}  // namespace pjrt::cli
