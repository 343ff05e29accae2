// numpy's .npy format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

#include "core/file.hpp"
#include "core/try.hpp"
#include "pjrt/host_buffer.hpp"

namespace pjrt {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

Error bad_npy(std::string what) {
  return Error(ErrorCode::InvalidArgument, "not a .npy array: " + std::move(what));
}

struct Header {
  std::string descr;
  bool fortran_order = false;
  Dimensions shape;
};

/// The header is a Python dict literal with the keys 'descr', 'fortran_order' and 'shape'.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : rest_(text) {}

  Result<Header> read() {
    Header h;
    int seen = 0;
    if (!eat('{')) return std::unexpected(bad_npy("its header is no dictionary"));
    while (!eat('}')) {
      PJRT_TRY(const std::string key, string());
      if (!eat(':')) return std::unexpected(bad_npy("its header lacks a ':' after '" + key + "'"));
      if (key == "descr") {
        skip();
        if (rest_.starts_with('[')) return std::unexpected(bad_npy("structured arrays are not supported"));
        PJRT_TRY(h.descr, string());
        seen |= 1;
      } else if (key == "fortran_order") {
        PJRT_TRY(h.fortran_order, boolean());
        seen |= 2;
      } else if (key == "shape") {
        PJRT_TRY(h.shape, tuple());
        seen |= 4;
      } else {
        return std::unexpected(bad_npy("its header has an unknown key '" + key + "'"));
      }
      eat(',');
    }
    if (seen != 7) return std::unexpected(bad_npy("its header lacks descr, fortran_order or shape"));
    return h;
  }

 private:
  void skip() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) rest_.remove_prefix(1);
  }
  bool eat(char c) {
    skip();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  Result<std::string> string() {
    skip();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"'))
      return std::unexpected(bad_npy("its header is malformed"));
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) return std::unexpected(bad_npy("its header is malformed"));
    std::string value(rest_.substr(1, end - 1));
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
    return std::unexpected(bad_npy("fortran_order is neither True nor False"));
  }
  Result<Dimensions> tuple() {
    if (!eat('(')) return std::unexpected(bad_npy("its shape is no tuple"));
    std::vector<std::int64_t> dims;
    while (!eat(')')) {
      skip();
      std::int64_t d = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), d);
      if (error != std::errc() || d < 0) return std::unexpected(bad_npy("its shape is malformed"));
      dims.push_back(d);
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      if (rest_.starts_with('L')) rest_.remove_prefix(1);  // Python 2 wrote long integers so
      eat(',');
    }
    return Dimensions(dims);
  }

  std::string_view rest_;
};

struct Descr {
  ElementType type = ElementType::Invalid;  // Invalid: raw bytes ("V")
  std::size_t width = 0;
  bool swapped = false;
  bool is_float8_e5m2 = false;
};

Result<Descr> read_descr(const std::string& text) {
  const auto unsupported = [&] {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "arrays of numpy dtype '" + text + "' are not supported"));
  };
  if (text.size() < 3 || std::string_view("<>|=").find(text[0]) == std::string_view::npos) return unsupported();
  std::size_t width = 0;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), width);
  if (error != std::errc() || end != text.data() + text.size()) return unsupported();
  Descr d{ElementType::Invalid, width, text[0] == '>' && width > 1, false};
  const auto pick = [&](std::initializer_list<std::pair<std::size_t, ElementType>> types) {
    for (const auto& [w, t] : types) {
      if (w == width) d.type = t;
    }
  };
  switch (text[1]) {
    case 'b':
      pick({{1, ElementType::Pred}});
      break;
    case 'i':
      pick({{1, ElementType::S8}, {2, ElementType::S16}, {4, ElementType::S32}, {8, ElementType::S64}});
      break;
    case 'u':
      pick({{1, ElementType::U8}, {2, ElementType::U16}, {4, ElementType::U32}, {8, ElementType::U64}});
      break;
    case 'f':
      if (width == 1) {  // how ml_dtypes' float8_e5m2 is written
        d.is_float8_e5m2 = true;
        return d;
      }
      pick({{2, ElementType::F16}, {4, ElementType::F32}, {8, ElementType::F64}});
      break;
    case 'c':
      pick({{8, ElementType::C64}, {16, ElementType::C128}});
      break;
    case 'V':
      if (width == 1 || width == 2) return d;
      break;
    default:
      break;
  }
  if (d.type == ElementType::Invalid) return unsupported();
  return d;
}

/// The dtype numpy would write; for types only ml_dtypes has, the raw bytes that it writes for them.
std::string descr_of(ElementType type) {
  const std::size_t width = host_size(type);
  char kind = 'V';
  switch (type) {
    case ElementType::Pred:
      return "|b1";
    case ElementType::S8:
      return "|i1";
    case ElementType::U8:
      return "|u1";
    case ElementType::S16:
    case ElementType::S32:
    case ElementType::S64:
      kind = 'i';
      break;
    case ElementType::U16:
    case ElementType::U32:
    case ElementType::U64:
      kind = 'u';
      break;
    case ElementType::F16:
    case ElementType::F32:
    case ElementType::F64:
      kind = 'f';
      break;
    case ElementType::F8E5M2:
      kind = 'f';
      break;
    case ElementType::C64:
    case ElementType::C128:
      kind = 'c';
      break;
    default:
      break;
  }
  return std::string("<") + kind + std::to_string(width);
}

