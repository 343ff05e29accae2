#include "pjrt/model/jax_export.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "core/file_kind.hpp"
#include "core/try.hpp"
#include "model/dimension.hpp"
#include "model/flatbuffer.hpp"
#include "model/jax_export_state.hpp"
#include "model/jax_sharding.hpp"

namespace pjrt::model {
namespace {

constexpr const char* kExported = "Exported";

/// A copy in memory aligned as flatbuffers want it.
std::shared_ptr<const std::byte> aligned_copy(std::span<const std::byte> bytes) {
  std::shared_ptr<std::byte[]> copy(new std::byte[bytes.size()]);
  std::ranges::copy(bytes, copy.get());
  return {copy, copy.get()};
}

bool is_aligned(std::span<const std::byte> bytes) {
  return reinterpret_cast<std::uintptr_t>(bytes.data()) % detail::Flatbuffer::kAlignment == 0;
}

Result<detail::JaxExportState> read(std::span<const std::byte> bytes) {
  detail::Flatbuffer file(bytes);
  PJRT_TRY(const detail::FlatTable root, file.root(kExported));
  return detail::read_jax_export(root);
}

}  // namespace

std::string_view name(MemorySpace space) noexcept {
  switch (space) {
    case MemorySpace::Device:
      return "device";
    case MemorySpace::Host:
      return "host";
    case MemorySpace::Any:
      return "any";
    default:
      return "unspecified";
  }
}

std::string_view ExportedValue::dtype() const noexcept {
  return array_->dtype;
}
const Shape& ExportedValue::shape() const noexcept {
  return array_->shape;
}
std::span<const std::string> ExportedValue::dims() const noexcept {
  return array_->dims;
}
bool ExportedValue::is_symbolic() const noexcept {
  return array_->symbolic;
}
MemorySpace ExportedValue::memory_space() const noexcept {
  return array_->space;
}

Result<std::optional<Sharding>> ExportedValue::sharding() const try {
  if (sharding_ == nullptr) return std::nullopt;
  Result<Sharding> sharding = detail::to_sharding(*sharding_, shape().rank(), array_->logical_rank);
  if (!sharding) return std::unexpected(std::move(sharding).error().with_context(path_));
  return *std::move(sharding);
}
PJRT_CATCH

std::string to_string(const ExportedValue& value) {
  std::string text(name(value.type()));
  char separator = '[';
  for (const std::string& dim : value.dims()) {
    (text += separator) += dim;
    separator = ',';
  }
  return text + (value.dims().empty() ? "[]" : "]");
}

std::string to_string(const DisabledCheck& check) {
  switch (check.kind) {
    case DisabledCheck::Kind::CustomCall:
      return "custom_call:" + check.target;
    case DisabledCheck::Kind::ShapeAssertions:
      return "shape_assertions";
    default:
      return "platform";
  }
}

bool JaxExport::looks_like(std::span<const std::byte> file) {
  return pjrt::detail::kind_of(file) == pjrt::detail::FileKind::JaxExport;
}

Result<JaxExport> JaxExport::parse(std::span<const std::byte> file, std::shared_ptr<const void> owner) try {
  constexpr std::string_view kContext = "jax.export artifact";
  if (file.size() > detail::Flatbuffer::kMostBytes) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "a flatbuffer is below 2 GiB").with_context(kContext));
  }
  if (owner == nullptr || !is_aligned(file)) {
    const auto copy = aligned_copy(file);
    file = {copy.get(), file.size()};
    owner = copy;
  }
  Result<detail::JaxExportState> state = read(file);
  if (!state) return std::unexpected(std::move(state).error().with_context(kContext));
  state->owner = std::move(owner);
  return JaxExport(std::make_shared<const detail::JaxExportState>(*std::move(state)));
}
PJRT_CATCH

const std::string& JaxExport::function_name() const noexcept {
  return state_->function_name;
}
const std::optional<std::string>& JaxExport::jax_version() const noexcept {
  return state_->jax_version;
}
int JaxExport::serialization_version() const noexcept {
  return state_->serialization_version;
}
int JaxExport::calling_convention_version() const noexcept {
  return state_->calling_convention_version;
}
std::span<const std::string> JaxExport::platforms() const noexcept {
  return state_->platforms;
}
std::int64_t JaxExport::device_count() const noexcept {
  return state_->device_count;
}
bool JaxExport::uses_global_constants() const noexcept {
  return state_->uses_global_constants;
}
std::span<const std::string> JaxExport::ordered_effects() const noexcept {
  return state_->ordered_effects;
}
std::span<const std::string> JaxExport::unordered_effects() const noexcept {
  return state_->unordered_effects;
}
std::span<const DisabledCheck> JaxExport::disabled_checks() const noexcept {
  return state_->disabled_checks;
}
bool JaxExport::has_vjp() const noexcept {
  return state_->has_vjp;
}
std::span<const ExportedValue> JaxExport::inputs() const noexcept {
  return state_->inputs;
}
std::span<const ExportedValue> JaxExport::outputs() const noexcept {
  return state_->outputs;
}
std::span<const std::size_t> JaxExport::kept_inputs() const noexcept {
  return state_->kept_inputs;
}
std::span<const std::byte> JaxExport::module() const noexcept {
  return state_->module;
}
std::span<const std::string> JaxExport::custom_call_targets() const noexcept {
  return state_->custom_call_targets;
}

Program JaxExport::program() const {
  return Program::mlir(std::string(reinterpret_cast<const char*>(state_->module.data()), state_->module.size()));
}

Result<std::size_t> JaxExport::platform_index(std::string_view platform) const try {
  const std::span<const std::string> known = platforms();
  if (const auto at = std::ranges::find(known, platform); at != known.end())
    return static_cast<std::size_t>(at - known.begin());
  for (const DisabledCheck& check : disabled_checks()) {
    if (check.kind == DisabledCheck::Kind::Platform) return 0;
  }
  std::string list;
  for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
  return std::unexpected(Error(ErrorCode::FailedPrecondition, "'" + function_name() + "' was exported for " + list +
                                                                  ", not for " + std::string(platform)));
}
PJRT_CATCH

Result<void> JaxExport::check_static() const try {
  constexpr std::size_t kMostNotes = 8;
  std::set<std::string> symbols;
  std::set<const Shape*> seen;
  std::vector<std::string> notes;
  std::size_t symbolic = 0;
  for (const std::span<const ExportedValue> values : {inputs(), outputs()}) {
    for (const ExportedValue& value : values) {
      if (!value.is_symbolic()) continue;
      if (++symbolic <= kMostNotes) notes.push_back(value.path() + " is " + to_string(value));
      if (!seen.insert(&value.shape()).second) continue;
      for (std::size_t i = 0; i < value.dims().size(); ++i) {
        if (value.shape().dims[i] == ExportedValue::kSymbolic) detail::collect_variables(value.dims()[i], symbols);
      }
    }
  }
  if (symbolic == 0) return {};
  std::string list;
  for (const std::string& symbol : symbols) list += (list.empty() ? "" : ", ") + symbol;
  Error error(ErrorCode::Unimplemented, "'" + function_name() + "' was exported with symbolic dimensions (" + list +
                                            "), which PJRT cannot compile; export it for fixed shapes");
  for (std::string& note : notes) error = std::move(error).with_note(std::move(note));
  if (symbolic > notes.size())
    error = std::move(error).with_note("and " + std::to_string(symbolic - notes.size()) + " more");
  return std::unexpected(std::move(error));
}
PJRT_CATCH

}  // namespace pjrt::model
