#include "pjrt/program.hpp"

#include "core/file.hpp"
#include "core/try.hpp"

namespace pjrt {
namespace {

constexpr std::string_view kMlirBytecode = "ML\xefR";

/// Whether a file is text: no NUL and no other control characters among its first bytes.
bool looks_like_text(std::string_view code) {
  for (const char c : code.substr(0, 4096)) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 && c != '\n' && c != '\t' && c != '\r') return false;
  }
  return !code.empty();
}

}  // namespace

Result<Program> Program::load(const std::filesystem::path& path) try {
  PJRT_TRY(const detail::FileContents file, detail::read_file(path));
  std::string code(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (code.empty()) return std::unexpected(Error(ErrorCode::InvalidArgument, path.string() + " is empty"));
  if (code.starts_with(kMlirBytecode)) return mlir(std::move(code));
  if (!looks_like_text(code)) return hlo(std::move(code));
  if (code.starts_with("HloModule ")) {
    return std::unexpected(Error(ErrorCode::Unimplemented, path.string() + " is HLO text, which plugins do not parse")
                               .with_note("a serialized HloModuleProto or StableHLO can be compiled"));
  }
  return mlir(std::move(code));
}
PJRT_CATCH

std::optional<std::string> Program::stablehlo_version() const {
  // MLIR bytecode: magic, version (a varint of one byte so far), producer as a NUL-terminated string.
  constexpr std::string_view kProducer = "StableHLO_v";
  std::string_view code = this->code();
  if (!code.starts_with(kMlirBytecode) || code.size() < 6) return std::nullopt;
  code.remove_prefix(5);
  const std::size_t end = code.find('\0');
  if (end == std::string_view::npos || !code.starts_with(kProducer)) return std::nullopt;
  return std::string(code.substr(kProducer.size(), end - kProducer.size()));
}

}  // namespace pjrt
