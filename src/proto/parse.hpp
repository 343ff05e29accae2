#pragma once

namespace pjrt::proto {
[[noreturn]] inline void throw_malformed();
}
/// A field with another wire type than it should have is data at fault, as a wrong length is; protozero would only
/// assert it.
#define protozero_assert(x) ((x) ? static_cast<void>(0) : ::pjrt::proto::throw_malformed())

#include <protozero/pbf_message.hpp>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "pjrt/error.hpp"

namespace pjrt::proto {

struct MalformedField : protozero::exception {
  const char* what() const noexcept override { return "a field has another type than it should"; }
};
/// Well-formed wire data of a size that no program has, and that would take much more memory than the data itself.
struct TooLarge : protozero::exception {
  explicit TooLarge(const char* what) : what_(what) {}
  const char* what() const noexcept override { return what_; }

 private:
  const char* what_;
};
inline void throw_malformed() {
  throw MalformedField();
}

/// Runs a parser over protobuf wire data; what protozero throws at malformed data becomes an error that names the
/// message.
template <class F>
auto guarded(std::string_view message, F&& parse) -> Result<decltype(parse())> {
  try {
    return parse();
  } catch (const protozero::exception& e) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "not a serialized " + std::string(message) + ": " + e.what()));
  }
}

}  // namespace pjrt::proto
