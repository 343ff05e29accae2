#include "mlir/facts.hpp"

#include "core/file_kind.hpp"
#include "core/try.hpp"
#include "mlir/bytecode.hpp"
#include "mlir/text.hpp"

namespace pjrt::mlir {

std::string to_string(const ValueType& type) {
  if (type.element == ElementType::Token) return "token[]";
  if (!type.is_array) return type.text;
  std::string text = type.element == ElementType::Invalid ? type.element_text : std::string(name(type.element));
  if (type.dims.empty() && type.is_unbounded) return text + "[...]";
  char separator = '[';
  for (const std::int64_t dim : type.dims) {
    (text += separator) += dim == kDynamic ? "?" : std::to_string(dim);
    separator = ',';
  }
  return text + (type.dims.empty() ? "[]" : "]");
}

Result<ModuleFacts> read_facts(std::string_view code) {
  code = detail::without_byte_order_mark(code);
  const auto bytes = std::as_bytes(std::span(code));
  switch (const detail::FileKind kind = detail::kind_of(bytes)) {
    case detail::FileKind::MlirBytecode:
      return read_bytecode(bytes);
    case detail::FileKind::MlirText:
      return read_text(code);
    case detail::FileKind::Text:  // operations of dialects not known here, perhaps
      return read_text(code);
    default:
      return std::unexpected(detail::no_model(kind, "the program"));
  }
}

Result<void> check(const ModuleFacts& facts) {
  constexpr std::size_t kMostNamed = 8;
  std::vector<std::string> dynamic;
  const auto look_at = [&](const std::vector<ModuleValue>& values, const char* what) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i].type.is_unbounded) dynamic.push_back(what + std::to_string(i) + " is " + to_string(values[i].type));
    }
  };
  look_at(facts.arguments, "arg");
  look_at(facts.results, "out");
  dynamic.insert(dynamic.end(), facts.unbounded_calls.begin(), facts.unbounded_calls.end());
  if (!dynamic.empty()) {
    Error error(ErrorCode::Unimplemented, "the module has dynamic dimensions without a bound (" + dynamic.front() +
                                              "), which PJRT cannot compile; export it for fixed shapes");
    for (std::size_t i = 1; i < std::min(dynamic.size(), kMostNamed); ++i)
      error = std::move(error).with_note(dynamic[i]);
    if (dynamic.size() > kMostNamed)
      error = std::move(error).with_note("and " + std::to_string(dynamic.size() - kMostNamed) + " more");
    return std::unexpected(std::move(error));
  }
  if (!facts.missing_symbols.empty()) {
    std::string names;
    for (std::size_t i = 0; i < std::min(facts.missing_symbols.size(), kMostNamed); ++i)
      names += (i == 0 ? "@" : ", @") + facts.missing_symbols[i];
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "the module uses " + names + ", which it does not define"));
  }
  return {};
}

Result<int> to_count(std::string_view attribute, std::int64_t value) {
  if (value >= 1 && value <= kMostDevices) return static_cast<int>(value);
  return std::unexpected(Error(ErrorCode::InvalidArgument, "the module's attribute " + std::string(attribute) +
                                                               " is not a number from 1 to " +
                                                               std::to_string(kMostDevices)));
}

}  // namespace pjrt::mlir
