#include "core/file_kind.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <string>

#include "proto/fields.hpp"
#include "proto/parse.hpp"

namespace pjrt::detail {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  FileKind kind;
};
constexpr Magic kMagics[] = {
    {0, "ML\xefR"sv, FileKind::MlirBytecode},
    {0, "\x93NUMPY"sv, FileKind::Npy},
    {0, "pjrt-cpp executable"sv, FileKind::CompiledExecutable},
    {0, "\x7f\x45LF"sv, FileKind::Elf},
    {0, "PK\x03\x04"sv, FileKind::Zip},
    {0, "PK\x05\x06"sv, FileKind::Zip},
    {0, "\x1f\x8b"sv, FileKind::Gzip},
    {0, "BZh"sv, FileKind::Bzip2},
    {0, "\xfd\x37zXZ\0"sv, FileKind::Xz},
    {0, "\x28\xb5\x2f\xfd"sv, FileKind::Zstd},
    {0, "\x89HDF\r\n\x1a\n"sv, FileKind::Hdf5},
    {0, "\x89PNG\r\n\x1a\n"sv, FileKind::Png},
    {0, "\xff\xd8\xff"sv, FileKind::Jpeg},
    {0, "%PDF-"sv, FileKind::Pdf},
    {0, "GGUF"sv, FileKind::Gguf},
    {0, "version https://git-lfs.github.com/spec/"sv, FileKind::GitLfsPointer},
    {0, "\xff\xfe"sv, FileKind::Utf16Text},
    {0, "\xfe\xff"sv, FileKind::Utf16Text},
    {4, "TFL3"sv, FileKind::TfLite},
    {257, "ustar"sv, FileKind::Tar},
};

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::uint64_t little_endian(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  if (at > bytes.size() || bytes.size() - at < size) return 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

/// A flatbuffer whose root has MLIR bytecode where jax.export has its module. Whether the rest is sound is for its
/// reader to say.
bool is_jax_export(std::string_view file) {
  constexpr std::size_t kModuleSlot = 4 + 2 * 13;  // field 13 of the root; the first slot stands behind two sizes
  const std::uint64_t root = little_endian(file, 0, 4);
  if (root < 4 || root + 4 > file.size()) return false;
  const auto back = static_cast<std::int32_t>(little_endian(file, root, 4));
  const std::int64_t table = static_cast<std::int64_t>(root) - back;
  if (table < 0 || static_cast<std::uint64_t>(table) + kModuleSlot + 2 > file.size()) return false;
  const auto slots = static_cast<std::size_t>(table);
  if (little_endian(file, slots, 2) < kModuleSlot + 2) return false;
  const std::uint64_t field = little_endian(file, slots + kModuleSlot, 2);
  if (field == 0) return false;
  const std::uint64_t vector = root + field + little_endian(file, root + field, 4);
  return vector + 8 <= file.size() && file.substr(vector + 4, 4) == "ML\xefR";
}

/// A length, then that much JSON.
bool is_safetensors(std::string_view file) {
  const std::uint64_t header = little_endian(file, 0, 8);
  return header >= 2 && file.size() > 8 && header <= file.size() - 8 && file[8] == '{' &&
         (file[8 + header - 1] == '}' || file[8 + header - 1] == ' ');
}

bool is_pickle(std::string_view file) {
  return file.size() > 2 && file[0] == '\x80' && file[1] >= 2 && file[1] <= 5 && !file.starts_with("\x80\x02\x00"sv);
}

FileKind kind_of_zip(std::string_view file) {
  constexpr std::size_t kNameAt = 30;
  const std::size_t size = little_endian(file, 26, 2);
  if (file.size() < kNameAt + size) return FileKind::Zip;
  const std::string_view first = file.substr(kNameAt, size);
  if (first.ends_with(".npy")) return FileKind::Npz;
  constexpr std::string_view kOfPyTorch[] = {
      "data.pkl", "/version", "/byteorder", ".format_version", "/.data/serialization_id", "archive_format"};
  for (const std::string_view end : kOfPyTorch) {
    if (first.ends_with(end)) return FileKind::PyTorchArchive;
  }
  if (first == "metadata.json" || first == "config.json") return FileKind::KerasArchive;
  return FileKind::Zip;
}

/// The fields of a message: calls `visit` with a reader on each until it gives false. False for what is no message.
template <class F>
bool each_field(std::string_view message, F&& visit) {
  const auto walk = [&]() -> bool {
    protozero::pbf_reader reader(message.data(), message.size());
    while (reader.next()) {
      if (!visit(reader)) return true;
    }
    return true;
  };
  return proto::guarded("", walk).has_value();
}

std::string_view take_bytes(protozero::pbf_reader& reader) {
  const auto view = reader.get_view();
  return {view.data(), view.size()};
}

bool is_length_delimited(const protozero::pbf_reader& reader) {
  return reader.wire_type() == protozero::pbf_wire_type::length_delimited;
}

/// A message all of whose fields are of the types that HloModuleProto has, with a name and a computation or the shape
/// of one.
bool is_hlo_module(std::string_view message) {
  bool fits = true;
  bool has_name = false;
  bool has_program = false;
  const bool sound = each_field(message, [&](protozero::pbf_reader& field) {
    using M = proto::HloModuleProto::Field;
    switch (static_cast<M>(field.tag())) {
      case M::id:
      case M::entry_computation_id:
      case M::is_dynamic:
      case M::use_auto_spmd_partitioning:
        fits &= field.wire_type() == protozero::pbf_wire_type::varint;
        break;
      default:
        fits &= is_length_delimited(field);
    }
    has_name |= field.tag() == M::name || field.tag() == M::entry_computation_name;
    has_program |= field.tag() == M::computations || field.tag() == M::host_program_shape;
    field.skip();
    return fits;
  });
  return sound && fits && has_name && has_program;
}

FileKind kind_of_message(std::string_view file) {
  if (hlo_module_in(file)) return FileKind::Hlo;
  // The first fields that other messages begin with.
  constexpr std::uint32_t kVersion = 1;     // of ONNX and of a SavedModel
  constexpr std::uint32_t kMetaGraphs = 2;  // of a SavedModel
  constexpr std::uint32_t kGraphOfOnnx = 7;
  bool begins_with_version = false;
  bool has_meta_graph = false;
  bool has_graph = false;
  bool has_plane = false;
  std::size_t fields = 0;
  const bool sound = each_field(file, [&](protozero::pbf_reader& field) {
    ++fields;
    if (field.tag() == kVersion && !is_length_delimited(field)) begins_with_version |= fields == 1;
    has_meta_graph |= field.tag() == kMetaGraphs && is_length_delimited(field) && fields == 2;
    has_graph |= field.tag() == kGraphOfOnnx && is_length_delimited(field);
    if (field.tag() == proto::XSpace::planes && is_length_delimited(field) && fields == 1) {
      each_field(take_bytes(field), [&](protozero::pbf_reader& plane) {
        if (plane.tag() == proto::XPlane::name && is_length_delimited(plane)) {
          has_plane = take_bytes(plane).starts_with('/');
          return false;
        }
        plane.skip();
        return plane.tag() < proto::XPlane::name;
      });
    } else {
      field.skip();
    }
    return true;
  });
  if (!sound) return FileKind::Unknown;
  if (has_plane) return FileKind::Profile;
  if (begins_with_version && has_graph) return FileKind::Onnx;
  if (begins_with_version && has_meta_graph) return FileKind::SavedModel;
  return FileKind::Unknown;
}

constexpr std::size_t kTextLookedAt = 4096;

/// No control characters among the first bytes.
bool is_text(std::string_view file) {
  return std::ranges::none_of(file.substr(0, kTextLookedAt), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' && c != '\r' && c != '\f') || c == 0x7f;
  });
}

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '.' || c == '-';
}

