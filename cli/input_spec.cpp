#include "input_spec.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <complex>
#include <cstring>
#include <random>

#include "array_file.hpp"

namespace pjrt::cli {
namespace {

/// A text in a message: a list of values may be long.
std::string shortened(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  return text.size() <= kLongest ? std::string(text) : std::string(text.substr(0, kLongest)) + "…";
}

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// The first '=' outside brackets and quotes from a place on: names may be args[0]['a=b'].
std::size_t find_equals(std::string_view text, std::size_t from = 0) {
  int depth = 0;
  char quote = 0;
  for (std::size_t i = from; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = 0;
      }
    } else if ((c == '\'' || c == '"') && depth > 0) {
      quote = c;
    } else if (c == '[') {
      ++depth;
    } else if (c == ']') {
      --depth;
    } else if (c == '=' && depth <= 0) {
      return i;
    }
  }
  return std::string_view::npos;
}

// ---- values ----

template <class T>
bool parse_integer(std::string_view text, T& out) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_double(std::string_view text, double& out) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

/// "1.5", "2j", "1-2j", "(1+2j)".
bool parse_complex(std::string_view text, std::complex<double>& out) {
  if (text.starts_with('(') && text.ends_with(')')) text = text.substr(1, text.size() - 2);
  double re = 0;
  double im = 0;
  if (!text.ends_with('j')) {
    if (!parse_double(text, re)) return false;
    out = re;
    return true;
  }
  text.remove_suffix(1);
  std::size_t split = text.find_last_of("+-");
  while (split != std::string_view::npos && split > 0 && (text[split - 1] == 'e' || text[split - 1] == 'E'))
    split = text.find_last_of("+-", split - 1);
  if (split != std::string_view::npos && split > 0) {
    if (!parse_double(text.substr(0, split), re)) return false;
    text.remove_prefix(split);
  }
  if (!parse_double(text, im)) return false;
  out = {re, im};
  return true;
}

template <class T>
bool parse_element(std::string_view text, T& out) {
  if constexpr (std::same_as<T, bool>) {
    out = text == "1" || text == "true" || text == "True";
    return out || text == "0" || text == "false" || text == "False";
  } else if constexpr (std::integral<T>) {
    return parse_integer(text, out);
  } else if constexpr (std::same_as<T, complex64> || std::same_as<T, complex128>) {
    std::complex<double> value;
    if (!parse_complex(text, value)) return false;
    out = T(static_cast<typename T::value_type>(value.real()), static_cast<typename T::value_type>(value.imag()));
    return true;
  } else if constexpr (std::same_as<T, float> || std::same_as<T, double>) {
    double value = 0;
    if (!parse_double(text, value)) return false;
    out = static_cast<T>(value);
    return true;
  } else if constexpr (requires { T::kFormat; } || std::same_as<T, float8_e8m0fnu>) {
    double value = 0;
    if (!parse_double(text, value)) return false;
    out = T(value);
    return true;
  } else {
    int value = 0;
    if (!parse_integer(text, value)) return false;
    out = T(value);
    return static_cast<int>(out) == value;
  }
}

std::expected<HostBuffer, Failure> literal(const InputSpec::Literal& what) {
  std::vector<std::string_view> words;
  const std::string_view text = what.values;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = text.find_first_not_of(" ,\t\n[]", at);
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(" ,\t\n[]", begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    at = end;
  }
  const auto count = static_cast<std::size_t>(element_count(what.shape.dims).value_or(0));
  if (words.size() != count && !(words.size() == 1 && count > 0)) {
    return std::unexpected(wrong_usage(std::to_string(words.size()) + " values for an array of " +
                                       to_string(what.shape) + ", which has " + std::to_string(count)));
  }
  CLI_TRY(HostBuffer array, HostBuffer::allocate(what.shape));
  std::string bad;
  visit(what.shape.type, [&]<class T>() {
    auto* out = reinterpret_cast<T*>(array.mutable_bytes().data());
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view word = words[words.size() == 1 ? 0 : i];
      if (!parse_element(word, out[i]) && bad.empty()) bad = word;
    }
  });
  if (!bad.empty())
    return std::unexpected(
        wrong_usage("'" + shortened(bad) + "' is not a value of type " + std::string(name(what.shape.type))));
  return array;
}

