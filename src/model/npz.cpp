#include "pjrt/model/npz.hpp"

#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>
#include <utility>

#include "core/file.hpp"
#include "core/handle_errors.hpp"
#include "core/npy.hpp"
#include "core/printable.hpp"
#include "core/try.hpp"

namespace pjrt::model {
namespace {

constexpr std::string_view kSuffix = ".npy";
constexpr std::size_t kShown = 8;  // names in a message

Error zip_failure(const std::string& what, zip_error_t* error) {
  const bool full = zip_error_system_type(error) == ZIP_ET_SYS && zip_error_code_system(error) == ENOMEM;
  return Error(full ? ErrorCode::ResourceExhausted : ErrorCode::InvalidArgument,
               what + ": " + zip_error_strerror(error));
}

/// libzip would take it for an archive without members.
Error empty_file(const std::filesystem::path& path) {
  return {ErrorCode::InvalidArgument, "cannot read " + path.string() + " as an .npz archive: it is empty"};
}

/// The name of a member: UTF-8 as it stands, other encodings as libzip guesses them. (It would guess an encoding for
/// UTF-8 with controls as well, and turn "a\nb" into "a◙b".)
const char* member_name(zip_t* zip, zip_uint64_t index) {
  const char* raw = zip_get_name(zip, index, ZIP_FL_ENC_RAW);
  if (raw == nullptr) return nullptr;
  for (std::string_view rest = raw; !rest.empty();) {
    const pjrt::detail::Character c = pjrt::detail::first_character(rest);
    if (!c.valid) return zip_get_name(zip, index, 0);
    rest.remove_prefix(c.size);
  }
  return raw;
}

/// An open member of an archive, as bytes one after the other.
class MemberSource final : public pjrt::detail::ByteSource {
 public:
  MemberSource(zip_file_t* file, std::uint64_t size, std::string where)
      : file_(file), size_(size), where_(std::move(where)) {}
  ~MemberSource() override { zip_fclose(file_); }
  MemberSource(const MemberSource&) = delete;
  MemberSource& operator=(const MemberSource&) = delete;

  Result<std::size_t> read(std::span<std::byte> out) override {
    const zip_int64_t n = zip_fread(file_, out.data(), out.size());
    if (n < 0) return std::unexpected(zip_failure(where_, zip_file_get_error(file_)));
    taken_ += static_cast<std::uint64_t>(n);
    return static_cast<std::size_t>(n);
  }
  std::optional<std::uint64_t> left() const override { return size_ > taken_ ? size_ - taken_ : 0; }

