#include "array_file.hpp"

#include <cstdint>
#include <utility>

#include "core/file_kind.hpp"
#include "core/try.hpp"

namespace pjrt::cli {
namespace {

using pjrt::detail::FileKind;
using pjrt::detail::FileSource;

constexpr std::size_t kEnough = 4096;            // to tell most kinds
constexpr std::uint64_t kLongestHead = 1 << 24;  // of a safetensors file, which is told by the end of its head

Result<FileKind> kind_of(FileSource& source) {
  PJRT_TRY(std::span<const std::byte> start, source.peek(kEnough));
  const FileKind kind = pjrt::detail::kind_of(start);
  if (kind != FileKind::Unknown || start.size() < kEnough || start[8] != std::byte{'{'}) return kind;
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < 8; ++i) head |= std::to_integer<std::uint64_t>(start[i]) << 8 * i;
  if (head > kLongestHead) return kind;
  PJRT_TRY(start, source.peek(static_cast<std::size_t>(head) + 9));
  return pjrt::detail::kind_of(start);
}

Error no_array(FileKind kind, const std::filesystem::path& path) {
  std::string message = path.string();
  if (kind == FileKind::Empty) {
    message += " is empty";
  } else if (kind == FileKind::Unknown || kind == FileKind::Text) {
    message += " is not a file of arrays";
  } else {
    message += " is " + std::string(pjrt::detail::name(kind)) + ", not a file of arrays";
    if (const std::string_view can = pjrt::detail::remedy(kind); !can.empty()) message += " (" + std::string(can) + ")";
  }
  return Error(ErrorCode::InvalidArgument, std::move(message))
      .with_note("arrays are read from .npy, .npz and safetensors");
}

}  // namespace

Result<ArrayFile> ArrayFile::open(const std::filesystem::path& path) {
  PJRT_TRY(FileSource source, path == "-" ? FileSource::standard_input() : FileSource::open(path));
  const std::filesystem::path name = source.path();
  const bool regular = source.is_regular() && path != "-";
  PJRT_TRY(const FileKind kind, kind_of(source));
  switch (kind) {
    case FileKind::Npy:
      return ArrayFile(name, regular, One{std::move(source)});
    case FileKind::Npz:
    case FileKind::Zip: {
      if (regular) {
        PJRT_TRY(model::NpzFile archive, model::NpzFile::open(path));
        return ArrayFile(name, regular, std::move(archive));
      }
      PJRT_TRY(const pjrt::detail::FileContents contents, source.read_all());
      PJRT_TRY(model::NpzFile archive, model::NpzFile::parse(contents.bytes(), name));
      return ArrayFile(name, regular, std::move(archive));
    }
    case FileKind::Safetensors: {
      Result<std::vector<model::Safetensor>> entries = model::read_safetensors_head(source);
      if (!entries) return std::unexpected(entries.error().with_context(name.string()));
      return ArrayFile(name, regular, Tensors{std::move(source), *std::move(entries), 0});
    }
    default:
      return std::unexpected(no_array(kind, name));
  }
}

std::vector<std::string> ArrayFile::names() const {
  if (const auto* archive = std::get_if<model::NpzFile>(&what_)) return archive->names();
  std::vector<std::string> names;
  if (const auto* tensors = std::get_if<Tensors>(&what_)) {
    for (const model::Safetensor& entry : tensors->entries) names.push_back(entry.name);
  }
  return names;
}

Result<HostBuffer> ArrayFile::read(const std::string& name, std::optional<ElementType> as,
                                   const pjrt::detail::ShapeCheck& check) {
  if (const auto* archive = std::get_if<model::NpzFile>(&what_)) {
    PJRT_TRY(const Shape shape, archive->shape(name, as));
    PJRT_CHECK(check(shape));
    return archive->read(name, as);
  }
  auto& tensors = std::get<Tensors>(what_);
  const model::Safetensor& entry = tensors.entries.at(tensors.next++);
  PJRT_CHECK(check(entry.shape));
  Result<HostBuffer> array = model::read_safetensor(tensors.source, entry);
  if (!array) return std::unexpected(array.error().with_context(path_.string()));
  return array;
}

Result<HostBuffer> ArrayFile::read(std::optional<ElementType> as, const pjrt::detail::ShapeCheck& check) {
  Result<HostBuffer> array = pjrt::detail::read_npy(std::get<One>(what_).source, as, check);
  if (!array) return std::unexpected(array.error().with_context(path_.string()));
  return array;
}

}  // namespace pjrt::cli