template <class T>
T random_element(std::mt19937_64& generator) {
  if constexpr (std::same_as<T, bool>) {
    return (generator() & 1) != 0;
  } else if constexpr (std::integral<T>) {
    return static_cast<T>(std::uniform_int_distribution<int>(std::signed_integral<T> ? -100 : 0, 100)(generator));
  } else if constexpr (std::same_as<T, complex64> || std::same_as<T, complex128>) {
    std::normal_distribution<double> normal;
    const double re = normal(generator);
    return T(static_cast<typename T::value_type>(re), static_cast<typename T::value_type>(normal(generator)));
  } else if constexpr (std::convertible_to<double, T> || requires { T::kFormat; } || std::same_as<T, float8_e8m0fnu>) {
    return T(std::normal_distribution<double>()(generator));
  } else {
    return T(static_cast<int>(generator() & 0xf));
  }
}

std::expected<HostBuffer, Failure> filled(const InputSpec::Filled& what, std::uint64_t seed) {
  CLI_TRY(HostBuffer array, HostBuffer::allocate(what.shape));
  std::mt19937_64 generator(seed);
  visit(what.shape.type, [&]<class T>() {
    auto* out = reinterpret_cast<T*>(array.mutable_bytes().data());
    for (std::int64_t i = 0; i < array.element_count(); ++i) {
      out[i] = what.how == "random" ? random_element<T>(generator) : T(what.how == "ones" ? 1 : 0);
    }
  });
  return array;
}

// ---- binding to the inputs of a model ----

/// What `--input` says, and the file if it can be opened only once.
struct Given {
  InputSpec spec;
  bool is_archive = false;
  std::optional<ArrayFile> stream;
  /// Why the file cannot be read; told when it is clear for which input it is.
  std::optional<Error> failure;

  const InputSpec::File* file() const { return std::get_if<InputSpec::File>(&spec.what); }
};

class Gatherer {
 public:
  /// `in_order`: how many inputs are given without a name.
  Gatherer(const Session& session, std::uint64_t seed, std::size_t in_order)
      : session_(session),
        seed_(seed),
        counts_unused_(in_order > used_inputs(session).size()),
        arrays_(session.inputs().size()) {}

  std::expected<void, Failure> add(Given& given) {
    const InputSpec& spec = given.spec;
    if (const InputSpec::File* file = given.file()) {
      if (given.failure) {
        CLI_TRY(const std::size_t i, target(spec));
        return set(i, [&]() -> std::expected<HostBuffer, Failure> { return std::unexpected(Failure(*given.failure)); });
      }
      std::optional<ArrayFile> opened = std::move(given.stream);
      if (!opened) {
        CLI_TRY(opened, ArrayFile::open(file->path));
      }
      if (opened->is_archive()) {
        if (spec.name) return add_only_array(*opened, file->path, spec);
        return add_archive(*opened, file->path);
      }
      CLI_TRY(const std::size_t i, target(spec));
      return set(i, [&] { return opened->read(type(i), check(i)); });
    }
    CLI_TRY(const std::size_t i, target(spec));
    return set(i, [&]() -> std::expected<HostBuffer, Failure> {
      if (const auto* l = std::get_if<InputSpec::Literal>(&spec.what)) {
        CLI_CHECK(check(i)(l->shape));
        return literal(*l);
      }
      const auto& f = std::get<InputSpec::Filled>(spec.what);
      CLI_CHECK(check(i)(f.shape));
      return filled(f, seed_ + i);
    });
  }

  std::vector<std::optional<HostBuffer>> take() { return std::move(arrays_); }

 private:
  /// What raw elements of a file are, if they are that wide.
  std::optional<ElementType> type(std::size_t i) const { return session_.inputs()[i].shape.type; }

  /// Arrays that the model does not take are refused before they are read or made.
  pjrt::detail::ShapeCheck check(std::size_t i) const {
    return [&wanted = session_.inputs()[i].shape](const Shape& shape) -> Result<void> {
      if (shape == wanted) return {};
      return std::unexpected(
          Error(ErrorCode::InvalidArgument, "it is " + to_string(shape) + ", the model takes " + to_string(wanted)));
    };
  }

  std::expected<std::size_t, Failure> target(const InputSpec& spec) {
    if (spec.name) {
      CLI_TRY(const std::size_t i, session_.find_input(*spec.name));
      return i;
    }
    while (next_ < arrays_.size() && (arrays_[next_] || !(session_.inputs()[next_].used || counts_unused_))) ++next_;
    if (next_ < arrays_.size() && !session_.inputs()[next_].replica) return next_;
    const std::size_t used = used_inputs(session_).size();
    const auto all = static_cast<std::size_t>(
        std::ranges::count_if(session_.inputs(), [](const SessionValue& v) { return !v.replica; }));
    std::string message = "one input too many; the model takes " + std::to_string(used);
    if (used < all) message += ", or " + std::to_string(all) + " with those that it does not use";
    if (all < arrays_.size()) message += "; for one replica alone an input is given by name, as arg0@1";
    return std::unexpected(Failure(Error(ErrorCode::InvalidArgument, message)));
  }

