#include "mlir/bytecode.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "core/try.hpp"
#include "mlir/bytecode_tables.hpp"
#include "mlir/pieces.hpp"

namespace pjrt::mlir {
namespace {

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

/// The attributes that an operation defines, in the order in which its properties have them: sorted by name. A '?'
/// before the name marks those that may be missing.
struct Inherent {
  std::string_view operation;
  std::vector<std::string_view> names;
};
const std::vector<Inherent>& inherent_attributes() {
  static const std::vector<Inherent> kAll = {
      {"builtin.module", {"?sym_name", "?sym_visibility"}},
      {"func.func", {"?arg_attrs", "function_type", "?no_inline", "?res_attrs", "sym_name", "?sym_visibility"}},
      {"func.func", {"?arg_attrs", "function_type", "?res_attrs", "sym_name", "?sym_visibility"}},
      {"func.call", {"?arg_attrs", "callee", "?no_inline", "?res_attrs"}},
      {"stablehlo.custom_call", {"?api_version", "?backend_config", "call_target_name"}},
      {"mhlo.custom_call", {"?api_version", "?backend_config", "call_target_name"}},
      {"sdy.mesh", {"mesh", "sym_name"}},
      {"vhlo.func_v1", {"arg_attrs", "function_type", "res_attrs", "sym_name", "sym_visibility"}},
      {"vhlo.call_v1", {"callee"}},
      {"vhlo.custom_call_v1", {"api_version", "backend_config", "call_target_name", "called_computations"}},
      {"vhlo.composite_v1", {"composite_attributes", "decomposition"}},
      {"vhlo.composite_v2", {"composite_attributes", "decomposition"}},
  };
  return kAll;
}

bool is_of_shardy(std::string_view name) {
  return name.starts_with("sdy.") || name.starts_with("xla.sdy.");
}

/// Goes over all operations.
class Walker {
 public:
  explicit Walker(const BytecodeTables& tables) : tables_(tables), version_(tables.version()) {
    for (const std::string& name : tables.operations()) {
      kinds_.push_back(name == "builtin.module"                         ? Kind::Module
                       : name == "func.func" || name == "vhlo.func_v1"  ? Kind::Function
                       : name == "func.call" || name == "vhlo.call_v1"  ? Kind::Call
                       : name.find(".custom_call") != std::string::npos ? Kind::CustomCall
                       : name.starts_with("vhlo.composite_v")           ? Kind::Composite
                       : name == "sdy.mesh"                             ? Kind::Mesh
                                                                        : Kind::Other);
      facts_.uses_shardy |= is_of_shardy(name);
    }
  }

  Result<ModuleFacts> run() && {
    Cursor cursor(tables_.section(kOperations));
    walk_block(cursor, nullptr, 0);
    if (error_) return std::unexpected(std::move(*error_));
    if (!cursor.ok() || !cursor.at_end()) return std::unexpected(damaged("the section of operations"));
    if (strange_) {
      return std::unexpected(
          Error(ErrorCode::Unimplemented, "MLIR bytecode: an operation's attributes are not where they should be"));
    }
    PJRT_CHECK(read_module());
    read_main();
    finish();
    return std::move(facts_);
  }

 private:
  enum class Kind : std::uint8_t { Other, Module, Function, Call, CustomCall, Composite, Mesh };
  using Index = std::optional<std::uint64_t>;

  /// Where an operation's attributes are: those of its own, and in versions before 5 together with them, all others.
  struct Attributes {
    std::string_view operation;
    Index dictionary;
    Index properties;
  };

  void fail(std::string what) {
    if (!error_) error_ = Error(ErrorCode::DataLoss, "MLIR bytecode: " + std::move(what));
  }

  /// An attribute that the operation defines.
  Index inherent(const Attributes& of, std::string_view name) const {
    if (of.dictionary) {
      for (const auto& [key, value] : tables_.entries(*of.dictionary)) {
        if (key == name) return value;
      }
    }
    if (!of.properties || *of.properties >= tables_.properties().size()) return std::nullopt;
    const auto bytes = tables_.properties()[static_cast<std::size_t>(*of.properties)];
    std::vector<std::uint64_t> numbers;
    for (Cursor cursor(bytes); !cursor.at_end() && cursor.ok() && numbers.size() < kMostProperties;)
      numbers.push_back(cursor.number());
    for (const Inherent& known : inherent_attributes()) {
      if (known.operation != of.operation) continue;
      if (known.operation == "func.func" && known.names.size() != numbers.size()) continue;
      for (std::size_t i = 0; i < std::min(known.names.size(), numbers.size()); ++i) {
        std::string_view its = known.names[i];
        const bool is_optional = its.starts_with('?');
        if (is_optional) its.remove_prefix(1);
        if (its != name) continue;
        if (!is_optional) return numbers[i];
        return (numbers[i] & 1) != 0 ? Index(numbers[i] >> 1) : std::nullopt;
      }
    }
    return std::nullopt;
  }

