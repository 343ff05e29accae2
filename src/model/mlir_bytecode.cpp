#include "model/mlir_bytecode.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "core/try.hpp"

namespace pjrt::model::detail {
namespace {

enum Section : std::size_t {
  kStrings = 0,
  kDialects = 1,
  kAttributes = 2,
  kAttributeOffsets = 3,
  kOperations = 4,
  kProperties = 8,
  kSections = 16
};

/// What follows an operation's name.
enum OperationMask : std::uint8_t {
  kHasAttributes = 0x01,
  kHasResults = 0x02,
  kHasOperands = 0x04,
  kHasSuccessors = 0x08,
  kHasRegions = 0x10,
  kHasUseListOrders = 0x20,
  kHasOwnProperties = 0x40,
};

/// Encodings of attributes, numbered by their dialects.
constexpr std::uint64_t kBuiltinDictionary = 1;
constexpr std::uint64_t kBuiltinString = 2;
constexpr std::uint64_t kBuiltinNameLocation = 14;
constexpr std::uint64_t kVhloArray = 1;
constexpr std::uint64_t kVhloDictionary = 6;
constexpr std::uint64_t kVhloString = 14;

/// An attribute that VHLO defines for an operation: its name, and its place among those of the operation, which are
/// sorted by name.
struct Inherent {
  std::size_t place;
  std::string_view name;
};
constexpr Inherent kCallTargetName{2, "call_target_name"};
constexpr Inherent kArgumentAttributes{0, "arg_attrs"};
constexpr Inherent kFunctionName{3, "sym_name"};

/// The versions that StableHLO has written: 0 for targets below 0.10, as JAX set them until 2024, and 6 since 0.15.
constexpr std::uint64_t kOldVersion = 0;
constexpr std::uint64_t kVersion = 6;
constexpr std::uint64_t kMostEntries = 64;  // of a dictionary that are looked at
constexpr int kMostLevels = 200;
constexpr std::uint64_t kMostArguments = std::uint64_t{1} << 20;

Error damaged(const char* what) {
  return Error(ErrorCode::DataLoss, std::string("MLIR bytecode: ") + what + " is malformed or cut off");
}

Error unknown(const std::string& what) {
  return Error(ErrorCode::Unimplemented, "MLIR bytecode: " + what);
}

/// Reads forward; past the end it gives zeros and is no longer ok().
class Cursor {
 public:
  Cursor() = default;
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return at_ == bytes_.size(); }
  std::size_t position() const noexcept { return at_; }
  std::size_t left() const noexcept { return bytes_.size() - at_; }
  void fail() noexcept {
    ok_ = false;
    at_ = bytes_.size();
  }

  std::span<const std::byte> take(std::uint64_t count) noexcept {
    if (count > left()) {
      fail();
      return {};
    }
    const auto taken = bytes_.subspan(at_, static_cast<std::size_t>(count));
    at_ += taken.size();
    return taken;
  }

  std::uint8_t byte() noexcept {
    const auto one = take(1);
    return one.empty() ? 0 : std::to_integer<std::uint8_t>(one.front());
  }

  /// The number of trailing zeros of the first byte is the number of bytes that follow; eight follow a zero.
  std::uint64_t number() noexcept {
    const std::uint8_t first = byte();
    if ((first & 1) != 0) return first >> 1;
    const int more = first == 0 ? 8 : std::countr_zero(first);
    std::uint64_t value = 0;
    int shift = 0;
    for (const std::byte b : take(static_cast<std::uint64_t>(more))) {
      value |= std::to_integer<std::uint64_t>(b) << shift;
      shift += 8;
    }
    return first == 0 ? value : (value << (7 - more)) | (first >> (more + 1));
  }

  /// A number whose lowest bit is a flag.
  std::pair<std::uint64_t, bool> flagged() noexcept {
    const std::uint64_t n = number();
    return {n >> 1, (n & 1) != 0};
  }

  void skip_numbers(std::uint64_t count) noexcept {
    for (; count > 0 && ok_; --count) number();
  }