/// Reads text word by word, without its comments.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) { skip(); }

  std::string_view rest() const noexcept { return text_; }
  bool eat(std::string_view what) {
    if (!text_.starts_with(what)) return false;
    text_.remove_prefix(what.size());
    skip();
    return true;
  }
  std::string_view word() {
    const auto end = std::ranges::find_if_not(text_, is_word);
    const std::string_view w = text_.substr(0, static_cast<std::size_t>(end - text_.begin()));
    text_.remove_prefix(w.size());
    skip();
    return w;
  }

 private:
  void skip() {
    for (;;) {
      const std::size_t at = text_.find_first_not_of(" \t\r\n\f");
      text_.remove_prefix(std::min(at, text_.size()));
      if (text_.starts_with("//")) {
        text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
      } else if (text_.starts_with("/*")) {
        const std::size_t end = text_.find("*/", 2);
        text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 2);
      } else {
        return;
      }
    }
  }
  std::string_view text_;
};

/// Whether text begins as MLIR does: with the module, another operation of a dialect that programs are written in, an
/// alias, or resources.
bool begins_as_mlir(std::string_view text) {
  Words words(text);
  if (words.rest().starts_with("{-#")) return true;
  if (words.rest().starts_with('#') || words.rest().starts_with('!')) {  // #alias = …, !alias = …
    const std::string_view after = words.rest().substr(1);
    if (after.empty() || !is_word(after.front())) return false;
    words = Words(after);
    words.word();
    return words.eat("=");
  }
  if (words.rest().starts_with('%')) {  // an operation's results
    while (words.eat("%")) {
      words.word();
      if (words.eat(":")) words.word();
      words.eat(",");
    }
    return words.eat("=");
  }
  if (words.eat("\"")) {  // "dialect.operation"(
    const std::string_view name = words.word();
    return name.find('.') != std::string_view::npos && words.eat("\"") && words.eat("(");
  }
  const std::string_view first = words.word();
  if (first == "module" || first == "builtin.module") {
    return words.rest().starts_with('{') || words.rest().starts_with('@') || words.rest().starts_with("attributes");
  }
  if (first == "func") {
    words.eat("public");
    words.eat("private");
    return words.rest().starts_with('@');
  }
  constexpr std::string_view kDialects[] = {"func.",  "stablehlo.", "sdy.",        "mhlo.",  "chlo.",
                                            "vhlo.",  "mpmd.",      "ml_program.", "xla.",   "builtin.",
                                            "arith.", "tensor.",    "shape.",      "mosaic."};
  return std::ranges::any_of(kDialects, [&](std::string_view d) { return first.starts_with(d); }) &&
         words.rest().find_first_of("@%\"{") != std::string_view::npos;
}