  std::optional<std::string_view> inherent_string(const Attributes& of, std::string_view name) const {
    const Index index = inherent(of, name);
    return index ? tables_.string(*index) : std::nullopt;
  }

  void walk_block(Cursor& cursor, std::vector<std::string_view>* names, int level) {
    auto [operations, has_arguments] = cursor.flagged();
    if (has_arguments) {
      const std::uint64_t count = cursor.count();
      for (std::uint64_t i = 0; i < count && cursor.ok(); ++i) {
        bool has_location = true;
        if (version_ >= kUnknownLocationsLeftOut) {
          has_location = cursor.flagged().second;
        } else {
          cursor.number();
        }
        const std::uint64_t location = has_location ? cursor.number() : 0;
        if (names != nullptr) names->push_back(has_location ? tables_.location_name(location) : std::string_view());
      }
      if (version_ >= kUseListOrders && cursor.byte() != 0) skip_use_lists(cursor, count);
    }
    for (; operations > 0 && cursor.ok(); --operations) walk_operation(cursor, level);
  }

  void walk_operation(Cursor& cursor, int level) {
    const std::uint64_t name = cursor.number();
    const std::uint8_t mask = cursor.byte();
    const std::uint64_t location = cursor.number();
    Attributes attributes;
    if ((mask & kHasAttributes) != 0) attributes.dictionary = cursor.number();
    if ((mask & kHasOwnProperties) != 0) attributes.properties = cursor.number();
    std::vector<std::uint64_t> results;
    if ((mask & kHasResults) != 0) {
      for (std::uint64_t left = cursor.count(); left > 0 && cursor.ok(); --left) results.push_back(cursor.number());
    }
    if ((mask & kHasOperands) != 0) {
      for (std::uint64_t left = cursor.count(); left > 0 && cursor.ok(); --left) {
        if (cursor.number() >= values_) fail("an operand is a value that there is none of");
      }
    }
    if ((mask & kHasSuccessors) != 0) cursor.skip_numbers(cursor.count());
    if ((mask & kHasUseListOrders) != 0) skip_use_lists(cursor, results.size());
    if (!cursor.ok()) return;
    if (name >= kinds_.size()) fail("an operation has no name");
    if (location >= tables_.attribute_count()) fail("an operation has no location");
    if (attributes.dictionary && !tables_.is_dictionary(*attributes.dictionary))
      fail("an operation's attributes are no dictionary");
    if (attributes.properties && *attributes.properties >= tables_.properties().size())
      fail("an operation's properties are missing");
    for (const std::uint64_t type : results) {
      if (type >= tables_.type_count()) fail("an operation's result has no type");
    }
    if (error_) return cursor.fail();
    attributes.operation = tables_.operations()[static_cast<std::size_t>(name)];
    const Kind kind = kinds_[static_cast<std::size_t>(name)];
    std::vector<std::string_view>* names = look_at(kind, attributes, results, level);
    if ((mask & kHasRegions) != 0) walk_regions(cursor, names, level);
  }

  /// Notes what an operation says; gives where the names of its arguments are to be put, if it is main.
  std::vector<std::string_view>* look_at(Kind kind, const Attributes& attributes,
                                         const std::vector<std::uint64_t>& results, int level) {
    note_keys(attributes);
    switch (kind) {
      case Kind::Module:
        if (level == 0) module_ = attributes;
        break;
      case Kind::Function: {
        const std::optional<std::string_view> function = inherent_string(attributes, "sym_name");
        if (!function) miss(attributes, "a function has no name");
        defined_.insert(function.value_or(""));
        if (function == "main" && level == 1 && !main_) {
          main_ = attributes;
          return &argument_names_;
        }
        break;
      }
      case Kind::Call:
        use(inherent(attributes, "callee"));
        break;
      case Kind::Composite:
        use(inherent(attributes, "decomposition"));
        break;
      case Kind::CustomCall: {
        const std::optional<std::string_view> target = inherent_string(attributes, "call_target_name");
        if (!target) {
          miss(attributes, "a custom call has no target");
          break;
        }
        custom_calls_.insert(*target);
        facts_.uses_shardy |= is_of_shardy(*target);
        if (const Index called = inherent(attributes, "called_computations")) {
          for (const std::uint64_t one : tables_.elements(*called)) use(one);
        }
        note_unbounded(*target, attributes, results);
        break;
      }
      case Kind::Mesh:
        if (const auto name = inherent_string(attributes, "sym_name")) {
          defined_.insert(*name);
          const Index mesh = inherent(attributes, "mesh");
          add_meshes("{" + std::string(*name) + " = " + (mesh ? tables_.attribute_text(*mesh) : "") + "}",
                     shardings_.meshes);
        }
        break;
      case Kind::Other:
        break;
    }
    if (kind != Kind::Function) note_symbols(kind, attributes);
    return nullptr;
  }

