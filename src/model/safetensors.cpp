#include "model/safetensors.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "core/pred.hpp"
#include "core/printable.hpp"
#include "core/try.hpp"

namespace pjrt::model {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLongestHead = 100'000'000;  // the format's own limit

std::unexpected<Error> malformed(const std::string& what) {
  return std::unexpected(Error(ErrorCode::InvalidArgument, "not a safetensors file: " + what));
}

std::optional<ElementType> type_of(std::string_view dtype) {
  constexpr std::pair<std::string_view, ElementType> kTypes[] = {
      {"BOOL", ElementType::Pred},
      {"U8", ElementType::U8},
      {"I8", ElementType::S8},
      {"I16", ElementType::S16},
      {"U16", ElementType::U16},
      {"F16", ElementType::F16},
      {"BF16", ElementType::BF16},
      {"I32", ElementType::S32},
      {"U32", ElementType::U32},
      {"F32", ElementType::F32},
      {"F64", ElementType::F64},
      {"I64", ElementType::S64},
      {"U64", ElementType::U64},
      {"C64", ElementType::C64},
      {"F8_E4M3", ElementType::F8E4M3FN},
      {"F8_E5M2", ElementType::F8E5M2},
      {"F8_E8M0", ElementType::F8E8M0FNU},
  };
  for (const auto& [name, type] : kTypes) {
    if (name == dtype) return type;
  }
  return std::nullopt;
}

/// A whole number, not negative.
std::optional<std::uint64_t> natural(const json& j) {
  if (!j.is_number_unsigned()) return std::nullopt;
  return j.get<std::uint64_t>();
}

struct Placed {
  Safetensor entry;
  std::uint64_t begin = 0;
};

Result<Placed> read_entry(const std::string& name, const json& j) {
  const std::string where = "array '" + pjrt::detail::printable(name) + "' ";
  const auto field = [&](const char* key) { return j.is_object() && j.contains(key) ? &j[key] : nullptr; };
  const json* dtype = field("dtype");
  const json* shape = field("shape");
  const json* offsets = field("data_offsets");
  if (dtype == nullptr || !dtype->is_string() || shape == nullptr || !shape->is_array() || offsets == nullptr ||
      !offsets->is_array() || offsets->size() != 2)
    return malformed(where + "lacks dtype, shape or data_offsets");
  const std::string& word = dtype->get_ref<const std::string&>();
  const std::optional<ElementType> type = type_of(word);
  if (!type) {
    return std::unexpected(
        Error(ErrorCode::Unimplemented,
              where + "has the safetensors type '" + pjrt::detail::printable(word) + "', which is not supported"));
  }
  if (shape->size() > kMaxRank) return malformed(where + "has more than " + std::to_string(kMaxRank) + " dimensions");
  std::vector<std::int64_t> dims;
  for (const json& d : *shape) {
    const std::optional<std::uint64_t> n = natural(d);
    if (!n || *n > INT64_MAX) return malformed(where + "has a malformed shape");
    dims.push_back(static_cast<std::int64_t>(*n));
  }
  const std::optional<std::uint64_t> begin = natural((*offsets)[0]);
  const std::optional<std::uint64_t> end = natural((*offsets)[1]);
  Placed placed{{name, Shape{*type, dims.empty() ? Dimensions() : Dimensions(dims)}, 0}, begin.value_or(0)};
  const std::optional<std::int64_t> size = host_byte_size(placed.entry.shape);
  if (!begin || !end || *end < *begin || !size || static_cast<std::uint64_t>(*size) != *end - *begin)
    return malformed(where + "has a shape that its data_offsets do not fit");
  placed.entry.size = *end - *begin;
  return placed;
}

}  // namespace

Result<std::vector<Safetensor>> read_safetensors_head(pjrt::detail::ByteSource& source) {
  std::byte start[8];
  PJRT_TRY(std::size_t n, read_fully(source, start));
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < n; ++i) length |= std::to_integer<std::uint64_t>(start[i]) << 8 * i;
  if (n < 8 || length < 2 || length > kLongestHead || source.left().value_or(length) < length)
    return malformed("the length of its head is wrong");
  std::string text(static_cast<std::size_t>(length), '\0');
  PJRT_TRY(n, read_fully(source, std::as_writable_bytes(std::span(text))));
  if (n < length) return malformed("it is cut off in its head");
  std::set<std::string> seen;
  bool twice = false;
  const json head = json::parse(
      text,
      [&](int depth, json::parse_event_t event, json& key) {
        if (depth == 1 && event == json::parse_event_t::key) twice |= !seen.insert(key.get<std::string>()).second;
        return true;
      },
      /*allow_exceptions=*/false);
  if (!head.is_object()) return malformed("its head is not a JSON object");
  if (twice) return malformed("its head names an array twice");
  std::vector<Placed> placed;
  for (const auto& [name, j] : head.items()) {
    if (name == "__metadata__") continue;
    PJRT_TRY(Placed p, read_entry(name, j));
    placed.push_back(std::move(p));
  }
  std::ranges::stable_sort(placed, {}, [](const Placed& p) { return std::pair(p.begin, p.entry.size); });
  std::vector<Safetensor> entries;
  std::uint64_t at = 0;
  for (Placed& p : placed) {
    if (p.begin != at) return malformed("its arrays overlap or leave gaps");
    at += p.entry.size;
    entries.push_back(std::move(p.entry));
  }
  if (const auto left = source.left(); left && *left != at) {
    return std::unexpected(Error(ErrorCode::DataLoss, "the safetensors file has " + std::to_string(*left) +
                                                          " bytes of arrays, its head says " + std::to_string(at)));
  }
  return entries;
}

Result<HostBuffer> read_safetensor(pjrt::detail::ByteSource& source, const Safetensor& entry) {
  PJRT_TRY(HostBuffer array, HostBuffer::allocate(entry.shape));
  const std::span<std::byte> out = array.mutable_bytes();
  PJRT_TRY(const std::size_t n, read_fully(source, out));
  if (n < out.size()) return std::unexpected(Error(ErrorCode::DataLoss, "the safetensors file is cut off"));
  if (entry.shape.type == ElementType::Pred) pjrt::detail::normalize_preds(out);
  return array;
}

}  // namespace pjrt::model
