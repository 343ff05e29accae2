#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "command.hpp"
#include "pjrt/host_buffer.hpp"
#include "pjrt/model/session.hpp"

namespace pjrt::cli {

/// What `--input` says: `[name=]@file`, `[name=]2x3xf32=1 2 3 4 5 6`, `[name=]8x128xf32:random` (`:zeros`, `:ones`).
struct InputSpec {
  struct File {
    std::filesystem::path path;
  };
  struct Literal {
    Shape shape;
    std::string values;
  };
  struct Filled {
    Shape shape;
    std::string how;
  };

  std::optional<std::string> name;
  std::variant<File, Literal, Filled> what;
};

/// Wrong usage for anything that is not of one of the forms.
std::expected<InputSpec, Failure> parse_input(std::string_view text);

/// Reads "2x3xf32"; nullopt if it is no shape. "f32" is a scalar.
std::optional<Shape> parse_shape(std::string_view text);

/// Arrays for the inputs of `session`, in their order: files read, literals parsed, positions and names resolved. What
/// is neither given nor needed stays empty.
std::expected<std::vector<std::optional<HostBuffer>>, Failure> gather_inputs(const Session& session,
                                                                             const std::vector<std::string>& texts,
                                                                             std::uint64_t seed);

}  // namespace pjrt::cli
