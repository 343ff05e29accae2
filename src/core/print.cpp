// numpy's way to print arrays: https://numpy.org/doc/stable/reference/generated/numpy.set_printoptions.html

#include "pjrt/print.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

namespace pjrt {
namespace {

/// A number's decimal digits: 0.d1d2d3… times 10^exponent would be "scientific" with exponent one less.
struct Decimal {
  std::string whole;
  std::string fraction;
  std::string exponent;  // with its sign, at least two digits; empty in positional form
};

Decimal split(std::string text) {
  Decimal d;
  if (const std::size_t e = text.find('e'); e != std::string::npos) {
    d.exponent = text.substr(e + 1);
    text.resize(e);
  }
  const std::size_t point = text.find('.');
  d.whole = text.substr(0, point);
  if (point != std::string::npos) d.fraction = text.substr(point + 1);
  return d;
}

template <class T>
std::string shortest(T value, std::chars_format format) {
  char digits[512];
  return {digits, std::to_chars(digits, digits + sizeof digits, value, format).ptr};
}

/// The fewest digits that still mean this half-precision number.
std::string shortest(float16 value, std::chars_format format) {
  char digits[64];
  const float exact = value;
  for (int precision = 0; precision < 6; ++precision) {
    char* end = std::to_chars(digits, digits + sizeof digits, exact, std::chars_format::scientific, precision).ptr;
    double read = 0;
    std::from_chars(digits, end, read);
    if (float16(read).bits() == value.bits()) {
      char* last = std::to_chars(digits, digits + sizeof digits, read, format).ptr;
      return std::string(digits, last);
    }
  }
  return shortest(exact, format);
}

/// At most `most` and at least `least` digits behind the point: the shortest that tells the number apart where that
/// lies between, else its exact value, rounded.
template <class T>
Decimal decimal(T value, std::chars_format format, int most, int least) {
  Decimal d = split(shortest(value, format));
  const auto have = static_cast<int>(d.fraction.size());
  const int wanted = have > most ? most : have < least ? least : have;
  if (wanted != have) {
    char digits[512];
    char* end = std::to_chars(digits, digits + sizeof digits, static_cast<double>(value), format, wanted).ptr;
    d = split(std::string(digits, end));
  }
  return d;
}

void trim_zeros(std::string& fraction) {
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
}

std::string pad_left(std::string text, std::size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
  return text;
}

template <class T>
constexpr int kDecimalDigits = std::same_as<T, float16> ? 3 : std::numeric_limits<T>::digits10;

/// Formats floating-point numbers so that those of one array line up.
template <class T>
class FloatColumn {
 public:
  FloatColumn(const std::vector<T>& values, int precision, bool always_sign = false)
      : precision_(precision), always_sign_(always_sign) {
    double largest = 0;
    double smallest = std::numeric_limits<double>::infinity();
    std::vector<T> finite;
    bool negative_infinity = false;
    for (const T v : values) {
      const double x = static_cast<double>(v);
      if (!std::isfinite(x)) {
        negative_infinity |= std::isinf(x) && x < 0;
        continue;
      }
      finite.push_back(v);
      if (x != 0) {
        largest = std::max(largest, std::fabs(x));
        smallest = std::min(smallest, std::fabs(x));
      }
    }
    const double cutoff = std::pow(10.0, std::min(8, kDecimalDigits<T>));
    scientific_ = largest > 0 && (largest >= cutoff || smallest < 0.0001 || largest / smallest > 1000.0);
    measure(finite);
    if (finite.size() != values.size()) {
      const std::size_t behind = right_ + 1;
      const std::size_t infinity = always_sign_ || negative_infinity ? 4 : 3;
      left_ = std::max({left_, 3 - std::min<std::size_t>(behind, 3), infinity - std::min(behind, infinity)});
    }
  }

  std::string format(T value) const {
    const double x = static_cast<double>(value);
    if (!std::isfinite(x)) {
      std::string text = std::isnan(x) ? "nan" : x < 0 ? "-inf" : "inf";
      if (always_sign_ && text[0] != '-') text.insert(0, 1, '+');
      return pad_left(std::move(text), left_ + right_ + 1);
    }
    if (scientific_) {
      const Decimal d = decimal(value, std::chars_format::scientific, digits_, digits_);
      std::string exponent = d.exponent.substr(1);
      exponent.insert(0, exponent_digits_ - std::min(exponent_digits_, exponent.size()), '0');
      return pad_left(signed_whole(d.whole), left_) + "." + d.fraction + "e" + d.exponent[0] + exponent;
    }
    Decimal d = decimal(value, std::chars_format::fixed, precision_, 0);
    trim_zeros(d.fraction);
    d.fraction.append(right_ - std::min(right_, d.fraction.size()), ' ');
    return pad_left(signed_whole(d.whole), left_) + "." + d.fraction;
  }

