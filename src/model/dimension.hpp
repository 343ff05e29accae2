#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "pjrt/error.hpp"

/// Dimensions as JAX writes them: numbers, or expressions of dimension variables like "2*h + 1".
namespace pjrt::model::detail {

/// The size of a dimension; ExportedValue::kSymbolic for an expression.
Result<std::int64_t> parse_dimension(const std::string& text);

/// Adds the variables of an expression: "h".
void collect_variables(const std::string& expression, std::set<std::string>& variables);

}  // namespace pjrt::model::detail
