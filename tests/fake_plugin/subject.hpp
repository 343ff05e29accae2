#pragma once

#include <cstddef>
#include <cstring>

#include "pjrt/abi/functions.hpp"

namespace pjrt::test {

/// Arguments that hold nothing but the handle that their function works on, without which no call is made; it points to
/// zeros.
template <class Args>
Args with_subject() {
  static std::byte object[256] = {};
  Args args{};
  if constexpr (abi::subject_of<Args>.offset >= 0) {
    void* handle = object;
    std::memcpy(reinterpret_cast<std::byte*>(&args) + abi::subject_of<Args>.offset, &handle, sizeof handle);
  }
  return args;
}

}  // namespace pjrt::test
