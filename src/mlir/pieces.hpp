#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "mlir/facts.hpp"
#include "mlir/lexer.hpp"

/// Pieces of MLIR text: values of attributes, dictionaries, types. Nothing here recurses.
namespace pjrt::mlir {

/// What stands behind "#name =" and "!name =", by sigil and name.
using Aliases = std::map<std::string_view, std::string_view>;

/// Takes the text of one attribute or type: all up to a comma or a closing bracket outside of brackets, or the end.
std::string_view take_value(Lexer& lexer);
/// Takes the text of one type; it ends before "{" and "loc" as well.
std::string_view take_type(Lexer& lexer);

using Entries = std::vector<std::pair<std::string_view, std::string_view>>;
/// The names and values of "{name = value, …}"; empty values for names alone. The lexer stands before the bracket.
Entries take_dictionary(Lexer& lexer);
/// The same for a whole text, which may be an alias; empty for what is no dictionary.
Entries dictionary_in(std::string_view text, const Aliases& aliases);
/// The elements of "[a, b]" or "(a, b)".
std::vector<std::string_view> list_in(std::string_view text, const Aliases& aliases, char open = '[');
/// The value of an entry, empty if there is none.
std::string_view find(const Entries& entries, std::string_view name);

/// What an alias stands for; other text as it is.
std::string_view resolved(std::string_view text, const Aliases& aliases);
/// The text of `"…"`, its escapes undone; nullopt for anything else.
std::optional<std::string> string_in(std::string_view text);
/// The name that a location gives: of `"name"` and `"name"(…)`, but not of `"file":1:2`. `text` is what stands in
/// loc(…), or all of it.
std::string location_name(std::string_view text, const Aliases& aliases);

ValueType parse_type(std::string_view text, const Aliases& aliases = {});

/// What the shardings of values refer to.
struct ShardingContext {
  std::map<std::string, std::string> meshes;
  /// How many more partitions may be listed. Shardings of few letters stand for many partitions, for each value again.
  std::int64_t budget = std::int64_t{1} << 22;
};

/// A sharding as GSPMD writes it, "{devices=[2,1]<=[2]}", or as a serialized OpSharding.
std::optional<Sharding> gspmd_sharding(std::string_view text, ShardingContext& context, std::size_t rank);
/// The same as Shardy writes it, `#sdy.sharding<@mesh, [{"x"}, {}]>`, with meshes like `<["x"=2]>`.
std::optional<Sharding> shardy_sharding(std::string_view text, ShardingContext& context, std::size_t rank);

/// Fills in what the attributes of an argument or a result say.
void apply_value_attributes(const Entries& attributes, const Aliases& aliases, ShardingContext& context,
                            ModuleValue& value);
/// The meshes in the attribute with which Shardy's modules go through StableHLO:
/// `"{mesh = #sdy.mesh<[\22x\22=2]>}"`.
void add_meshes(std::string_view text, std::map<std::string, std::string>& meshes);

}  // namespace pjrt::mlir