 private:
  zip_file_t* file_;
  std::uint64_t size_;
  std::uint64_t taken_ = 0;
  std::string where_;
};

std::string method_name(zip_uint16_t method) {
  switch (method) {
    case ZIP_CM_BZIP2:
      return "bzip2";
    case ZIP_CM_LZMA:
      return "LZMA";
    case ZIP_CM_XZ:
      return "XZ";
    case 93:
      return "Zstandard";
    case 9:
      return "Deflate64";
    default:
      return "number " + std::to_string(method);
  }
}

}  // namespace

struct NpzFile::Archive {
  zip_t* zip;
  std::unordered_map<std::string, zip_uint64_t> members;
  explicit Archive(zip_t* z) : zip(z) {}
  ~Archive() { zip_discard(zip); }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  Result<std::unique_ptr<MemberSource>> open(zip_uint64_t index, const std::string& where) const;
};

NpzFile::NpzFile(std::filesystem::path path, std::unique_ptr<Archive> archive)
    : path_(std::move(path)), archive_(std::move(archive)) {}
NpzFile::NpzFile(NpzFile&&) noexcept = default;
NpzFile& NpzFile::operator=(NpzFile&&) noexcept = default;
NpzFile::~NpzFile() = default;

Result<NpzFile> NpzFile::open(const std::filesystem::path& path) try {
  PJRT_TRY(pjrt::detail::FileSource source, pjrt::detail::FileSource::open(path));
  PJRT_TRY(const std::span<const std::byte> start, source.peek(1));
  if (start.empty()) return std::unexpected(empty_file(path));
  if (!source.is_regular()) {  // archives are read from their end
    PJRT_TRY(const pjrt::detail::FileContents contents, source.read_all());
    return parse(contents.bytes(), path);
  }
  int code = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (zip == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    return std::unexpected(Error(code == ZIP_ER_NOENT ? ErrorCode::NotFound : ErrorCode::InvalidArgument,
                                 "cannot read " + path.string() + " as an .npz archive: " + text));
  }
  NpzFile file(path, std::make_unique<Archive>(zip));
  PJRT_CHECK(file.list());
  return file;
}
PJRT_CATCH

Result<NpzFile> NpzFile::parse(std::span<const std::byte> bytes, const std::filesystem::path& path) try {
  if (bytes.empty()) return std::unexpected(empty_file(path));
  const std::string what = "cannot read " + path.string() + " as an .npz archive";
  zip_error_t error;
  zip_error_init(&error);
  void* copy = std::malloc(bytes.size() + 1);
  if (copy == nullptr)
    return std::unexpected(Error(ErrorCode::ResourceExhausted, what + ": no memory for a copy of it"));
  if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
  zip_source_t* memory = zip_source_buffer_create(copy, bytes.size(), /*freep=*/1, &error);
  if (memory == nullptr) std::free(copy);
  zip_t* zip = memory != nullptr ? zip_open_from_source(memory, ZIP_RDONLY, &error) : nullptr;
  if (zip == nullptr) {
    if (memory != nullptr) zip_source_free(memory);
    Error failure = zip_failure(what, &error);
    zip_error_fini(&error);
    return std::unexpected(std::move(failure));
  }
  NpzFile file(path, std::make_unique<Archive>(zip));
  PJRT_CHECK(file.list());
  return file;
}
PJRT_CATCH

Result<void> NpzFile::list() try {
  const zip_int64_t count = zip_get_num_entries(archive_->zip, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* member = member_name(archive_->zip, static_cast<zip_uint64_t>(i));
    if (member == nullptr || !std::string_view(member).ends_with(kSuffix)) continue;
    std::string name(member, std::string_view(member).size() - kSuffix.size());
    if (!archive_->members.try_emplace(name, static_cast<zip_uint64_t>(i)).second) {
      return std::unexpected(Error(ErrorCode::InvalidArgument,
                                   path_.string() + " has two arrays '" + pjrt::detail::printable(name) + "'"));
    }
    names_.push_back(std::move(name));
  }
  return {};
}
PJRT_CATCH

bool NpzFile::contains(std::string_view name) const noexcept {
  return archive_ != nullptr && archive_->members.contains(std::string(name));
}

Result<std::unique_ptr<MemberSource>> NpzFile::Archive::open(zip_uint64_t index, const std::string& where) const try {
  zip_stat_t info;
  zip_stat_init(&info);
  if (zip_stat_index(zip, index, 0, &info) != 0) return std::unexpected(zip_failure(where, zip_get_error(zip)));
  constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  if ((info.valid & kNeeded) != kNeeded) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, where + ": the archive does not say its size"));
  }
  if ((info.valid & ZIP_STAT_ENCRYPTION_METHOD) != 0 && info.encryption_method != ZIP_EM_NONE)
    return std::unexpected(
        Error(ErrorCode::Unimplemented, where + " is encrypted; encrypted arrays are not supported"));
  const bool stored = info.comp_method == ZIP_CM_STORE;
  const bool deflated = info.comp_method == ZIP_CM_DEFLATE;
  if (!stored && !deflated && zip_compression_method_supported(info.comp_method, 0) == 0) {
    return std::unexpected(
        Error(ErrorCode::Unimplemented,
              where + " is compressed with " + method_name(info.comp_method) + "; arrays are read stored or deflated"));
  }
  // A directory that promises what its bytes cannot hold: deflate makes no more than 1032 bytes of one.
  constexpr zip_uint64_t kMostOfOne = 1032;
  if ((stored && info.size != info.comp_size) || (deflated && info.size / kMostOfOne > info.comp_size)) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, where + ": " + std::to_string(info.comp_size) +
                                                                 " bytes in the archive cannot hold " +
                                                                 std::to_string(info.size)));
  }
  zip_file_t* file = zip_fopen_index(zip, index, 0);
  if (file == nullptr) return std::unexpected(zip_failure(where, zip_get_error(zip)));
  return std::make_unique<MemberSource>(file, info.size, where);
}
PJRT_CATCH

namespace {

Error no_array(const std::filesystem::path& path, std::string_view name, const std::vector<std::string>& names) {
  std::string all;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i)
    all += (i == 0 ? "" : ", ") + pjrt::detail::printable(names[i]);
  if (names.size() > kShown) all += " and " + std::to_string(names.size() - kShown) + " more";
  return Error(ErrorCode::NotFound, path.string() + " has no array '" + pjrt::detail::printable(name) + "'")
      .with_note("it has " + (all.empty() ? "none" : all));
}

