#pragma once

#include <cstddef>
#include <iterator>
#include <span>

#include "pjrt/detail/ref.hpp"

namespace pjrt::detail {

/// A random-access range of handles that are made as they are asked for: `Handle(owner, record)`. Holds the owner.
template <class Handle, class Owner, class Record>
class HandleList {
 public:
  class iterator {
   public:
    using value_type = Handle;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    iterator() = default;
    iterator(const HandleList* list, std::size_t at) noexcept : list_(list), at_(at) {}
    Handle operator*() const noexcept { return (*list_)[at_]; }
    iterator& operator++() noexcept {
      ++at_;
      return *this;
    }
    iterator operator++(int) noexcept {
      iterator old = *this;
      ++at_;
      return old;
    }
    friend bool operator==(const iterator& a, const iterator& b) noexcept { return a.at_ == b.at_; }

   private:
    const HandleList* list_ = nullptr;
    std::size_t at_ = 0;
  };

  HandleList(const HandleList&) noexcept = default;
  HandleList& operator=(const HandleList&) noexcept = default;
  HandleList(Ref<Owner> owner, std::span<const Record* const> records) noexcept
      : owner_(std::move(owner)), records_(records) {}

  std::size_t size() const noexcept { return records_.size(); }
  bool empty() const noexcept { return records_.empty(); }
  /// The empty handle if there is no element `i`.
  Handle operator[](std::size_t i) const noexcept {
    return i < records_.size() ? Handle(owner_, records_[i]) : Handle::none();
  }
  /// The empty handle if there is no element.
  Handle front() const noexcept { return (*this)[0]; }
  iterator begin() const noexcept { return {this, 0}; }
  iterator end() const noexcept { return {this, size()}; }

 private:
  Ref<Owner> owner_;
  std::span<const Record* const> records_;
};

}  // namespace pjrt::detail
