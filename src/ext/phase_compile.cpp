#include "pjrt/ext/phase_compile.hpp"

#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/handle_errors.hpp"
#include "core/try.hpp"
#include "proto/fields.hpp"
#include "proto/parse.hpp"

namespace pjrt::ext {

namespace fn = abi::fn;
using pjrt::detail::call_extension;

namespace {

/// Copies strings of the plugin's and gives them back.
std::vector<std::string> take(const pjrt::detail::PluginState& plugin, const char** texts, const std::size_t* sizes,
                              std::size_t count) {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < count; ++i) all.emplace_back(pjrt::detail::text(texts[i], sizes[i]));
  if (texts != nullptr) {
    call_extension_quietly<fn::PJRT_PhaseCompile_C_Buffers_Destroy>(
        plugin, {.char_buffers = texts, .char_buffer_sizes = sizes, .num_char_buffers = count});
  }
  return all;
}

/// Strings as C sees them.
struct Texts {
  explicit Texts(std::span<const std::string> all) {
    for (const std::string& s : all) {
      data.push_back(s.data());
      sizes.push_back(s.size());
    }
  }
  std::vector<const char*> data;
  std::vector<std::size_t> sizes;
};

std::unexpected<Error> moved_from() {
  return std::unexpected(pjrt::detail::moved_from("phase compiler"));
}

}  // namespace

std::string PartialProgram::serialize() const {
  namespace f = proto::PjRtPartialProgramProto;
  std::string bytes;
  protozero::pbf_writer writer(bytes);
  writer.add_bytes(f::program, program);
  writer.add_string(f::program_format, format);
  if (!producer_phase.empty()) writer.add_string(f::producer_phase, producer_phase);
  for (const std::string& phase : consumer_phases) writer.add_string(f::consumer_phases, phase);
  writer.add_string(f::version, version);
  writer.add_string(f::program_name, name);
  return bytes;
}

Result<PartialProgram> PartialProgram::parse(std::string_view bytes) try {
  namespace f = proto::PjRtPartialProgramProto;
  return proto::guarded("PjRtPartialProgramProto", [&] {
    PartialProgram p;
    protozero::pbf_reader reader(bytes.data(), bytes.size());
    while (reader.next()) {
      switch (reader.tag()) {
        case f::program:
          p.program = reader.get_bytes();
          break;
        case f::program_format:
          p.format = reader.get_string();
          break;
        case f::producer_phase:
          p.producer_phase = reader.get_string();
          break;
        case f::consumer_phases:
          p.consumer_phases.push_back(reader.get_string());
          break;
        case f::version:
          p.version = reader.get_string();
          break;
        case f::program_name:
          p.name = reader.get_string();
          break;
        default:
          reader.skip();
      }
    }
    return p;
  });
}
PJRT_CATCH

Result<PhaseCompiler> PhaseCompile::compiler() const try {
  PJRT_TRY(const auto args, call_extension<fn::PJRT_PhaseCompile_Get_Compiler>(state(), {}));
  return PhaseCompiler(&state(), args.phase_compiler);
}
PJRT_CATCH

PhaseCompiler::~PhaseCompiler() {
  if (raw_ != nullptr)
    call_extension_quietly<fn::PJRT_PhaseCompile_Destroy_Compiler>(*plugin_, {.phase_compiler = raw_});
}

Result<std::vector<std::string>> PhaseCompiler::phase_names() const try {
  if (raw_ == nullptr) return moved_from();
  PJRT_TRY(const auto args, call_extension<fn::PJRT_PhaseCompile_Get_PhaseNames>(*plugin_, {.phase_compiler = raw_}));
  return take(*plugin_, args.phase_names, args.phase_names_sizes, args.num_phase_names);
}
PJRT_CATCH

Result<std::vector<std::string>> PhaseCompiler::run_phases(std::span<const std::string> programs,
                                                           std::span<const std::string> phases,
                                                           const CompileOptions& options,
                                                           const Topology& topology) const try {
  if (raw_ == nullptr) return moved_from();
  if (!(topology.plugin() == Plugin(plugin_)))
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the topology belongs to another plugin than the compiler"));
  if (phases.empty()) return std::unexpected(Error(ErrorCode::InvalidArgument, "no phase to run is named"));
  Texts inputs(programs);
  Texts names(phases);
  const std::string bytes = options.serialize();
  abi::PJRT_PhaseCompile_Run_Phase_Args args{};
  args.phase_compiler = raw_;
  args.input_programs = inputs.data.data();
  args.input_programs_sizes = inputs.sizes.data();
  args.num_input_programs = inputs.data.size();
  args.phases_to_run = names.data.data();
  args.phases_to_run_sizes = names.sizes.data();
  args.num_phases_to_run = names.data.size();
  args.compile_options = bytes.data();
  args.compile_options_size = bytes.size();
  args.topology = topology.raw();
  PJRT_CHECK(call_extension<fn::PJRT_PhaseCompile_Run_Phase>(*plugin_, args));
  return take(*plugin_, args.output_programs, args.output_programs_sizes, args.num_output_programs);
}
PJRT_CATCH

}  // namespace pjrt::ext
