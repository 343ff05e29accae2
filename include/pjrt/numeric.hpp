#pragma once

#include <bit>
#include <compare>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "pjrt/detail/cxx23.hpp"

/// Value types for the element types that C++ has no type for. Each is as wide on the host as PJRT wants it there:
/// 16 bits for bfloat16 and float16, one byte for everything narrower (the low bits count). Names and conversions
/// follow ml_dtypes; rounding is to nearest, ties to even.

namespace pjrt {

namespace detail {

/// How a format spells what is not a finite number.
enum class NonFinite {
  Ieee,          ///< infinities and NaNs in the top exponent
  NanOnly,       ///< "fn": only S.1…1.1…1 is NaN, no infinity
  NegativeZero,  ///< "fnuz": only the pattern of -0 is NaN, no infinity, no -0
  None,          ///< every pattern is finite; overflow saturates
};

struct FloatFormat {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  NonFinite non_finite;

  constexpr std::uint32_t sign_mask() const { return 1u << (exponent_bits + mantissa_bits); }
  constexpr std::uint32_t exponent_field() const { return (1u << exponent_bits) - 1; }
  constexpr std::uint32_t infinity() const { return exponent_field() << mantissa_bits; }
  constexpr std::uint32_t largest() const {
    if (non_finite == NonFinite::Ieee) return infinity() - 1;
    return sign_mask() - (non_finite == NonFinite::NanOnly ? 2 : 1);
  }
};

/// 2^n for the exponents of normal doubles.
constexpr double power_of_two(int n) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52);
}

constexpr std::uint32_t quiet_nan(const FloatFormat& f, bool negative) {
  const std::uint32_t sign = negative ? f.sign_mask() : 0;
  switch (f.non_finite) {
    case NonFinite::Ieee:
      return sign | f.infinity() | (1u << (f.mantissa_bits - 1));
    case NonFinite::NanOnly:
      return sign | (f.sign_mask() - 1);
    case NonFinite::NegativeZero:
      return f.sign_mask();
    case NonFinite::None:
      return negative ? 0 : f.sign_mask();  // as ml_dtypes has it: a zero of the other sign
  }
  return 0;
}

constexpr std::uint32_t overflowed(const FloatFormat& f, bool negative) {
  const std::uint32_t sign = negative ? f.sign_mask() : 0;
  switch (f.non_finite) {
    case NonFinite::Ieee:
      return sign | f.infinity();
    case NonFinite::None:
      return sign | f.largest();
    default:
      return quiet_nan(f, negative);
  }
}

constexpr std::uint32_t encode(const FloatFormat& f, double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const bool negative = (bits >> 63) != 0;
  const int exponent = static_cast<int>((bits >> 52) & 0x7ff) - 1023;
  const std::uint64_t mantissa = bits & ((std::uint64_t{1} << 52) - 1);
  if (exponent == 1024) return mantissa != 0 ? quiet_nan(f, negative) : overflowed(f, negative);

  const int smallest = 1 - f.bias;  // exponent of the smallest normal number
  const int shift = 52 - f.mantissa_bits + (exponent < smallest ? smallest - exponent : 0);
  std::uint64_t magnitude = 0;
  if (shift <= 53 && exponent != -1023) {
    const std::uint64_t significand = (std::uint64_t{1} << 52) | mantissa;
    const std::uint64_t half = std::uint64_t{1} << (shift - 1);
    const std::uint64_t rest = significand & ((half << 1) - 1);
    magnitude = significand >> shift;
    if (rest > half || (rest == half && (magnitude & 1) != 0)) ++magnitude;
    if (exponent >= smallest) {  // the hidden bit carries the exponent field's last unit
      magnitude += static_cast<std::uint64_t>(exponent + f.bias - 1) << f.mantissa_bits;
    }
  }
  if (magnitude > f.largest()) return overflowed(f, negative);
  if (magnitude == 0 && f.non_finite == NonFinite::NegativeZero) return 0;
  return static_cast<std::uint32_t>(magnitude) | (negative ? f.sign_mask() : 0);
}

constexpr bool is_nan(const FloatFormat& f, std::uint32_t bits) {
  const std::uint32_t magnitude = bits & (f.sign_mask() - 1);
  switch (f.non_finite) {
    case NonFinite::Ieee:
      return magnitude > f.infinity();
    case NonFinite::NanOnly:
      return magnitude == f.sign_mask() - 1;
    case NonFinite::NegativeZero:
      return bits == f.sign_mask();
    case NonFinite::None:
      return false;
  }
  return false;
}

