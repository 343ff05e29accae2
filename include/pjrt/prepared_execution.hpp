#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include "pjrt/loaded_executable.hpp"

namespace pjrt {

/// An execution whose arguments are checked and laid out: `run` calls the plugin and nothing else. Runs on one device.
///
/// Holds its arguments and the outputs of the last run. Move-only; to be used by one thread at a time.
class PJRT_EXPORT PreparedExecution {
 public:
  PreparedExecution(PreparedExecution&&) noexcept;
  PreparedExecution& operator=(PreparedExecution&&) noexcept;
  ~PreparedExecution();

  /// Launches it. The outputs of the run before are let go. FailedPrecondition if the last run took the memory of an
  /// argument that has not been replaced since.
  [[nodiscard]] Result<void> run();

  /// An output of the last run: valid until the next, unless taken. An empty buffer, whose members answer
  /// FailedPrecondition, before the first run and if there is no output `i`.
  const Buffer& output(std::size_t i) const& noexcept;
  const Buffer& output(std::size_t i) const&& = delete;
  std::size_t num_outputs() const noexcept;
  /// Takes an output of the last run out.
  Result<Buffer> take_output(std::size_t i);

  /// Makes output `output` of the last run argument `argument` of the next.
  [[nodiscard]] Result<void> feed_back(std::size_t output, std::size_t argument);
  /// Another buffer for an argument; checked as the first was.
  [[nodiscard]] Result<void> set_argument(std::size_t i, const Argument& argument);
  [[nodiscard]] Result<void> set_argument(std::size_t i, const Buffer& buffer) {
    return set_argument(i, Argument(buffer));
  }

  /// For the library itself.
  struct State;
  explicit PreparedExecution(std::unique_ptr<State> state) noexcept;

 private:
  std::unique_ptr<State> state_;
};

template <class... Args>
  requires(std::convertible_to<const Args&, Argument> && ...)
Result<PreparedExecution> LoadedExecutable::prepare(const Args&... args) const {
  const std::array<Argument, sizeof...(Args)> list{Argument(args)...};
  return prepare(std::span<const Argument>(list));
}

}  // namespace pjrt