  /// An attribute that is not where it should be: the module is damaged, or the operation is of a version that is not
  /// known here.
  void miss(const Attributes& of, const char* what) {
    const bool is_known =
        of.operation.starts_with("vhlo.") &&  // whose operations have their version in their name
        std::ranges::find(inherent_attributes(), of.operation, &Inherent::operation) != inherent_attributes().end();
    if (is_known) {
      fail(what);
    } else {
      strange_ = true;
    }
  }

  void use(Index symbol) {
    if (!symbol) return;
    std::optional<std::string_view> name = tables_.symbol(*symbol);
    if (!name) name = tables_.string(*symbol);  // VHLO has strings for them
    if (name) used_.insert(*name);
  }

  /// Symbols that MLIR's own attributes refer to. What an operation of a dialect not known here defines is taken from
  /// any string that it has.
  void note_symbols(Kind kind, const Attributes& attributes) {
    const auto look = [&](std::uint64_t attribute) {
      find_symbols(attribute);
      if (kind == Kind::Other) {
        if (const auto name = tables_.string(attribute)) defined_.insert(*name);
      }
    };
    if (attributes.dictionary) {
      for (const auto& [key, value] : tables_.entries(*attributes.dictionary)) {
        if (key.find('.') == std::string_view::npos || is_of_shardy(key)) look(value);
      }
    }
    if (!attributes.properties || attributes.operation.starts_with("vhlo.")) return;
    Cursor cursor(tables_.properties()[static_cast<std::size_t>(*attributes.properties)]);
    for (std::size_t i = 0; i < kMostProperties && !cursor.at_end() && cursor.ok(); ++i) {
      const std::uint64_t number = cursor.number();
      if (cursor.ok() && number < tables_.attribute_count()) look(number);
      if (cursor.ok() && (number & 1) != 0 && number >> 1 < tables_.attribute_count()) look(number >> 1);
    }
  }

  void find_symbols(std::uint64_t attribute) {
    if (const auto name = tables_.symbol(attribute)) used_.insert(*name);
    for (const std::uint64_t element : tables_.elements(attribute)) {
      if (const auto name = tables_.symbol(element)) used_.insert(*name);
    }
  }

  /// Shardy's words among the keys of dictionaries.
  void note_keys(const Attributes& attributes) {
    if (facts_.uses_shardy || !attributes.dictionary) return;
    for (const auto& [key, value] : tables_.entries(*attributes.dictionary)) {
      facts_.uses_shardy |= is_of_shardy(key);
      for (const auto& [inner, unused] : tables_.entries(value)) facts_.uses_shardy |= is_of_shardy(inner);
    }
  }

  void note_unbounded(std::string_view target, const Attributes& attributes,
                      const std::vector<std::uint64_t>& results) {
    if (target.starts_with("stablehlo.") || inherent(attributes, "indices_of_shape_operands")) return;
    for (const std::uint64_t result : results) {
      const ValueType type = parse_type(tables_.type_text(result));
      if (type.is_unbounded) facts_.unbounded_calls.push_back("@" + std::string(target) + " gives " + to_string(type));
    }
  }

