#include "mlir/text.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <string>
#include <unordered_map>

#include "core/try.hpp"
#include "mlir/pieces.hpp"

namespace pjrt::mlir {
namespace {

constexpr std::size_t kNowhere = std::string_view::npos;

bool ends_with_word(std::string_view name, std::string_view word) {
  return name == word || (name.ends_with(word) && name[name.size() - word.size() - 1] == '.');
}
bool is_custom_call(std::string_view name) {
  return ends_with_word(name, "custom_call");
}
bool is_func(std::string_view name) {
  return name == "func" || name == "func.func";
}
bool is_module(std::string_view name) {
  return name == "module" || name == "builtin.module";
}
bool is_of_shardy(std::string_view name) {
  return name.starts_with("sdy.") || name.starts_with("xla.sdy.");
}

/// An operation, and where its parts are in the text.
struct Operation {
  enum class Part : std::uint8_t { None, Name, Operands, AfterOperands, Regions, AfterRegions, Pretty };
  std::string_view name;
  Part part = Part::None;
  std::size_t properties = kNowhere;
  std::size_t region = kNowhere;
  std::size_t attributes = kNowhere;
  std::string_view target;  // of a custom call
  bool has_result_shapes = false;
};

/// What is known within a bracket.
struct Level {
  std::string_view key;  // of the entry of a dictionary that is being read
  Operation operation;
};

/// Goes over the tokens once, and then to where the signature of main is.
class TextReader {
 public:
  explicit TextReader(std::string_view text) : text_(text), lexer_(text) {}

  Result<ModuleFacts> run() && {
    PJRT_CHECK(scan());
    PJRT_CHECK(read_module_attributes());
    read_main();
    finish();
    return std::move(facts_);
  }

 private:
  std::unexpected<Error> bad(std::size_t at, const std::string& what) const {
    const auto line = 1 + std::ranges::count(text_.substr(0, at), '\n');
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the module's text, line " + std::to_string(line) + ": " + what));
  }

  Result<void> scan() {
    for (Token token = lexer_.next(); token.kind != TokenKind::End; token = lexer_.next()) {
      PJRT_CHECK(read(token));
      before_previous_ = previous_;
      previous_ = token;
    }
    if (brackets_.depth() > 0 && brackets_.bracket() != '<')
      return bad(text_.size(), std::string("a '") + brackets_.bracket() + "' is not closed");
    return {};
  }

  Result<void> read(const Token& token) {
    switch (token.kind) {
      case TokenKind::Unterminated:
        return bad(token.begin, "a string does not end");
      case TokenKind::Punctuation:
        return read_punctuation(token);
      case TokenKind::Word:
        return read_word(token);
      case TokenKind::String:
        read_string(token);
        break;
      case TokenKind::Symbol:
        read_symbol(token);
        break;
      case TokenKind::Attribute:
      case TokenKind::Type:
        return read_alias(token);
      default:
        break;
    }
    return {};
  }

  Result<void> check_depth(const Token& token, std::size_t more) const {
    if (brackets_.depth() + more <= kMostNesting) return {};
    return bad(token.begin, "it is nested more than " + std::to_string(kMostNesting) +
                                " deep; plugins read it by recursion and would end the process");
  }

  Result<void> read_punctuation(const Token& token) {
    const char c = token.text.front();
    if (is_opening(c)) {
      open(c, token);
      if (alias_ != nullptr) alias_->depth = std::max(alias_->depth, brackets_.depth());
      return check_depth(token, 0);
    }
    if (is_closing(c)) {
      if (!brackets_.close(c)) {
        if (c == '>') return {};
        return bad(token.begin, std::string("a '") + c + "' closes nothing");
      }
      closed();
      return {};
    }
    if (c == ',') brackets_.top().key = {};
    if (c == ':') {
      Operation& operation = brackets_.top().operation;
      if (operation.part >= Operation::Part::AfterOperands) end_operation(operation, token.end);
    }
    return {};
  }

  void open(char c, const Token& token) {
    using Part = Operation::Part;
    Operation& operation = brackets_.top().operation;
    if (c == '(' && operation.part == Part::Name) {
      operation.part = Part::Operands;
    } else if (c == '(' && operation.part == Part::AfterOperands) {
      operation.part = Part::Regions;
      operation.region = token.end;
    } else if (c == '<' && operation.part == Part::AfterOperands) {
      operation.properties = token.end;
    } else if (c == '{' && (operation.part == Part::AfterOperands || operation.part == Part::AfterRegions)) {
      operation.attributes = token.begin;
    }
    brackets_.open(c);
  }

