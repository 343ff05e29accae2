#pragma once

#include <span>

#include "core/executable_state.hpp"

namespace pjrt::detail {

/// Compares arguments with the program's parameters, for which plugins look at byte counts at most, and with the device
/// that runs it.
Result<void> check_arguments(const LoadedExecutableState& exe, const Signature& s, std::span<const Argument> arguments,
                             const DeviceRecord* device);
Result<void> check_argument(const LoadedExecutableState& exe, const Signature& s, std::size_t i, BufferState* b,
                            const DeviceRecord* device);

/// Remembers that an execution took an argument's memory, if it did.
void mark_donated(const LoadedExecutableState& exe, const Signature& s, std::size_t i, const Argument& argument,
                  std::span<const std::int64_t> kept);

/// Whether an argument can be kept although the program would take its memory: the plugin then copies it, and aborts if
/// it is an alias that fails meanwhile. FailedPrecondition if it has not been fulfilled yet.
Result<void> check_kept(const LoadedExecutableState& exe, const Signature& s, std::size_t i, BufferState& b);

/// Owns `raw`, output `i` of a run on `device`.
Buffer make_output(const LoadedExecutableState& exe, const Signature& s, std::size_t i, abi::PJRT_Buffer* raw,
                   const DeviceRecord* device);

/// Calls the plugin; its error names the executable.
Result<void> call_execute(const LoadedExecutableState& exe, abi::PJRT_LoadedExecutable_Execute_Args& args);

/// The device of an execution on one: the one asked for or the only one.
Result<const DeviceRecord*> one_device(const LoadedExecutableState& exe, const ExecuteOptions& options);

/// Runs the program on `devices` with one list of arguments for each; puts the outputs of each into `results`.
Result<void> launch(LoadedExecutableState& exe, std::span<const std::span<const Argument>> lists,
                    const ExecuteOptions& options, std::span<const DeviceRecord* const> devices,
                    std::span<Outputs> results);

}  // namespace pjrt::detail