  std::optional<std::string_view> terminated_string() noexcept {
    const auto rest = bytes_.subspan(at_);
    const auto end = std::ranges::find(rest, std::byte{0});
    if (end == rest.end()) return std::nullopt;
    const auto text = take(static_cast<std::uint64_t>(end - rest.begin()) + 1);
    return std::string_view(reinterpret_cast<const char*>(text.data()), text.size() - 1);
  }

  /// The contents of a section, and its id.
  std::pair<std::size_t, std::span<const std::byte>> section() noexcept {
    const std::uint8_t head = byte();
    const std::uint64_t length = number();
    if ((head & 0x80) != 0) {  // padded to an alignment, counted from the module's start
      const std::uint64_t alignment = number();
      if (!std::has_single_bit(alignment)) fail();
      if (ok_) take((alignment - at_ % alignment) % alignment);
    }
    return {head & 0x7F, take(length)};
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

struct Container {
  std::uint64_t version = 0;
  std::array<std::span<const std::byte>, kSections> sections;
};

Result<Container> read_container(std::span<const std::byte> module) {
  if (!is_mlir_bytecode(module))
    return std::unexpected(Error(ErrorCode::InvalidArgument, "not MLIR bytecode: it does not begin with 'MLïR'"));
  Container container;
  Cursor cursor(module);
  cursor.take(4);
  container.version = cursor.number();
  if (!cursor.terminated_string()) return std::unexpected(damaged("the producer's name"));
  while (!cursor.at_end()) {
    const auto [id, contents] = cursor.section();
    if (!cursor.ok()) return std::unexpected(damaged("a section"));
    if (id < kSections) container.sections[id] = contents;
  }
  if (!cursor.ok()) return std::unexpected(damaged("the version"));
  return container;
}

Result<std::vector<std::string_view>> read_strings(std::span<const std::byte> section) {
  Cursor cursor(section);
  const std::uint64_t count = cursor.number();
  if (count > cursor.left()) return std::unexpected(damaged("the section of strings"));
  std::vector<std::string_view> strings(static_cast<std::size_t>(count));
  // Sizes, terminators included, from the last string to the first; then the strings from the first to the last.
  std::size_t end = section.size();
  for (auto string = strings.rbegin(); string != strings.rend(); ++string) {
    const std::uint64_t size = cursor.number();
    if (!cursor.ok() || size == 0 || size > end) return std::unexpected(damaged("the section of strings"));
    end -= static_cast<std::size_t>(size);
    *string = std::string_view(reinterpret_cast<const char*>(section.data()) + end, static_cast<std::size_t>(size) - 1);
  }
  if (end != cursor.position()) return std::unexpected(damaged("the section of strings"));
  return strings;
}

class Walker {
 public:
  explicit Walker(const Container& container) : container_(container), old_(container.version == kOldVersion) {}

  Result<MlirFacts> run() && {
    PJRT_TRY(strings_, read_strings(container_.sections[kStrings]));
    PJRT_CHECK(read_dialects());
    PJRT_CHECK(read_attribute_offsets());
    PJRT_CHECK(read_properties());
    Cursor cursor(container_.sections[kOperations]);
    walk_block(cursor, nullptr, 0);
    if (!cursor.ok() || !cursor.at_end()) return std::unexpected(damaged("the section of operations"));
    if (strange_) return std::unexpected(unknown("an operation's attributes are not where VHLO has them"));
    for (const std::uint64_t index : custom_calls_) facts_.custom_calls.emplace_back(strings_[index]);
    std::ranges::sort(facts_.custom_calls);
    return std::move(facts_);
  }

 private:
  struct Attribute {
    bool vhlo = false;
    bool builtin = false;
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  enum class Operation : std::uint8_t { Other, Function, CustomCall };

  std::string_view string(std::uint64_t index) const {
    return index < strings_.size() ? strings_[index] : std::string_view();
  }

  std::pair<std::uint64_t, bool> flagged_since_6(Cursor& cursor) const {
    return old_ ? std::pair(cursor.number(), false) : cursor.flagged();
  }

  Result<void> read_dialects() {
    Cursor cursor(container_.sections[kDialects]);
    for (std::uint64_t count = cursor.number(); count > 0 && cursor.ok(); --count) {
      const auto [name, has_version] = flagged_since_6(cursor);
      if (has_version) cursor.section();
      dialects_.push_back(string(name));
    }
    if (!old_) cursor.number();  // of operations in all
    while (!cursor.at_end()) {
      const std::uint64_t dialect = cursor.number();
      const bool vhlo = dialect < dialects_.size() && dialects_[dialect] == "vhlo";
      for (std::uint64_t count = cursor.number(); count > 0 && cursor.ok(); --count) {
        const std::string_view name = string(flagged_since_6(cursor).first);
        operations_.push_back(!vhlo                               ? Operation::Other
                              : name.starts_with("func_v")        ? Operation::Function
                              : name.starts_with("custom_call_v") ? Operation::CustomCall
                                                                  : Operation::Other);
      }
    }
    if (!cursor.ok()) return std::unexpected(damaged("the section of dialects"));
    if (std::ranges::find(dialects_, "vhlo") == dialects_.end())
      return std::unexpected(unknown("the module is no StableHLO portable artifact"));
    return {};
  }

  Result<void> read_attribute_offsets() {
    Cursor cursor(container_.sections[kAttributeOffsets]);
    const std::uint64_t count = cursor.number();
    cursor.number();  // of types, which follow the attributes
    std::size_t offset = 0;
    const std::size_t end = container_.sections[kAttributes].size();
    while (!cursor.at_end() && attributes_.size() < count) {
      const std::uint64_t dialect = cursor.number();
      const std::string_view name = dialect < dialects_.size() ? dialects_[dialect] : std::string_view();
      for (std::uint64_t left = cursor.number(); left > 0 && cursor.ok() && attributes_.size() < count; --left) {
        const auto [size, encoded] = cursor.flagged();
        if (size > end - offset) return std::unexpected(damaged("the section of attributes"));
        attributes_.push_back(
            {encoded && name == "vhlo", encoded && name == "builtin", offset, static_cast<std::size_t>(size)});
        offset += static_cast<std::size_t>(size);
      }
    }
    if (!cursor.ok() || attributes_.size() != count) return std::unexpected(damaged("the section of attributes"));
    return {};
  }

  Result<void> read_properties() {
    Cursor cursor(container_.sections[kProperties]);
    for (std::uint64_t count = cursor.at_end() ? 0 : cursor.number(); count > 0 && cursor.ok(); --count) {
      properties_.push_back(cursor.take(cursor.number()));
    }
    if (!cursor.ok()) return std::unexpected(damaged("the section of properties"));
    return {};
  }

  Cursor attribute_bytes(const Attribute& a) const {
    return Cursor(container_.sections[kAttributes].subspan(a.offset, a.size));
  }

  /// An attribute's contents after its code, if it is of that dialect and code.
  std::optional<Cursor> attribute(std::uint64_t index, bool Attribute::* dialect, std::uint64_t code) const {
    if (index >= attributes_.size() || !(attributes_[index].*dialect)) return std::nullopt;
    Cursor cursor = attribute_bytes(attributes_[index]);
    if (cursor.number() != code || !cursor.ok()) return std::nullopt;
    return cursor;
  }

  /// The number of the string that a string attribute holds.
  std::optional<std::uint64_t> string_attribute(std::uint64_t index, bool Attribute::* dialect,
                                                std::uint64_t code) const {
    std::optional<Cursor> cursor = attribute(index, dialect, code);
    if (!cursor) return std::nullopt;
    const std::uint64_t at = cursor->number();
    if (!cursor->ok() || at >= strings_.size()) return std::nullopt;
    return at;
  }

  std::string_view vhlo_string(std::uint64_t index) const {
    const std::optional<std::uint64_t> at = string_attribute(index, &Attribute::vhlo, kVhloString);
    return at ? strings_[*at] : std::string_view();
  }

  /// Where an operation's attributes are: those that VHLO defines and, in version 0 together with them, all others.
  struct Attributes {
    std::optional<std::uint64_t> dictionary;
    std::optional<std::uint64_t> properties;
  };

  std::optional<std::uint64_t> inherent(const Attributes& of, const Inherent& which) const {
    if (!old_) {
      if (!of.properties || *of.properties >= properties_.size()) return std::nullopt;
      Cursor cursor(properties_[*of.properties]);
      cursor.skip_numbers(which.place);
      const std::uint64_t index = cursor.number();
      return cursor.ok() ? std::optional(index) : std::nullopt;
    }
    std::optional<Cursor> entries =
        of.dictionary ? attribute(*of.dictionary, &Attribute::builtin, kBuiltinDictionary) : std::nullopt;
    if (!entries) return std::nullopt;
    for (std::uint64_t left = std::min(entries->number(), kMostEntries); left > 0; --left) {
      const std::optional<std::uint64_t> key = string_attribute(entries->number(), &Attribute::builtin, kBuiltinString);
      const std::uint64_t value = entries->number();
      if (!entries->ok()) return std::nullopt;
      if (key && strings_[*key] == which.name) return value;
    }
    return std::nullopt;
  }

  /// The number of the string in such an attribute.
  std::optional<std::uint64_t> inherent_string(const Attributes& of, const Inherent& which) const {
    const std::optional<std::uint64_t> index = inherent(of, which);
    return index ? string_attribute(*index, &Attribute::vhlo, kVhloString) : std::nullopt;
  }

  void walk_block(Cursor& cursor, std::vector<MlirArgument>* arguments, int level) {
    auto [operations, has_arguments] = cursor.flagged();
    if (has_arguments) {
      const std::uint64_t count = cursor.number();
      if (arguments != nullptr && count > kMostArguments) return cursor.fail();
      for (std::uint64_t i = 0; i < count && cursor.ok(); ++i) {
        const bool has_location = flagged_since_6(cursor).second || old_;
        const std::uint64_t location = has_location ? cursor.number() : 0;
        if (arguments != nullptr) arguments->push_back({has_location ? location_name(location) : std::string_view()});
      }
      if (!old_ && cursor.byte() != 0) skip_use_lists(cursor, count);
    }
    for (; operations > 0 && cursor.ok(); --operations) walk_operation(cursor, level);
  }

  void walk_operation(Cursor& cursor, int level) {
    const std::uint64_t name = cursor.number();
    const std::uint8_t mask = cursor.byte();
    cursor.number();  // location
    Attributes attributes;
    if ((mask & kHasAttributes) != 0) attributes.dictionary = cursor.number();
    if ((mask & kHasOwnProperties) != 0) attributes.properties = cursor.number();
    std::uint64_t results = 0;
    if ((mask & kHasResults) != 0) cursor.skip_numbers(results = cursor.number());
    if ((mask & kHasOperands) != 0) cursor.skip_numbers(cursor.number());
    if ((mask & kHasSuccessors) != 0) cursor.skip_numbers(cursor.number());
    if ((mask & kHasUseListOrders) != 0) skip_use_lists(cursor, results);
    if (!cursor.ok() || name >= operations_.size()) return cursor.fail();

    bool is_main = false;
    if (operations_[name] == Operation::CustomCall) {
      const std::optional<std::uint64_t> target = inherent_string(attributes, kCallTargetName);
      if (target) {
        custom_calls_.insert(*target);
      } else {
        strange_ = true;
      }
    } else if (operations_[name] == Operation::Function && level == 1) {
      const std::optional<std::uint64_t> function = inherent_string(attributes, kFunctionName);
      is_main = function && strings_[*function] == "main" && facts_.main_arguments.empty();
    }
    if ((mask & kHasRegions) != 0) walk_regions(cursor, is_main ? &facts_.main_arguments : nullptr, level);
    if (is_main) read_donations(inherent(attributes, kArgumentAttributes));
  }

  void walk_regions(Cursor& cursor, std::vector<MlirArgument>* arguments, int level) {
    auto [regions, isolated] = cursor.flagged();
    if (level == kMostLevels) return cursor.fail();
    Cursor own;
    const bool in_section = isolated && !old_;
    if (in_section) {
      const auto [id, contents] = cursor.section();
      if (id != kOperations) return cursor.fail();
      own = Cursor(contents);
    }
    Cursor& inside = in_section ? own : cursor;
    for (; regions > 0 && inside.ok(); --regions) {
      std::uint64_t blocks = inside.number();
      if (blocks == 0) continue;
      inside.number();  // of values
      for (; blocks > 0 && inside.ok(); --blocks) walk_block(inside, std::exchange(arguments, nullptr), level + 1);
    }
    if (!inside.ok() || (in_section && !inside.at_end())) cursor.fail();
  }

  /// The order of a value's uses, kept where it differs from the order of reading.
  static void skip_use_lists(Cursor& cursor, std::uint64_t values) {
    std::uint64_t lists = values > 1 ? cursor.number() : 1;
    for (; lists > 0 && cursor.ok(); --lists) {
      if (values > 1) cursor.number();
      cursor.skip_numbers(cursor.flagged().first);
    }
  }

  std::string_view location_name(std::uint64_t index) const {
    std::optional<Cursor> location = attribute(index, &Attribute::builtin, kBuiltinNameLocation);
    if (!location) return {};
    const std::uint64_t name = location->number();
    const std::optional<std::uint64_t> at = string_attribute(name, &Attribute::builtin, kBuiltinString);
    return at ? strings_[*at] : std::string_view();
  }

  void read_donations(std::optional<std::uint64_t> index) {
    std::optional<Cursor> list = index ? attribute(*index, &Attribute::vhlo, kVhloArray) : std::nullopt;
    if (!list) return;
    const std::uint64_t count = list->number();
    for (std::uint64_t i = 0; i < count && i < facts_.main_arguments.size() && list->ok(); ++i) {
      std::optional<Cursor> marks = attribute(list->number(), &Attribute::vhlo, kVhloDictionary);
      if (!marks) continue;
      for (std::uint64_t left = std::min(marks->number(), kMostEntries); left > 0 && marks->ok(); --left) {
        const std::string_view key = vhlo_string(marks->number());
        marks->number();  // value
        if (key == "tf.aliasing_output" || key == "jax.buffer_donor") facts_.main_arguments[i].donated = true;
      }
    }
  }

  const Container& container_;
  const bool old_;
  std::vector<std::string_view> strings_;
  std::vector<std::string_view> dialects_;
  std::vector<Operation> operations_;
  std::vector<Attribute> attributes_;
  std::vector<std::span<const std::byte>> properties_;
  MlirFacts facts_;
  std::set<std::uint64_t> custom_calls_;
  bool strange_ = false;
};

}  // namespace

bool is_mlir_bytecode(std::span<const std::byte> module) noexcept {
  constexpr char kMagic[] = {'M', 'L', '\xEF', 'R'};
  return module.size() >= sizeof kMagic && std::memcmp(module.data(), kMagic, sizeof kMagic) == 0;
}

Result<std::vector<std::string_view>> mlir_strings(std::span<const std::byte> module) {
  PJRT_TRY(const Container container, read_container(module));
  return read_strings(container.sections[kStrings]);
}

Result<MlirFacts> mlir_facts(std::span<const std::byte> module) {
  PJRT_TRY(const Container container, read_container(module));
  if (container.version != kVersion && container.version != kOldVersion) {
    return std::unexpected(unknown("version " + std::to_string(container.version) + "; 0 and 6 are known here"));
  }
  return Walker(container).run();
}

}  // namespace pjrt::model::detail
