#include "mlir/bytecode_tables.hpp"

#include <algorithm>

#include "core/try.hpp"
#include "mlir/facts.hpp"

namespace pjrt::mlir {
namespace {

/// Encodings of attributes, numbered by their dialects.
namespace builtin_attribute {
constexpr std::uint64_t kArray = 0;
constexpr std::uint64_t kDictionary = 1;
constexpr std::uint64_t kString = 2;
constexpr std::uint64_t kStringWithType = 3;
constexpr std::uint64_t kFlatSymbol = 4;
constexpr std::uint64_t kSymbol = 5;
constexpr std::uint64_t kType = 6;
constexpr std::uint64_t kUnit = 7;
constexpr std::uint64_t kInteger = 8;
constexpr std::uint64_t kFloat = 9;
constexpr std::uint64_t kCallSiteLocation = 10;
constexpr std::uint64_t kFileLocation = 11;
constexpr std::uint64_t kFusedLocation = 12;
constexpr std::uint64_t kFusedLocationWithMetadata = 13;
constexpr std::uint64_t kNameLocation = 14;
constexpr std::uint64_t kUnknownLocation = 15;
constexpr std::uint64_t kDenseArray = 17;
constexpr std::uint64_t kDenseElements = 18;
constexpr std::uint64_t kFileRange = 22;
}  // namespace builtin_attribute
namespace builtin_type {
constexpr std::uint64_t kInteger = 0;
constexpr std::uint64_t kFunction = 2;
constexpr std::uint64_t kComplex = 9;
constexpr std::uint64_t kNone = 12;
constexpr std::uint64_t kTensor = 13;
constexpr std::uint64_t kTensorWithEncoding = 14;
constexpr std::uint64_t kTuple = 15;
constexpr std::uint64_t kUnrankedTensor = 18;
constexpr std::uint64_t kVector = 19;
}  // namespace builtin_type
namespace vhlo_attribute {
constexpr std::uint64_t kArray = 1;
constexpr std::uint64_t kBoolean = 2;
constexpr std::uint64_t kDictionary = 6;
constexpr std::uint64_t kFloat = 8;
constexpr std::uint64_t kInteger = 9;
constexpr std::uint64_t kString = 14;
constexpr std::uint64_t kTensor = 15;
constexpr std::uint64_t kType = 17;
constexpr std::uint64_t kBounds = 18;
}  // namespace vhlo_attribute
namespace vhlo_type {
constexpr std::uint64_t kComplex = 1;
constexpr std::uint64_t kFunction = 8;
constexpr std::uint64_t kTensor = 20;
constexpr std::uint64_t kTensorWithEncoding = 21;
constexpr std::uint64_t kTuple = 23;
constexpr std::uint64_t kQuantized = 24;
constexpr std::uint64_t kUnrankedTensor = 25;
constexpr std::uint64_t kQuantizedPerAxis = 30;
}  // namespace vhlo_type
constexpr std::uint64_t kStableHloBounds = 13;
namespace sdy_attribute {
constexpr std::uint64_t kMeshAxis = 1;
constexpr std::uint64_t kMesh = 2;
constexpr std::uint64_t kAxisReference = 4;
constexpr std::uint64_t kDimensionSharding = 5;
constexpr std::uint64_t kTensorSharding = 6;
}  // namespace sdy_attribute

/// Types without parameters, by their codes.
struct Simple {
  std::uint64_t code;
  std::string_view text;
};
constexpr Simple kBuiltinTypes[] = {
    {1, "index"},   {3, "bf16"},      {4, "f16"},         {5, "f32"},         {6, "f64"},
    {7, "f80"},     {8, "f128"},      {12, "none"},       {21, "tf32"},       {22, "f8E5M2"},
    {23, "f8E4M3"}, {24, "f8E4M3FN"}, {25, "f8E5M2FNUZ"}, {26, "f8E4M3FNUZ"}, {27, "f8E4M3B11FNUZ"},
    {28, "f8E3M4"}, {29, "f4E2M1FN"}, {30, "f6E2M3FN"},   {31, "f6E3M2FN"},   {32, "f8E8M0FNU"},
};
constexpr Simple kVhloTypes[] = {
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

/// Of an integer; no program has wider ones, and plugins reckon with them by machine words.
constexpr std::uint64_t kMostBits = 128;

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

Error damaged(const std::string& what) {
  return Error(ErrorCode::DataLoss, "MLIR bytecode: " + what + " is malformed or cut off");
}

Result<BytecodeTables> BytecodeTables::read(std::span<const std::byte> module) {
  BytecodeTables tables;
  PJRT_CHECK(tables.read_container(module));
  if (tables.version_ > kNewestVersion) {
    return std::unexpected(Error(ErrorCode::Unimplemented, "MLIR bytecode of version " +
                                                               std::to_string(tables.version_) + "; versions 0 to " +
                                                               std::to_string(kNewestVersion) + " are known here"));
  }
  PJRT_CHECK(tables.read_strings());
  PJRT_CHECK(tables.read_dialects());
  PJRT_CHECK(tables.read_entries());
  PJRT_CHECK(tables.read_properties());
  PJRT_CHECK(tables.check_entries());
  return tables;
}

Result<std::vector<std::string_view>> BytecodeTables::read_strings_of(std::span<const std::byte> module) {
  BytecodeTables tables;
  PJRT_CHECK(tables.read_container(module));
  PJRT_CHECK(tables.read_strings());
  return std::move(tables.strings_);
}

Result<void> BytecodeTables::read_container(std::span<const std::byte> module) {
  constexpr std::size_t kMagic = 4;
  Cursor cursor(module);
  cursor.take(kMagic);
  version_ = cursor.number();
  if (!cursor.ok()) return std::unexpected(damaged("the version"));
  if (!cursor.terminated_string()) return std::unexpected(damaged("the producer's name"));
  while (!cursor.at_end()) {
    const auto [id, contents] = cursor.section();
    if (!cursor.ok()) return std::unexpected(damaged("a section"));
    if (id < kSections) sections_[id] = contents;
  }
  return {};
}

Result<void> BytecodeTables::read_strings() {
  const std::span<const std::byte> section = sections_[kStrings];
  Cursor cursor(section);
  const std::uint64_t count = cursor.count();
  strings_.resize(static_cast<std::size_t>(count));
  // Sizes, terminators included, from the last string to the first; then the strings from the first to the last.
  std::size_t end = section.size();
  for (auto string = strings_.rbegin(); string != strings_.rend(); ++string) {
    const std::uint64_t size = cursor.number();
    if (!cursor.ok() || size == 0 || size > end) return std::unexpected(damaged("the section of strings"));
    end -= static_cast<std::size_t>(size);
    *string = std::string_view(reinterpret_cast<const char*>(section.data()) + end, static_cast<std::size_t>(size) - 1);
  }
  if (!cursor.ok() || end != cursor.position()) return std::unexpected(damaged("the section of strings"));
  return {};
}

std::string_view BytecodeTables::string_at(std::uint64_t index) const {
  return index < strings_.size() ? strings_[static_cast<std::size_t>(index)] : std::string_view();
}

Result<void> BytecodeTables::read_dialects() {
  const auto bad = [] { return std::unexpected(damaged("the section of dialects")); };
  Cursor cursor(sections_[kDialects]);
  for (std::uint64_t left = cursor.count(); left > 0 && cursor.ok(); --left) {
    const auto [name, has_version] =
        version_ >= kDialectVersions ? cursor.flagged() : std::pair(cursor.number(), false);
    if (has_version) cursor.section();
    if (name >= strings_.size()) return bad();
    dialects_.push_back(string_at(name));
  }
  if (version_ >= kUnknownLocationsLeftOut) cursor.number();  // of operations in all
  while (!cursor.at_end()) {
    const std::uint64_t dialect = cursor.number();
    for (std::uint64_t left = cursor.count(); left > 0 && cursor.ok(); --left) {
      const std::uint64_t name = version_ >= kNativeProperties ? cursor.flagged().first : cursor.number();
      if (dialect >= dialects_.size() || name >= strings_.size()) return bad();
      operations_.push_back(std::string(dialects_[static_cast<std::size_t>(dialect)]) + "." +
                            std::string(string_at(name)));
    }
  }
  return cursor.ok() ? Result<void>() : bad();
}

Result<void> BytecodeTables::read_entries() {
  const auto bad = [] { return std::unexpected(damaged("the section of attributes")); };
  Cursor cursor(sections_[kAttributeOffsets]);
  const std::uint64_t attributes = cursor.number();
  const std::uint64_t types = cursor.number();
  if (attributes > cursor.left() || types > cursor.left()) return bad();
  attribute_count_ = static_cast<std::size_t>(attributes);
  const std::size_t all = attribute_count_ + static_cast<std::size_t>(types);
  std::size_t offset = 0;
  const std::size_t end = sections_[kAttributes].size();
  while (!cursor.at_end() && entries_.size() < all) {
    const std::uint64_t index = cursor.number();
    if (index >= dialects_.size()) return bad();
    const std::string_view name = dialects_[static_cast<std::size_t>(index)];
    const Dialect dialect = name == "builtin"     ? Dialect::Builtin
                            : name == "vhlo"      ? Dialect::Vhlo
                            : name == "stablehlo" ? Dialect::StableHlo
                            : name == "sdy"       ? Dialect::Sdy
                                                  : Dialect::Other;
    for (std::uint64_t left = cursor.number(); left > 0 && cursor.ok(); --left) {
      if (entries_.size() == all) return bad();
      const auto [size, is_encoded] = cursor.flagged();
      if (size > end - offset) return bad();
      entries_.push_back({dialect, is_encoded, offset, static_cast<std::size_t>(size)});
      offset += static_cast<std::size_t>(size);
    }
  }
  return cursor.ok() && cursor.at_end() && entries_.size() == all && offset == end ? Result<void>() : bad();
}

Result<void> BytecodeTables::read_properties() {
  Cursor cursor(sections_[kProperties]);
  for (std::uint64_t left = cursor.at_end() ? 0 : cursor.count(); left > 0 && cursor.ok(); --left)
    properties_.push_back(cursor.take(cursor.number()));
  if (!cursor.ok() || !cursor.at_end()) return std::unexpected(damaged("the section of properties"));
  return {};
}

Cursor BytecodeTables::bytes_of(std::size_t entry) const {
  return Cursor(sections_[kAttributes].subspan(entries_[entry].offset, entries_[entry].size));
}

std::optional<std::string_view> BytecodeTables::text(std::size_t entry) const {
  if (entries_[entry].is_encoded) return std::nullopt;
  return bytes_of(entry).terminated_string();
}

std::optional<Cursor> BytecodeTables::encoded(std::uint64_t attribute, Dialect dialect, std::uint64_t code) const {
  if (attribute >= attribute_count_) return std::nullopt;
  const auto at = static_cast<std::size_t>(attribute);
  if (!entries_[at].is_encoded || entries_[at].dialect != dialect) return std::nullopt;
  Cursor cursor = bytes_of(at);
  if (cursor.number() != code || !cursor.ok()) return std::nullopt;
  return cursor;
}

bool BytecodeTables::is_integer(std::size_t entry) const {
  const Entry& e = entries_[entry];
  if (!e.is_encoded || (e.dialect != Dialect::Builtin && e.dialect != Dialect::Vhlo)) return true;
  Cursor cursor = bytes_of(entry);
  const std::uint64_t code = cursor.number();
  constexpr std::uint64_t kIndex = 1;
  if (e.dialect == Dialect::Builtin) return code == builtin_type::kInteger || code == kIndex;
  const auto known = std::ranges::find(kVhloTypes, code, &Simple::code);
  constexpr std::uint64_t kNewest = 40;  // beyond it are types not known here
  return known == std::end(kVhloTypes) ? code > kNewest : known->text.starts_with('i') || known->text.starts_with("ui");
}

bool BytecodeTables::references(std::size_t entry, std::vector<std::size_t>& out) const {
  const Entry& e = entries_[entry];
  if (!e.is_encoded || e.dialect == Dialect::Other || e.dialect == Dialect::StableHlo) return true;
  Cursor cursor = bytes_of(entry);
  bool in_range = true;
  const auto attribute = [&] {
    const std::uint64_t index = cursor.number();
    in_range &= index < attribute_count_;
    if (in_range) out.push_back(static_cast<std::size_t>(index));
  };
  const auto type = [&] {
    const std::uint64_t index = cursor.number();
    in_range &= index < type_count();
    if (in_range) out.push_back(attribute_count_ + static_cast<std::size_t>(index));
  };
  const auto list = [&](auto&& one) {
    for (std::uint64_t left = cursor.count(); left > 0 && cursor.ok(); --left) one();
  };
  const auto string = [&] { in_range &= cursor.number() < strings_.size(); };
  const auto array_type = [&] {
    const std::uint64_t rank = cursor.count();
    in_range &= rank <= kMostDimensions;
    cursor.skip_numbers(rank);
    type();
  };
  /// The type of an integer, which plugins take for one without a look.
  const auto integer_type = [&] {
    type();
    if (in_range) in_range = is_integer(out.back());
  };
  bool is_whole = true;  // all of the entry is read
  const std::uint64_t code = cursor.number();
  const bool is_type = entry >= attribute_count_;
  if (e.dialect == Dialect::Sdy) {
    using namespace sdy_attribute;
    is_whole = false;
    if (is_type) return true;
    if (code == kTensorSharding) attribute();
    if (code == kMesh || code == kDimensionSharding || code == kTensorSharding) list(attribute);
  } else if (e.dialect == Dialect::Builtin && !is_type) {
    using namespace builtin_attribute;
    switch (code) {
      case kArray:
      case kFusedLocation:
        list(attribute);
        break;
      case kDictionary:
        list([&] {
          attribute();
          attribute();
        });
        break;
      case kString:
        string();
        break;
      case kStringWithType:
        string();
        type();
        break;
      case kFlatSymbol:
        attribute();
        break;
      case kSymbol:
        attribute();
        list(attribute);
        break;
      case kType:
        type();
        break;
      case kUnit:
      case kUnknownLocation:
        break;
      case kCallSiteLocation:
      case kNameLocation:
        attribute();
        attribute();
        break;
      case kFileLocation:
        attribute();
        cursor.skip_numbers(2);
        break;
      case kFusedLocationWithMetadata:
        list(attribute);
        attribute();
        break;
      case kInteger:
        integer_type();
        is_whole = false;
        break;
      case kFloat:
      case kDenseArray:
      case kDenseElements:
        type();
        is_whole = false;
        break;
      default:
        is_whole = false;
    }
  } else if (e.dialect == Dialect::Builtin) {
    using namespace builtin_type;
    switch (code) {
      case kInteger:
        in_range &= cursor.number() >> 2 <= kMostBits;
        break;
      case kFunction:
        list(type);
        list(type);
        break;
      case kComplex:
      case kUnrankedTensor:
        type();
        break;
      case kTensorWithEncoding:
        attribute();
        array_type();
        break;
      case kTensor:
      case kVector:
        array_type();
        break;
      case kTuple:
        list(type);
        break;
      default:
        is_whole = false;
    }
  } else if (!is_type) {
    using namespace vhlo_attribute;
    switch (code) {
      case kArray:
        list(attribute);
        break;
      case kDictionary:
        list([&] {
          attribute();
          attribute();
        });
        break;
      case kString:
        string();
        break;
      case kType:
        type();
        break;
      case kInteger:
        integer_type();
        is_whole = false;
        break;
      case kFloat:
      case kTensor:
        type();
        is_whole = false;
        break;
      default:
        is_whole = false;
    }
  } else {
    using namespace vhlo_type;
    switch (code) {
      case kComplex:
      case kUnrankedTensor:
        type();
        break;
      case kFunction:
        list(type);
        list(type);
        break;
      case kTensorWithEncoding:
        attribute();
        array_type();
        break;
      case kTensor:
        array_type();
        break;
      case kTuple:
        list(type);
        break;
      case kQuantized:
      case kQuantizedPerAxis:
        cursor.number();
        type();
        type();
        is_whole = false;
        break;
      default:
        is_whole = false;
    }
  }
  return cursor.ok() && in_range && (!is_whole || cursor.at_end());
}

/// Goes through all entries and what they refer to, without recursion.
Result<void> BytecodeTables::check_entries() const {
  enum : std::uint8_t { kNew, kOpen, kDone };
  std::vector<std::uint8_t> state(entries_.size(), kNew);
  std::vector<std::uint16_t> depth(entries_.size(), 1);
  struct Step {
    std::size_t entry;
    std::vector<std::size_t> references;
    std::size_t next = 0;
  };
  std::vector<Step> path;
  const auto enter = [&](std::size_t entry) {
    path.push_back({entry, {}});
    state[entry] = kOpen;
    if (references(entry, path.back().references)) return true;
    path.back().references.clear();
    return entries_[entry].dialect == Dialect::Sdy;  // of another version than is known here; it is not followed
  };
  const auto bad = [&](std::size_t entry, const char* what) {
    const bool is_type = entry >= attribute_count_;
    return std::unexpected(
        Error(ErrorCode::DataLoss, "MLIR bytecode: " + std::string(is_type ? "type " : "attribute ") +
                                       std::to_string(is_type ? entry - attribute_count_ : entry) + what));
  };
  for (std::size_t root = 0; root < entries_.size(); ++root) {
    if (state[root] != kNew) continue;
    if (!enter(root)) return bad(root, " is malformed");
    while (!path.empty()) {
      Step& step = path.back();
      if (step.next == step.references.size()) {
        for (const std::size_t r : step.references)
          depth[step.entry] = std::max<std::uint16_t>(depth[step.entry], static_cast<std::uint16_t>(depth[r] + 1));
        state[step.entry] = kDone;
        if (depth[step.entry] > kMostNesting) {
          return std::unexpected(
              Error(ErrorCode::InvalidArgument, "MLIR bytecode: attributes or types are nested more than " +
                                                    std::to_string(kMostNesting) +
                                                    " deep; plugins read them by recursion and would end the process"));
        }
        path.pop_back();
        continue;
      }
      const std::size_t next = step.references[step.next++];
      if (state[next] == kOpen) return bad(next, " stands in itself");
      if (state[next] == kNew && !enter(next)) return bad(next, " is malformed");
    }
  }
  return {};
}

std::optional<std::string_view> BytecodeTables::string(std::uint64_t attribute) const {
  std::optional<Cursor> cursor = encoded(attribute, Dialect::Builtin, builtin_attribute::kString);
  if (!cursor) cursor = encoded(attribute, Dialect::Vhlo, vhlo_attribute::kString);
  if (!cursor) cursor = encoded(attribute, Dialect::Builtin, builtin_attribute::kStringWithType);
  return cursor ? std::optional(string_at(cursor->number())) : std::nullopt;
}

std::optional<std::string_view> BytecodeTables::symbol(std::uint64_t attribute) const {
  std::optional<Cursor> cursor = encoded(attribute, Dialect::Builtin, builtin_attribute::kFlatSymbol);
  if (!cursor) cursor = encoded(attribute, Dialect::Builtin, builtin_attribute::kSymbol);
  return cursor ? string(cursor->number()) : std::nullopt;
}

std::vector<std::uint64_t> BytecodeTables::elements(std::uint64_t attribute) const {
  std::vector<std::uint64_t> all;
  std::optional<Cursor> cursor = encoded(attribute, Dialect::Builtin, builtin_attribute::kArray);
  if (!cursor) cursor = encoded(attribute, Dialect::Vhlo, vhlo_attribute::kArray);
  if (!cursor) return all;
  for (std::uint64_t left = cursor->count(); left > 0; --left) all.push_back(cursor->number());
  return all;
}

bool BytecodeTables::is_dictionary(std::uint64_t attribute) const {
  return encoded(attribute, Dialect::Builtin, builtin_attribute::kDictionary) ||
         encoded(attribute, Dialect::Vhlo, vhlo_attribute::kDictionary);
}

std::vector<std::pair<std::string_view, std::uint64_t>> BytecodeTables::entries(std::uint64_t attribute) const {
  std::vector<std::pair<std::string_view, std::uint64_t>> all;
  std::optional<Cursor> cursor = encoded(attribute, Dialect::Builtin, builtin_attribute::kDictionary);
  if (!cursor) cursor = encoded(attribute, Dialect::Vhlo, vhlo_attribute::kDictionary);
  if (!cursor) return all;
  for (std::uint64_t left = cursor->count(); left > 0; --left) {
    const std::string_view name = string(cursor->number()).value_or("");
    all.emplace_back(name, cursor->number());
  }
  return all;
}

std::optional<std::uint64_t> BytecodeTables::type_in(std::uint64_t attribute) const {
  std::optional<Cursor> cursor = encoded(attribute, Dialect::Builtin, builtin_attribute::kType);
  if (!cursor) cursor = encoded(attribute, Dialect::Vhlo, vhlo_attribute::kType);
  return cursor ? std::optional(cursor->number()) : std::nullopt;
}

std::optional<std::pair<std::vector<std::uint64_t>, std::vector<std::uint64_t>>> BytecodeTables::function(
    std::uint64_t type) const {
  if (type >= type_count()) return std::nullopt;
  const Entry& entry = entries_[attribute_count_ + static_cast<std::size_t>(type)];
  const bool is_vhlo = entry.dialect == Dialect::Vhlo;
  if (!entry.is_encoded || (!is_vhlo && entry.dialect != Dialect::Builtin)) return std::nullopt;
  Cursor cursor = bytes_of(attribute_count_ + static_cast<std::size_t>(type));
  if (cursor.number() != (is_vhlo ? vhlo_type::kFunction : builtin_type::kFunction)) return std::nullopt;
  std::pair<std::vector<std::uint64_t>, std::vector<std::uint64_t>> all;
  for (std::uint64_t left = cursor.count(); left > 0; --left) all.first.push_back(cursor.number());
  for (std::uint64_t left = cursor.count(); left > 0; --left) all.second.push_back(cursor.number());
  return all;
}

std::string_view BytecodeTables::location_name(std::uint64_t attribute) const {
  std::optional<Cursor> cursor = encoded(attribute, Dialect::Builtin, builtin_attribute::kNameLocation);
  return cursor ? string(cursor->number()).value_or("") : std::string_view();
}

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
