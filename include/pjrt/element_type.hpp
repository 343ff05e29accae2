#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include "pjrt/export.hpp"
#include "pjrt/numeric.hpp"

namespace pjrt {

/// The element types of PJRT buffers, numbered as `PJRT_Buffer_Type`.
enum class ElementType : int {
  Invalid = 0,
  Pred = 1,
  S8 = 2,
  S16 = 3,
  S32 = 4,
  S64 = 5,
  U8 = 6,
  U16 = 7,
  U32 = 8,
  U64 = 9,
  F16 = 10,
  F32 = 11,
  F64 = 12,
  BF16 = 13,
  C64 = 14,
  C128 = 15,
  F8E5M2 = 16,
  F8E4M3FN = 17,
  F8E4M3B11FNUZ = 18,
  F8E5M2FNUZ = 19,
  F8E4M3FNUZ = 20,
  S4 = 21,
  U4 = 22,
  Token = 23,
  S2 = 24,
  U2 = 25,
  F8E4M3 = 26,
  F8E3M4 = 27,
  F8E8M0FNU = 28,
  F4E2M1FN = 29,
  S1 = 30,
  U1 = 31,
  F6E2M3FN = 32,
  F6E3M2FN = 33,
};

inline constexpr int kElementTypeCount = 34;

/// The C++ type that holds one element on the host; void for Invalid and Token.
template <ElementType T>
struct HostType {
  using type = void;
};

/// The element type a C++ type stands for; Invalid for types that stand for none.
template <class T>
inline constexpr ElementType element_type_of = ElementType::Invalid;

// clang-format off
#define PJRT_ELEMENT_TYPES(X) \
  X(Pred, bool) X(S1, int1) X(S2, int2) X(S4, int4) X(S8, std::int8_t) X(S16, std::int16_t) \
  X(S32, std::int32_t) X(S64, std::int64_t) X(U1, uint1) X(U2, uint2) X(U4, uint4) X(U8, std::uint8_t) \
  X(U16, std::uint16_t) X(U32, std::uint32_t) X(U64, std::uint64_t) X(F16, float16) X(F32, float) \
  X(F64, double) X(BF16, bfloat16) X(C64, complex64) X(C128, complex128) X(F8E5M2, float8_e5m2) \
  X(F8E4M3FN, float8_e4m3fn) X(F8E4M3B11FNUZ, float8_e4m3b11fnuz) X(F8E5M2FNUZ, float8_e5m2fnuz) \
  X(F8E4M3FNUZ, float8_e4m3fnuz) X(F8E4M3, float8_e4m3) X(F8E3M4, float8_e3m4) X(F8E8M0FNU, float8_e8m0fnu) \
  X(F4E2M1FN, float4_e2m1fn) X(F6E2M3FN, float6_e2m3fn) X(F6E3M2FN, float6_e3m2fn)
// clang-format on

#define PJRT_HOST_TYPE(Name, Host)     \
  template <>                          \
  struct HostType<ElementType::Name> { \
    using type = Host;                 \
  };                                   \
  template <>                          \
  inline constexpr ElementType element_type_of<Host> = ElementType::Name;
PJRT_ELEMENT_TYPES(PJRT_HOST_TYPE)
#undef PJRT_HOST_TYPE

template <ElementType T>
using host_type_t = typename HostType<T>::type;

/// A C++ type that can be an element of a buffer.
template <class T>
concept HostElement = element_type_of<std::remove_cv_t<T>> != ElementType::Invalid;

/// XLA's name: "f32", "pred", "s4", "f8e4m3fn", "bf16", "c64", "token"; "invalid" for anything else.
PJRT_EXPORT std::string_view name(ElementType type) noexcept;

/// The type of a name as XLA ("f32", "s32", "pred"), MLIR ("i32", "ui8", "i1", "complex<f32>", "f8E4M3FN") or numpy and
/// ml_dtypes ("float32", "int8", "bool", "bfloat16", "float8_e4m3fn") write it.
PJRT_EXPORT std::optional<ElementType> element_type_from_name(std::string_view name) noexcept;

/// Bits of one element: 1 to 128; 0 for Invalid and Token. Pred counts 8, as it is stored.
PJRT_EXPORT int bit_width(ElementType type) noexcept;

/// Bytes of one element on the host: at least one for every type that has values.
PJRT_EXPORT std::size_t host_size(ElementType type) noexcept;

/// Whether several elements share a byte on the device (1-, 2- and 4-bit types; the 6-bit floats do not).
PJRT_EXPORT bool is_packed(ElementType type) noexcept;

/// Whether its values are real floating-point numbers, of whatever width.
PJRT_EXPORT bool is_floating(ElementType type) noexcept;
/// C64 and C128.
PJRT_EXPORT bool is_complex(ElementType type) noexcept;
/// Whether its values are integers, signed or not; PRED is none.
PJRT_EXPORT bool is_integer(ElementType type) noexcept;

/// Calls `f.template operator()<T>()` with the host type of `type`; false without a call for Invalid and Token.
template <class F>
bool visit(ElementType type, F&& f) {
  switch (type) {
#define PJRT_VISIT(Name, Host)     \
  case ElementType::Name:          \
    f.template operator()<Host>(); \
    return true;
    PJRT_ELEMENT_TYPES(PJRT_VISIT)
#undef PJRT_VISIT
    default:
      return false;
  }
}

#undef PJRT_ELEMENT_TYPES

}  // namespace pjrt
