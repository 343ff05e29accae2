#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/names.hpp"
#include "pjrt/error.hpp"
#include "pjrt/model/interface.hpp"

/// Names of arrays in programs of several replicas: "arg0" is an input of all of them, "arg0@1" that of replica 1. No
/// other name of such a program has an '@' in it, for its arrays are numbered or have names of HLO.

namespace pjrt::model {

/// `values`, then each of them once for each replica.
std::vector<SessionValue> inputs_of_replicas(std::vector<SessionValue> values, int replicas);
/// Each of `values` once for each replica.
std::vector<SessionValue> outputs_of_replicas(std::vector<SessionValue> values, int replicas);

/// Finds the arrays of a program by what people call them (see NameIndex), those of single replicas by an "@1" behind
/// the name.
class ReplicaNames {
 public:
  enum class Of { Inputs, Outputs };

  ReplicaNames() = default;
  /// `values` are the program's, as inputs_of_replicas and outputs_of_replicas take them; what is found is the position
  /// in what they give.
  ReplicaNames(std::span<const SessionValue> values, Of of, int replicas);

  /// As NameIndex::find. InvalidArgument for an output without a replica where there are several.
  Result<std::size_t> find(std::string_view text) const;

 private:
  NameIndex names_;
  std::vector<std::string> paths_;  // for messages; of several replicas only
  Of of_ = Of::Inputs;
  int replicas_ = 1;
};

}  // namespace pjrt::model
