#include "core/npy.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "core/file.hpp"
#include "core/npy_header.hpp"
#include "core/pred.hpp"
#include "core/try.hpp"

namespace pjrt {
namespace {

using detail::ByteSource;
using detail::NpyHeader;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kLongestHeader = 10000;  // numpy reads no longer ones either

Error bad_npy(std::string what) {
  return Error(ErrorCode::InvalidArgument, "not a .npy array: " + std::move(what));
}

Result<NpyHeader> read_header(ByteSource& source) {
  const auto cut_off = [] { return std::unexpected(bad_npy("the file is cut off in its header")); };
  std::byte start[12];
  PJRT_TRY(std::size_t n, read_fully(source, std::span(start, 10)));
  const std::string_view text(reinterpret_cast<const char*>(start), n);
  if (!text.starts_with(kMagic)) return std::unexpected(bad_npy("it does not begin with \\x93NUMPY"));
  if (n < 10) return cut_off();
  const int major = std::to_integer<int>(start[6]);
  const int minor = std::to_integer<int>(start[7]);
  if (major < 1 || major > 3 || minor != 0) {
    return std::unexpected(
        bad_npy("format version " + std::to_string(major) + "." + std::to_string(minor) + " is unknown"));
  }
  std::size_t length = std::to_integer<std::size_t>(start[8]) | std::to_integer<std::size_t>(start[9]) << 8;
  if (major > 1) {
    PJRT_TRY(n, read_fully(source, std::span(start + 10, 2)));
    if (n < 2) return cut_off();
    length |= std::to_integer<std::size_t>(start[10]) << 16 | std::to_integer<std::size_t>(start[11]) << 24;
  }
  if (length > kLongestHeader) {
    return std::unexpected(bad_npy("its header is " + std::to_string(length) + " bytes long; at most " +
                                   std::to_string(kLongestHeader) + " are read, as by numpy"));
  }
  std::string header(length, '\0');
  PJRT_TRY(n, read_fully(source, std::as_writable_bytes(std::span(header))));
  if (n < length) return cut_off();
  return detail::parse_npy_header(header, major);
}

Result<ElementType> decide_type(const NpyHeader& header, std::optional<ElementType> as) {
  if (header.type != ElementType::Invalid) return header.type;
  const std::string what = "the array holds raw " + std::to_string(header.width) + "-byte elements";
  if (!as) {
    return std::unexpected(Error(ErrorCode::InvalidArgument,
                                 what + " (numpy writes bfloat16 and 8-bit floats so); say which type they are"));
  }
  if (host_size(*as) != header.width) {
    return std::unexpected(Error(ErrorCode::InvalidArgument,
                                 what + ", but " + std::string(name(*as)) + " has " + std::to_string(host_size(*as))));
  }
  return *as;
}

Error missing(std::uint64_t have, std::uint64_t wanted, const Shape& shape) {
  return Error(ErrorCode::DataLoss, "the .npy file is cut off: " + std::to_string(have) + " of " +
                                        std::to_string(wanted) + " bytes of " + to_string(shape));
}

Error surplus(const std::string& more, std::uint64_t wanted, const Shape& shape) {
  return bad_npy(more + " behind the " + std::to_string(wanted) + " bytes of " + to_string(shape));
}

/// Exactly `out.size()` bytes, and then the end.
Result<void> read_exactly(ByteSource& source, std::span<std::byte> out, const Shape& shape) {
  PJRT_TRY(const std::size_t n, read_fully(source, out));
  if (n < out.size()) return std::unexpected(missing(n, out.size(), shape));
  std::byte more{};
  PJRT_TRY(const std::size_t behind, source.read(std::span(&more, 1)));
  if (behind > 0) return std::unexpected(surplus("there are more bytes", out.size(), shape));
  return {};
}

void swap_bytes(std::span<std::byte> bytes, std::size_t word) {
  for (std::size_t i = 0; i + word <= bytes.size(); i += word) std::reverse(bytes.data() + i, bytes.data() + i + word);
}

}  // namespace

namespace detail {

Result<Shape> read_npy_shape(ByteSource& source, std::optional<ElementType> as) {
  PJRT_TRY(NpyHeader header, read_header(source));
  PJRT_TRY(const ElementType type, decide_type(header, as));
  return Shape{type, std::move(header.dims)};
}

Result<HostBuffer> read_npy(ByteSource& source, std::optional<ElementType> as, const ShapeCheck& check) {
  PJRT_TRY(const NpyHeader header, read_header(source));
  PJRT_TRY(const ElementType type, decide_type(header, as));
  const Shape shape{type, header.dims};
  if (check) PJRT_CHECK(check(shape));
  // Compared before memory is taken, where that can be done: a header may promise anything.
  const std::optional<std::int64_t> bytes = host_byte_size(shape);
  if (const std::optional<std::uint64_t> left = source.left(); left && bytes) {
    const auto wanted = static_cast<std::uint64_t>(*bytes);
    if (*left < wanted) return std::unexpected(missing(*left, wanted, shape));
    if (*left > wanted)
      return std::unexpected(
          surplus(*left == wanted + 1 ? "there is 1 byte" : "there are " + std::to_string(*left - wanted) + " bytes",
                  wanted, shape));
  }
  PJRT_TRY(HostBuffer buffer, HostBuffer::allocate(shape));
  const std::span<std::byte> out = buffer.mutable_bytes();
  if (header.fortran_order && header.dims.size() > 1 && !out.empty()) {
    PJRT_TRY(HostBuffer columns, HostBuffer::allocate(shape));
    PJRT_CHECK(read_exactly(source, columns.mutable_bytes(), shape));
    Dimensions strides(header.dims);
    auto stride = static_cast<std::int64_t>(header.width);
    for (std::size_t i = 0; i < strides.size(); ++i) stride *= std::exchange(strides.data()[i], stride);
    PJRT_TRY(const HostView view, HostView::strided(columns.bytes().data(), shape, strides));
    view.copy_to(out.data());
  } else {
    PJRT_CHECK(read_exactly(source, out, shape));
  }
  if (header.swapped) swap_bytes(out, is_complex(type) ? header.width / 2 : header.width);
  if (type == ElementType::Pred) normalize_preds(out);
  return buffer;
}

std::string npy_header(const Shape& shape) {
  const Dimensions& dims = shape.dims;
  std::string tuple = "(";
  for (const std::int64_t d : dims) tuple += std::to_string(d) + (dims.size() == 1 ? "," : ", ");
  if (dims.size() > 1) tuple.resize(tuple.size() - 2);
  std::string header = "{'descr': '" + npy_descr(shape.type) + "', 'fortran_order': False, 'shape': " + tuple + "), }";
  // numpy leaves room for the first dimension to grow to 21 digits, then pads to 64 bytes, by 64 where none are needed.
  if (!dims.empty()) header.append(21 - std::min<std::size_t>(21, std::to_string(dims[0]).size()), ' ');
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
  return head + header;
}

}  // namespace detail

Result<HostBuffer> HostBuffer::parse_npy(std::span<const std::byte> file, std::optional<ElementType> as) try {
  detail::MemorySource source(file);
  return detail::read_npy(source, as);
}
PJRT_CATCH

Result<HostBuffer> HostBuffer::load(const std::filesystem::path& path, std::optional<ElementType> as) try {
  PJRT_TRY(detail::FileSource file, detail::FileSource::open(path));
  Result<HostBuffer> buffer = detail::read_npy(file, as);
  if (!buffer) return std::unexpected(buffer.error().with_context(path.string()));
  return buffer;
}
PJRT_CATCH

std::vector<std::byte> HostBuffer::to_npy() const {
  if (type() == ElementType::Invalid) return {};
  const std::string head = detail::npy_header(shape());
  std::vector<std::byte> file(head.size() + static_cast<std::size_t>(element_count()) * host_size(type()));
  std::memcpy(file.data(), head.data(), head.size());
  view_.copy_to(file.data() + head.size());
  return file;
}

Result<void> HostBuffer::save(const std::filesystem::path& path) const try {
  PJRT_CHECK(check_type(type()));
  PJRT_TRY(const HostBuffer whole, dense());
  const std::string head = detail::npy_header(shape());
  const std::span<const std::byte> parts[] = {std::as_bytes(std::span(head)), whole.bytes()};
  return detail::write_file(path, parts);
}
PJRT_CATCH

}  // namespace pjrt
