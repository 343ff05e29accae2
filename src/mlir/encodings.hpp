#pragma once

#include <cstdint>
#include <string_view>

/// How MLIR's own dialects, VHLO, StableHLO and Shardy encode attributes and types in bytecode.
namespace pjrt::mlir {

/// Encodings of attributes, numbered by their dialects.
namespace builtin_attribute {
inline constexpr std::uint64_t kArray = 0;
inline constexpr std::uint64_t kDictionary = 1;
inline constexpr std::uint64_t kString = 2;
inline constexpr std::uint64_t kStringWithType = 3;
inline constexpr std::uint64_t kFlatSymbol = 4;
inline constexpr std::uint64_t kSymbol = 5;
inline constexpr std::uint64_t kType = 6;
inline constexpr std::uint64_t kUnit = 7;
inline constexpr std::uint64_t kInteger = 8;
inline constexpr std::uint64_t kFloat = 9;
inline constexpr std::uint64_t kCallSiteLocation = 10;
inline constexpr std::uint64_t kFileLocation = 11;
inline constexpr std::uint64_t kFusedLocation = 12;
inline constexpr std::uint64_t kFusedLocationWithMetadata = 13;
inline constexpr std::uint64_t kNameLocation = 14;
inline constexpr std::uint64_t kUnknownLocation = 15;
inline constexpr std::uint64_t kDenseArray = 17;
inline constexpr std::uint64_t kDenseElements = 18;
inline constexpr std::uint64_t kFileRange = 22;
}  // namespace builtin_attribute
namespace builtin_type {
inline constexpr std::uint64_t kInteger = 0;
inline constexpr std::uint64_t kFunction = 2;
inline constexpr std::uint64_t kComplex = 9;
inline constexpr std::uint64_t kNone = 12;
inline constexpr std::uint64_t kTensor = 13;
inline constexpr std::uint64_t kTensorWithEncoding = 14;
inline constexpr std::uint64_t kTuple = 15;
inline constexpr std::uint64_t kUnrankedTensor = 18;
inline constexpr std::uint64_t kVector = 19;
}  // namespace builtin_type
namespace vhlo_attribute {
inline constexpr std::uint64_t kArray = 1;
inline constexpr std::uint64_t kBoolean = 2;
inline constexpr std::uint64_t kDictionary = 6;
inline constexpr std::uint64_t kFloat = 8;
inline constexpr std::uint64_t kInteger = 9;
inline constexpr std::uint64_t kString = 14;
inline constexpr std::uint64_t kTensor = 15;
inline constexpr std::uint64_t kType = 17;
inline constexpr std::uint64_t kBounds = 18;
}  // namespace vhlo_attribute
namespace vhlo_type {
inline constexpr std::uint64_t kComplex = 1;
inline constexpr std::uint64_t kFunction = 8;
inline constexpr std::uint64_t kTensor = 20;
inline constexpr std::uint64_t kTensorWithEncoding = 21;
inline constexpr std::uint64_t kTuple = 23;
inline constexpr std::uint64_t kQuantized = 24;
inline constexpr std::uint64_t kUnrankedTensor = 25;
inline constexpr std::uint64_t kQuantizedPerAxis = 30;
}  // namespace vhlo_type
inline constexpr std::uint64_t kStableHloBounds = 13;
namespace sdy_attribute {
inline constexpr std::uint64_t kMeshAxis = 1;
inline constexpr std::uint64_t kMesh = 2;
inline constexpr std::uint64_t kAxisReference = 4;
inline constexpr std::uint64_t kDimensionSharding = 5;
inline constexpr std::uint64_t kTensorSharding = 6;
}  // namespace sdy_attribute

/// Types without parameters, by their codes.
struct Simple {
  std::uint64_t code;
  std::string_view text;
};
inline constexpr Simple kBuiltinTypes[] = {
    {1, "index"},   {3, "bf16"},      {4, "f16"},         {5, "f32"},         {6, "f64"},
    {7, "f80"},     {8, "f128"},      {12, "none"},       {21, "tf32"},       {22, "f8E5M2"},
    {23, "f8E4M3"}, {24, "f8E4M3FN"}, {25, "f8E5M2FNUZ"}, {26, "f8E4M3FNUZ"}, {27, "f8E4M3B11FNUZ"},
    {28, "f8E3M4"}, {29, "f4E2M1FN"}, {30, "f6E2M3FN"},   {31, "f6E3M2FN"},   {32, "f8E8M0FNU"},
};
inline constexpr Simple kVhloTypes[] = {
    {0, "i1"},
    {2, "bf16"},
    {3, "f16"},
    {4, "f32"},
    {5, "f64"},
    {6, "f8E4M3FN"},
    {7, "f8E5M2"},
    {9, "index"},
    {10, "i4"},
    {11, "i8"},
    {12, "i16"},
    {13, "i32"},
    {14, "i64"},
    {15, "ui4"},
    {16, "ui8"},
    {17, "ui16"},
    {18, "ui32"},
    {19, "ui64"},
    {22, "!stablehlo.token"},
    {26, "!shape.witness"},
    {27, "f8E4M3FNUZ"},
    {28, "f8E5M2FNUZ"},
    {29, "f8E4M3B11FNUZ"},
    {31, "i2"},
    {32, "ui2"},
    {33, "tf32"},
    {34, "none"},
    {35, "f8E4M3"},
    {36, "f8E3M4"},
    {37, "f4E2M1FN"},
    {38, "f6E2M3FN"},
    {39, "f6E3M2FN"},
    {40, "f8E8M0FNU"},
};

}  // namespace pjrt::mlir
