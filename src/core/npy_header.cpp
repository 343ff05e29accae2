#include "core/npy_header.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "core/printable.hpp"
#include "core/try.hpp"

namespace pjrt::detail {
namespace {

std::unexpected<Error> malformed(std::string what) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, "not a .npy array: its header " + std::move(what)));
}

std::unexpected<Error> unsupported(std::string_view descr, const std::string& what) {
  return std::unexpected(
      Error(ErrorCode::InvalidArgument, "arrays of numpy dtype '" + printable(descr) + "' are not supported" + what));
}

struct Named {
  std::string_view name;
  ElementType type;
};

/// What numpy.dtype takes besides a kind and a width: letters, the names of C's types, and those of numpy's scalars. On
/// 64-bit Linux, where numpy writes no such thing itself.
constexpr Named kLetters[] = {
    {"?", ElementType::Pred}, {"b", ElementType::S8},  {"B", ElementType::U8},  {"h", ElementType::S16},
    {"H", ElementType::U16},  {"i", ElementType::S32}, {"I", ElementType::U32}, {"l", ElementType::S64},
    {"L", ElementType::U64},  {"q", ElementType::S64}, {"Q", ElementType::U64}, {"p", ElementType::S64},
    {"P", ElementType::U64},  {"n", ElementType::S64}, {"N", ElementType::U64}, {"e", ElementType::F16},
    {"f", ElementType::F32},  {"d", ElementType::F64}, {"F", ElementType::C64}, {"D", ElementType::C128},
};
constexpr Named
    kWidths[] =
        {
            {"b1", ElementType::Pred},   {"i1", ElementType::S8},
            {"i2", ElementType::S16},    {"i4", ElementType::S32},
            {"i8", ElementType::S64},    {"u1", ElementType::U8},
            {"u2", ElementType::U16},    {"u4", ElementType::U32},
            {"u8", ElementType::U64},    {"f2", ElementType::F16},
            {"f4", ElementType::F32},    {"f8", ElementType::F64},
            {"c8", ElementType::C64},    {"c16", ElementType::C128},
            {"f1", ElementType::F8E5M2},  // how ml_dtypes writes it; numpy itself then cannot read it
};
constexpr Named kNames[] = {
    {"bool_", ElementType::Pred},      {"byte", ElementType::S8},      {"ubyte", ElementType::U8},
    {"short", ElementType::S16},       {"ushort", ElementType::U16},   {"intc", ElementType::S32},
    {"uintc", ElementType::U32},       {"int", ElementType::S64},      {"int_", ElementType::S64},
    {"intp", ElementType::S64},        {"long", ElementType::S64},     {"longlong", ElementType::S64},
    {"uint", ElementType::U64},        {"uintp", ElementType::U64},    {"ulong", ElementType::U64},
    {"ulonglong", ElementType::U64},   {"half", ElementType::F16},     {"single", ElementType::F32},
    {"double", ElementType::F64},      {"float", ElementType::F64},    {"csingle", ElementType::C64},
    {"cdouble", ElementType::C128},    {"complex", ElementType::C128}, {"bool", ElementType::Pred},
    {"int8", ElementType::S8},         {"int16", ElementType::S16},    {"int32", ElementType::S32},
    {"int64", ElementType::S64},       {"uint8", ElementType::U8},     {"uint16", ElementType::U16},
    {"uint32", ElementType::U32},      {"uint64", ElementType::U64},   {"float16", ElementType::F16},
    {"float32", ElementType::F32},     {"float64", ElementType::F64},  {"complex64", ElementType::C64},
    {"complex128", ElementType::C128},
};

std::optional<ElementType> look_up(std::span<const Named> table, std::string_view name) {
  const auto it = std::ranges::find(table, name, &Named::name);
  return it == table.end() ? std::nullopt : std::optional(it->type);
}

/// Why an array of such a dtype cannot be given to a program.
std::string reason(std::string_view kind) {
  if (kind.starts_with("bytes") || kind.starts_with("str")) return ": they hold text";
  if (kind.starts_with("object")) return ": they hold pickled Python objects";
  if (kind.starts_with("datetime") || kind.starts_with("timedelta")) return ": they hold times";
  if (kind.starts_with("longdouble") || kind.starts_with("clongdouble") || kind == "float128" || kind == "complex256")
    return ": no element type is that wide";
  switch (kind.empty() ? '\0' : kind.front()) {
    case 'S':
    case 'U':
    case 'a':
      return ": they hold text";
    case 'O':
      return ": they hold pickled Python objects";
    case 'M':
    case 'm':
      return ": they hold times";
    case 'T':
      return ": they hold strings of any length";
    case 'V':
      return ": raw elements have 1 or 2 bytes";
    case 'g':
    case 'G':
      return ": no element type is that wide";
    default:
      return kind == "f16" || kind == "c32" ? ": no element type is that wide" : "";
  }
}

