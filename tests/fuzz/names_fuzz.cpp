#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/printable.hpp"
#include "model/names.hpp"

/// Lines are the paths of a model, the last one a name to look up; every path must be found, as it is and as it is
/// shown.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pjrt;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<SessionValue> values;
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    values.push_back({std::string(text.substr(0, end)), "", {ElementType::F32, {}}, {}, true});
    text.remove_prefix(end + 1);
  }
  const model::NameIndex index(values, "input");
  if (const Result<std::size_t> i = index.find(text); i && *i >= values.size()) __builtin_trap();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Result<std::size_t> found = index.find(values[i].path);
    if (!values[i].path.empty() && (found ? values[*found].path != values[i].path
                                          : found.error().code() != ErrorCode::InvalidArgument))  // paths may repeat
      __builtin_trap();
    if (!values[i].path.empty() && !index.contains(model::label(values[i]))) __builtin_trap();
    for (const char c : model::label(values[i])) {
      if (static_cast<unsigned char>(c) < 0x20) __builtin_trap();
    }
  }
  return 0;
}
