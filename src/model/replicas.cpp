#include "model/replicas.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "core/try.hpp"
#include "model/names.hpp"

namespace pjrt::model {
namespace {

SessionValue of_replica(SessionValue value, int replica) {
  const std::string suffix = "@" + std::to_string(replica);
  value.path += suffix;
  if (!value.name.empty()) value.name += suffix;
  value.replica = replica;
  return value;
}

/// A name, and the replica behind it: "arg0", "arg0@1".
struct Name {
  std::string_view value;
  std::optional<int> replica;
};

Name split(std::string_view text) {
  const std::size_t at = text.rfind('@');
  int replica = 0;
  if (at == std::string_view::npos) return {text, std::nullopt};
  const auto [end, error] = std::from_chars(text.data() + at + 1, text.data() + text.size(), replica);
  if (error != std::errc() || end != text.data() + text.size() || replica < 0) return {text, std::nullopt};
  return {text.substr(0, at), replica};
}

Result<void> check_replica(std::string_view text, int replica, int replicas) {
  if (replica < replicas) return {};
  return std::unexpected(Error(ErrorCode::NotFound, "'" + std::string(text) + "': there is no replica " +
                                                        std::to_string(replica) + "; the program has replicas 0 to " +
                                                        std::to_string(replicas - 1)));
}

/// How many replicas' values are listed; 1 for a program of one, whose values have no replica.
int replicas_of(std::span<const SessionValue> values) {
  return values.empty() ? 1 : values.back().replica.value_or(0) + 1;
}

}  // namespace

std::vector<SessionValue> inputs_of_replicas(std::vector<SessionValue> values, int replicas) {
  if (replicas == 1) return values;
  const std::size_t count = values.size();
  std::vector<SessionValue> single = outputs_of_replicas(values, replicas);
  values.reserve(count + single.size());
  std::ranges::move(single, std::back_inserter(values));
  return values;
}

std::vector<SessionValue> outputs_of_replicas(std::vector<SessionValue> values, int replicas) {
  if (replicas == 1) return values;
  std::vector<SessionValue> all;
  for (const SessionValue& value : values) {
    for (int r = 0; r < replicas; ++r) all.push_back(of_replica(value, r));
  }
  return all;
}

Result<std::size_t> find_input(std::span<const SessionValue> inputs, std::string_view text) {
  const int replicas = replicas_of(inputs);
  if (replicas == 1) return find_value(inputs, text, "input");
  const Name name = split(text);
  const std::size_t count = inputs.size() / (static_cast<std::size_t>(replicas) + 1);
  PJRT_TRY(const std::size_t i, find_value(inputs.first(count), name.value, "input"));
  if (!name.replica) return i;
  PJRT_CHECK(check_replica(text, *name.replica, replicas));
  return count + i * static_cast<std::size_t>(replicas) + static_cast<std::size_t>(*name.replica);
}

Result<std::size_t> find_output(std::span<const SessionValue> outputs, std::string_view text) {
  const int replicas = replicas_of(outputs);
  if (replicas == 1) return find_value(outputs, text, "output");
  const Name name = split(text);
  std::vector<SessionValue> values;  // without their replicas
  for (std::size_t i = 0; i < outputs.size(); i += static_cast<std::size_t>(replicas)) {
    SessionValue value = outputs[i];
    value.path = split(value.path).value;
    value.name = split(value.name).value;
    values.push_back(std::move(value));
  }
  PJRT_TRY(const std::size_t i, find_value(values, name.value, "output"));
  if (!name.replica) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "each of the " + std::to_string(replicas) +
                                                                 " replicas has an output " + values[i].path + ": " +
                                                                 values[i].path + "@0 to " + values[i].path + "@" +
                                                                 std::to_string(replicas - 1)));
  }
  PJRT_CHECK(check_replica(text, *name.replica, replicas));
  return i * static_cast<std::size_t>(replicas) + static_cast<std::size_t>(*name.replica);
}

}  // namespace pjrt::model
