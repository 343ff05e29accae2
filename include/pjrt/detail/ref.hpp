#pragma once

#include <utility>

#include "pjrt/detail/cxx23.hpp"

namespace pjrt::detail {

/// A counted pointer to a state that is complete only inside the library. Found by argument-dependent lookup:
/// `retain(T*)` and `release(T*)`. One pointer wide, nothrow-movable; null after a move.
template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(const Ref& other) noexcept : p_(other.p_) {
    if (p_ != nullptr) retain(p_);
  }
  Ref(Ref&& other) noexcept : p_(std::exchange(other.p_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(p_, other.p_);
    return *this;
  }
  ~Ref() {
    if (p_ != nullptr) release(p_);
  }

  /// Takes over a count that the caller holds.
  static Ref adopt(T* p) noexcept {
    Ref r;
    r.p_ = p;
    return r;
  }
  /// Adds a count.
  static Ref share(T* p) noexcept {
    if (p != nullptr) retain(p);
    return adopt(p);
  }

  T* get() const noexcept { return p_; }
  T& operator*() const noexcept { return *p_; }
  T* operator->() const noexcept { return p_; }
  explicit operator bool() const noexcept { return p_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) noexcept { return a.p_ == b.p_; }

  /// Gives the count to the caller.
  T* detach() noexcept { return std::exchange(p_, nullptr); }

 private:
  T* p_ = nullptr;
};

}  // namespace pjrt::detail
