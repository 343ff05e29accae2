#include "compare.hpp"

#include <cmath>
#include <complex>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>

#include "pjrt/print.hpp"

namespace pjrt::cli {
namespace {

/// The relative tolerance for a type: some units in its last place, for compilers order sums differently.
double default_rtol(ElementType type) {
  switch (type) {
    case ElementType::F64:
    case ElementType::C128:
      return 1e-12;
    case ElementType::F32:
    case ElementType::C64:
      return 1e-5;
    case ElementType::F16:
      return 5e-3;
    case ElementType::BF16:
      return 2e-2;
    default:
      return is_floating(type) ? 0.15 : 0.0;
  }
}

double default_atol(ElementType type) {
  switch (type) {
    case ElementType::F64:
    case ElementType::C128:
      return 1e-12;
    case ElementType::F32:
    case ElementType::C64:
      return 1e-6;
    case ElementType::F16:
      return 1e-3;
    case ElementType::BF16:
      return 1e-2;
    default:
      return 0.0;
  }
}

template <class T>
std::complex<double> as_complex(T v) {
  if constexpr (std::same_as<T, complex64> || std::same_as<T, complex128>) {
    return {static_cast<double>(v.real()), static_cast<double>(v.imag())};
  } else {
    return static_cast<double>(v);
  }
}

bool same_nonfinite(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || a == b;
}

/// How far apart two values are; infinitely far if only one is a number.
template <class T>
double distance(T a, T b) {
  if constexpr (std::integral<T> && sizeof(T) == 8) {  // doubles do not hold all of these
    const auto x = static_cast<std::uint64_t>(a);
    const auto y = static_cast<std::uint64_t>(b);
    return static_cast<double>(a > b ? x - y : y - x);
  } else {
    const std::complex<double> x = as_complex(a);
    const std::complex<double> y = as_complex(b);
    if (same_nonfinite(x.real(), y.real()) && same_nonfinite(x.imag(), y.imag())) return 0;
    const double difference = std::abs(x - y);
    return std::isfinite(difference) ? difference : std::numeric_limits<double>::infinity();
  }
}

/// How far beyond its tolerance; <= 0 is within.
template <class T>
double excess(T got, T expected, double rtol, double atol) {
  const double difference = distance(got, expected);
  if (difference == 0 || std::isinf(difference)) return difference;
  return difference - (atol + rtol * std::abs(as_complex(expected)));
}

template <class T>
T element(const HostBuffer& array, std::int64_t i) {
  T v{};
  const std::byte* at = array.bytes().data() + static_cast<std::size_t>(i) * sizeof(T);
  if constexpr (std::same_as<T, bool>) {
    return *at != std::byte{0};
  } else {
    std::memcpy(static_cast<void*>(&v), at, sizeof v);
    return v;
  }
}

std::string index_text(std::int64_t i, const Dimensions& dims) {
  std::string text;
  for (std::size_t d = dims.size(); d-- > 0;) {
    text = std::to_string(i % dims[d]) + (text.empty() ? "" : ",") + text;
    i /= dims[d];
  }
  return "[" + text + "]";
}

}  // namespace

Error shape_differs(const Shape& got, const Shape& expected) {
  return {ErrorCode::InvalidArgument, "it is " + to_string(got) + ", expected " + to_string(expected)};
}

Result<Comparison> compare(const HostBuffer& got, const HostBuffer& expected, const Tolerance& tolerance) {
  if (got.shape() != expected.shape()) return std::unexpected(shape_differs(got.shape(), expected.shape()));
  const double rtol = tolerance.rtol.value_or(default_rtol(got.type()));
  const double atol = tolerance.atol.value_or(default_atol(got.type()));
  const Result<HostBuffer> a = got.dense();
  const Result<HostBuffer> b = expected.dense();
  if (!a || !b) return std::unexpected((a ? b : a).error());
  Comparison result;
  std::int64_t worst = -1;
  double worst_excess = 0;
  visit(got.type(), [&]<class T>() {
    for (std::int64_t i = 0; i < got.element_count(); ++i) {
      const double e = excess(element<T>(*a, i), element<T>(*b, i), rtol, atol);
      if (e <= 0) continue;
      ++result.differing;
      if (e > worst_excess) {
        worst_excess = e;
        worst = i;
      }
    }
    if (worst < 0) return;
    const T g = element<T>(*a, worst);
    const T e = element<T>(*b, worst);
    const auto text = [](const T& v) { return to_string(HostView(&v, Shape{element_type_of<T>, {}})); };
    result.worst = "at " + index_text(worst, got.dims()) + ": " + text(g) + ", expected " + text(e);
    char numbers[96];
    std::snprintf(numbers, sizeof numbers, " (difference %.3g, tolerated %.3g)", distance(g, e),
                  atol + rtol * std::abs(as_complex(e)));
    result.worst += numbers;
  });
  return result;
}

}  // namespace pjrt::cli