constexpr float decode(const FloatFormat& f, std::uint32_t bits) {
  if (f.exponent_bits == 8 && f.mantissa_bits == 7) return std::bit_cast<float>(bits << 16);  // bfloat16
  const bool negative = (bits & f.sign_mask()) != 0;
  const std::uint32_t magnitude = bits & (f.sign_mask() - 1);
  if (is_nan(f, bits)) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    return negative ? -nan : nan;
  }
  if (f.non_finite == NonFinite::Ieee && magnitude == f.infinity()) {
    return negative ? -std::numeric_limits<float>::infinity() : std::numeric_limits<float>::infinity();
  }
  const int field = static_cast<int>(magnitude >> f.mantissa_bits);
  const std::uint32_t fraction = magnitude & ((1u << f.mantissa_bits) - 1);
  const std::uint32_t significand = field == 0 ? fraction : fraction | (1u << f.mantissa_bits);
  const double value = significand * power_of_two((field == 0 ? 1 : field) - f.bias - f.mantissa_bits);
  return static_cast<float>(negative ? -value : value);
}

template <int Bits>
using Storage = std::conditional_t<(Bits > 8), std::uint16_t, std::uint8_t>;

/// A binary floating-point number narrower than float.
template <FloatFormat Format>
class MiniFloat {
 public:
  static constexpr FloatFormat kFormat = Format;
  static constexpr int kBits = 1 + Format.exponent_bits + Format.mantissa_bits;
  using Bits = Storage<kBits>;

  constexpr MiniFloat() = default;
  explicit constexpr MiniFloat(double value) : bits_(static_cast<Bits>(encode(Format, value))) {}

  static constexpr MiniFloat from_bits(Bits bits) {
    MiniFloat f;
    f.bits_ = bits;
    return f;
  }
  /// The pattern; bits above the format's width are zero.
  constexpr Bits bits() const { return static_cast<Bits>(bits_ & ((1u << kBits) - 1)); }

  constexpr operator float() const { return decode(Format, bits()); }  // widening: exact

  friend constexpr bool operator==(MiniFloat a, MiniFloat b) { return float(a) == float(b); }
  friend constexpr auto operator<=>(MiniFloat a, MiniFloat b) { return float(a) <=> float(b); }

 private:
  Bits bits_ = 0;
};

/// An integer of 1, 2 or 4 bits, one to a byte. Conversion from wider integers keeps the low bits.
template <int Width, bool Signed>
class MiniInt {
 public:
  static constexpr int kBits = Width;

  constexpr MiniInt() = default;
  explicit constexpr MiniInt(int value) : bits_(static_cast<std::uint8_t>(value & kMask)) {}

  static constexpr MiniInt from_bits(std::uint8_t bits) { return MiniInt(bits); }
  constexpr std::uint8_t bits() const { return bits_ & kMask; }

  constexpr operator int() const {
    const int value = bits();
    return Signed && (value & (1 << (Width - 1))) != 0 ? value - (1 << Width) : value;
  }

  friend constexpr bool operator==(MiniInt a, MiniInt b) { return a.bits() == b.bits(); }
  friend constexpr auto operator<=>(MiniInt a, MiniInt b) { return int(a) <=> int(b); }

 private:
  static constexpr int kMask = (1 << Width) - 1;
  std::uint8_t bits_ = 0;
};

}  // namespace detail

