#pragma once

#include <span>

#include "core/executable_state.hpp"

namespace pjrt::detail {

/// Compares arguments with the program's parameters: plugins look at byte counts at most.
Result<void> check_arguments(const LoadedExecutableState& exe, const Signature& s, std::span<const Argument> arguments);
Result<void> check_argument(const LoadedExecutableState& exe, const Signature& s, std::size_t i, BufferState* b);

/// Remembers that an execution took an argument's memory, if it did.
void mark_donated(const LoadedExecutableState& exe, const Signature& s, std::size_t i, const Argument& argument, std::span<const std::int64_t> kept);

/// Owns `raw`, output `i` of a run on `device`.
Buffer make_output(const LoadedExecutableState& exe, const Signature& s, std::size_t i, abi::PJRT_Buffer* raw, const DeviceRecord* device);

/// Runs the program on `devices` with one list of arguments for each; puts the outputs of each into `results`.
Result<void> launch(LoadedExecutableState& exe, std::span<const std::span<const Argument>> lists, const ExecuteOptions& options,
                    std::span<const DeviceRecord* const> devices, std::span<Outputs> results);

}  // namespace pjrt::detail
