#pragma once

#include <protozero/pbf_message.hpp>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "pjrt/error.hpp"

namespace pjrt::proto {

/// Runs a parser over protobuf wire data; what protozero throws at malformed data becomes an error that names the message.
template <class F>
auto guarded(std::string_view message, F&& parse) -> Result<decltype(parse())> {
  try {
    return parse();
  } catch (const protozero::exception& e) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "not a serialized " + std::string(message) + ": " + e.what()));
  }
}

}  // namespace pjrt::proto
