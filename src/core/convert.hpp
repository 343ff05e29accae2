#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/plugin_state.hpp"
#include "pjrt/abi/core.h"
#include "pjrt/detail/owned_bytes.hpp"
#include "pjrt/element_type.hpp"
#include "pjrt/error.hpp"
#include "pjrt/layout.hpp"
#include "pjrt/named_value.hpp"

/// Between our values and the C structs that carry them.

namespace pjrt::detail {

/// The payloads of an error as C takes them: named strings. Borrows from the error.
class PayloadsC {
 public:
  explicit PayloadsC(const Error& error);
  const abi::PJRT_NamedValue* data() const noexcept { return values_.empty() ? nullptr : values_.data(); }
  std::size_t size() const noexcept { return values_.size(); }

 private:
  std::vector<abi::PJRT_NamedValue> values_;
};

/// Named values as C sees them; borrows from the NamedValues it was made of.
class NamedValuesC {
 public:
  explicit NamedValuesC(const NamedValues& values);
  const abi::PJRT_NamedValue* data() const noexcept { return values_.empty() ? nullptr : values_.data(); }
  std::size_t size() const noexcept { return values_.size(); }

 private:
  std::vector<abi::PJRT_NamedValue> values_;
};

/// Internal error if a value has a type number that the API does not define.
Result<NamedValues> from_c(const abi::PJRT_NamedValue* values, std::size_t count);

/// A layout as C sees it; owns the arrays it points at, so it neither copies nor moves.
class MemoryLayoutC {
 public:
  explicit MemoryLayoutC(const MemoryLayout& layout);
  explicit MemoryLayoutC(const Layout& layout);
  /// For a new array. `get` is null for elements that share bytes and lie row-major: C cannot say that they share, and
  /// plugins then refuse the layout that is their own.
  MemoryLayoutC(const Layout& layout, ElementType type);
  MemoryLayoutC(const MemoryLayoutC&) = delete;
  MemoryLayoutC& operator=(const MemoryLayoutC&) = delete;
  abi::PJRT_Buffer_MemoryLayout* get() noexcept { return implied_ ? nullptr : &c_; }

 private:
  void set(const Layout& layout);
  void set(const Strides& strides);
  std::vector<std::int64_t> order_;
  std::vector<std::int64_t> tile_dims_;
  std::vector<std::size_t> tile_sizes_;
  abi::PJRT_Buffer_MemoryLayout c_{};
  bool implied_ = false;
};

/// The plugin's struct_size fields inside are garbage on some plugins and are not looked at.
Result<MemoryLayout> from_c(const abi::PJRT_Buffer_MemoryLayout& layout);

inline abi::PJRT_Buffer_Type to_c(ElementType type) {
  return static_cast<abi::PJRT_Buffer_Type>(type);
}
/// Type numbers newer than this library become Invalid.
ElementType from_c(abi::PJRT_Buffer_Type type);

inline abi::PJRT_Error_Code to_c(ErrorCode code) {
  return static_cast<abi::PJRT_Error_Code>(code);
}

/// The address as plugins want it: CPU 0.115 cannot read an array at null back, though it has no elements.
inline void* not_null(const void* address) {
  alignas(64) static std::byte nothing[64];
  return address != nullptr ? const_cast<void*>(address) : nothing;
}

inline std::string_view text(const char* data, std::size_t size) {
  return data != nullptr ? std::string_view(data, size) : std::string_view();
}

/// Bytes of the plugin's that live until `deleter(holder)`.
template <class Holder>
OwnedBytes own_bytes(const PluginState& plugin, const char* data, std::size_t size, Holder* holder,
                     void (*deleter)(Holder*)) {
  std::shared_ptr<const void> owner;
  if (holder != nullptr && deleter != nullptr) {
    owner = std::shared_ptr<Holder>(holder, [&plugin, deleter](Holder* h) {
      if (plugin.gone.load(std::memory_order_relaxed) == Gone::No) deleter(h);
    });
  }
  if (data == nullptr) size = 0;
  return {std::move(owner), std::span(reinterpret_cast<const std::byte*>(data), size)};
}

}  // namespace pjrt::detail