  void walk_regions(Cursor& cursor, std::vector<std::string_view>* names, int level) {
    auto [regions, isolated] = cursor.flagged();
    if (level == kMostLevels) {
      if (!error_) {
        error_ = Error(ErrorCode::InvalidArgument,
                       "MLIR bytecode: regions are nested more than " + std::to_string(kMostLevels) +
                           " deep; plugins read them by recursion and would end the process");
      }
      return cursor.fail();
    }
    Cursor own;
    const bool in_section = isolated && version_ >= kIsolatedRegions;
    if (in_section) {
      const auto [id, contents] = cursor.section();
      if (id != kOperations) return cursor.fail();
      own = Cursor(contents);
    }
    Cursor& inside = in_section ? own : cursor;
    const std::uint64_t values_outside = values_;
    for (; regions > 0 && inside.ok(); --regions) {
      std::uint64_t blocks = inside.number();
      if (blocks == 0) continue;
      const std::uint64_t values = inside.number();
      if (blocks > inside.left() || values > tables_.section(kOperations).size()) {
        inside.fail();
        break;
      }
      values_ = (isolated ? 0 : values_outside) + values;
      for (; blocks > 0 && inside.ok(); --blocks) walk_block(inside, std::exchange(names, nullptr), level + 1);
      values_ = values_outside;
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

  Result<void> read_module() {
    if (!module_) return std::unexpected(damaged("the module"));
    facts_.name = inherent_string(*module_, "sym_name").value_or("");
    if (!module_->dictionary) return {};
    for (const auto& [name, value] : tables_.entries(*module_->dictionary)) {
      if (name == "mhlo.num_partitions" || name == "mhlo.num_replicas") {
        PJRT_TRY((name == "mhlo.num_partitions" ? facts_.partitions : facts_.replicas), to_count(name, number(value)));
      }
      if (name == "mhlo.frontend_attributes") {
        for (const auto& [inner, text] : tables_.entries(value)) {
          if (inner == "xla.sdy.meshes") add_meshes(tables_.string(text).value_or(""), shardings_.meshes);
        }
      }
    }
    return {};
  }

  std::int64_t number(std::uint64_t attribute) const {
    const std::string text = tables_.attribute_text(attribute);
    std::int64_t value = 0;
    for (const char c : text) {
      if (c < '0' || c > '9' || value > kMostDevices) break;
      value = value * 10 + (c - '0');
    }
    return value;
  }

  void read_main() {
    if (!main_) {
      facts_.unknown_interface = "it has no function main";
      return;
    }
    facts_.has_main = true;
    const Index type_attribute = inherent(*main_, "function_type");
    const Index type = type_attribute ? tables_.type_in(*type_attribute) : std::nullopt;
    const auto function = type ? tables_.function(*type) : std::nullopt;
    if (!function) {
      facts_.unknown_interface = "the type of main is encoded in a way that is not known here";
      return;
    }
    add_values(function->first, inherent(*main_, "arg_attrs"), facts_.arguments);
    add_values(function->second, inherent(*main_, "res_attrs"), facts_.results);
    for (std::size_t i = 0; i < std::min(argument_names_.size(), facts_.arguments.size()); ++i)
      facts_.arguments[i].name = argument_names_[i];
  }

  void add_values(const std::vector<std::uint64_t>& types, Index attributes, std::vector<ModuleValue>& values) {
    const std::vector<std::uint64_t> dictionaries =
        attributes ? tables_.elements(*attributes) : std::vector<std::uint64_t>();
    for (std::size_t i = 0; i < types.size(); ++i) {
      ModuleValue value;
      value.type = parse_type(tables_.type_text(types[i]));
      if (i < dictionaries.size()) {
        const std::string text = tables_.attribute_text(dictionaries[i]);
        apply_value_attributes(dictionary_in(text, {}), {}, shardings_, value);
      }
      facts_.uses_shardy |= value.sharding_text.starts_with("#sdy.");
      values.push_back(std::move(value));
    }
  }

  void finish() {
    for (const std::string_view target : custom_calls_) facts_.custom_calls.emplace_back(target);
    for (const std::string_view name : used_) {
      if (!defined_.contains(name)) facts_.missing_symbols.emplace_back(name);
    }
  }

  static constexpr int kMostLevels = static_cast<int>(kMostNesting / 2);  // a region takes two brackets of text
  static constexpr std::size_t kMostProperties = 64;

  const BytecodeTables& tables_;
  const std::uint64_t version_;
  std::vector<Kind> kinds_;
  ModuleFacts facts_;
  std::optional<Error> error_;
  bool strange_ = false;
  std::uint64_t values_ = 0;  // that operands may be, where the walk is
  std::optional<Attributes> module_;
  std::optional<Attributes> main_;
  std::vector<std::string_view> argument_names_;
  ShardingContext shardings_;
  std::set<std::string_view> defined_;
  std::set<std::string_view> used_;
  std::set<std::string_view> custom_calls_;
};

}  // namespace

Result<ModuleFacts> read_bytecode(std::span<const std::byte> module) {
  PJRT_TRY(const BytecodeTables tables, BytecodeTables::read(module));
  return Walker(tables).run();
}

Result<std::vector<std::string_view>> bytecode_strings(std::span<const std::byte> module) {
  return BytecodeTables::read_strings_of(module);
}

bool is_bytecode(std::span<const std::byte> module) noexcept {
  constexpr std::string_view kMagic = "ML\xefR";
  return module.size() >= kMagic.size() && std::memcmp(module.data(), kMagic.data(), kMagic.size()) == 0;
}

}  // namespace pjrt::mlir
