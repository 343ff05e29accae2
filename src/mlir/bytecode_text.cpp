#include <algorithm>
#include <iterator>
#include <span>

#include "mlir/bytecode_tables.hpp"
#include "mlir/encodings.hpp"

/// The attributes and types of bytecode, in the words of the text.
namespace pjrt::mlir {
namespace {

/// A limit on what is written out: attributes that stand in each other twice grow with every level.
constexpr std::size_t kLongestText = std::size_t{1} << 16;

void write_string(std::string& out, std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  out += '"';
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\' || u < 0x20 || u == 0x7f) {
      ((out += '\\') += kDigits[u >> 4]) += kDigits[u & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

}  // namespace

std::string BytecodeTables::attribute_text(std::uint64_t attribute) const {
  std::string out;
  write_attribute(out, attribute);
  return out;
}

std::string BytecodeTables::type_text(std::uint64_t type) const {
  std::string out;
  write_type(out, type);
  return out;
}

// Recursion is as deep as check_entries allows.

void BytecodeTables::write_attribute(std::string& out, std::uint64_t attribute) const {
  if (attribute >= attribute_count_) {
    out += '?';
    return;
  }
  if (out.size() > kLongestText) {
    out += "…";
    return;
  }
  const auto at = static_cast<std::size_t>(attribute);
  if (const auto plain = text(at)) {
    out += *plain;
    return;
  }
  if (const auto s = string(attribute)) return write_string(out, *s);
  if (const auto s = symbol(attribute)) {
    (out += '@') += *s;
    return;
  }
  if (is_dictionary(attribute)) {
    out += '{';
    const char* separator = "";
    for (const auto& [name, value] : entries(attribute)) {
      (((out += separator) += name) += " = ");
      write_attribute(out, value);
      separator = ", ";
    }
    out += '}';
    return;
  }
  const Entry& entry = entries_[at];
  if (entry.dialect == Dialect::Sdy) return write_sdy(out, attribute);
  if (encoded(attribute, Dialect::Builtin, builtin_attribute::kArray) ||
      encoded(attribute, Dialect::Vhlo, vhlo_attribute::kArray)) {
    out += '[';
    const char* separator = "";
    for (const std::uint64_t element : elements(attribute)) {
      out += separator;
      write_attribute(out, element);
      separator = ", ";
    }
    out += ']';
    return;
  }
  if (const auto type = type_in(attribute)) return write_type(out, *type);
  if (encoded(attribute, Dialect::Builtin, builtin_attribute::kUnit)) {
    out += "unit";
    return;
  }
  if (auto boolean = encoded(attribute, Dialect::Vhlo, vhlo_attribute::kBoolean)) {
    out += boolean->number() != 0 ? "true" : "false";
    return;
  }
  std::optional<Cursor> bounds = encoded(attribute, Dialect::StableHlo, kStableHloBounds);
  if (!bounds) bounds = encoded(attribute, Dialect::Vhlo, vhlo_attribute::kBounds);
  if (bounds) {
    out += "#stablehlo.bounds<";
    const char* separator = "";
    for (std::uint64_t left = bounds->count(); left > 0; --left) {
      const std::int64_t bound = bounds->signed_number();
      (out += separator) += bound < 0 ? "?" : std::to_string(bound);
      separator = ", ";
    }
    out += '>';
    return;
  }
  if (auto integer = encoded(attribute, Dialect::Builtin, builtin_attribute::kInteger)) {
    const std::string type = type_text(integer->number());
    if (type == "i1") {
      out += integer->byte() != 0 ? "true" : "false";
      return;
    }
    constexpr std::string_view kOfOneByte[] = {"i2", "i4", "i8", "ui2", "ui4", "ui8", "si8"};
    const bool is_byte = std::ranges::find(kOfOneByte, type) != std::end(kOfOneByte);
    const std::int64_t value =
        is_byte ? static_cast<std::int64_t>(static_cast<std::int8_t>(integer->byte())) : integer->signed_number();
    ((out += std::to_string(value)) += " : ") += type;
    return;
  }
  out += '?';
}

void BytecodeTables::write_sdy(std::string& out, std::uint64_t attribute) const {
  std::vector<std::size_t> checked;
  if (!references(static_cast<std::size_t>(attribute), checked)) {
    out += '?';
    return;
  }
  Cursor cursor = bytes_of(static_cast<std::size_t>(attribute));
  const auto list = [&] {
    const char* separator = "";
    for (std::uint64_t left = cursor.count(); left > 0 && cursor.ok(); --left) {
      out += separator;
      write_attribute(out, cursor.number());
      separator = ", ";
    }
  };
  using namespace sdy_attribute;
  switch (cursor.number()) {
    case kMeshAxis:
      write_string(out, string_at(cursor.number()));
      (out += '=') += std::to_string(cursor.signed_number());
      break;
    case kMesh:
      out += "#sdy.mesh<[";
      list();
      out += cursor.number() == 0 ? "]>" : "], device_ids=?>";
      break;
    case kAxisReference:
      write_string(out, string_at(cursor.number()));
      if (cursor.number() != 0) out += ":?";  // a part of an axis
      break;
    case kDimensionSharding:
      out += '{';
      list();
      out += '}';
      break;
    case kTensorSharding:
      out += "#sdy.sharding<";
      write_attribute(out, cursor.number());
      out += ", [";
      list();
      out += "]>";
      break;
    default:
      out += '?';
  }
}

void BytecodeTables::write_array_type(std::string& out, Cursor cursor, bool has_encoding) const {
  const std::uint64_t encoding = has_encoding ? cursor.number() : 0;
  out += "tensor<";
  for (std::uint64_t left = cursor.count(); left > 0; --left) {
    const std::int64_t dim = cursor.signed_number();
    (out += dim < 0 ? "?" : std::to_string(dim)) += 'x';
  }
  write_type(out, cursor.number());
  if (has_encoding) {
    out += ", ";
    write_attribute(out, encoding);
  }
  out += '>';
}

void BytecodeTables::write_type(std::string& out, std::uint64_t type) const {
  if (type >= type_count()) {
    out += '?';
    return;
  }
  if (out.size() > kLongestText) {
    out += "…";
    return;
  }
  const std::size_t at = attribute_count_ + static_cast<std::size_t>(type);
  if (const auto plain = text(at)) {
    out += *plain;
    return;
  }
  Cursor cursor = bytes_of(at);
  const std::uint64_t code = cursor.number();
  const Dialect dialect = entries_[at].dialect;
  const bool is_vhlo = dialect == Dialect::Vhlo;
  const auto one_of = [&](std::span<const Simple> known) {
    const auto it = std::ranges::find(known, code, &Simple::code);
    if (it == known.end()) return false;
    out += it->text;
    return true;
  };
  if (dialect == Dialect::StableHlo && code == 0) {
    out += "!stablehlo.token";
    return;
  }
  if (dialect != Dialect::Builtin && !is_vhlo) {
    out += "!?";
    return;
  }
  if (one_of(is_vhlo ? std::span<const Simple>(kVhloTypes) : std::span<const Simple>(kBuiltinTypes))) return;
  if (!is_vhlo && code == builtin_type::kInteger) {
    const std::uint64_t packed = cursor.number();
    constexpr std::string_view kSigns[] = {"i", "si", "ui", "i"};
    (out += kSigns[packed & 3]) += std::to_string(packed >> 2);
  } else if (code == (is_vhlo ? vhlo_type::kComplex : builtin_type::kComplex)) {
    out += "complex<";
    write_type(out, cursor.number());
    out += '>';
  } else if (code == (is_vhlo ? vhlo_type::kTensor : builtin_type::kTensor)) {
    write_array_type(out, cursor, false);
  } else if (code == (is_vhlo ? vhlo_type::kTensorWithEncoding : builtin_type::kTensorWithEncoding)) {
    write_array_type(out, cursor, true);
  } else if (code == (is_vhlo ? vhlo_type::kUnrankedTensor : builtin_type::kUnrankedTensor)) {
    out += "tensor<*x";
    write_type(out, cursor.number());
    out += '>';
  } else if (code == (is_vhlo ? vhlo_type::kTuple : builtin_type::kTuple)) {
    out += "tuple<";
    const char* separator = "";
    for (std::uint64_t left = cursor.count(); left > 0; --left) {
      out += separator;
      write_type(out, cursor.number());
      separator = ", ";
    }
    out += '>';
  } else if (is_vhlo && (code == vhlo_type::kQuantized || code == vhlo_type::kQuantizedPerAxis)) {
    cursor.number();  // flags
    out += "!quant.uniform<";
    write_type(out, cursor.number());
    out += ':';
    write_type(out, cursor.number());
    if (code == vhlo_type::kQuantizedPerAxis) (out += ':') += std::to_string(cursor.number());
    out += '>';
  } else {
    out += "!?";
  }
}

}  // namespace pjrt::mlir