  /// Those of single replicas are left out: they are given by name.
  static std::vector<std::size_t> used_inputs(const Session& session) {
    std::vector<std::size_t> used;
    for (std::size_t i = 0; i < session.inputs().size(); ++i) {
      if (session.inputs()[i].used && !session.inputs()[i].replica) used.push_back(i);
    }
    return used;
  }

  template <class Make>
  std::expected<void, Failure> set(std::size_t i, Make make) {
    const std::string& path = session_.inputs()[i].path;
    if (arrays_[i]) return std::unexpected(wrong_usage("input " + path + " is given twice"));
    auto array = make();
    if (!array) {
      Failure failure(std::move(array).error());
      failure.error = failure.error.with_context("input " + path);
      return std::unexpected(std::move(failure));
    }
    arrays_[i] = *std::move(array);
    return {};
  }

  /// An archive for one input: it must hold one array, whatever its name.
  std::expected<void, Failure> add_only_array(ArrayFile& archive, const std::filesystem::path& path,
                                              const InputSpec& spec) {
    const std::vector<std::string> names = archive.names();
    if (names.size() != 1) {
      return std::unexpected(wrong_usage(path.string() + ": " + std::string(archive.kind()) + " holds " +
                                         std::to_string(names.size()) + " arrays; give it without a name"));
    }
    CLI_TRY(const std::size_t i, target(spec));
    return set(i, [&] { return archive.read(names.front(), type(i), check(i)); });
  }

  std::expected<void, Failure> add_archive(ArrayFile& archive, const std::filesystem::path& path) {
    const std::vector<std::string> names = archive.names();
    if (names.empty() && !arrays_.empty())
      return std::unexpected(Failure(Error(ErrorCode::InvalidArgument, path.string() + " holds no arrays")));
    const bool in_order = is_for_used_inputs(names);
    const std::vector<std::size_t> used = used_inputs(session_);
    for (const std::string& name : names) {
      const Result<std::size_t> i = in_order ? Result<std::size_t>(used[*number_of(name)]) : session_.find_input(name);
      if (!i) return std::unexpected(Failure(i.error().with_context(path.string())));
      CLI_CHECK(set(*i, [&] { return archive.read(name, type(*i), check(*i)); }));
    }
    return {};
  }

  /// The number of "arr_3", which numpy.savez calls the arrays that it is given in order.
  static std::optional<std::size_t> number_of(std::string_view name) {
    std::size_t n = 0;
    if (!name.starts_with("arr_") || !parse_integer(name.substr(4), n) || name != "arr_" + std::to_string(n))
      return std::nullopt;
    return n;
  }

  /// Arrays in order are for the inputs that the program uses if there are just as many, as they are on the command
  /// line.
  bool is_for_used_inputs(const std::vector<std::string>& names) const {
    const std::size_t used = used_inputs(session_).size();
    if (names.size() != used || used == arrays_.size()) return false;
    const auto is_number = [&](const std::string& name) {
      const std::optional<std::size_t> n = number_of(name);
      const Result<std::size_t> i = session_.find_input(name);
      return n && *n < used && i && *i == *n;  // found by its number and not by its name
    };
    return std::ranges::all_of(names, is_number);
  }

  const Session& session_;
  std::uint64_t seed_;
  /// Inputs in order are for all parameters of the function, those that the program does not use included; else for the
  /// used ones.
  bool counts_unused_;
  std::size_t next_ = 0;
  std::vector<std::optional<HostBuffer>> arrays_;
};

}  // namespace

std::optional<Shape> parse_shape(std::string_view text) {
  std::vector<std::int64_t> dims;
  while (true) {
    const std::size_t x = text.find('x');
    if (x == std::string_view::npos || !is_number(text.substr(0, x))) break;
    std::int64_t d = 0;
    if (dims.size() == kMaxRank || !parse_integer(text.substr(0, x), d)) return std::nullopt;
    dims.push_back(d);
    text.remove_prefix(x + 1);
  }
  const std::optional<ElementType> type = element_type_from_name(text);
  if (!type || host_size(*type) == 0) return std::nullopt;
  return Shape{*type, Dimensions(dims)};
}