std::string place(const std::filesystem::path& path, std::string_view name) {
  return path.string() + ", array '" + pjrt::detail::printable(name) + "'";
}

}  // namespace

Result<Shape> NpzFile::shape(std::string_view name, std::optional<ElementType> as) const try {
  if (archive_ == nullptr) return std::unexpected(pjrt::detail::moved_from("archive"));
  if (!contains(name)) return std::unexpected(no_array(path_, name, names_));
  const std::string where = place(path_, name);
  PJRT_TRY(const std::unique_ptr<MemberSource> member, archive_->open(archive_->members.at(std::string(name)), where));
  Result<Shape> shape = pjrt::detail::read_npy_shape(*member, as);
  if (!shape) return std::unexpected(shape.error().with_context(where));
  return shape;
}
PJRT_CATCH

Result<HostBuffer> NpzFile::read(std::string_view name, std::optional<ElementType> as) const try {
  if (archive_ == nullptr) return std::unexpected(pjrt::detail::moved_from("archive"));
  if (!contains(name)) return std::unexpected(no_array(path_, name, names_));
  const std::string where = place(path_, name);
  PJRT_TRY(const std::unique_ptr<MemberSource> member, archive_->open(archive_->members.at(std::string(name)), where));
  Result<HostBuffer> array = pjrt::detail::read_npy(*member, as);
  if (!array) return std::unexpected(array.error().with_context(where));
  return array;
}
PJRT_CATCH

Result<void> save_npz(const std::filesystem::path& path,
                      std::span<const std::pair<std::string, HostBuffer>> arrays) try {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* memory = zip_source_buffer_create(nullptr, 0, 0, &error);
  zip_t* zip = memory != nullptr ? zip_open_from_source(memory, ZIP_TRUNCATE, &error) : nullptr;
  if (zip == nullptr) return std::unexpected(zip_failure(path.string(), &error));
  zip_source_keep(memory);
  const auto give_up = [&](Error e) {
    zip_discard(zip);
    zip_source_free(memory);
    return std::unexpected(std::move(e));
  };
  // libzip reads these when the archive is closed.
  std::vector<HostBuffer> wholes;
  std::vector<std::string> headers;
  wholes.reserve(arrays.size());
  headers.reserve(arrays.size());
  for (const auto& [name, array] : arrays) {
    Result<HostBuffer> whole = array.dense();
    if (!whole) return give_up(std::move(whole).error());
    headers.push_back(pjrt::detail::npy_header(array.shape()));
    wholes.push_back(*std::move(whole));
    const auto fragment = [](std::span<const std::byte> bytes) {
      return zip_buffer_fragment_t{reinterpret_cast<zip_uint8_t*>(const_cast<std::byte*>(bytes.data())), bytes.size()};
    };
    const zip_buffer_fragment_t parts[] = {fragment(std::as_bytes(std::span(headers.back()))),
                                           fragment(wholes.back().bytes())};
    zip_source_t* source = zip_source_buffer_fragment(zip, parts, wholes.back().bytes().empty() ? 1 : 2, 0);
    const std::string member = name + std::string(kSuffix);
    const zip_int64_t index = source != nullptr ? zip_file_add(zip, member.c_str(), source, ZIP_FL_ENC_UTF_8) : -1;
    if (index < 0) {
      if (source != nullptr) zip_source_free(source);
      return give_up(zip_failure(path.string() + ", array '" + name + "'", zip_get_error(zip)));
    }
    zip_set_file_compression(zip, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
    zip_file_set_dostime(zip, static_cast<zip_uint64_t>(index), 0, 0x21,
                         0);  // 1980-01-01: equal arrays make equal files
  }
  if (zip_close(zip) != 0) return give_up(zip_failure(path.string(), zip_get_error(zip)));

  zip_stat_t info;
  zip_stat_init(&info);
  std::vector<std::byte> archive;
  bool complete = zip_source_stat(memory, &info) == 0 && zip_source_open(memory) == 0;
  if (complete) {
    archive.resize(info.size);
    complete = zip_source_read(memory, archive.data(), info.size) == static_cast<zip_int64_t>(info.size);
    zip_source_close(memory);
  }
  zip_source_free(memory);
  if (!complete)
    return std::unexpected(Error(ErrorCode::Internal, path.string() + ": the archive could not be put together"));
  return pjrt::detail::write_file(path, archive);
}
PJRT_CATCH

}  // namespace pjrt::model