  /// Sees what the bracket that was just closed was for.
  void closed() {
    using Part = Operation::Part;
    Operation& operation = brackets_.top().operation;
    if (operation.part == Part::Operands) operation.part = Part::AfterOperands;
    if (operation.part == Part::Regions) operation.part = Part::AfterRegions;
  }

  /// How many regions and dictionaries are around.
  std::size_t braces() const {
    std::size_t count = 0;
    brackets_.any([&](char bracket, const Level&) {
      count += bracket == '{' ? 1 : 0;
      return false;
    });
    return count;
  }

  bool may_begin_operation() const { return brackets_.bracket() == '{' || brackets_.bracket() == '\0'; }

  Result<void> read_word(const Token& token) {
    const std::string_view word = token.text;
    const Token after = lexer_.peek();
    if (is_of_shardy(word)) facts_.uses_shardy = true;
    if (after.is('<') && (word == "tensor" || word == "vector" || word == "memref")) return check_rank(after);
    if (!may_begin_operation()) return {};
    if (after.is('=') || after.is(',') || after.is('}')) {
      brackets_.top().key = word;
      if (word == "indices_of_shape_operands") mark_enclosing_call();
      return {};
    }
    if (word.find('.') == std::string_view::npos && !is_module(word) && !is_func(word) && word != "call" &&
        word != "custom_call")
      return {};
    alias_ = nullptr;
    brackets_.top().key = {};
    brackets_.top().operation = {};
    if (is_module(word)) begin_pretty_module();
    if (is_func(word)) begin_pretty_function();
    if (is_custom_call(word)) {
      brackets_.top().operation.name = word;
      brackets_.top().operation.part = Operation::Part::Pretty;
    }
    return {};
  }

  /// A custom call may say where its results' shapes are.
  void mark_enclosing_call() { last_shaped_call_ = true; }

  void begin_pretty_module() {
    if (braces() > 0) return;
    Lexer ahead = lexer_;
    Token token = ahead.next();
    if (token.kind == TokenKind::Symbol) {
      facts_.name = token.text;
      token = ahead.next();
    }
    if (token.is(TokenKind::Word, "attributes")) module_attributes_.push_back(token.end);
  }

  void begin_pretty_function() {
    if (braces() > 1 || facts_.has_main) return;
    Lexer ahead = lexer_;
    Token token = ahead.next();
    if (token.kind == TokenKind::Word) token = ahead.next();  // public, private, nested
    if (!token.is(TokenKind::Symbol, "main")) return;
    facts_.has_main = true;
    pretty_main_ = token.end;
  }

  void read_string(const Token& token) {
    const std::string_view key = brackets_.top().key;
    const Token after = lexer_.peek();
    if (may_begin_operation() && after.is('(')) {
      alias_ = nullptr;
      brackets_.top() = {};
      brackets_.top().operation.name = token.text;
      brackets_.top().operation.part = Operation::Part::Name;
      if (is_of_shardy(token.text)) facts_.uses_shardy = true;
      return;
    }
    if (brackets_.bracket() == '{' && (after.is('=') || after.is(',') || after.is('}')) && key.empty()) {
      brackets_.top().key = token.text;
      if (is_of_shardy(token.text)) facts_.uses_shardy = true;
    } else if (previous_.is('=') && key == "sym_name") {
      defined_.insert(token.text);
    } else if (previous_.is('=') && key == "call_target_name") {
      add_custom_call(token.text);
    }
  }

  void add_custom_call(std::string_view target) {
    custom_calls_.insert(target);
    last_target_ = target;
    if (is_of_shardy(target)) facts_.uses_shardy = true;
  }

  void read_symbol(const Token& token) {
    if (previous_.is(':') && before_previous_.is(':')) return;  // @outer::@inner
    if (previous_.kind == TokenKind::Word) {
      if (is_custom_call(previous_.text)) return add_custom_call(token.text);
      if (!ends_with_word(previous_.text, "call")) {
        defined_.insert(token.text);
        if (lexer_.peek().is('=')) note_mesh(token);
        return;
      }
    }
    // Attributes of other dialects may name what is not there; nobody looks it up.
    const bool is_only_noted = brackets_.any([](char, const Level& level) {
      return level.key.find('.') != std::string_view::npos && !is_of_shardy(level.key);
    });
    if (!is_only_noted) used_.insert(token.text);
  }

