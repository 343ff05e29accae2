#include "pjrt/model/model.hpp"

#include <algorithm>
#include <span>
#include <string>

#include "core/file.hpp"
#include "core/file_kind.hpp"
#include "core/try.hpp"
#include "mlir/facts.hpp"
#include "proto/hlo.hpp"

namespace pjrt::model {
namespace {

ModuleValue to_value(std::string path, const mlir::ModuleValue& value) {
  const mlir::ValueType& type = value.type;
  ModuleValue out;
  out.path = std::move(path);
  out.name = value.name;
  out.type = to_string(type);
  out.is_array = type.is_array && type.element != ElementType::Invalid;
  out.shape = Shape{type.element, Dimensions(type.dims)};
  out.donated = value.donated;
  out.sharding = value.sharding;
  out.sharding_text = value.sharding_text;
  return out;
}

std::vector<ModuleValue> to_values(const char* prefix, const std::vector<mlir::ModuleValue>& values) {
  std::vector<ModuleValue> out;
  for (std::size_t i = 0; i < values.size(); ++i) out.push_back(to_value(prefix + std::to_string(i), values[i]));
  return out;
}

ModuleValue to_value(std::string path, const proto::ParsedShape& parsed, std::string name,
                     const std::string& sharding) {
  ModuleValue out;
  out.path = std::move(path);
  out.name = std::move(name);
  out.is_array = parsed.shape.type != ElementType::Invalid && parsed.shape.type != ElementType::Token;
  out.shape = parsed.shape;
  out.type = parsed.is_opaque                            ? "opaque[]"
             : parsed.shape.type == ElementType::Invalid ? "unknown" + to_string(parsed.shape).substr(7)
                                                         : to_string(parsed.shape);
  if (sharding.empty()) return out;
  if (Result<Sharding> known = Sharding::parse(sharding, parsed.shape.rank()); known) out.sharding = *std::move(known);
  return out;
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

Model::Model(ModelFormat format, Program program) : format_(format), program_(std::move(program)) {}

void Model::read_mlir() {
  auto details = std::make_shared<Details>();
  Result<mlir::ModuleFacts> facts = mlir::read_facts(program_.code());
  if (facts) {
    partitions_ = facts->partitions;
    replicas_ = facts->replicas;
    uses_shardy_ = facts->uses_shardy;
    details->arguments = to_values("arg", facts->arguments);
    details->results = to_values("out", facts->results);
    details->custom_calls = std::move(facts->custom_calls);
    if (const Result<void> good = mlir::check(*facts); !good) details->error = good.error();
  } else {
    details->error = std::move(facts).error();
    details->is_unread = true;
  }
  details_ = std::move(details);
}

const Model::Details& Model::details() const noexcept {
  static const Details kNone;
  return details_ ? *details_ : kNone;
}

std::span<const ModuleValue> Model::arguments() const noexcept {
  return details().arguments;
}
std::span<const ModuleValue> Model::results() const noexcept {
  return details().results;
}
std::span<const std::string> Model::custom_calls() const noexcept {
  return details().custom_calls;
}

void Model::read_hlo() {
  auto details = std::make_shared<Details>();
  Result<proto::HloSignature> signature = proto::parse_hlo_signature(program_.code(), "hlo");
  Result<proto::HloDevices> devices = proto::parse_hlo_devices(program_.code());
  if (!signature || !devices) {
    details->error = signature ? std::move(devices).error() : std::move(signature).error();
    details->is_unread = true;
    details_ = std::move(details);
    return;
  }
  replicas_ = static_cast<int>(devices->replicas);
  partitions_ = static_cast<int>(devices->partitions);
  details->custom_calls = std::move(devices->custom_calls);
  std::vector<std::string>& given = signature->parameter_shardings;
  if (given.empty()) given = std::move(devices->parameter_shardings);
  given.resize(signature->parameters.size());
  signature->parameter_names.resize(signature->parameters.size());
  for (std::size_t i = 0; i < signature->parameters.size(); ++i) {
    ModuleValue& value = details->arguments.emplace_back(
        to_value("arg" + std::to_string(i), signature->parameters[i], signature->parameter_names[i], given[i]));
    value.donated = signature->donated[i];
  }
  std::vector<std::string> taken = std::move(signature->result_shardings);
  if (taken.empty() && !devices->result_sharding.empty())
    taken = proto::sharding_elements(devices->result_sharding).value_or(std::vector<std::string>());
  taken.resize(signature->results.size());
  for (std::size_t i = 0; i < signature->results.size(); ++i)
    details->results.push_back(to_value("out" + std::to_string(i), signature->results[i], "", taken[i]));
  details_ = std::move(details);
}

Model Model::from_program(Program program) {
  const bool is_hlo = program.format() == "hlo";
  const bool is_mlir = program.format() == "mlir";
  Model model(is_mlir ? ModelFormat::StableHlo : ModelFormat::Hlo, std::move(program));
  if (is_mlir) model.read_mlir();
  if (is_hlo) model.read_hlo();
  return model;
}

Result<Model> Model::parse(std::span<const std::byte> bytes, std::shared_ptr<const void> owner) try {
  using pjrt::detail::FileKind;
  const std::string_view code(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  switch (const FileKind kind = pjrt::detail::kind_of(bytes)) {
    case FileKind::JaxExport: {
      PJRT_TRY(JaxExport artifact, JaxExport::parse(bytes, std::move(owner)));
      Model model(ModelFormat::JaxExport, artifact.program());
      model.read_mlir();
      // How many devices there are, the artifact says itself; so a module that is too new to be read here may be tried.
      if (model.details().is_unread && model.details().error->code() == ErrorCode::Unimplemented)
        model.details_ = nullptr;
      model.partitions_ = static_cast<int>(artifact.device_count());
      model.replicas_ = 1;
      model.export_ = std::move(artifact);
      return model;
    }
    case FileKind::MlirText:
      return read(Program::mlir(std::string(pjrt::detail::without_byte_order_mark(code))));
    case FileKind::MlirBytecode:
      return read(Program::mlir(std::string(code)));
    case FileKind::Hlo:
      return read(Program::hlo(std::string(pjrt::detail::hlo_module_in(code).value_or(code))));
    default:
      return std::unexpected(pjrt::detail::no_model(kind, "it"));
  }
}
PJRT_CATCH

/// A module of which it cannot be said how many devices it takes is no model: it would run on one, and be wrong.
Result<Model> Model::read(Program program) try {
  Model model = from_program(std::move(program));
  if (model.details().is_unread) return std::unexpected(*model.details().error);
  return model;
}
PJRT_CATCH

Result<Model> Model::open(const std::filesystem::path& path) try {
  PJRT_TRY(const pjrt::detail::FileContents file, pjrt::detail::read_file(path));
  Result<Model> model = parse(file.bytes(), file.owner());
  if (!model) return std::unexpected(model.error().with_context(path.string() + " cannot be opened as a model"));
  return model;
}
PJRT_CATCH

Result<void> Model::check() const try {
  if (details().error) return std::unexpected(*details().error);
  return {};
}
PJRT_CATCH

Result<void> Model::check_arguments() const try {
  for (const ModuleValue& value : details().arguments) {
    if (value.is_array) continue;
    const std::string what = value.name.empty() ? value.path : value.path + " (" + value.name + ")";
    const bool is_token = value.shape.type == ElementType::Token;
    return std::unexpected(
        Error(ErrorCode::Unimplemented,
              "the module takes " + value.type + " as " + what + ", which no run can be given: " +
                  (is_token ? "tokens only order effects; export the function without ordered effects"
                            : "inputs are arrays of element types that PJRT has; export the function with those")));
  }
  return {};
}
PJRT_CATCH

Result<void> Model::check_runnable(std::string_view platform) const try {
  if (!export_) return check();
  PJRT_CHECK(export_->check_static());
  PJRT_CHECK(export_->platform_index(platform));
  if (export_->token_count() > 0) {
    return std::unexpected(Error(ErrorCode::Unimplemented, "the artifact has ordered effects (" +
                                                               export_->ordered_effects().front() +
                                                               "), which need the Python process that exported it")
                               .with_note("export the function without them"));
  }
  return check();
}
PJRT_CATCH

Result<CompileOptions> Model::compile_options(CompileOptions base) const try {
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
PJRT_CATCH

}  // namespace pjrt::model
