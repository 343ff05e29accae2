#include "mlir/bytecode_tables.hpp"

#include <algorithm>

#include "core/try.hpp"
#include "mlir/encodings.hpp"
#include "mlir/facts.hpp"

namespace pjrt::mlir {
namespace {

/// Of an integer; no program has wider ones, and plugins reckon with them by machine words.
constexpr std::uint64_t kMostBits = 128;

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

}  // namespace pjrt::mlir