  void note_mesh(const Token& name) {  // sdy.mesh @name = <["x"=2]>
    if (!previous_.is(TokenKind::Word, "sdy.mesh")) return;
    Lexer ahead = lexer_;
    ahead.next();
    shardings_.meshes.emplace(std::string(name.text), std::string(take_type(ahead)));
  }

  struct Alias {
    std::size_t depth = 0;
  };

  Result<void> read_alias(const Token& token) {
    if (is_of_shardy(token.text)) facts_.uses_shardy = true;
    const std::string_view whole = text_.substr(token.begin, token.end - token.begin);
    if (brackets_.depth() == 0 && lexer_.peek().is('=') && !previous_.is('=')) {
      Lexer ahead = lexer_;
      ahead.next();
      aliases_[whole] = take_alias(ahead);
      alias_ = &alias_depths_[whole];
      return {};
    }
    const auto known = alias_depths_.find(whole);
    if (known == alias_depths_.end()) return {};
    const std::size_t more = known->second.depth + 1;
    if (alias_ != nullptr) alias_->depth = std::max(alias_->depth, brackets_.depth() + more);
    return check_depth(token, more);
  }

  /// What an alias stands for ends with its brackets: nothing else says where.
  static std::string_view take_alias(Lexer& lexer) {
    const std::size_t begin = lexer.peek().begin;
    Token token = lexer.next();
    std::size_t end = token.end;
    const auto take_brackets = [&] {
      Brackets<Level> brackets;
      do {
        token = lexer.next();
        if (token.kind == TokenKind::End || token.kind == TokenKind::Unterminated) return;
        const char c = token.kind == TokenKind::Punctuation ? token.text.front() : '\0';
        if (is_opening(c)) brackets.open(c);
        if (is_closing(c)) brackets.close(c);
        end = token.end;
      } while (brackets.depth() > 0);
    };
    if (token.kind == TokenKind::Punctuation && is_opening(token.text.front())) {
      lexer.seek(token.begin);
      take_brackets();
    } else if (const Token after = lexer.peek();
               after.kind == TokenKind::Punctuation && (after.is('<') || after.is('('))) {
      take_brackets();
    }
    return lexer.text().substr(begin, end - begin);
  }

  Result<void> check_rank(const Token& opening) const {
    std::size_t dimensions = 0;
    for (std::size_t at = opening.end; at < text_.size(); ++at) {
      const char c = text_[at];
      if (c == 'x') {
        ++dimensions;
      } else if ((c < '0' || c > '9') && c != '?' && c != '*' && c != ' ') {
        break;
      }
      if (dimensions > kMostDimensions)
        return bad(opening.begin, "an array has more than " + std::to_string(kMostDimensions) + " dimensions");
    }
    return {};
  }

  /// At the type of an operation, which stands at `at`.
  void end_operation(Operation& operation, std::size_t at) {
    const Operation ended = std::exchange(operation, {});
    if (is_custom_call(ended.name)) look_at_results(at);
    if (ended.name == "builtin.module" && braces() == 0) {
      for (const std::size_t part : {ended.properties, ended.attributes}) {
        if (part != kNowhere) module_attributes_.push_back(part);
      }
      if (ended.properties != kNowhere) note_module_name(ended.properties);
      if (ended.attributes != kNowhere) note_module_name(ended.attributes);
    }
    if (ended.name == "func.func" && braces() <= 1 && !facts_.has_main) {
      for (const std::size_t part : {ended.properties, ended.attributes}) {
        if (part == kNowhere) continue;
        Lexer ahead(text_, part);
        if (string_in(find(take_dictionary(ahead), "sym_name")) == "main") {
          facts_.has_main = true;
          generic_main_ = ended;
        }
      }
    }
    if (ended.name == "sdy.mesh") {
      for (const std::size_t part : {ended.properties, ended.attributes}) {
        if (part == kNowhere) continue;
        Lexer ahead(text_, part);
        const Entries entries = take_dictionary(ahead);
        add_meshes(
            "{" + string_in(find(entries, "sym_name")).value_or("") + " = " + std::string(find(entries, "mesh")) + "}",
            shardings_.meshes);
      }
    }
  }

  void note_module_name(std::size_t at) {
    Lexer ahead(text_, at);
    if (const auto name = string_in(find(take_dictionary(ahead), "sym_name"))) facts_.name = *name;
  }

