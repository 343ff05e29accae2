#include "model/pytree.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

namespace pjrt::model::detail {
namespace {

enum class Kind : std::int8_t { Leaf = 0, None = 1, Tuple = 2, List = 3, Dict = 4, Custom = 5 };

constexpr Field kKind{0, "kind"};
constexpr Field kChildren{1, "children"};
constexpr Field kChildrenNames{2, "children_names"};
constexpr Field kCustomName{3, "custom_name"};
constexpr Field kCustomAuxdata{4, "custom_auxdata"};

constexpr const char* kTable = "PyTreeDef";

std::unexpected<Error> bad(std::string what) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, "PyTreeDef: " + std::move(what)));
}

bool is_identifier(std::string_view text) {
  const auto word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0;
  };
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) == 0 &&
         std::ranges::all_of(text, word);
}

/// The strings of a JSON list of `count` strings; empty for anything else. JAX writes the fields of namedtuples and the
/// keys of OrderedDicts so; what other types write is known to their authors alone.
std::vector<std::string> names_in(std::span<const char> json, std::size_t count) {
  constexpr std::size_t kMostBytes = std::size_t{1} << 20;
  if (json.empty() || json.front() != '[' || json.size() > kMostBytes) return {};
  const auto list = nlohmann::json::parse(json.begin(), json.end(), nullptr, false);
  if (!list.is_array() || list.size() != count) return {};
  std::vector<std::string> names;
  for (const auto& item : list) {
    if (!item.is_string()) return {};
    names.push_back(item.get<std::string>());
  }
  return names;
}

class PathReader {
 public:
  explicit PathReader(std::string root) : path_(std::move(root)) {}

  Result<void> visit(const FlatTable& node) {
    PJRT_TRY(const Kind kind, kind_of(node));
    PJRT_TRY(const std::size_t children, node.size(kChildren));
    if (kind == Kind::Leaf || kind == Kind::None) {
      if (children != 0) return bad("a leaf at " + path_ + " has children");
      return kind == Kind::Leaf ? add_leaf() : Result<void>();
    }
    PJRT_TRY(const std::vector<std::string> steps, steps_of(node, kind, children));
    return visit_children(node, steps);
  }

  /// The root of a function's arguments: a tuple of the tuple args and the dict kwargs.
  Result<void> visit_arguments(const FlatTable& root) {
    PJRT_TRY(const Kind kind, kind_of(root));
    PJRT_TRY(const std::size_t children, root.size(kChildren));
    if (kind != Kind::Tuple || children != 2) return bad("the arguments are not (args, kwargs)");
    std::size_t index = 0;
    return root.each_table(kChildren, kTable, [&](FlatTable child) -> Result<void> {
      const bool args = index++ == 0;
      PJRT_TRY(const Kind child_kind, kind_of(child));
      if (child_kind != (args ? Kind::Tuple : Kind::Dict)) return bad("the arguments are not (args, kwargs)");
      path_ = args ? "args" : "kwargs";
      return visit(child);
    });
  }

  std::vector<std::string> take() && { return std::move(paths_); }

 private:
  static Result<Kind> kind_of(const FlatTable& node) {
    PJRT_TRY(const auto number, node.scalar<std::int8_t>(kKind));
    if (number < 0 || number > std::to_underlying(Kind::Custom)) {
      return std::unexpected(
          Error(ErrorCode::Unimplemented, "PyTreeDef: a node of the unknown kind " + std::to_string(number)));
    }
    return static_cast<Kind>(number);
  }

