#pragma once

#include <flatbuffers/flatbuffers.h>
#include <flatbuffers/util.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/try.hpp"
#include "pjrt/error.hpp"

/// Reads flatbuffers by field number, for formats whose schema is not ours to have. The library's Verifier checks each
/// offset before it is followed, as the code that flatc generates would.
namespace pjrt::model::detail {

/// A field of a table: its number in the schema, and its name for messages.
struct Field {
  std::uint16_t id;
  const char* name;
};

inline bool is_utf8(const std::string& text) {
  for (const char *at = text.c_str(), *end = at + text.size(); at < end;) {
    if (flatbuffers::FromUTF8(&at) < 0) return false;
  }
  return true;
}

class FlatTable;

/// A flatbuffer in aligned memory below 2 GiB. Outlives its tables.
class Flatbuffer {
 public:
  static constexpr std::size_t kAlignment = alignof(flatbuffers::uoffset_t);
  static constexpr std::size_t kMostBytes = FLATBUFFERS_MAX_BUFFER_SIZE - 1;

  explicit Flatbuffer(std::span<const std::byte> bytes)
      : bytes_(reinterpret_cast<const std::uint8_t*>(bytes.data())),
        size_(bytes.size()),
        verifier_(bytes_, size_, limits()) {}
  Flatbuffer(const Flatbuffer&) = delete;
  Flatbuffer& operator=(const Flatbuffer&) = delete;

  Result<FlatTable> root(const char* name);

 private:
  friend class FlatTable;

  /// More levels than JAX, which recurses in Python, can write.
  static constexpr std::uint32_t kMostLevels = 400;

  static flatbuffers::Verifier::Options limits() {
    flatbuffers::Verifier::Options options;
    options.max_depth = kMostLevels + 1;
    options.max_tables = ~flatbuffers::uoffset_t{0};  // spend() bounds the work
    return options;
  }

  Error damaged(const char* table, const char* field) const {
    std::string message = table;
    if (*field != '\0') message += std::string(".") + field;
    return Error(ErrorCode::DataLoss, message + " is malformed or reaches past the file's " + std::to_string(size_) +
                                          " bytes; the file may be truncated");
  }

  /// Offsets may lead to the same bytes again and again; a small file must not become endless work that way.
  Result<void> spend(std::size_t bytes) {
    spent_ += bytes;
    if (spent_ <= 3 * (size_ + 65536)) return {};
    return std::unexpected(Error(ErrorCode::InvalidArgument, "its tables share the same bytes too many times"));
  }

  const std::uint8_t* bytes_;
  std::size_t size_;
  flatbuffers::Verifier verifier_;
  std::uint32_t level_ = 0;
  std::size_t spent_ = 0;
};

/// A table whose start and field list have been checked. Fields are checked when they are read; an absent one is
/// nothing.
class FlatTable {
 public:
  FlatTable(FlatTable&& other) noexcept
      : file_(std::exchange(other.file_, nullptr)), table_(other.table_), name_(other.name_) {}
  FlatTable& operator=(FlatTable&&) = delete;
  ~FlatTable() {
    if (file_ == nullptr) return;
    file_->verifier_.EndTable();
    --file_->level_;
  }

  bool has(Field field) const { return table_->CheckField(slot(field)); }

  template <class T>
  Result<T> scalar(Field field, T otherwise = {}) const {
    if (!table_->VerifyField<T>(file_->verifier_, slot(field), sizeof(T))) return damaged(field);
    return table_->GetField<T>(slot(field), otherwise);
  }

  /// Must be valid UTF-8.
  Result<std::optional<std::string>> string(Field field) const {
    PJRT_TRY(const auto* text, pointer<flatbuffers::String>(field));
    if (text == nullptr) return std::nullopt;
    PJRT_TRY(std::string copy, string(field, text));
    return copy;
  }

  /// The elements of a vector of numbers, where they lie.
  template <class T>
  Result<std::span<const T>> numbers(Field field) const {
    PJRT_TRY(const auto* vector, pointer<flatbuffers::Vector<T>>(field));
    if (vector == nullptr) return std::span<const T>();
    if (!file_->verifier_.VerifyVector(vector)) return damaged(field);
    PJRT_CHECK(file_->spend(sizeof(T) * vector->size()));
    return std::span(reinterpret_cast<const T*>(vector->Data()), vector->size());
  }

  Result<std::optional<FlatTable>> table(Field field, const char* name) const {
    PJRT_TRY(const auto* at, pointer<std::uint8_t>(field));
    if (at == nullptr) return std::nullopt;
    PJRT_TRY(FlatTable opened, open(*file_, at, name));
    return opened;
  }

