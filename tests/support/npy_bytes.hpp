#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pjrt::test {

/// An .npy file of format 1.0, as numpy writes it, made without the library.
inline std::string npy_bytes(std::string_view descr, std::string_view shape, std::string_view data) {
  std::string header =
      "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': " + std::string(shape) + ", }";
  header.resize(117, ' ');
  return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "\n" + std::string(data);
}

inline std::string bytes_of(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

}  // namespace pjrt::test