Result<void> read_descr(std::string_view text, NpyHeader& header) {
  std::string_view kind = text;
  const char order = text.empty() ? '\0' : text.front();
  const bool has_order = order == '<' || order == '>' || order == '=' || order == '|';
  if (has_order) kind.remove_prefix(1);
  std::optional<ElementType> type = look_up(kLetters, kind);
  if (!type) type = look_up(kWidths, kind);
  if (!type && !has_order) type = look_up(kNames, kind);
  if (type) {
    header.type = *type;
    header.width = host_size(*type);
  } else if (kind == "V1" || kind == "V2") {
    header.width = static_cast<std::size_t>(kind[1] - '0');
  } else {
    return unsupported(text, reason(kind));
  }
  header.swapped = order == '>' && header.width > 1 && header.type != ElementType::Invalid;
  return {};
}

/// A Python dictionary literal with the keys 'descr', 'fortran_order' and 'shape', once each.
class Reader {
 public:
  Reader(std::string_view text, int version) : rest_(text), version_(version) {}

  Result<NpyHeader> read() {
    NpyHeader h;
    if (!rest_.ends_with('\n')) return malformed("does not end in a newline");
    if (!eat('{')) return malformed("is not a dictionary");
    int seen = 0;
    for (bool first = true; !eat('}'); first = false) {
      if (!first) {
        if (!eat(',')) return malformed("lacks a ',' between two of its entries");
        if (eat('}')) break;
      }
      PJRT_TRY(const std::string_view key, string());
      if (!eat(':')) return malformed("lacks a ':' after '" + printable(key) + "'");
      const int bit = key == "descr" ? 1 : key == "fortran_order" ? 2 : key == "shape" ? 4 : 0;
      if (bit == 0) return malformed("has an unknown key '" + printable(key) + "'");
      if ((seen & bit) != 0) return malformed("has the key '" + std::string(key) + "' twice");
      seen |= bit;
      if (bit == 1) {
        skip();
        if (rest_.starts_with('[') || rest_.starts_with('('))
          return std::unexpected(Error(ErrorCode::InvalidArgument, "structured arrays are not supported"));
        PJRT_TRY(const std::string_view descr, string());
        PJRT_CHECK(read_descr(descr, h));
      } else if (bit == 2) {
        PJRT_TRY(h.fortran_order, boolean());
      } else {
        PJRT_TRY(h.dims, tuple());
      }
    }
    if (seen != 7) return malformed("lacks descr, fortran_order or shape");
    skip();
    if (!rest_.empty()) return malformed("has something behind its dictionary");
    return h;
  }

 private:
  void skip() {
    while (!rest_.empty() && std::string_view(" \t\n").find(rest_.front()) != std::string_view::npos)
      rest_.remove_prefix(1);
  }
  bool eat(char c) {
    skip();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  /// Without escapes: nothing that may stand here needs one.
  Result<std::string_view> string() {
    skip();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return malformed("is malformed");
    const std::size_t end = rest_.find(rest_.front(), 1);
    const std::string_view value = rest_.substr(1, end - 1);
    if (end == std::string_view::npos || value.find_first_of(std::string_view("\\\n\0", 3)) != std::string_view::npos)
      return malformed("is malformed");
    rest_.remove_prefix(end + 1);
    return value;
  }
  Result<bool> boolean() {
    skip();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return value;
    }
    return malformed("says neither True nor False for fortran_order");
  }
  Result<Dimensions> tuple() {
    if (!eat('(')) return malformed("gives a shape that is not a tuple");
    std::vector<std::int64_t> dims;
    bool comma = true;  // before the next number, or before the end
    while (!eat(')')) {
      if (!comma) return malformed("gives a malformed shape");
      std::int64_t d = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), d);
      const auto length = static_cast<std::size_t>(end - rest_.data());
      if (error != std::errc() || d < 0 || rest_.front() == '-' || (rest_.front() == '0' && length > 1))
        return malformed("gives a malformed shape");
      if (dims.size() == kMaxRank) {
        return malformed("gives a shape of more than " + std::to_string(kMaxRank) +
                         " dimensions, which is as many as numpy allows");
      }
      dims.push_back(d);
      rest_.remove_prefix(length);
      if (version_ < 3 && rest_.starts_with('L')) rest_.remove_prefix(1);  // Python 2 wrote long integers so
      comma = eat(',');
    }
    if (dims.size() == 1 && !comma) return malformed("gives a shape that is not a tuple");
    if (dims.empty()) return Dimensions();
    return Dimensions(dims);
  }

  std::string_view rest_;
  int version_;
};

}  // namespace

Result<NpyHeader> parse_npy_header(std::string_view text, int version) {
  return Reader(text, version).read();
}

std::string npy_descr(ElementType type) {
  for (const Named& n : kWidths) {
    if (n.type != type || type == ElementType::F8E5M2) continue;
    return std::string(host_size(type) == 1 ? "|" : "<") + std::string(n.name);
  }
  // '<V1' and '<V2' are what ml_dtypes has numpy write for its types, but for F8E5M2: there it is '<f1', which numpy
  // does not read.
  if (type == ElementType::F8E5M2) return "|V1";
  return "<V" + std::to_string(host_size(type));
}

}  // namespace pjrt::detail