using float16 = detail::MiniFloat<detail::FloatFormat{5, 10, 15, detail::NonFinite::Ieee}>;
using bfloat16 = detail::MiniFloat<detail::FloatFormat{8, 7, 127, detail::NonFinite::Ieee}>;
using float8_e5m2 = detail::MiniFloat<detail::FloatFormat{5, 2, 15, detail::NonFinite::Ieee}>;
using float8_e4m3 = detail::MiniFloat<detail::FloatFormat{4, 3, 7, detail::NonFinite::Ieee}>;
using float8_e3m4 = detail::MiniFloat<detail::FloatFormat{3, 4, 3, detail::NonFinite::Ieee}>;
using float8_e4m3fn = detail::MiniFloat<detail::FloatFormat{4, 3, 7, detail::NonFinite::NanOnly}>;
using float8_e4m3b11fnuz = detail::MiniFloat<detail::FloatFormat{4, 3, 11, detail::NonFinite::NegativeZero}>;
using float8_e5m2fnuz = detail::MiniFloat<detail::FloatFormat{5, 2, 16, detail::NonFinite::NegativeZero}>;
using float8_e4m3fnuz = detail::MiniFloat<detail::FloatFormat{4, 3, 8, detail::NonFinite::NegativeZero}>;
using float6_e2m3fn = detail::MiniFloat<detail::FloatFormat{2, 3, 1, detail::NonFinite::None}>;
using float6_e3m2fn = detail::MiniFloat<detail::FloatFormat{3, 2, 3, detail::NonFinite::None}>;
using float4_e2m1fn = detail::MiniFloat<detail::FloatFormat{2, 1, 1, detail::NonFinite::None}>;

/// A power of two without sign or zero: 2^(bits - 127), NaN at 0xff. The scale type of MX formats. Ties round up; so
/// does, in ml_dtypes and here, everything between the two smallest values.
class float8_e8m0fnu {
 public:
  static constexpr int kBits = 8;

  constexpr float8_e8m0fnu() = default;
  explicit constexpr float8_e8m0fnu(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    const int exponent = static_cast<int>((bits >> 52) & 0x7ff) - 1023;
    const std::uint64_t mantissa = bits & ((std::uint64_t{1} << 52) - 1);
    if (!(value > 0) || exponent == 1024) return;
    const bool up = exponent == -127 ? mantissa != 0 : (mantissa >> 51) != 0;
    const int field = exponent + 127 + (up ? 1 : 0);
    bits_ = static_cast<std::uint8_t>(field < 0 ? 0 : field > 0xfe ? 0xff : field);
  }

  /// The value with these bits.
  static constexpr float8_e8m0fnu from_bits(std::uint8_t bits) {
    float8_e8m0fnu f;
    f.bits_ = bits;
    return f;
  }
  /// Its bits: the exponent plus 127; 255 is NaN.
  constexpr std::uint8_t bits() const { return bits_; }

  constexpr operator float() const {
    if (bits_ == 0xff) return std::numeric_limits<float>::quiet_NaN();
    return static_cast<float>(detail::power_of_two(bits_ - 127));
  }

  friend constexpr bool operator==(float8_e8m0fnu a, float8_e8m0fnu b) { return float(a) == float(b); }
  friend constexpr auto operator<=>(float8_e8m0fnu a, float8_e8m0fnu b) { return float(a) <=> float(b); }

 private:
  std::uint8_t bits_ = 0xff;
};

using int1 = detail::MiniInt<1, true>;
using uint1 = detail::MiniInt<1, false>;
using int2 = detail::MiniInt<2, true>;
using uint2 = detail::MiniInt<2, false>;
using int4 = detail::MiniInt<4, true>;
using uint4 = detail::MiniInt<4, false>;

using complex64 = std::complex<float>;
using complex128 = std::complex<double>;

/// The device form of 1-, 2- and 4-bit elements: several to a byte, the first in the low bits.
/// `unpacked` holds one element to a byte; the result has ceil(n * bits / 8) bytes.
inline std::vector<std::byte> pack(std::span<const std::byte> unpacked, int bits) {
  const std::size_t per_byte = 8 / static_cast<std::size_t>(bits);
  const auto mask = static_cast<std::byte>((1 << bits) - 1);
  std::vector<std::byte> packed((unpacked.size() + per_byte - 1) / per_byte);
  for (std::size_t i = 0; i < unpacked.size(); ++i) {
    packed[i / per_byte] |= (unpacked[i] & mask) << static_cast<int>(i % per_byte) * bits;
  }
  return packed;
}

/// The host form of `count` packed elements: one to a byte, zero-extended.
inline std::vector<std::byte> unpack(std::span<const std::byte> packed, int bits, std::size_t count) {
  const std::size_t per_byte = 8 / static_cast<std::size_t>(bits);
  const auto mask = static_cast<std::byte>((1 << bits) - 1);
  std::vector<std::byte> unpacked(count);
  for (std::size_t i = 0; i < count && i / per_byte < packed.size(); ++i) {
    unpacked[i] = (packed[i / per_byte] >> static_cast<int>(i % per_byte) * bits) & mask;
  }
  return unpacked;
}

}  // namespace pjrt
