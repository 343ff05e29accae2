#include "pjrt/element_type.hpp"

#include <utility>

namespace pjrt {
namespace {

struct Row {
  ElementType type;
  std::string_view xla;
  std::string_view mlir;
  std::string_view numpy;
  int bits;
};

constexpr Row kRows[] = {
    {ElementType::Invalid, "invalid", "", "", 0},
    {ElementType::Pred, "pred", "i1", "bool", 8},
    {ElementType::S8, "s8", "i8", "int8", 8},
    {ElementType::S16, "s16", "i16", "int16", 16},
    {ElementType::S32, "s32", "i32", "int32", 32},
    {ElementType::S64, "s64", "i64", "int64", 64},
    {ElementType::U8, "u8", "ui8", "uint8", 8},
    {ElementType::U16, "u16", "ui16", "uint16", 16},
    {ElementType::U32, "u32", "ui32", "uint32", 32},
    {ElementType::U64, "u64", "ui64", "uint64", 64},
    {ElementType::F16, "f16", "f16", "float16", 16},
    {ElementType::F32, "f32", "f32", "float32", 32},
    {ElementType::F64, "f64", "f64", "float64", 64},
    {ElementType::BF16, "bf16", "bf16", "bfloat16", 16},
    {ElementType::C64, "c64", "complex<f32>", "complex64", 64},
    {ElementType::C128, "c128", "complex<f64>", "complex128", 128},
    {ElementType::F8E5M2, "f8e5m2", "f8E5M2", "float8_e5m2", 8},
    {ElementType::F8E4M3FN, "f8e4m3fn", "f8E4M3FN", "float8_e4m3fn", 8},
    {ElementType::F8E4M3B11FNUZ, "f8e4m3b11fnuz", "f8E4M3B11FNUZ", "float8_e4m3b11fnuz", 8},
    {ElementType::F8E5M2FNUZ, "f8e5m2fnuz", "f8E5M2FNUZ", "float8_e5m2fnuz", 8},
    {ElementType::F8E4M3FNUZ, "f8e4m3fnuz", "f8E4M3FNUZ", "float8_e4m3fnuz", 8},
    {ElementType::S4, "s4", "i4", "int4", 4},
    {ElementType::U4, "u4", "ui4", "uint4", 4},
    {ElementType::Token, "token", "!stablehlo.token", "", 0},
    {ElementType::S2, "s2", "i2", "int2", 2},
    {ElementType::U2, "u2", "ui2", "uint2", 2},
    {ElementType::F8E4M3, "f8e4m3", "f8E4M3", "float8_e4m3", 8},
    {ElementType::F8E3M4, "f8e3m4", "f8E3M4", "float8_e3m4", 8},
    {ElementType::F8E8M0FNU, "f8e8m0fnu", "f8E8M0FNU", "float8_e8m0fnu", 8},
    {ElementType::F4E2M1FN, "f4e2m1fn", "f4E2M1FN", "float4_e2m1fn", 4},
    {ElementType::S1, "s1", "si1", "int1", 1},
    {ElementType::U1, "u1", "ui1", "uint1", 1},
    {ElementType::F6E2M3FN, "f6e2m3fn", "f6E2M3FN", "float6_e2m3fn", 6},
    {ElementType::F6E3M2FN, "f6e3m2fn", "f6E3M2FN", "float6_e3m2fn", 6},
};
static_assert(std::size(kRows) == kElementTypeCount);

constexpr bool rows_are_in_order() {
  for (int i = 0; i < kElementTypeCount; ++i) {
    if (std::to_underlying(kRows[i].type) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order());

const Row& row(ElementType type) {
  const int i = std::to_underlying(type);
  return kRows[i >= 0 && i < kElementTypeCount ? i : 0];
}

}  // namespace

std::string_view name(ElementType type) noexcept {
  return row(type).xla;
}

std::optional<ElementType> element_type_from_name(std::string_view name) noexcept {
  if (name.empty() || name == "invalid") return std::nullopt;
  for (const Row& r : kRows) {
    if (name == r.xla || name == r.mlir || name == r.numpy) return r.type;
  }
  if (name == "si4") return ElementType::S4;
  if (name == "si8") return ElementType::S8;
  if (name == "si16") return ElementType::S16;
  if (name == "si32") return ElementType::S32;
  if (name == "si64") return ElementType::S64;
  return std::nullopt;
}

int bit_width(ElementType type) noexcept {
  return row(type).bits;
}

std::size_t host_size(ElementType type) noexcept {
  return (static_cast<std::size_t>(row(type).bits) + 7) / 8;
}

bool is_packed(ElementType type) noexcept {
  const int bits = row(type).bits;
  return bits == 1 || bits == 2 || bits == 4;
}

bool is_floating(ElementType type) noexcept {
  const char first = row(type).xla[0];
  return first == 'f' || first == 'b';
}

bool is_complex(ElementType type) noexcept {
  return row(type).xla[0] == 'c';
}

bool is_integer(ElementType type) noexcept {
  const char first = row(type).xla[0];
  return first == 's' || first == 'u';
}

}  // namespace pjrt
