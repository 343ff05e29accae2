#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mlir/cursor.hpp"
#include "pjrt/error.hpp"

namespace pjrt::mlir {

enum Section : std::size_t {
  kStrings = 0,
  kDialects = 1,
  kAttributes = 2,
  kAttributeOffsets = 3,
  kOperations = 4,
  kProperties = 8,
  kSections = 16
};

/// What the versions of the encoding brought.
enum Version : std::uint64_t {
  kDialectVersions = 1,
  kIsolatedRegions = 2,
  kUseListOrders = 3,
  kUnknownLocationsLeftOut = 4,
  kNativeProperties = 5,
  kNewestVersion = 6,
};

Error damaged(const std::string& what);

/// The tables of MLIR bytecode: strings, names of operations, attributes and types, which refer to each other by
/// number. Reading them checks that all numbers are in range and that nothing lies within itself or too deep.
class BytecodeTables {
 public:
  static Result<BytecodeTables> read(std::span<const std::byte> module);
  /// The strings alone.
  static Result<std::vector<std::string_view>> read_strings_of(std::span<const std::byte> module);

  std::uint64_t version() const noexcept { return version_; }
  std::span<const std::byte> section(Section id) const noexcept { return sections_[id]; }
  std::span<const std::string_view> strings() const noexcept { return strings_; }
  /// "vhlo.func_v1"
  std::span<const std::string> operations() const noexcept { return operations_; }
  std::span<const std::span<const std::byte>> properties() const noexcept { return properties_; }
  std::size_t attribute_count() const noexcept { return attribute_count_; }
  std::size_t type_count() const noexcept { return entries_.size() - attribute_count_; }

  /// The string of a string attribute of MLIR's own or of VHLO's.
  std::optional<std::string_view> string(std::uint64_t attribute) const;
  /// The name that a symbol reference begins with.
  std::optional<std::string_view> symbol(std::uint64_t attribute) const;
  /// The elements of an array attribute; none for other attributes.
  std::vector<std::uint64_t> elements(std::uint64_t attribute) const;
  /// The entries of a dictionary; none for other attributes.
  std::vector<std::pair<std::string_view, std::uint64_t>> entries(std::uint64_t attribute) const;
  bool is_dictionary(std::uint64_t attribute) const;
  /// The type that a type attribute holds.
  std::optional<std::uint64_t> type_in(std::uint64_t attribute) const;
  /// The types that a function takes and gives.
  std::optional<std::pair<std::vector<std::uint64_t>, std::vector<std::uint64_t>>> function(std::uint64_t type) const;
  /// The name in a location, empty if it has none.
  std::string_view location_name(std::uint64_t attribute) const;

  /// As MLIR writes it; "?" stands for what is not known here, "…" for what is too long.
  std::string attribute_text(std::uint64_t attribute) const;
  std::string type_text(std::uint64_t type) const;

 private:
  enum class Dialect : std::uint8_t { Other, Builtin, Vhlo, StableHlo, Sdy };
  /// An attribute or, behind all attributes, a type.
  struct Entry {
    Dialect dialect = Dialect::Other;
    bool is_encoded = false;  // else it is text
    std::size_t offset = 0;
    std::size_t size = 0;
  };

  Result<void> read_container(std::span<const std::byte> module);
  Result<void> read_strings();
  Result<void> read_dialects();
  Result<void> read_entries();
  Result<void> read_properties();
  Result<void> check_entries() const;
  std::string_view string_at(std::uint64_t index) const;
  Cursor bytes_of(std::size_t entry) const;
  /// The contents after the code, if it is of that dialect and code.
  std::optional<Cursor> encoded(std::uint64_t attribute, Dialect dialect, std::uint64_t code) const;
  bool is_integer(std::size_t entry) const;
  /// What an entry refers to, as indices of entries; false if it is malformed.
  bool references(std::size_t entry, std::vector<std::size_t>& out) const;
  void write_attribute(std::string& out, std::uint64_t attribute) const;
  void write_type(std::string& out, std::uint64_t type) const;
  void write_array_type(std::string& out, Cursor cursor, bool has_encoding) const;
  void write_sdy(std::string& out, std::uint64_t attribute) const;
  std::optional<std::string_view> text(std::size_t entry) const;

  std::uint64_t version_ = 0;
  std::array<std::span<const std::byte>, kSections> sections_;
  std::vector<std::string_view> strings_;
  std::vector<std::string_view> dialects_;
  std::vector<std::string> operations_;
  std::vector<Entry> entries_;
  std::size_t attribute_count_ = 0;
  std::vector<std::span<const std::byte>> properties_;
};

}  // namespace pjrt::mlir
