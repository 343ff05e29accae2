#include <algorithm>
#include <string>
#include <vector>

#include "core/try.hpp"
#include "pjrt/compile_options.hpp"
#include "proto/debug_options.hpp"
#include "proto/fields.hpp"
#include "proto/parse.hpp"

namespace pjrt {
namespace {

/// Levenshtein distance, for "did you mean".
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string_view nearest_option(std::string_view name) {
  return std::ranges::min_element(proto::kDebugOptions, {},
                                  [&](const proto::OptionField& f) { return distance(name, f.name); })
      ->name;
}

std::string_view wanted(proto::OptionKind kind) {
  switch (kind) {
    case proto::OptionKind::Bool:
      return "a bool";
    case proto::OptionKind::Int:
      return "an integer";
    case proto::OptionKind::Float:
    case proto::OptionKind::Double:
      return "a number";
    case proto::OptionKind::String:
      return "a string";
    case proto::OptionKind::Enum:
      return "an enumerator's name or number";
  }
  return "";
}

/// Writes the value if it is of the field's kind.
bool write(protozero::pbf_writer& w, const proto::OptionField& f, const FlagValue& value) {
  const auto* i = std::get_if<std::int64_t>(&value);
  const auto* d = std::get_if<double>(&value);
  const auto* s = std::get_if<std::string>(&value);
  switch (f.kind) {
    case proto::OptionKind::Bool:
      if (const auto* b = std::get_if<bool>(&value)) return w.add_bool(f.number, *b), true;
      return false;
    case proto::OptionKind::Int:
      if (i != nullptr) return w.add_int64(f.number, *i), true;
      return false;
    case proto::OptionKind::Float:
      if (d != nullptr || i != nullptr)
        return w.add_float(f.number, d != nullptr ? static_cast<float>(*d) : static_cast<float>(*i)), true;
      return false;
    case proto::OptionKind::Double:
      if (d != nullptr || i != nullptr)
        return w.add_double(f.number, d != nullptr ? *d : static_cast<double>(*i)), true;
      return false;
    case proto::OptionKind::String:
      if (s != nullptr) return w.add_string(f.number, *s), true;
      return false;
    case proto::OptionKind::Enum:
      for (const proto::OptionEnumerator& e : f.enumerators) {
        if ((s != nullptr && e.name == *s) || (i != nullptr && e.value == *i))
          return w.add_enum(f.number, e.value), true;
      }
      return false;
  }
  return false;
}

}  // namespace

Result<void> DebugOptions::set(std::string_view name, FlagValue value) try {
  const auto* field = std::ranges::find(proto::kDebugOptions, name, &proto::OptionField::name);
  if (field == std::end(proto::kDebugOptions)) {
    return std::unexpected(Error(ErrorCode::NotFound, "XLA's DebugOptions have no field '" + std::string(name) + "'")
                               .with_note("the nearest is '" + std::string(nearest_option(name)) + "'"));
  }
  protozero::pbf_writer w(bytes_);  // of single fields that are set twice the last counts
  if (!write(w, *field, value)) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "'" + std::string(name) + "' takes " + std::string(wanted(field->kind))));
  }
  return {};
}
PJRT_CATCH

void DebugOptions::set_backend_extra_option(std::string_view key, std::string_view value) {
  namespace entry = proto::DebugOptions_XlaBackendExtraOptionsEntry;
  protozero::pbf_writer w(bytes_);
  protozero::pbf_writer e(w, proto::DebugOptions::xla_backend_extra_options);
  e.add_string(entry::key, key.data(), key.size());
  e.add_string(entry::value, value.data(), value.size());
}

DebugOptions DebugOptions::from_bytes(std::string bytes) {
  DebugOptions o;
  o.bytes_ = std::move(bytes);
  return o;
}

void CompilationEnvironments::add(std::string_view type_url, std::string_view message) {
  protozero::pbf_writer w(bytes_);
  protozero::pbf_writer any(w, proto::CompilationEnvironmentsProto::environments);
  any.add_string(proto::Any::type_url, type_url.data(), type_url.size());
  any.add_bytes(proto::Any::value, message.data(), message.size());
}

CompilationEnvironments CompilationEnvironments::from_bytes(std::string bytes) {
  CompilationEnvironments e;
  e.bytes_ = std::move(bytes);
  return e;
}

}  // namespace pjrt
