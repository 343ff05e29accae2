// Compiling, here and ahead of time, and loading what was compiled.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/call.hpp"
#include "core/client_state.hpp"
#include "core/convert.hpp"
#include "core/executable_state.hpp"
#include "core/handle_errors.hpp"
#include "core/topology_state.hpp"
#include "core/try.hpp"
#include "mlir/bytecode.hpp"
#include "mlir/facts.hpp"
#include "pjrt/client.hpp"
#include "proto/hlo.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace {

abi::PJRT_Program to_c(const Program& program) {
  abi::PJRT_Program c{};
  c.struct_size = abi::struct_size<abi::PJRT_Program>;
  c.code = const_cast<char*>(program.code().data());
  c.code_size = program.code().size();
  c.format = program.format().data();
  c.format_size = program.format().size();
  return c;
}

using Version = std::vector<std::int64_t>;

Version version_of(const Value* value) {
  return value != nullptr && value->int64_list() != nullptr ? *value->int64_list() : Version();
}

Version version_of(std::string_view text) {
  Version version;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    std::int64_t part = 0;
    const auto [next, error] = std::from_chars(at, end, part);
    if (error != std::errc()) return {};
    version.push_back(part);
    at = next != end && *next == '.' ? next + 1 : next;
    if (at == next && next != end) return {};
  }
  return version;
}

std::string to_string(const Version& version) {
  std::string text;
  for (const std::int64_t part : version) text += (text.empty() ? "" : ".") + std::to_string(part);
  return text;
}

bool has_any(std::string_view message, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view w) { return message.find(w) != std::string_view::npos; });
}

/// Where the versions of StableHLO are why a plugin could not compile a program, says so first.
Error with_versions(Error error, const Plugin& plugin, const Program& program) {
  const std::string_view message = error.message();
  if (program.format() != "mlir" || has_any(message, {"option", "flag", "Option", "Flag"})) return error;
  const Result<NamedValues> attributes = plugin.attributes();
  if (!attributes) return error;
  const Version newest = version_of(attributes->find("stablehlo_current_version"));
  const Version oldest = version_of(attributes->find("stablehlo_minimum_version"));
  if (newest.empty() || oldest.empty()) return error;
  const std::string has = plugin.name() + " (API " + to_string(plugin.api_version()) + ") has StableHLO " +
                          to_string(oldest) + " to " + to_string(newest);
  if (const std::optional<std::string> needed = program.stablehlo_version()) {
    const Version version = version_of(*needed);
    if (version <= newest && version >= oldest) return error;
    return std::move(error).with_context("the program needs StableHLO " + *needed + ", plugin " + has);
  }
  if (mlir::is_bytecode(std::as_bytes(std::span(program.code())))) {
    if (!has_any(message, {"bytecode", "deserialize", "arse", "unknown", "unregistered"})) return error;
    return std::move(error).with_context(
        "the program is MLIR bytecode without a StableHLO version, which only the MLIR that wrote it is sure to read "
        "(a portable artifact says its version); plugin " +
        has);
  }
  const bool lacks_operation = has_any(message, {"is unknown", "unregistered"}) &&
                               has_any(message, {"'stablehlo.", "'chlo.", "'vhlo.", "'sdy."});
  if (!lacks_operation) return error;
  return std::move(error).with_note("plugin " + has);
}

/// The options as the plugin takes them. Without a replica or partition, plugins abort the process.
Result<std::string> checked(const CompileOptions& options) {
  if (options.num_replicas() < 1 || options.num_partitions() < 1) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "a program has at least one replica and one partition, not " +
                                              std::to_string(options.num_replicas()) + " and " +
                                              std::to_string(options.num_partitions())));
  }
  const auto& assignment = options.device_assignment();
  if (assignment && (assignment->num_replicas() != options.num_replicas() ||
                     assignment->num_partitions() != options.num_partitions())) {
    return std::unexpected(Error(ErrorCode::InvalidArgument,
                                 "the device assignment is for " + std::to_string(assignment->num_replicas()) + " x " +
                                     std::to_string(assignment->num_partitions()) + ", the options say " +
                                     std::to_string(options.num_replicas()) + " replicas x " +
                                     std::to_string(options.num_partitions()) + " partitions"));
  }
  return options.serialize();
}