  /// Whether a custom call gives sizes that nobody can find out; its type is `(operands) -> results`.
  void look_at_results(std::size_t at) {
    const std::string_view target = std::exchange(last_target_, {});
    const bool is_shaped = std::exchange(last_shaped_call_, false);
    Lexer ahead(text_, at);
    const std::string_view type = take_call_results(ahead);
    if (type.find_first_of("?*") == std::string_view::npos || is_shaped || target.starts_with("stablehlo.")) return;
    unbounded_calls_.emplace_back(target, type);
  }

  /// Takes a token and, if it opens a bracket, everything up to the one that closes it. Where the last token ends.
  static std::size_t take_group(Lexer& lexer) {
    Brackets<Level> brackets;
    std::size_t end = lexer.peek().begin;
    do {
      const Token token = lexer.next();
      if (token.kind == TokenKind::End) break;
      const char c = token.kind == TokenKind::Punctuation ? token.text.front() : '\0';
      if (is_opening(c)) brackets.open(c);
      if (is_closing(c)) brackets.close(c);
      end = token.end;
    } while (brackets.depth() > 0);
    return end;
  }

  static std::string_view take_call_results(Lexer& lexer) {
    if (!lexer.peek().is('(')) return take_type(lexer);
    take_group(lexer);
    if (lexer.next().kind != TokenKind::Arrow) return {};
    const std::size_t begin = lexer.peek().begin;
    if (!lexer.peek().is('(')) {
      const Token first = lexer.next();
      if (!lexer.peek().is('<')) return lexer.text().substr(begin, first.end - begin);
    }
    return lexer.text().substr(begin, take_group(lexer) - begin);
  }

  Result<void> read_module_attributes() {
    for (const std::size_t at : module_attributes_) {
      Lexer ahead(text_, at);
      for (const auto& [name, value] : take_dictionary(ahead)) {
        if (name == "mhlo.num_partitions" || name == "mhlo.num_replicas") {
          std::int64_t number = 0;
          const std::string_view digits = resolved(value, aliases_);
          const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
          if (error != std::errc() || (end != digits.data() + digits.size() && *end != ' ' && *end != ':')) number = 0;
          PJRT_TRY((name.ends_with("partitions") ? facts_.partitions : facts_.replicas), to_count(name, number));
        }
        if (name == "mhlo.frontend_attributes") {
          const std::string_view meshes = find(dictionary_in(value, aliases_), "xla.sdy.meshes");
          add_meshes(string_in(meshes).value_or(""), shardings_.meshes);
        }
      }
    }
    return {};
  }

  void read_main() {
    if (pretty_main_ != kNowhere) return read_pretty_main();
    if (!generic_main_.name.empty()) read_generic_main();
  }

  /// (%x: type {attributes} loc("x"), …) -> (type {attributes}, …)
  void read_pretty_main() {
    Lexer lexer(text_, pretty_main_);
    if (!lexer.eat('(')) return;
    while (!lexer.eat(')') && facts_.arguments.size() < kMostValues) {
      if (lexer.peek().kind == TokenKind::Value) {
        lexer.next();
        lexer.eat(':');
      }
      if (!read_value(lexer, facts_.arguments)) return;
    }
    Lexer ahead = lexer;
    if (ahead.next().kind != TokenKind::Arrow) return;
    lexer = ahead;
    if (!lexer.eat('(')) {
      read_value(lexer, facts_.results);
      return;
    }
    while (!lexer.eat(')') && facts_.results.size() < kMostValues) {
      if (!read_value(lexer, facts_.results)) return;
    }
  }

  bool read_value(Lexer& lexer, std::vector<ModuleValue>& values) {
    const std::size_t before = lexer.position();
    ModuleValue value;
    value.type = parse_type(take_type(lexer), aliases_);
    if (lexer.peek().is('{') && !is_body(lexer))
      apply_value_attributes(take_dictionary(lexer), aliases_, shardings_, value);
    if (lexer.eat(TokenKind::Word, "loc")) value.name = take_location(lexer);
    lexer.eat(',');
    values.push_back(std::move(value));
    return lexer.position() != before;
  }

  /// Whether a brace begins the body of a function, not the attributes of its only result.
  static bool is_body(Lexer lexer) {
    lexer.next();
    const Token first = lexer.next();
    if (first.kind != TokenKind::Word && first.kind != TokenKind::String) return true;
    const Token second = lexer.next();
    return !second.is('=') && !second.is(',') && !second.is('}');
  }

