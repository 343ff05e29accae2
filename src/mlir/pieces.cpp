#include "mlir/pieces.hpp"

#include <algorithm>
#include <charconv>

namespace pjrt::mlir {
namespace {

struct Nothing {};

template <class Stop>
std::string_view take_until(Lexer& lexer, Stop&& stops) {
  Brackets<Nothing> brackets;
  const std::size_t begin = lexer.peek().begin;
  std::size_t end = begin;
  for (;;) {
    const Token token = lexer.peek();
    if (token.kind == TokenKind::End || token.kind == TokenKind::Unterminated) break;
    const char c = token.kind == TokenKind::Punctuation ? token.text.front() : '\0';
    if (brackets.depth() == 0 && (c == ',' || (is_closing(c) && c != '>') || stops(token, end == begin))) break;
    if (is_opening(c)) brackets.open(c);
    if (is_closing(c) && !brackets.close(c) && c != '>') break;
    lexer.next();
    end = token.end;
  }
  return lexer.text().substr(begin, end - begin);
}

std::string_view inside(std::string_view text, std::string_view before, std::string_view after) {
  if (!text.starts_with(before) || !text.ends_with(after) || text.size() < before.size() + after.size()) return {};
  return text.substr(before.size(), text.size() - before.size() - after.size());
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::optional<std::int64_t> integer_in(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

struct ElementName {
  std::string_view mlir;
  ElementType type;
};
constexpr ElementName kElements[] = {
    {"i1", ElementType::Pred},
    {"i2", ElementType::S2},
    {"i4", ElementType::S4},
    {"i8", ElementType::S8},
    {"i16", ElementType::S16},
    {"i32", ElementType::S32},
    {"i64", ElementType::S64},
    {"ui1", ElementType::U1},
    {"ui2", ElementType::U2},
    {"ui4", ElementType::U4},
    {"ui8", ElementType::U8},
    {"ui16", ElementType::U16},
    {"ui32", ElementType::U32},
    {"ui64", ElementType::U64},
    {"si1", ElementType::S1},
    {"f16", ElementType::F16},
    {"bf16", ElementType::BF16},
    {"f32", ElementType::F32},
    {"f64", ElementType::F64},
    {"complex<f32>", ElementType::C64},
    {"complex<f64>", ElementType::C128},
    {"f4E2M1FN", ElementType::F4E2M1FN},
    {"f6E2M3FN", ElementType::F6E2M3FN},
    {"f6E3M2FN", ElementType::F6E3M2FN},
    {"f8E3M4", ElementType::F8E3M4},
    {"f8E4M3", ElementType::F8E4M3},
    {"f8E4M3FN", ElementType::F8E4M3FN},
    {"f8E4M3FNUZ", ElementType::F8E4M3FNUZ},
    {"f8E4M3B11FNUZ", ElementType::F8E4M3B11FNUZ},
    {"f8E5M2", ElementType::F8E5M2},
    {"f8E5M2FNUZ", ElementType::F8E5M2FNUZ},
    {"f8E8M0FNU", ElementType::F8E8M0FNU},
};

/// For each unknown size whether the encoding of a type bounds it: `#stablehlo.bounds<?, 4>` and the older
/// `#stablehlo.type_extensions<bounds = [?, 4]>`.
bool is_bounded(std::string_view encoding, const std::vector<std::int64_t>& dims) {
  const std::size_t at = encoding.find("bounds");
  if (at == std::string_view::npos) return false;
  Lexer lexer(encoding, at);
  std::size_t i = 0;
  lexer.next();
  for (Token token = lexer.next(); token.kind != TokenKind::End; token = lexer.next()) {
    if (token.is('?')) {
      if (i < dims.size() && dims[i] == kDynamic) return false;
      ++i;
    } else if (token.kind == TokenKind::Number) {
      ++i;
    } else if (!token.is(',') && i > 0) {
      break;
    }
  }
  return i == dims.size();
}

void parse_array(std::string_view inner, const Aliases& aliases, ValueType& type) {
  type.is_array = true;
  while (!inner.empty()) {
    if (inner.starts_with("*x")) {
      type.is_unbounded = true;
      inner.remove_prefix(2);
      break;
    }
    const std::size_t x = inner.find('x');
    if (x == std::string_view::npos) break;
    const std::string_view size = trimmed(inner.substr(0, x));
    const std::optional<std::int64_t> number = size == "?" ? std::optional(kDynamic) : integer_in(size);
    if (!number) break;
    type.dims.push_back(*number);
    inner.remove_prefix(x + 1);
  }
  Lexer lexer(inner);
  const std::string_view element = resolved(take_value(lexer), aliases);
  const std::string_view encoding = lexer.eat(',') ? resolved(take_value(lexer), aliases) : std::string_view();
  type.element_text = element;
  for (const ElementName& known : kElements) {
    if (known.mlir == element) type.element = known.type;
  }
  type.is_unbounded |= std::ranges::find(type.dims, kDynamic) != type.dims.end() && !is_bounded(encoding, type.dims);
}

/// One axis of a mesh, as a dimension names it: "x", or a part of it, "x":(1)2.
std::optional<std::vector<std::pair<std::string, std::int64_t>>> read_mesh(std::string_view text) {
  // <["x"=2, "y"=4]>, perhaps with device_ids, which are another order than the plain one
  std::vector<std::pair<std::string, std::int64_t>> axes;
  if (text.find("device_ids") != std::string_view::npos || text.find("maximal") != std::string_view::npos)
    return std::nullopt;
  Lexer lexer(text);
  if (!lexer.eat('<') || !lexer.eat('[')) return std::nullopt;
  while (!lexer.eat(']')) {
    const Token name = lexer.next();
    if (name.kind != TokenKind::String || !lexer.eat('=')) return std::nullopt;
    const std::optional<std::int64_t> size = integer_in(lexer.next().text);
    if (!size || *size < 1 || *size > kMostDevices || axes.size() == kMostDimensions) return std::nullopt;
    axes.emplace_back(name.text, *size);
    lexer.eat(',');
  }
  return axes;
}

}  // namespace

std::string_view take_value(Lexer& lexer) {
  return take_until(lexer, [](const Token&, bool) { return false; });
}

std::string_view take_type(Lexer& lexer) {
  return take_until(lexer, [](const Token& token, bool first) {
    return !first && (token.is('{') || token.is(TokenKind::Word, "loc") || token.is(TokenKind::Word, "attributes"));
  });
}

Entries take_dictionary(Lexer& lexer) {
  constexpr std::size_t kMostEntries = 1 << 16;
  Entries entries;
  if (!lexer.eat('{')) return entries;
  while (!lexer.eat('}') && entries.size() < kMostEntries) {
    const Token name = lexer.next();
    if (name.kind != TokenKind::Word && name.kind != TokenKind::String) break;
    const std::string_view value = lexer.eat('=') ? take_value(lexer) : std::string_view();
    entries.emplace_back(name.text, value);
    lexer.eat(',');
  }
  return entries;
}

Entries dictionary_in(std::string_view text, const Aliases& aliases) {
  Lexer lexer(resolved(text, aliases));
  return take_dictionary(lexer);
}

std::vector<std::string_view> list_in(std::string_view text, const Aliases& aliases, char open) {
  std::vector<std::string_view> elements;
  Lexer lexer(resolved(text, aliases));
  if (!lexer.eat(open)) return elements;
  const char close = open == '[' ? ']' : ')';
  while (!lexer.eat(close) && elements.size() < kMostValues) {
    const std::size_t before = lexer.position();
    elements.push_back(take_value(lexer));
    lexer.eat(',');
    if (lexer.position() == before) break;
  }
  return elements;
}

std::string_view find(const Entries& entries, std::string_view name) {
  for (const auto& [key, value] : entries) {
    if (key == name) return value;
  }
  return {};
}

std::string_view resolved(std::string_view text, const Aliases& aliases) {
  constexpr int kMostSteps = 16;
  for (int i = 0; i < kMostSteps; ++i) {
    const auto alias = aliases.find(text);
    if (alias == aliases.end()) break;
    text = alias->second;
  }
  return text;
}

std::optional<std::string> string_in(std::string_view text) {
  Lexer lexer(text);
  const Token token = lexer.next();
  if (token.kind != TokenKind::String) return std::nullopt;
  std::string plain;
  for (std::size_t i = 0; i < token.text.size(); ++i) {
    if (token.text[i] != '\\' || i + 1 == token.text.size()) {
      plain += token.text[i];
      continue;
    }
    unsigned code = 0;
    const char* first = token.text.data() + i + 1;
    const char* last = token.text.data() + std::min(i + 3, token.text.size());
    if (std::from_chars(first, last, code, 16).ptr == last && last - first == 2) {
      plain += static_cast<char>(code);
      i += 2;
    } else {
      const char c = token.text[++i];
      plain += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
  }
  return plain;
}

std::string location_name(std::string_view text, const Aliases& aliases) {
  text = resolved(text, aliases);
  Lexer lexer(text);
  if (lexer.eat(TokenKind::Word, "loc")) {
    if (!lexer.eat('(')) return {};
    text = resolved(take_value(lexer), aliases);
    if (text.starts_with("loc")) return location_name(inside(text, "loc(", ")"), {});
    lexer = Lexer(text);
  }
  const Token name = lexer.next();
  if (name.kind != TokenKind::String || lexer.peek().is(':')) return {};
  return string_in(text).value_or("");
}

ValueType parse_type(std::string_view text, const Aliases& aliases) {
  ValueType type;
  text = resolved(trimmed(text), aliases);
  type.text = text;
  if (const std::string_view inner = inside(text, "tensor<", ">"); !inner.empty()) {
    parse_array(inner, aliases, type);
  } else if (text == "!stablehlo.token" || text == "!mhlo.token") {
    type.element = ElementType::Token;
  }
  return type;
}

std::optional<Sharding> gspmd_sharding(std::string_view text, ShardingContext& context, std::size_t rank) {
  std::int64_t partitions = 1;
  if (constexpr std::string_view kTiles = "{devices=["; text.starts_with(kTiles)) {
    Lexer lexer(text, kTiles.size());
    for (Token token = lexer.next(); token.kind == TokenKind::Number || token.is(','); token = lexer.next()) {
      const std::int64_t tiles = token.is(',') ? 1 : integer_in(token.text).value_or(0);
      if (tiles < 1 || tiles > kMostDevices / partitions) return std::nullopt;
      partitions *= tiles;
    }
  } else if (!text.starts_with('{')) {
    partitions = kMostDevices;
  }
  if (context.budget < partitions) return std::nullopt;
  context.budget -= partitions;
  const Result<Sharding> sharding =
      text.starts_with('{') ? Sharding::parse_text(text, rank) : Sharding::parse(text, rank);
  return sharding ? std::optional(*sharding) : std::nullopt;
}

std::optional<Sharding> shardy_sharding(std::string_view text, ShardingContext& context, std::size_t rank) {
  const std::map<std::string, std::string>& meshes = context.meshes;
  Lexer lexer(text);
  lexer.eat(TokenKind::Attribute, "sdy.sharding");
  if (!lexer.eat('<')) return std::nullopt;
  const Token name = lexer.next();
  const auto known = name.kind == TokenKind::Symbol ? meshes.find(std::string(name.text)) : meshes.end();
  if (known == meshes.end()) return std::nullopt;
  const auto mesh = read_mesh(known->second);
  if (!mesh || !lexer.eat(',') || !lexer.eat('[')) return std::nullopt;
  std::vector<std::int64_t> sizes;
  std::int64_t devices = 1;
  for (const auto& [axis, size] : *mesh) {
    sizes.push_back(size);
    devices *= size;
    if (devices > kMostDevices) return std::nullopt;
  }
  std::vector<std::int64_t> tiles;
  std::vector<std::size_t> order;
  while (!lexer.eat(']')) {
    if (!lexer.eat('{')) return std::nullopt;
    std::int64_t count = 1;
    while (!lexer.eat('}')) {
      const Token axis = lexer.next();
      if (axis.is('?') || axis.is(',')) continue;
      const auto it = std::ranges::find_if(*mesh, [&](const auto& a) { return a.first == axis.text; });
      if (axis.kind != TokenKind::String || it == mesh->end() || lexer.peek().is(':')) return std::nullopt;
      const auto at = static_cast<std::size_t>(it - mesh->begin());
      if (std::ranges::find(order, at) != order.end()) return std::nullopt;
      order.push_back(at);
      count *= it->second;
    }
    if (lexer.peek().kind == TokenKind::Word) lexer.next();  // a priority: p1
    tiles.push_back(count);
    lexer.eat(',');
    if (tiles.size() > rank) return std::nullopt;
  }
  if (tiles.size() != rank || text.find("unreduced") != std::string_view::npos) return std::nullopt;
  std::int64_t copies = 1;
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
    if (std::ranges::find(order, axis) != order.end()) continue;
    order.push_back(axis);
    copies *= sizes[axis];
  }
  if (copies == devices) return Sharding::replicated();
  if (copies > 1) tiles.push_back(copies);
  if (context.budget < devices) return std::nullopt;
  context.budget -= devices;
  // The devices in row-major order of the axes as `order` has them.
  std::vector<std::int64_t> strides(sizes.size(), 1);
  for (std::size_t i = sizes.size(); i-- > 1;) strides[i - 1] = strides[i] * sizes[i];
  std::vector<std::int64_t> partitions;
  std::vector<std::int64_t> index(sizes.size(), 0);
  for (std::int64_t n = 0; n < devices; ++n) {
    std::int64_t partition = 0;
    for (std::size_t i = 0; i < order.size(); ++i) partition += index[i] * strides[order[i]];
    partitions.push_back(partition);
    for (std::size_t i = order.size(); i-- > 0;) {
      if (++index[i] < sizes[order[i]]) break;
      index[i] = 0;
    }
  }
  const Result<Sharding> sharding = Sharding::tiled(std::move(tiles), std::move(partitions), rank);
  return sharding ? std::optional(*sharding) : std::nullopt;
}

void apply_value_attributes(const Entries& attributes, const Aliases& aliases, ShardingContext& context,
                            ModuleValue& value) {
  std::string gspmd;
  std::string shardy;
  for (const auto& [name, text] : attributes) {
    if (name == "tf.aliasing_output") value.donated = true;
    if (name == "jax.buffer_donor") value.donated |= text.empty() || text == "true" || text == "unit";
    if (name == "mhlo.sharding") gspmd = string_in(resolved(text, aliases)).value_or("");
    if (name == "sdy.sharding") shardy = resolved(text, aliases);
    if (name == "mhlo.frontend_attributes") {
      const std::string_view carried = find(dictionary_in(text, aliases), "xla.sdy.sharding");
      if (!carried.empty() && shardy.empty()) shardy = string_in(carried).value_or("");
    }
  }
  const std::size_t rank = value.type.dims.size();
  value.sharding_text = shardy.empty() ? gspmd : shardy;
  if (value.sharding_text.empty()) return;
  value.sharding = shardy.empty() ? gspmd_sharding(gspmd, context, rank) : shardy_sharding(shardy, context, rank);
}

void add_meshes(std::string_view text, std::map<std::string, std::string>& meshes) {
  for (const auto& [name, value] : dictionary_in(text, {})) {
    if (value.starts_with("#sdy.mesh")) meshes.emplace(name, value.substr(std::string_view("#sdy.mesh").size()));
  }
}

}  // namespace pjrt::mlir