/// Refuses what makes plugins end the process, where the program shows it. What cannot be read here, because it is
/// newer, is the plugin's to judge.
Result<void> refuse_deadly(const Program& program) {
  if (program.format() != "mlir") return {};
  const Result<mlir::ModuleFacts> facts = mlir::read_facts(program.code());
  if (facts) return mlir::check(*facts);
  if (facts.error().code() == ErrorCode::Unimplemented) return {};
  return std::unexpected(facts.error());
}

Result<std::string> checked(const Program& program, const CompileOptions& options) {
  if (program.code().empty()) return std::unexpected(Error(ErrorCode::InvalidArgument, "the program is empty"));
  PJRT_CHECK(refuse_deadly(program));
  return checked(options);
}

/// Plugins reckon with every device that is asked for before they find that it is not there: with all of the machine's
/// memory, if it is asked for many.
Result<void> refuse_too_many_devices(const detail::ClientState& client, const CompileOptions& options) {
  const std::int64_t wanted = std::int64_t{options.num_replicas()} * options.num_partitions();
  if (wanted <= static_cast<std::int64_t>(client.devices.size())) return {};
  return std::unexpected(Error(ErrorCode::InvalidArgument, std::to_string(options.num_replicas()) + " replicas x " +
                                                               std::to_string(options.num_partitions()) +
                                                               " partitions need " + std::to_string(wanted) +
                                                               " devices; the client has " +
                                                               std::to_string(client.devices.size())));
}

Result<std::string> checked(const detail::ClientState& client, const CompileOptions& options) {
  PJRT_TRY(std::string bytes, checked(options));
  PJRT_CHECK(refuse_too_many_devices(client, options));
  return bytes;
}

/// CPU plugins abort the process when they optimize a program a second time.
Result<void> refuse_optimized(const Program& program, const CompileOptions& options) {
  if (program.format() != "hlo" || options.runs_backend_only()) return {};
  const Result<proto::HloSignature> hlo = proto::parse_hlo_signature(program.code(), program.format());
  if (!hlo || !hlo->is_scheduled) return {};
  return std::unexpected(
      Error(ErrorCode::InvalidArgument, "the HLO module '" + hlo->name + "' has a schedule: it is optimized already")
          .with_note("CompileOptions::run_backend_only compiles it as it is"));
}

}  // namespace

Result<LoadedExecutable> Client::compile(const Program& program, const CompileOptions& options) const try {
  if (state_->raw == nullptr) return std::unexpected(detail::moved_from("client"));
  PJRT_TRY(const std::string bytes, checked(program, options));
  PJRT_CHECK(refuse_too_many_devices(*state_, options));
  if (state_->is_cpu) PJRT_CHECK(refuse_optimized(program, options));
  const abi::PJRT_Program c_program = to_c(program);
  auto args = detail::call<fn::PJRT_Client_Compile>(*state_->plugin, {.client = state_->raw,
                                                                      .program = &c_program,
                                                                      .compile_options = bytes.data(),
                                                                      .compile_options_size = bytes.size()});
  if (!args) return std::unexpected(with_versions(std::move(args).error(), plugin(), program));
  return detail::make_loaded_executable(state_, args->executable, &options);
}
PJRT_CATCH

Result<LoadedExecutable> Client::load(const Executable& executable, const CompileOptions& options) const try {
  if (state_->raw == nullptr) return std::unexpected(detail::moved_from("client"));
  if (executable.raw() == nullptr) return std::unexpected(detail::moved_from("executable"));
  if (!(executable.plugin() == plugin())) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the executable was compiled by plugin " + executable.plugin().description() +
                                              ", the client is of plugin " + plugin().description()));
  }
  if (executable.state()->parent) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument,
              "the executable is the view of a loaded one; only what pjrt::compile gives can be loaded"));
  }
  PJRT_TRY(const std::string bytes, checked(*state_, options));
  PJRT_TRY(const auto args,
           detail::call<fn::PJRT_Client_Load>(*state_->plugin, {.client = state_->raw,
                                                                .executable = executable.raw(),
                                                                .compile_options = bytes.data(),
                                                                .compile_options_size = bytes.size()}));
  return detail::make_loaded_executable(state_, args.loaded_executable, &options);
}
PJRT_CATCH

