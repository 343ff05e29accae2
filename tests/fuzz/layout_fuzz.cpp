#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pjrt/layout.hpp"

/// Reads bytes as the text of a layout; what is read is written the same way again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pjrt;
  const Result<Layout> layout = Layout::parse({reinterpret_cast<const char*>(data), size});
  if (!layout) return to_string(layout.error()).empty();
  (void)layout->is_row_major();
  const Result<Layout> again = Layout::parse(to_string(*layout));
  if (!again || !(*again == *layout)) __builtin_trap();
  return 0;
}
