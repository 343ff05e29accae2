#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pjrt/compile_options.hpp"
#include "pjrt/ext/extension.hpp"
#include "pjrt/topology.hpp"

namespace pjrt {

namespace abi {
struct PJRT_PhaseCompiler;
}

namespace ext {

/// A program on its way through the phases (xla.PjRtPartialProgramProto).
struct PJRT_EXPORT PartialProgram {
  /// The code, and what it is: "mlir" for what the first phase takes; the plugin's own words later.
  std::string program;
  std::string format;
  /// The phase it came out of; empty before the first.
  std::string producer_phase;
  /// The phases that take it: each phase of libtpu wants all that name it and no others.
  std::vector<std::string> consumer_phases;
  std::string version;
  std::string name;

  /// A serialized xla.PjRtPartialProgramProto.
  std::string serialize() const;
  /// Reads one; InvalidArgument if it is none.
  static Result<PartialProgram> parse(std::string_view bytes);
};

/// A compiler that runs phase by phase; what lies between is bytes that can be kept and looked at. Move-only.
class PJRT_EXPORT PhaseCompiler {
 public:
  PhaseCompiler(PhaseCompiler&& other) noexcept : plugin_(other.plugin_), raw_(std::exchange(other.raw_, nullptr)) {}
  PhaseCompiler& operator=(PhaseCompiler&& other) noexcept {
    PhaseCompiler taken(std::move(other));  // what this one had goes now
    std::swap(plugin_, taken.plugin_);
    std::swap(raw_, taken.raw_);
    return *this;
  }
  /// Wraps PJRT_PhaseCompile_Destroy_Compiler.
  ~PhaseCompiler();

  /// The phases there are, in order. Wraps PJRT_PhaseCompile_Get_PhaseNames and PJRT_PhaseCompile_C_Buffers_Destroy.
  Result<std::vector<std::string>> phase_names() const;
  /// Runs phases, one on the output of another, on serialized PartialPrograms. NotFound for a phase there is not. Wraps
  /// PJRT_PhaseCompile_Run_Phase and PJRT_PhaseCompile_C_Buffers_Destroy.
  Result<std::vector<std::string>> run_phases(std::span<const std::string> programs,
                                              std::span<const std::string> phases, const CompileOptions& options,
                                              const Topology& topology) const;

  /// For the library itself; owns `raw`.
  PhaseCompiler(const pjrt::detail::PluginState* plugin, const abi::PJRT_PhaseCompiler* raw) noexcept
      : plugin_(plugin), raw_(raw) {}

 private:
  const pjrt::detail::PluginState* plugin_;
  const abi::PJRT_PhaseCompiler* raw_;
};

/// Compilation in phases, for debugging and for caching what comes between. CPU plugins carry the extension without its
/// compiler.
class PJRT_EXPORT PhaseCompile : public Extension {
  PJRT_EXTENSION(PhaseCompile, 9)

  /// Wraps PJRT_PhaseCompile_Get_Compiler. Unimplemented on CPU plugins.
  Result<PhaseCompiler> compiler() const;
};

}  // namespace ext
}  // namespace pjrt