bool begins_as_hlo_text(std::string_view text) {
  Words words(text);
  const std::string_view first = words.word();
  return (first == "HloModule" || first == "ENTRY") && !words.rest().empty();
}

bool begins_without_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() && std::ranges::equal(text.substr(0, lower.size()), lower, [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         });
}

FileKind kind_of_text(std::string_view text) {
  text = without_byte_order_mark(text);
  if (begins_as_mlir(text)) return FileKind::MlirText;
  if (begins_as_hlo_text(text)) return FileKind::HloText;
  const std::size_t first = text.find_first_not_of(" \t\r\n\f");
  if (first == std::string_view::npos) return FileKind::Text;
  text.remove_prefix(first);
  if (begins_without_case(text, "<!doctype html") || begins_without_case(text, "<html")) return FileKind::Html;
  if (text.starts_with("<?xml")) return FileKind::Xml;
  if (text.starts_with('{') || text.starts_with('[')) {
    const std::size_t next = text.find_first_not_of(" \t\r\n\f", 1);
    if (next != std::string_view::npos && "\"{[}]-0123456789tfn"sv.find(text[next]) != std::string_view::npos)
      return FileKind::Json;
  }
  const bool is_utf8 = std::ranges::none_of(text.substr(0, kTextLookedAt), [](char c) {
    return static_cast<unsigned char>(c) >= 0xf8;  // bytes that UTF-8 never has
  });
  return is_utf8 ? FileKind::Text : FileKind::Unknown;
}

/// ASCII in two bytes a character, without a mark.
bool is_utf16(std::string_view file) {
  if (file.size() < 4 || file.size() % 2 != 0) return false;
  const std::string_view head = file.substr(0, 64);
  const auto all = [&](std::size_t zero) {
    for (std::size_t i = 0; i + 1 < head.size(); i += 2) {
      if (head[i + zero] != '\0' || head[i + 1 - zero] < ' ') {
        if (head[i + zero] != '\0' ||
            (head[i + 1 - zero] != '\n' && head[i + 1 - zero] != '\r' && head[i + 1 - zero] != '\t'))
          return false;
      }
    }
    return true;
  };
  return all(0) || all(1);
}

}  // namespace

std::string_view without_byte_order_mark(std::string_view text) noexcept {
  return text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
}

std::optional<std::string_view> hlo_module_in(std::string_view content) {
  constexpr std::uint32_t kWrapped = 1;  // the module of an HloProto, the HloProto of an HloSnapshot
  constexpr int kMostWrappers = 2;
  for (int wrappers = 0; wrappers <= kMostWrappers; ++wrappers) {
    if (is_hlo_module(content)) return content;
    std::optional<std::string_view> inside;
    const bool sound = each_field(content, [&](protozero::pbf_reader& field) {
      if (field.tag() == kWrapped && is_length_delimited(field)) {
        inside = take_bytes(field);
      } else {
        field.skip();
      }
      return true;
    });
    if (!sound || !inside) return std::nullopt;
    content = *inside;
  }
  return std::nullopt;
}