namespace {

/// A file, values or a filling, without a name; nullopt for what is none of them.
std::optional<InputSpec> parse_array(std::string_view text) {
  InputSpec spec;
  if (text.starts_with('@')) {
    if (text.size() == 1) return std::nullopt;
    spec.what = InputSpec::File{std::filesystem::path(text.substr(1))};
    return spec;
  }
  if (const std::size_t equals = text.find('='); equals != std::string_view::npos) {
    const std::optional<Shape> shape = parse_shape(text.substr(0, equals));
    const std::string_view values = text.substr(equals + 1);
    // No value has any of these: "f32=@x.npy" is an input called f32.
    if (!shape || values.find_first_of("=@:") != std::string_view::npos) return std::nullopt;
    spec.what = InputSpec::Literal{*shape, std::string(values)};
    return spec;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<Shape> shape = parse_shape(text.substr(0, colon));
  const std::string_view how = text.substr(colon + 1);
  if (!shape || (how != "random" && how != "zeros" && how != "ones")) return std::nullopt;
  spec.what = InputSpec::Filled{*shape, std::string(how)};
  return spec;
}

/// Digits, signs and x, then something: meant as a shape and not as the name of an input.
bool looks_like_shape(std::string_view text) {
  const std::size_t letters = text.find_first_not_of("-+0123456789x");
  const std::string_view sizes = text.substr(0, letters);
  return parse_shape(text) || (sizes.ends_with('x') && sizes.find_first_of("0123456789") != std::string_view::npos);
}

/// What is wrong with a text that should be an array.
std::string fault(std::string_view text) {
  if (text == "@") return "'@' without a file";
  const std::size_t end = std::min(text.find('='), text.rfind(':'));
  if (end == std::string_view::npos) return "it has neither values nor a file";
  const std::string_view head = text.substr(0, end);
  if (!parse_shape(head)) {
    const bool deep = static_cast<std::size_t>(std::ranges::count(head, 'x')) > kMaxRank;
    return "'" + std::string(head.substr(0, 60)) + (head.size() > 60 ? "…" : "") +
           "' is not a shape such as 8x128xf32" +
           (deep ? "; shapes have at most " + std::to_string(kMaxRank) + " dimensions" : "");
  }
  if (text[end] == ':') return "arrays can be filled with random, zeros or ones";
  return "its values are malformed";
}

}  // namespace

std::expected<InputSpec, Failure> parse_input(std::string_view text) {
  if (std::optional<InputSpec> spec = parse_array(text)) return *std::move(spec);
  // A name may hold an '=' as well; outside brackets and quotes, the first one that an array follows ends it.
  const std::size_t first = find_equals(text);
  for (std::size_t equals = first; equals != std::string_view::npos; equals = find_equals(text, equals + 1)) {
    std::optional<InputSpec> spec = equals > 0 ? parse_array(text.substr(equals + 1)) : std::nullopt;
    if (!spec) continue;
    spec->name = std::string(text.substr(0, equals));
    return *std::move(spec);
  }
  std::string why = first == 0 ? "its name is empty" : fault(text);
  const bool has_a_name = first != std::string_view::npos && first != 0 && !looks_like_shape(text.substr(0, first));
  if (has_a_name) why = fault(text.substr(first + 1));
  return std::unexpected(
      Failure(Error(ErrorCode::InvalidArgument, "--input '" + shortened(text) + "': " + why)
                  .with_note("inputs are [name=]@x.npy, @x.npz, [name=]2x3xf32=1 2 3 4 5 6, [name=]8x128xf32:random"),
              kWrongUsage));
}

std::expected<std::vector<std::optional<HostBuffer>>, Failure> gather_inputs(const Session& session,
                                                                             const std::vector<std::string>& texts,
                                                                             std::uint64_t seed) {
  std::vector<Given> all;
  for (const std::string& text : texts) {
    Given& given = all.emplace_back();
    CLI_TRY(given.spec, parse_input(text));
    const InputSpec::File* path = given.file();
    if (path == nullptr) continue;
    Result<ArrayFile> file = ArrayFile::open(path->path);
    if (!file) {
      given.failure = std::move(file).error();
      continue;
    }
    given.is_archive = file->is_archive();
    if (!file->is_regular()) given.stream = *std::move(file);  // the others are closed again: there may be thousands
  }
  const auto is_in_order = [](const Given& given) { return !given.spec.name && !given.is_archive; };
  Gatherer gatherer(session, seed, static_cast<std::size_t>(std::ranges::count_if(all, is_in_order)));
  for (Given& given : all) CLI_CHECK(gatherer.add(given));
  return gatherer.take();
}

}  // namespace pjrt::cli