  /// What each child adds to the path.
  Result<std::vector<std::string>> steps_of(const FlatTable& node, Kind kind, std::size_t children) {
    std::vector<std::string> steps;
    if (kind == Kind::Dict) {
      PJRT_CHECK(node.each_string(kChildrenNames, [&](std::string key) -> Result<void> {
        steps.push_back("[" + python_repr(key) + "]");
        return {};
      }));
      if (steps.size() != children) {
        return bad("the dict at " + path_ + " has " + std::to_string(steps.size()) + " keys for " +
                   std::to_string(children) + " values");
      }
      return steps;
    }
    if (kind == Kind::Custom) {
      PJRT_TRY(const auto type, node.string(kCustomName));
      PJRT_TRY(const auto auxdata, node.numbers<char>(kCustomAuxdata));
      const bool ordered_dict = type == "collections.OrderedDict";
      for (const std::string& name : names_in(auxdata, children)) {
        if (ordered_dict) {
          steps.push_back("[" + python_repr(name) + "]");
        } else if (is_identifier(name)) {
          steps.push_back("." + name);
        }
      }
      if (steps.size() == children) return steps;
      steps.clear();
    }
    for (std::size_t i = 0; i < children; ++i) {
      steps.push_back(kind == Kind::Custom ? "[<flat index " + std::to_string(i) + ">]"
                                           : "[" + std::to_string(i) + "]");
    }
    return steps;
  }

  Result<void> visit_children(const FlatTable& node, const std::vector<std::string>& steps) {
    auto step = steps.begin();
    const std::size_t length = path_.size();
    return node.each_table(kChildren, kTable, [&](FlatTable child) -> Result<void> {
      path_ += *step++;
      PJRT_CHECK(visit(child));
      path_.resize(length);
      return {};
    });
  }

  Result<void> add_leaf() {
    constexpr std::size_t kMostText = std::size_t{64} << 20;
    text_ += path_.size();
    if (paths_.size() == kMostLeaves || text_ > kMostText) {
      return std::unexpected(Error(ErrorCode::ResourceExhausted, "PyTreeDef: more than " + std::to_string(kMostLeaves) +
                                                                     " leaves, or paths of more than 64 MiB in all"));
    }
    paths_.push_back(path_);
    return {};
  }

  std::string path_;
  std::vector<std::string> paths_;
  std::size_t text_ = 0;
};

/// Whether Python escapes a character beyond ASCII: controls, formatting, unusual spaces, surrogates, private use and
/// the assigned parts of the planes without letters.
bool is_unprintable(int c) {
  static constexpr std::array<std::pair<int, int>, 22> kRanges = {{
      {0x80, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},   {0x61C, 0x61C},     {0x6DD, 0x6DD},
      {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},   {0x1680, 0x1680},   {0x180E, 0x180E},
      {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x206F}, {0x3000, 0x3000},   {0xD800, 0xF8FF},
      {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF}, {0x110BD, 0x110BD}, {0x1BCA0, 0x1BCA3},
      {0x1D173, 0x1D17A}, {0xE0000, 0xE00FF},
  }};
  if (c >= 0xE01F0) return true;
  return std::ranges::any_of(kRanges, [c](const auto& range) { return range.first <= c && c <= range.second; });
}

void append_escape(std::string& out, int c) {
  char text[16];
  std::snprintf(text, sizeof text,
                c < 0x100     ? "\\x%02x"
                : c < 0x10000 ? "\\u%04x"
                              : "\\U%08x",
                static_cast<unsigned>(c));
  out += text;
}

}  // namespace

std::string python_repr(std::string_view utf8) {
  const std::string text(utf8);  // FromUTF8 needs the terminator
  const char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    const char* const begin = at;
    const int c = flatbuffers::FromUTF8(&at);
    if (c < 0) {
      at = begin + 1;
      append_escape(out, static_cast<unsigned char>(*begin));
    } else if (c == quote || c == '\\') {
      (out += '\\') += *begin;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      (out += '\\') += c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
    } else if (c < 0x20 || c == 0x7F || is_unprintable(c)) {
      append_escape(out, c);
    } else {
      out.append(begin, at);
    }
  }
  return out + quote;
}

Result<std::vector<std::string>> argument_paths(const FlatTable& tree) {
  PathReader reader("");
  PJRT_CHECK(reader.visit_arguments(tree));
  return std::move(reader).take();
}

Result<std::vector<std::string>> result_paths(const FlatTable& tree) {
  PathReader reader("result");
  PJRT_CHECK(reader.visit(tree));
  return std::move(reader).take();
}

}  // namespace pjrt::model::detail