FileKind kind_of(std::span<const std::byte> content) {
  const std::string_view file(reinterpret_cast<const char*>(content.data()), content.size());
  if (file.empty()) return FileKind::Empty;
  for (const Magic& magic : kMagics) {
    if (file.size() < magic.offset || !file.substr(magic.offset).starts_with(magic.bytes)) continue;
    return magic.kind == FileKind::Zip ? kind_of_zip(file) : magic.kind;
  }
  if (is_jax_export(file)) return FileKind::JaxExport;
  if (is_safetensors(file)) return FileKind::Safetensors;
  if (is_text(file)) return kind_of_text(file);
  if (is_utf16(file)) return FileKind::Utf16Text;
  if (is_pickle(file)) return FileKind::Pickle;
  return kind_of_message(file);
}

std::string_view name(FileKind kind) noexcept {
  switch (kind) {
    case FileKind::Empty:
      return "empty";
    case FileKind::JaxExport:
      return "a jax.export artifact";
    case FileKind::MlirText:
      return "MLIR text";
    case FileKind::MlirBytecode:
      return "MLIR bytecode";
    case FileKind::Hlo:
      return "a serialized HLO module";
    case FileKind::Npy:
      return "a numpy array (.npy)";
    case FileKind::Npz:
      return "an archive of numpy arrays (.npz)";
    case FileKind::Safetensors:
      return "a safetensors file";
    case FileKind::CompiledExecutable:
      return "a compiled executable";
    case FileKind::HloText:
      return "HLO text, which plugins do not parse";
    case FileKind::Utf16Text:
      return "text in UTF-16";
    case FileKind::GitLfsPointer:
      return "a Git LFS pointer";
    case FileKind::Html:
      return "an HTML page";
    case FileKind::Xml:
      return "XML";
    case FileKind::Json:
      return "JSON";
    case FileKind::Pickle:
      return "a Python pickle";
    case FileKind::PyTorchArchive:
      return "a PyTorch archive";
    case FileKind::KerasArchive:
      return "a Keras archive";
    case FileKind::Zip:
      return "a ZIP archive";
    case FileKind::Gzip:
      return "gzip-compressed";
    case FileKind::Bzip2:
      return "bzip2-compressed";
    case FileKind::Xz:
      return "xz-compressed";
    case FileKind::Zstd:
      return "zstd-compressed";
    case FileKind::Tar:
      return "a tar archive";
    case FileKind::Hdf5:
      return "an HDF5 file";
    case FileKind::Elf:
      return "a program or shared library (ELF)";
    case FileKind::Png:
      return "a PNG image";
    case FileKind::Jpeg:
      return "a JPEG image";
    case FileKind::Pdf:
      return "a PDF document";
    case FileKind::SavedModel:
      return "a TensorFlow SavedModel";
    case FileKind::Onnx:
      return "an ONNX model";
    case FileKind::TfLite:
      return "a TensorFlow Lite model";
    case FileKind::Gguf:
      return "a GGUF file";
    case FileKind::Profile:
      return "a profile (XSpace)";
    case FileKind::Text:
      return "text of no known format";
    case FileKind::Unknown:
      break;
  }
  return "of no known format, or damaged";
}

std::string_view remedy(FileKind kind) noexcept {
  switch (kind) {
    case FileKind::GitLfsPointer:
      return "run 'git lfs pull'";
    case FileKind::Html:
      return "was it downloaded from the right address?";
    case FileKind::Gzip:
      return "decompress it with gunzip";
    case FileKind::Bzip2:
      return "decompress it with bunzip2";
    case FileKind::Xz:
      return "decompress it with unxz";
    case FileKind::Zstd:
      return "decompress it with unzstd";
    case FileKind::Utf16Text:
      return "convert it with iconv -f UTF-16 -t UTF-8";
    case FileKind::HloText:
      return "a serialized HloModuleProto or StableHLO can be compiled";
    case FileKind::SavedModel:
    case FileKind::Onnx:
    case FileKind::TfLite:
    case FileKind::PyTorchArchive:
    case FileKind::KerasArchive:
      return "export it to StableHLO";
    default:
      return "";
  }
}

Error no_model(FileKind kind, const std::string& subject) {
  std::string what = subject + " is " + std::string(name(kind));
  if (kind != FileKind::Unknown && kind != FileKind::HloText && kind != FileKind::Empty) what += ", not a model";
  if (const std::string_view can = remedy(kind); !can.empty()) what += " (" + std::string(can) + ")";
  return Error(kind == FileKind::HloText ? ErrorCode::Unimplemented : ErrorCode::InvalidArgument, std::move(what))
      .with_note(
          "models are jax.export artifacts, StableHLO (text, bytecode or portable artifact) and serialized HLO "
          "modules");
}

}  // namespace pjrt::detail
