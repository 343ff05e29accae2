#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/buffer_state.hpp"
#include "core/client_state.hpp"
#include "pjrt/executable.hpp"
#include "pjrt/loaded_executable.hpp"

namespace pjrt::detail {

/// What a compiled program says of its arguments and results, read from its optimized form.
struct Signature {
  bool known = false;
  std::vector<Parameter> parameters;
  /// A parameter is a tuple: made of the arguments, or else wanted as an argument, and no buffer is one.
  bool has_tuple_parameter = false;
  bool any_donated = false;
  std::vector<KnownLayout> output_layouts;
  std::vector<bool> output_is_dynamic;
  /// Serialized xla.OpShardings; empty where the partitioner left none.
  std::vector<std::string> parameter_shardings;
  std::vector<std::string> output_shardings;
};

struct LoadedExecutableState {
  std::atomic<int> references{1};
  Ref<ClientState> client;
  abi::PJRT_LoadedExecutable* raw = nullptr;
  abi::PJRT_Executable* executable = nullptr;  // the plugin's view of `raw`; dies before it
  std::string name;
  std::size_t num_outputs = 0;
  std::vector<Shape> output_shapes;  // empty if the plugin does not tell
  std::vector<const DeviceRecord*> devices;
  std::atomic<bool> deleted{false};
  /// It was compiled to make a tuple of its arguments.
  bool tuples_arguments = false;

  std::mutex signature_mutex;
  std::unique_ptr<const Signature> signature_storage;
  std::atomic<const Signature*> signature{nullptr};

  const PluginState& plugin() const noexcept { return *client->plugin; }
  ~LoadedExecutableState();
};

struct ExecutableState {
  std::atomic<int> references{1};
  const PluginState* plugin = nullptr;
  abi::PJRT_Executable* raw = nullptr;
  /// Whose view it is; null if it stands alone, and then it is ours to destroy.
  Ref<LoadedExecutableState> parent;

  ~ExecutableState();
};

/// Adopts `raw` and reads what never changes. `options` are those it was compiled with; if null, the plugin is asked.
Result<LoadedExecutable> make_loaded_executable(Ref<ClientState> client, abi::PJRT_LoadedExecutable* raw,
                                                const CompileOptions* options);

/// What empty handles refer to.
const Ref<ExecutableState>& no_executable() noexcept;

/// Owns `raw`.
Executable make_executable(const PluginState& plugin, abi::PJRT_Executable* raw);

/// Read once, from the optimized program. Never null; `known` says whether the plugin told.
PJRT_EXPORT const Signature& signature_of(LoadedExecutableState& state);
/// The same for one that need not be loaded; read at each call.
PJRT_EXPORT Signature read_signature(const Executable& executable, std::size_t num_outputs);

/// Who writes what this plugin serializes.
const SerializedExecutable::Origin& origin_of(const PluginState& plugin);

/// Element types and dimensions of the outputs.
Result<std::vector<Shape>> read_output_shapes(const PluginState& plugin, abi::PJRT_Executable* raw);

/// The optimized program as bytes, with its format.
Result<Program> read_optimized_program(const PluginState& plugin, abi::PJRT_Executable* raw);

}  // namespace pjrt::detail
