#include "input_spec.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <complex>
#include <cstring>
#include <random>

#include "pjrt/model/npz.hpp"

namespace pjrt::cli {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// The first '=' outside brackets and quotes: names may be args[0]['a=b'].
std::size_t find_equals(std::string_view text) {
  int depth = 0;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
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
  CLI_TRY(HostBuffer array, HostBuffer::allocate(what.shape));
  const auto count = static_cast<std::size_t>(array.element_count());
  if (words.size() != count && !(words.size() == 1 && count > 0)) {
    return std::unexpected(wrong_usage(std::to_string(words.size()) + " values for an array of " +
                                       to_string(what.shape) + ", which has " + std::to_string(count)));
  }
  std::string bad;
  visit(what.shape.type, [&]<class T>() {
    auto* out = reinterpret_cast<T*>(array.mutable_bytes().data());
    for (std::size_t i = 0; i < count; ++i) {
      const std::string_view word = words[words.size() == 1 ? 0 : i];
      if (!parse_element(word, out[i]) && bad.empty()) bad = word;
    }
  });
  if (!bad.empty())
    return std::unexpected(wrong_usage("'" + bad + "' is no value of type " + std::string(name(what.shape.type))));
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

class Gatherer {
 public:
  /// `in_order`: how many inputs are given without a name.
  Gatherer(const Session& session, std::uint64_t seed, std::size_t in_order)
      : session_(session),
        seed_(seed),
        counts_unused_(in_order > used_inputs(session)),
        arrays_(session.inputs().size()) {}

  std::expected<void, Failure> add(const InputSpec& spec) {
    if (const auto* file = std::get_if<InputSpec::File>(&spec.what)) {
      const std::string extension = file->path.extension().string();
      if (extension == ".npz" && !spec.name) return add_archive(file->path);
      CLI_TRY(const std::size_t i, target(spec));
      return set(i, [&]() -> std::expected<HostBuffer, Failure> {
        if (extension == ".npz")
          return std::unexpected(
              wrong_usage(file->path.string() + ": an .npz holds several arrays; give it without a name"));
        CLI_TRY(HostBuffer array, HostBuffer::load(file->path, raw_type(i)));
        return array;
      });
    }
    CLI_TRY(const std::size_t i, target(spec));
    return set(i, [&] {
      if (const auto* l = std::get_if<InputSpec::Literal>(&spec.what)) return literal(*l);
      return filled(std::get<InputSpec::Filled>(spec.what), seed_ + i);
    });
  }

  std::vector<std::optional<HostBuffer>> take() { return std::move(arrays_); }

 private:
  /// What raw elements of a file are, if they are that wide.
  std::optional<ElementType> raw_type(std::size_t i) const { return session_.inputs()[i].shape.type; }

  std::expected<std::size_t, Failure> target(const InputSpec& spec) {
    if (spec.name) {
      CLI_TRY(const std::size_t i, session_.find_input(*spec.name));
      return i;
    }
    while (next_ < arrays_.size() && (arrays_[next_] || !(session_.inputs()[next_].used || counts_unused_))) ++next_;
    if (next_ < arrays_.size() && !session_.inputs()[next_].replica) return next_;
    const std::size_t used = used_inputs(session_);
    const auto all = static_cast<std::size_t>(
        std::ranges::count_if(session_.inputs(), [](const SessionValue& v) { return !v.replica; }));
    std::string message = "one input too many; the model takes " + std::to_string(used);
    if (used < all) message += ", or " + std::to_string(all) + " with those that it does not use";
    if (all < arrays_.size()) message += "; for one replica alone an input is given by name, as arg0@1";
    return std::unexpected(Failure(Error(ErrorCode::InvalidArgument, message)));
  }

  static std::size_t used_inputs(const Session& session) {
    return static_cast<std::size_t>(
        std::ranges::count_if(session.inputs(), [](const SessionValue& v) { return v.used && !v.replica; }));
  }

  template <class Make>
  std::expected<void, Failure> set(std::size_t i, Make make) {
    if (arrays_[i]) return std::unexpected(wrong_usage("input " + session_.inputs()[i].path + " is given twice"));
    auto array = make();
    if (!array) {
      Failure failure = std::move(array).error();
      failure.error = failure.error.with_context("input " + session_.inputs()[i].path);
      return std::unexpected(std::move(failure));
    }
    arrays_[i] = *std::move(array);
    return {};
  }

  std::expected<void, Failure> add_archive(const std::filesystem::path& path) {
    CLI_TRY(model::NpzFile archive, model::NpzFile::open(path));
    for (const std::string& name : archive.names()) {
      const Result<std::size_t> i = session_.find_input(name);
      if (!i) return std::unexpected(Failure(i.error().with_context(path.string())));
      CLI_CHECK(set(*i, [&]() -> std::expected<HostBuffer, Failure> {
        CLI_TRY(HostBuffer array, archive.read(name, raw_type(*i)));
        return array;
      }));
    }
    return {};
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
    if (!parse_integer(text.substr(0, x), d)) return std::nullopt;
    dims.push_back(d);
    text.remove_prefix(x + 1);
  }
  const std::optional<ElementType> type = element_type_from_name(text);
  if (!type || host_size(*type) == 0) return std::nullopt;
  return Shape{*type, Dimensions(dims)};
}

std::expected<InputSpec, Failure> parse_input(std::string_view text) {
  const auto malformed = [&](std::string_view why) {
    return std::unexpected(
        Failure(Error(ErrorCode::InvalidArgument, "--input '" + std::string(text) + "': " + std::string(why))
                    .with_note("inputs are [name=]@x.npy, @x.npz, [name=]2x3xf32=1 2 3 4 5 6, [name=]8x128xf32:random"),
                kWrongUsage));
  };
  InputSpec spec;
  std::string_view rest = text;
  for (;;) {
    if (rest.starts_with('@')) {
      if (rest.size() == 1) return malformed("'@' without a file");
      spec.what = InputSpec::File{std::filesystem::path(rest.substr(1))};
      return spec;
    }
    const std::size_t equals = find_equals(rest);
    const std::string_view head = rest.substr(0, equals);
    const std::size_t colon = head.rfind(':');
    if (equals == std::string_view::npos && colon != std::string_view::npos) {
      const std::optional<Shape> shape = parse_shape(head.substr(0, colon));
      const std::string_view how = head.substr(colon + 1);
      if (!shape) return malformed("'" + std::string(head.substr(0, colon)) + "' is no shape such as 8x128xf32");
      if (how != "random" && how != "zeros" && how != "ones")
        return malformed("arrays can be filled with random, zeros or ones");
      spec.what = InputSpec::Filled{*shape, std::string(how)};
      return spec;
    }
    if (equals == std::string_view::npos && spec.name)
      return malformed("'" + *spec.name + "' is no shape such as 2x3xf32, and no name that a shape or a file follows");
    if (equals == std::string_view::npos) return malformed("it has neither values nor a file");
    if (const std::optional<Shape> shape = parse_shape(head)) {
      spec.what = InputSpec::Literal{*shape, std::string(rest.substr(equals + 1))};
      return spec;
    }
    if (spec.name) return malformed("'" + std::string(head) + "' is no shape such as 2x3xf32");
    if (head.empty()) return malformed("its name is empty");
    spec.name = std::string(head);
    rest.remove_prefix(equals + 1);
  }
}

std::expected<std::vector<std::optional<HostBuffer>>, Failure> gather_inputs(const Session& session,
                                                                             const std::vector<std::string>& texts,
                                                                             std::uint64_t seed) {
  std::vector<InputSpec> specs;
  for (const std::string& text : texts) {
    CLI_TRY(InputSpec spec, parse_input(text));
    specs.push_back(std::move(spec));
  }
  const auto is_in_order = [](const InputSpec& spec) {
    const auto* file = std::get_if<InputSpec::File>(&spec.what);
    return !spec.name && !(file != nullptr && file->path.extension() == ".npz");
  };
  Gatherer gatherer(session, seed, static_cast<std::size_t>(std::ranges::count_if(specs, is_in_order)));
  for (const InputSpec& spec : specs) CLI_CHECK(gatherer.add(spec));
  return gatherer.take();
}

}  // namespace pjrt::cli
