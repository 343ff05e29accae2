#include "pjrt/model/npz.hpp"

#include <zip.h>

#include <algorithm>
#include <cerrno>

#include "core/file.hpp"
#include "core/try.hpp"

namespace pjrt::model {
namespace {

constexpr std::string_view kSuffix = ".npy";
constexpr zip_uint64_t kChunk = 1 << 20;

Error zip_failure(const std::string& what, zip_error_t* error) {
  const bool full = zip_error_system_type(error) == ZIP_ET_SYS && zip_error_code_system(error) == ENOMEM;
  return Error(full ? ErrorCode::ResourceExhausted : ErrorCode::InvalidArgument,
               what + ": " + zip_error_strerror(error));
}

}  // namespace

struct NpzFile::Archive {
  zip_t* zip;
  ~Archive() { zip_discard(zip); }
};

NpzFile::NpzFile(std::filesystem::path path, std::unique_ptr<Archive> archive)
    : path_(std::move(path)), archive_(std::move(archive)) {
  const zip_int64_t count = zip_get_num_entries(archive_->zip, 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(archive_->zip, static_cast<zip_uint64_t>(i), 0);
    if (name == nullptr) continue;
    const std::string_view text(name);
    if (text.ends_with(kSuffix)) names_.emplace_back(text.substr(0, text.size() - kSuffix.size()));
  }
}
NpzFile::NpzFile(NpzFile&&) noexcept = default;
NpzFile& NpzFile::operator=(NpzFile&&) noexcept = default;
NpzFile::~NpzFile() = default;

Result<NpzFile> NpzFile::open(const std::filesystem::path& path) {
  int code = 0;
  zip_t* zip = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (zip == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const bool missing = code == ZIP_ER_NOENT;
    const std::string text = zip_error_strerror(&error);
    zip_error_fini(&error);
    return std::unexpected(Error(missing ? ErrorCode::NotFound : ErrorCode::InvalidArgument,
                                 "cannot read " + path.string() + " as an .npz archive: " + text));
  }
  return NpzFile(path, std::unique_ptr<Archive>(new Archive{zip}));
}

bool NpzFile::contains(std::string_view name) const noexcept {
  return std::ranges::find(names_, name) != names_.end();
}

Result<HostBuffer> NpzFile::read(std::string_view name, std::optional<ElementType> as) {
  const std::string where = path_.string() + ", array '" + std::string(name) + "'";
  const std::string member = std::string(name) + std::string(kSuffix);
  const zip_int64_t index = zip_name_locate(archive_->zip, member.c_str(), 0);
  if (index < 0) {
    Error error(ErrorCode::NotFound, path_.string() + " has no array '" + std::string(name) + "'");
    std::string all;
    for (const std::string& n : names_) all += (all.empty() ? "" : ", ") + n;
    return std::unexpected(std::move(error).with_note("it has " + (all.empty() ? "none" : all)));
  }
  zip_file_t* file = zip_fopen_index(archive_->zip, static_cast<zip_uint64_t>(index), 0);
  if (file == nullptr) return std::unexpected(zip_failure(where, zip_get_error(archive_->zip)));
  std::vector<std::byte> bytes;  // grows with what is really there, not with what the directory promises
  zip_int64_t n = 0;
  for (std::size_t used = 0;;) {
    bytes.resize(std::max<std::size_t>(bytes.capacity(), used + kChunk));
    n = zip_fread(file, bytes.data() + used, bytes.size() - used);
    if (n <= 0) {
      bytes.resize(used);
      break;
    }
    used += static_cast<std::size_t>(n);
  }
  Error failure = zip_failure(where, zip_file_get_error(file));
  zip_fclose(file);
  if (n < 0) return std::unexpected(std::move(failure));
  Result<HostBuffer> array = HostBuffer::parse_npy(bytes, as);
  if (!array) return std::unexpected(array.error().with_context(where));
  return array;
}

Result<void> save_npz(const std::filesystem::path& path, std::span<const std::pair<std::string, HostBuffer>> arrays) {
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
  std::vector<std::vector<std::byte>> files;  // libzip reads them when the archive is closed
  files.reserve(arrays.size());
  for (const auto& [name, array] : arrays) {
    files.push_back(array.to_npy());
    zip_source_t* source = zip_source_buffer(zip, files.back().data(), files.back().size(), 0);
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
  return detail::write_file(path, archive);
}

}  // namespace pjrt::model
