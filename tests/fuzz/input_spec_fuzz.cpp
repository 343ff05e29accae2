#include "input_spec.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "terminal.hpp"

/// Reads text as what `pjrt run --input` takes, and shows it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pjrt;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto shape = cli::parse_shape(text); shape && shape->rank() > kMaxRank) __builtin_trap();
  const auto spec = cli::parse_input(text);
  if (spec && spec->name && spec->name->empty()) __builtin_trap();
  if (!spec && spec.error().status != cli::kWrongUsage) __builtin_trap();
  for (const std::string& shown : {cli::shown_lines(text), cli::shown_json(text), cli::shown(text)}) {
    for (const char c : shown) {
      if (c == '\x1b' || c == '\x7f') __builtin_trap();
    }
    if (shown.find("\xc2\x9b") != std::string::npos || shown.find("\xe2\x80\xae") != std::string::npos)
      __builtin_trap();
  }
  if (!spec) return cli::describe(spec.error().error, false).empty();
  return 0;
}