void swap_bytes(std::span<std::byte> bytes, std::size_t word) {
  for (std::size_t i = 0; i + word <= bytes.size(); i += word) std::reverse(bytes.data() + i, bytes.data() + i + word);
}

Result<ElementType> decide_type(const Descr& descr, std::optional<ElementType> as) {
  if (descr.type != ElementType::Invalid) return descr.type;
  if (!as && descr.is_float8_e5m2) return ElementType::F8E5M2;
  if (!as) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument,
              "the array holds raw " + std::to_string(descr.width) +
                  "-byte elements (numpy writes bfloat16 and 8-bit floats so); say which type they are"));
  }
  if (host_size(*as) != descr.width) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the array holds raw " + std::to_string(descr.width) +
                                                                 "-byte elements, but " + std::string(name(*as)) +
                                                                 " has " + std::to_string(host_size(*as))));
  }
  return *as;
}

}  // namespace

Result<HostBuffer> HostBuffer::parse_npy(std::span<const std::byte> file, std::optional<ElementType> as) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (!text.starts_with(kMagic) || text.size() < 10)
    return std::unexpected(bad_npy("it does not begin with \\x93NUMPY"));
  const int major = static_cast<unsigned char>(text[6]);
  if (major < 1 || major > 3)
    return std::unexpected(bad_npy("format version " + std::to_string(major) + " is unknown"));
  const std::size_t length_size = major == 1 ? 2 : 4;
  if (text.size() < 8 + length_size) return std::unexpected(bad_npy("the file is cut off in its header"));
  std::size_t length = 0;
  for (std::size_t i = 0; i < length_size; ++i)
    length |= static_cast<std::size_t>(static_cast<unsigned char>(text[8 + i])) << 8 * i;
  const std::size_t begin = 8 + length_size;
  if (length > text.size() - begin) return std::unexpected(bad_npy("the file is cut off in its header"));

  PJRT_TRY(Header header, HeaderReader(text.substr(begin, length)).read());
  PJRT_TRY(const Descr descr, read_descr(header.descr));
  PJRT_TRY(const ElementType type, decide_type(descr, as));
  PJRT_TRY(HostBuffer buffer, allocate(Shape{type, header.shape}));
  const std::span<const std::byte> data = file.subspan(begin + length);
  const std::size_t wanted = buffer.bytes().size();
  if (data.size() < wanted) {
    return std::unexpected(Error(ErrorCode::DataLoss, "the .npy file is cut off: " + std::to_string(data.size()) +
                                                          " of " + std::to_string(wanted) + " bytes of " +
                                                          pjrt::to_string(buffer.shape())));
  }
  if (wanted == 0) return buffer;
  if (header.fortran_order && header.shape.size() > 1) {
    Dimensions strides(header.shape);
    auto stride = static_cast<std::int64_t>(descr.width);
    for (std::size_t i = 0; i < strides.size(); ++i) stride *= std::exchange(strides.data()[i], stride);
    PJRT_TRY(const HostView view, HostView::strided(data.data(), Shape{type, header.shape}, strides));
    view.copy_to(buffer.mutable_bytes().data());
  } else {
    std::memcpy(buffer.mutable_bytes().data(), data.data(), wanted);
  }
  if (descr.swapped) swap_bytes(buffer.mutable_bytes(), is_complex(type) ? descr.width / 2 : descr.width);
  return buffer;
}

Result<HostBuffer> HostBuffer::load(const std::filesystem::path& path, std::optional<ElementType> as) {
  PJRT_TRY(const detail::FileContents file, detail::read_file(path));
  Result<HostBuffer> buffer = parse_npy(file.bytes(), as);
  if (!buffer) return std::unexpected(buffer.error().with_context(path.string()));
  return buffer;
}

std::vector<std::byte> HostBuffer::to_npy() const {
  std::string shape = "(";
  for (const std::int64_t d : dims()) shape += std::to_string(d) + (dims().size() == 1 ? "," : ", ");
  if (dims().size() > 1) shape.resize(shape.size() - 2);
  std::string header = "{'descr': '" + descr_of(type()) + "', 'fortran_order': False, 'shape': " + shape + "), }";
  // numpy leaves room for the first dimension to grow to 21 digits, then pads to 64 bytes, by 64 where none are needed.
  if (!dims().empty()) header.append(21 - std::min<std::size_t>(21, std::to_string(dims()[0]).size()), ' ');
  const auto padding = [&](std::size_t length_size) {
    return 64 - (kMagic.size() + 2 + length_size + header.size() + 1) % 64;
  };
  const std::size_t length_size = header.size() + 1 + padding(2) > 0xffff ? 4 : 2;
  header.append(padding(length_size), ' ');
  header += '\n';

  std::string head(kMagic);
  head += length_size == 2 ? '\x01' : '\x02';
  head += '\x00';
  for (std::size_t i = 0; i < length_size; ++i) head += static_cast<char>(header.size() >> 8 * i & 0xff);
  head += header;
  const std::size_t data_size = static_cast<std::size_t>(element_count()) * host_size(type());
  std::vector<std::byte> file(head.size() + data_size);
  std::memcpy(file.data(), head.data(), head.size());
  view_.copy_to(file.data() + head.size());
  return file;
}

Result<void> HostBuffer::save(const std::filesystem::path& path) const {
  return detail::write_file(path, to_npy());
}

}  // namespace pjrt
