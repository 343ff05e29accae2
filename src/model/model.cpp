#include "pjrt/model/model.hpp"

#include <algorithm>
#include <charconv>
#include <span>
#include <string>

#include "core/file.hpp"
#include "core/try.hpp"
#include "model/mlir_bytecode.hpp"
#include "proto/hlo.hpp"

namespace pjrt::model {
namespace {

constexpr std::string_view kMlirBytecode = "ML\xefR";

bool looks_like_text(std::string_view code) {
  for (const char c : code.substr(0, 4096)) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 && c != '\n' && c != '\t' && c != '\r') return false;
  }
  return !code.empty();
}

/// The number behind `attribute = ` in MLIR text, or 1.
int module_attribute(std::string_view text, std::string_view attribute) {
  const std::size_t at = text.find(attribute);
  if (at == std::string_view::npos) return 1;
  std::string_view rest = text.substr(at + attribute.size());
  while (!rest.empty() && (rest.front() == ' ' || rest.front() == '=')) rest.remove_prefix(1);
  int value = 1;
  std::from_chars(rest.data(), rest.data() + rest.size(), value);
  return value >= 1 ? value : 1;
}

/// Whether a module is sharded in Shardy's words. Bytecode names the dialect apart from its operations, so that
/// "sdy.mesh" is not in it.
bool uses_shardy(std::string_view code) {
  const auto is_shardys = [](std::string_view s) {
    return s == "sdy" || s.starts_with("sdy.") || s.starts_with("xla.sdy.");
  };
  if (code.starts_with(kMlirBytecode)) {
    const auto strings = detail::mlir_strings(std::as_bytes(std::span(code)));
    return strings && std::ranges::any_of(*strings, is_shardys);
  }
  constexpr std::string_view kWords[] = {"sdy.mesh", "sdy.sharding", "sdy.manual_computation", "xla.sdy."};
  return std::ranges::any_of(kWords, [&](std::string_view word) { return code.find(word) != std::string_view::npos; });
}

std::string_view foreign_format(std::string_view bytes) {
  if (bytes.starts_with("PK\x03\x04")) return "a ZIP archive (.npz?)";
  if (bytes.starts_with("\x93NUMPY")) return "a numpy array";
  if (bytes.starts_with("\x7f"
                        "ELF"))
    return "a program or library";
  if (bytes.starts_with("pjrt-cpp executable")) return "a compiled executable";
  if (bytes.starts_with("HloModule ")) return "HLO text, which plugins do not parse";
  return {};
}

std::unexpected<Error> no_model(std::string what) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, "it is " + std::move(what))
                             .with_note("models are jax.export artifacts, StableHLO (text, bytecode or portable "
                                        "artifact) and serialized HloModuleProtos"));
}

}  // namespace

std::string_view name(ModelFormat format) noexcept {
  switch (format) {
    case ModelFormat::JaxExport:
      return "jax.export artifact";
    case ModelFormat::StableHlo:
      return "StableHLO";
    case ModelFormat::Hlo:
      return "HLO";
  }
  return "";
}

Model Model::from_program(Program program) {
  const bool is_mlir = program.format() == "mlir";
  Model model(is_mlir ? ModelFormat::StableHlo : ModelFormat::Hlo, std::move(program));
  const std::string_view code = model.program_.code();
  if (is_mlir) {
    if (!code.starts_with(kMlirBytecode)) {
      model.partitions_ = module_attribute(code, "mhlo.num_partitions");
      model.replicas_ = module_attribute(code, "mhlo.num_replicas");
    }
    model.uses_shardy_ = uses_shardy(code);
  }
  return model;
}

Result<Model> Model::parse(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) {
  const std::string_view code(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (code.empty()) return no_model("empty");
  if (JaxExport::looks_like(bytes)) {
    PJRT_TRY(JaxExport artifact, JaxExport::parse(bytes, std::move(owner)));
    Model model(ModelFormat::JaxExport, artifact.program());
    model.partitions_ = static_cast<int>(artifact.device_count());
    model.uses_shardy_ = uses_shardy(model.program_.code());
    model.export_ = std::move(artifact);
    return model;
  }
  if (code.starts_with(kMlirBytecode)) return from_program(Program::mlir(std::string(code)));
  if (const std::string_view other = foreign_format(code); !other.empty()) return no_model(std::string(other));
  if (looks_like_text(code)) return from_program(Program::mlir(std::string(code)));
  const Result<proto::HloSignature> hlo = proto::parse_hlo_signature(code, "hlo");
  if (hlo && !hlo->results.empty()) return from_program(Program::hlo(std::string(code)));
  return no_model("damaged, or of no known format");
}

Result<Model> Model::open(const std::filesystem::path& path) {
  PJRT_TRY(const pjrt::detail::FileContents file, pjrt::detail::read_file(path));
  Result<Model> model = parse(file.bytes(), file.owner());
  if (!model) return std::unexpected(model.error().with_context(path.string() + " cannot be opened as a model"));
  return model;
}

Result<void> Model::check_runnable(std::string_view platform) const {
  if (!export_) return {};
  PJRT_CHECK(export_->check_static());
  PJRT_CHECK(export_->platform_index(platform));
  if (export_->token_count() > 0) {
    return std::unexpected(Error(ErrorCode::Unimplemented, "the artifact has ordered effects (" +
                                                               export_->ordered_effects().front() +
                                                               "), which need the Python process that exported it")
                               .with_note("export the function without them"));
  }
  return {};
}

Result<CompileOptions> Model::compile_options(CompileOptions base) const {
  if (!export_ && device_count() == 1) return base;
  const auto differs = [](int asked, int has) { return asked != 1 && asked != has; };
  if (differs(base.num_partitions(), partitions_) || differs(base.num_replicas(), replicas_)) {
    const auto counts = [](int replicas, int partitions) {
      return std::to_string(replicas) + " replica(s) of " + std::to_string(partitions) + " partition(s)";
    };
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the model is for " + counts(replicas_, partitions_) +
                                                                 "; the compile options ask for " +
                                                                 counts(base.num_replicas(), base.num_partitions())));
  }
  base.num_partitions(partitions_).num_replicas(replicas_);
  if (partitions_ > 1) base.use_spmd(true).use_shardy(uses_shardy_);
  return base;
}

}  // namespace pjrt::model