 private:
  std::string signed_whole(std::string whole) const {
    if (always_sign_ && whole[0] != '-') whole.insert(0, 1, '+');
    return whole;
  }

  void measure(const std::vector<T>& finite) {
    for (const T v : finite) {
      Decimal d = decimal(v, scientific_ ? std::chars_format::scientific : std::chars_format::fixed, precision_, 0);
      trim_zeros(d.fraction);
      left_ = std::max(left_, signed_whole(d.whole).size());
      right_ = std::max(right_, d.fraction.size());
      if (scientific_) exponent_digits_ = std::max(exponent_digits_, d.exponent.size() - 1);
    }
    digits_ = static_cast<int>(right_);
    if (scientific_) right_ = exponent_digits_ + 2 + static_cast<std::size_t>(digits_);
  }

  int precision_;
  bool always_sign_;
  bool scientific_ = false;
  std::size_t left_ = 0;
  std::size_t right_ = 0;
  int digits_ = 0;  // behind the point, in scientific form
  std::size_t exponent_digits_ = 0;
};

/// A number without neighbours, as str() of a numpy scalar.
template <class T>
std::string scalar_text(T value, bool point_zero) {
  const double x = static_cast<double>(value);
  if (std::isnan(x)) return "nan";
  if (std::isinf(x)) return x < 0 ? "-inf" : "inf";
  const double magnitude = std::fabs(x);
  const double cutoff = std::same_as<T, double> ? 1e16 : std::same_as<T, float> ? 1e6 : 1e3;
  const bool positional = magnitude == 0 || (magnitude >= 1e-4 && magnitude < cutoff);
  Decimal d = decimal(value, positional ? std::chars_format::fixed : std::chars_format::scientific, 400, 0);
  if (!positional) return d.whole + (d.fraction.empty() ? "" : "." + d.fraction) + "e" + d.exponent;
  if (d.fraction.empty()) return d.whole + (point_zero ? ".0" : "");
  return d.whole + "." + d.fraction;
}

template <class T>
std::string scalar_text(std::complex<T> value) {
  const std::string imaginary = scalar_text(value.imag(), false) + "j";
  if (value.real() == 0 && !std::signbit(value.real())) return imaginary;
  const bool minus = imaginary[0] == '-';
  return "(" + scalar_text(value.real(), false) + (minus ? "" : "+") + imaginary + ")";
}

/// What makes text of the elements of one array.
template <class T>
struct Column {
  Column(const std::vector<T>& values, const PrintOptions&) {
    for (const T v : values) width = std::max(width, text(v).size());
  }
  std::string format(T v) const { return pad_left(text(v), width); }
  static std::string text(T v) {
    if constexpr (std::same_as<T, bool>) {
      return v ? "True" : "False";
    } else {
      return std::to_string(v);
    }
  }
  std::size_t width = 0;
};

template <std::floating_point T>
struct Column<T> {
  Column(const std::vector<T>& values, const PrintOptions& o) : column(values, o.precision) {}
  std::string format(T v) const { return column.format(v); }
  FloatColumn<T> column;
};

template <>
struct Column<float16> {
  Column(const std::vector<float16>& values, const PrintOptions& o) : column(values, o.precision) {}
  std::string format(float16 v) const { return column.format(v); }
  FloatColumn<float16> column;
};

template <class T>
struct Column<std::complex<T>> {
  Column(const std::vector<std::complex<T>>& values, const PrintOptions& o)
      : real(parts(values, false), o.precision), imaginary(parts(values, true), o.precision, true) {}
  std::string format(std::complex<T> v) const {
    std::string i = imaginary.format(v.imag());
    const std::size_t end = i.find_last_not_of(' ') + 1;
    return real.format(v.real()) + i.insert(end, 1, 'j');
  }
  static std::vector<T> parts(const std::vector<std::complex<T>>& values, bool imaginary) {
    std::vector<T> all;
    for (const std::complex<T> v : values) all.push_back(imaginary ? v.imag() : v.real());
    return all;
  }
  FloatColumn<T> real;
  FloatColumn<T> imaginary;
};

/// The types only ml_dtypes has are printed one by one: integers as they are, the rest with six digits.
template <class T>
struct PlainColumn {
  PlainColumn(const std::vector<T>&, const PrintOptions&) {}
  static std::string text(T v) {
    if constexpr (std::same_as<T, int1> || std::same_as<T, uint1> || std::same_as<T, int2> || std::same_as<T, uint2> ||
                  std::same_as<T, int4> || std::same_as<T, uint4>) {
      return std::to_string(static_cast<int>(v));
    } else {
      const float x = v;
      if (std::isnan(x)) return "nan";
      char digits[64];
      return {digits, std::to_chars(digits, digits + sizeof digits, x, std::chars_format::general, 6).ptr};
    }
  }
  std::string format(T v) const { return text(v); }
};

template <class T>
constexpr bool kIsPlain = !std::integral<T> && !std::floating_point<T> && !std::same_as<T, float16> &&
                          !std::same_as<T, complex64> && !std::same_as<T, complex128>;

/// Lays the elements' texts out in lines and brackets.
class Layouter {
 public:
  Layouter(const HostView& array, const PrintOptions& options, std::function<std::string(const std::byte*)> format)
      : array_(array),
        options_(options),
        format_(std::move(format)),
        summarize_(array.element_count() > options.threshold) {}