  /// The number of elements of a vector of tables or strings.
  Result<std::size_t> size(Field field) const {
    PJRT_TRY(const auto* vector, offsets(field));
    return vector == nullptr ? 0 : vector->size();
  }

  /// Calls `use(FlatTable)` for each element, until one gives an error.
  template <class F>
  Result<void> each_table(Field field, const char* name, F&& use) const {
    return each_offset(field, [&](const std::uint8_t* at) -> Result<void> {
      PJRT_TRY(FlatTable element, open(*file_, at, name));
      return use(std::move(element));
    });
  }

  /// Calls `use(std::string)` for each element, until one gives an error.
  template <class F>
  Result<void> each_string(Field field, F&& use) const {
    return each_offset(field, [&](const std::uint8_t* at) -> Result<void> {
      PJRT_TRY(std::string text, string(field, reinterpret_cast<const flatbuffers::String*>(at)));
      return use(std::move(text));
    });
  }

 private:
  friend class Flatbuffer;
  using Offsets = flatbuffers::Vector<flatbuffers::uoffset_t>;

  FlatTable(Flatbuffer& file, const flatbuffers::Table* table, const char* name)
      : file_(&file), table_(table), name_(name) {}

  static constexpr std::size_t kTableBytes = 12;  // of a usual small one

  static flatbuffers::voffset_t slot(Field field) {
    return static_cast<flatbuffers::voffset_t>((field.id + 2) * sizeof(flatbuffers::voffset_t));
  }

  std::unexpected<Error> damaged(Field field) const { return std::unexpected(file_->damaged(name_, field.name)); }

  static Result<FlatTable> open(Flatbuffer& file, const std::uint8_t* at, const char* name) {
    if (file.level_ == Flatbuffer::kMostLevels) {
      return std::unexpected(Error(ErrorCode::InvalidArgument, std::string(name) + " is nested more than " +
                                                                   std::to_string(file.level_) + " levels deep"));
    }
    if (!file.verifier_.VerifyTableStart(at)) return std::unexpected(file.damaged(name, ""));
    ++file.level_;
    FlatTable table(file, reinterpret_cast<const flatbuffers::Table*>(at), name);
    PJRT_CHECK(file.spend(kTableBytes));
    return table;
  }

  template <class P>
  Result<const P*> pointer(Field field) const {
    if (!table_->VerifyOffset(file_->verifier_, slot(field))) return damaged(field);
    return table_->GetPointer<const P*>(slot(field));
  }

  Result<std::string> string(Field field, const flatbuffers::String* text) const {
    if (!file_->verifier_.VerifyString(text)) return damaged(field);
    PJRT_CHECK(file_->spend(sizeof(flatbuffers::uoffset_t) + text->size()));
    std::string copy = text->str();
    if (!is_utf8(copy)) {
      return std::unexpected(Error(ErrorCode::DataLoss, std::string(name_) + "." + field.name + " is not valid UTF-8"));
    }
    return copy;
  }

  Result<const Offsets*> offsets(Field field) const {
    PJRT_TRY(const auto* vector, pointer<Offsets>(field));
    if (!file_->verifier_.VerifyVector(vector)) return damaged(field);
    return vector;
  }

  template <class F>
  Result<void> each_offset(Field field, F&& use) const {
    PJRT_TRY(const auto* vector, offsets(field));
    if (vector == nullptr) return {};
    PJRT_CHECK(file_->spend(sizeof(flatbuffers::uoffset_t) * vector->size()));
    const std::uint8_t* at = vector->Data();
    for (flatbuffers::uoffset_t i = 0; i < vector->size(); ++i, at += sizeof(flatbuffers::uoffset_t)) {
      const flatbuffers::uoffset_t offset = file_->verifier_.VerifyOffset(static_cast<std::size_t>(at - file_->bytes_));
      if (offset == 0) return damaged(field);
      PJRT_CHECK(use(at + offset));
    }
    return {};
  }

  Flatbuffer* file_;
  const flatbuffers::Table* table_;
  const char* name_;
};

inline Result<FlatTable> Flatbuffer::root(const char* name) {
  const flatbuffers::uoffset_t offset = verifier_.VerifyOffset(0);
  if (offset == 0) return std::unexpected(damaged(name, ""));
  return FlatTable::open(*this, bytes_ + offset, name);
}

}  // namespace pjrt::model::detail
