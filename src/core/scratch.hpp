#pragma once

#include <cstddef>
#include <memory>

namespace pjrt::detail {

/// A zeroed array that is on the stack when it is small.
template <class T, std::size_t Inline = 8>
class Scratch {
 public:
  explicit Scratch(std::size_t size) : heap_(size > Inline ? std::make_unique<T[]>(size) : nullptr) {}
  T* data() noexcept { return heap_ ? heap_.get() : inline_; }
  T& operator[](std::size_t i) noexcept { return data()[i]; }

 private:
  T inline_[Inline] = {};
  std::unique_ptr<T[]> heap_;
};

}  // namespace pjrt::detail
