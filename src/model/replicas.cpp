#include "model/replicas.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "core/try.hpp"

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

ReplicaNames::ReplicaNames(std::span<const SessionValue> values, Of of, int replicas)
    : names_(values, of == Of::Inputs ? "input" : "output"), of_(of), replicas_(replicas) {
  if (replicas == 1) return;
  for (const SessionValue& value : values) paths_.push_back(value.path);
}

Result<std::size_t> ReplicaNames::find(std::string_view text) const try {
  if (replicas_ == 1) return names_.find(text);
  const Name name = split(text);
  PJRT_TRY(const std::size_t i, names_.find(name.value));
  if (!name.replica && of_ == Of::Inputs) return i;
  if (!name.replica) {
    return std::unexpected(Error(ErrorCode::InvalidArgument,
                                 "each of the " + std::to_string(replicas_) + " replicas has an output " + paths_[i] +
                                     ": " + paths_[i] + "@0 to " + paths_[i] + "@" + std::to_string(replicas_ - 1)));
  }
  PJRT_CHECK(check_replica(text, *name.replica, replicas_));
  const std::size_t shared = of_ == Of::Inputs ? paths_.size() : 0;
  return shared + i * static_cast<std::size_t>(replicas_) + static_cast<std::size_t>(*name.replica);
}
PJRT_CATCH

}  // namespace pjrt::model