  std::string take_location(Lexer& lexer) const {
    if (!lexer.eat('(')) return {};
    const std::string_view text = take_value(lexer);
    lexer.eat(')');
    return location_name(text, aliases_);
  }

  void read_generic_main() {
    std::string_view arguments;
    std::string_view results;
    std::string_view type;
    for (const std::size_t part : {generic_main_.properties, generic_main_.attributes}) {
      if (part == kNowhere) continue;
      Lexer lexer(text_, part);
      for (const auto& [name, value] : take_dictionary(lexer)) {
        if (name == "arg_attrs") arguments = value;
        if (name == "res_attrs") results = value;
        if (name == "function_type") type = resolved(value, aliases_);
      }
    }
    // (types) -> (types), or -> type
    Lexer lexer(type);
    const std::string_view taken = take_operands(lexer);
    const std::string_view given = type.substr(std::min(type.size(), lexer.position()));
    add_values(list_in(taken, {}, '('), list_in(arguments, aliases_), facts_.arguments);
    Lexer after(given);
    after.next();  // ->
    const std::string_view rest = given.substr(std::min(given.size(), after.position()));
    Lexer outer(rest);
    const std::string_view all = take_value(outer);
    add_values(all.starts_with('(') ? list_in(all, {}, '(') : std::vector{all}, list_in(results, aliases_),
               facts_.results);
    // The names are in the first block: {^bb0(%x: type loc("x"), …):
    if (generic_main_.region == kNowhere) return;
    Lexer region(text_, generic_main_.region);
    if (!region.eat('{') || region.peek().kind != TokenKind::Value) return;
    region.next();
    if (!region.eat('(')) return;
    for (std::size_t i = 0; i < facts_.arguments.size() && region.peek().kind == TokenKind::Value; ++i) {
      region.next();
      region.eat(':');
      take_type(region);
      if (region.eat(TokenKind::Word, "loc")) facts_.arguments[i].name = take_location(region);
      region.eat(',');
    }
  }

  static std::string_view take_operands(Lexer& lexer) {
    const std::size_t begin = lexer.peek().begin;
    if (!lexer.peek().is('(')) return {};
    return lexer.text().substr(begin, take_group(lexer) - begin);
  }

  void add_values(const std::vector<std::string_view>& types, const std::vector<std::string_view>& attributes,
                  std::vector<ModuleValue>& values) {
    for (std::size_t i = 0; i < types.size(); ++i) {
      ModuleValue value;
      value.type = parse_type(types[i], aliases_);
      if (i < attributes.size())
        apply_value_attributes(dictionary_in(attributes[i], aliases_), aliases_, shardings_, value);
      values.push_back(std::move(value));
    }
  }

  void finish() {
    if (!facts_.has_main) facts_.unknown_interface = "it has no function main";
    for (const std::string_view target : custom_calls_) facts_.custom_calls.emplace_back(target);
    for (const std::string_view name : used_) {
      if (!defined_.contains(name)) facts_.missing_symbols.emplace_back(name);
    }
    for (const auto& [target, type] : unbounded_calls_) {
      const std::vector<std::string_view> types =
          type.starts_with('(') ? list_in(type, {}, '(') : std::vector<std::string_view>{type};
      for (const std::string_view one : types) {
        const ValueType parsed = parse_type(one, aliases_);
        if (parsed.is_unbounded)
          facts_.unbounded_calls.push_back("@" + std::string(target) + " gives " + to_string(parsed));
      }
    }
  }

  std::string_view text_;
  Lexer lexer_;
  ModuleFacts facts_;
  Brackets<Level> brackets_;
  Token previous_;
  Token before_previous_;
  Aliases aliases_;
  std::unordered_map<std::string_view, Alias> alias_depths_;
  Alias* alias_ = nullptr;  // the one that is being defined
  ShardingContext shardings_;
  std::vector<std::size_t> module_attributes_;
  std::size_t pretty_main_ = kNowhere;
  Operation generic_main_;
  std::set<std::string_view> defined_;
  std::set<std::string_view> used_;
  std::set<std::string_view> custom_calls_;
  std::string_view last_target_;
  bool last_shaped_call_ = false;
  std::vector<std::pair<std::string_view, std::string_view>> unbounded_calls_;
};

}  // namespace

Result<ModuleFacts> read_text(std::string_view text) {
  return TextReader(text).run();
}

}  // namespace pjrt::mlir