  std::string text() { return nested(0, static_cast<const std::byte*>(array_.data()), " ", options_.line_width); }

 private:
  std::vector<std::int64_t> shown(std::int64_t size) const {
    std::vector<std::int64_t> indices;
    const bool cut = summarize_ && 2 * options_.edge_items < size;
    for (std::int64_t i = 0; i < size; ++i) {
      if (cut && i == options_.edge_items) {
        indices.push_back(-1);
        i = size - options_.edge_items;
      }
      indices.push_back(i);
    }
    return indices;
  }

  std::string nested(std::size_t axis, const std::byte* at, const std::string& indent, std::size_t width) {
    if (axis == array_.dims().size()) return format_(at);
    const std::size_t axes_left = array_.dims().size() - axis;
    const std::int64_t stride = array_.strides()[axis];
    const std::vector<std::int64_t> indices = shown(array_.dims()[axis]);
    std::string text;
    if (axes_left == 1) {
      std::string line = indent;
      for (std::size_t k = 0; k < indices.size(); ++k) {
        const std::string word =
            indices[k] < 0 ? "..." : nested(axis + 1, at + indices[k] * stride, indent + ' ', width - 1);
        if (line.size() + word.size() > width - 1 && line.size() > indent.size()) {
          text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
          line = indent;
        }
        line += word;
        if (k + 1 < indices.size()) line += ' ';
      }
      text += line;
    } else {
      const std::string separator(axes_left - 1, '\n');
      for (std::size_t k = 0; k < indices.size(); ++k) {
        text += indent + (indices[k] < 0 ? "..." : nested(axis + 1, at + indices[k] * stride, indent + ' ', width - 1));
        if (k + 1 < indices.size()) text += separator;
      }
    }
    return "[" + text.substr(indent.size()) + "]";
  }

  const HostView& array_;
  const PrintOptions& options_;
  std::function<std::string(const std::byte*)> format_;
  bool summarize_;
};

template <class T>
T read(const std::byte* at) {
  T value{};
  if constexpr (std::same_as<T, bool>) {
    return *at != std::byte{0};
  } else {
    std::memcpy(static_cast<void*>(&value), at, sizeof value);
  }
  return value;
}

template <class T>
std::string print(const HostView& array, const PrintOptions& options) {
  using C = std::conditional_t<kIsPlain<T>, PlainColumn<T>, Column<T>>;
  if (array.dims().empty()) {
    const T v = read<T>(static_cast<const std::byte*>(array.data()));
    if constexpr (std::floating_point<T> || std::same_as<T, float16>) {
      return scalar_text(v, true);
    } else if constexpr (std::same_as<T, complex64> || std::same_as<T, complex128>) {
      return scalar_text(v);
    } else {
      return C::text(v);
    }
  }
  if (array.element_count() == 0) return "[]";
  std::vector<T> seen;  // the elements that will be shown decide the format
  Layouter(array, options, [&](const std::byte* at) {
    seen.push_back(read<T>(at));
    return std::string();
  }).text();
  const C column(seen, options);
  return Layouter(array, options, [&](const std::byte* at) { return column.format(read<T>(at)); }).text();
}

}  // namespace

std::string to_string(const HostView& array, const PrintOptions& options) {
  if (array.shape().rank() > kMaxRank) return "<" + std::to_string(array.shape().rank()) + " dimensions>";
  if (array.data() == nullptr && element_count(array.dims()) != 0) return "<no memory>";
  std::string text;
  visit(array.type(), [&]<class T>() { text = print<T>(array, options); });
  return text;
}

}  // namespace pjrt