Result<LoadedExecutable> Client::deserialize(const SerializedExecutable& serialized) const try {
  return deserialize(serialized, {});
}
PJRT_CATCH

Result<LoadedExecutable> Client::deserialize(const SerializedExecutable& serialized,
                                             const DeserializeOptions& options) const try {
  const SerializedExecutable::Origin& theirs = serialized.origin();
  const SerializedExecutable::Origin& ours = detail::origin_of(*state_->plugin);
  if (theirs != ours) {
    const auto text = [](const SerializedExecutable::Origin& o) {
      return o.platform + " plugin of API " + to_string(o.api_version) + ", xla_version " +
             (o.xla_version.empty() ? "unknown" : o.xla_version) + ", file " + o.plugin_id;
    };
    return std::unexpected(
        Error(ErrorCode::FailedPrecondition, "the serialized executable was written by another plugin: " + text(theirs))
            .with_note("this is " + plugin().description() + ": " + text(ours))
            .with_note("plugins load each other's executables without complaint and compute wrong numbers; compile the "
                       "program again"));
  }
  return deserialize_raw(serialized.payload(), options);
}
PJRT_CATCH

Result<LoadedExecutable> Client::deserialize_raw(std::span<const std::byte> serialized,
                                                 const DeserializeOptions& options) const try {
  abi::PJRT_LoadOptions load{};
  load.struct_size = abi::struct_size<abi::PJRT_LoadOptions>;
  load.computation_origin = options.computation_origin.data();
  load.computation_origin_size = options.computation_origin.size();
  load.multi_slice_config = options.multi_slice_config;
  const bool has_load_options = !options.computation_origin.empty() || options.multi_slice_config != nullptr;
  std::string overridden;
  if (options.compile_options) {
    PJRT_TRY(overridden, checked(*state_, *options.compile_options));
  }

  abi::PJRT_Executable_DeserializeAndLoad_Args args{};
  args.client = state_->raw;
  args.serialized_executable = reinterpret_cast<const char*>(serialized.data());
  args.serialized_executable_size = serialized.size();
  if (options.compile_options) {
    args.overridden_serialized_compile_options = overridden.data();
    args.overridden_serialized_compile_options_size = overridden.size();
  }
  args.load_options = has_load_options ? &load : nullptr;
  PJRT_CHECK(detail::call<fn::PJRT_Executable_DeserializeAndLoad>(*state_->plugin, args));
  return detail::make_loaded_executable(state_, args.loaded_executable,
                                        options.compile_options ? &*options.compile_options : nullptr);
}
PJRT_CATCH

Result<Executable> compile(const Topology& topology, const Program& program, const CompileOptions& options,
                           const Client* client) try {
  const Plugin plugin = topology.plugin();
  if (client != nullptr && !(client->plugin() == plugin)) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the client is of plugin " +
                                                                 client->plugin().description() +
                                                                 ", the topology of plugin " + plugin.description()));
  }
  PJRT_TRY(const std::string bytes, checked(program, options));
  const abi::PJRT_Program c_program = to_c(program);
  auto args = detail::call<fn::PJRT_Compile>(plugin.state(), {.topology = topology.raw(),
                                                              .program = &c_program,
                                                              .compile_options = bytes.data(),
                                                              .compile_options_size = bytes.size(),
                                                              .client = client != nullptr ? client->raw() : nullptr});
  if (!args) return std::unexpected(with_versions(std::move(args).error(), plugin, program));
  return detail::make_executable(plugin.state(), args->executable);
}
PJRT_CATCH

}  // namespace pjrt
