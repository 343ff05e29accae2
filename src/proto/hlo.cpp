#include "proto/hlo.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace pjrt::proto {
namespace {

/// HloModuleProtoWithConfig { HloModuleProto hlo_module = 1; HloModuleConfigProto config = 2; }
constexpr std::uint32_t kModuleOfModuleWithConfig = 1;

constexpr std::int64_t kMostPartitions = 1 << 16;

void flatten(ParsedShape shape, std::vector<ParsedShape>& out) {
  if (!shape.is_tuple) {
    if (out.size() == kMostValues) throw TooLarge("it has too many parameters or results");
    out.push_back(std::move(shape));
    return;
  }
  for (ParsedShape& s : shape.tuple) flatten(std::move(s), out);
}

struct ParameterLeaf {
  std::int64_t number = 0;
  std::vector<std::int64_t> index;
};

/// Where a leaf of a (possibly tupled) parameter stands among the flattened ones.
std::size_t flat_index(const ParameterLeaf& leaf, bool tupled) {
  if (tupled && !leaf.index.empty()) return static_cast<std::size_t>(leaf.index.front());
  return static_cast<std::size_t>(leaf.number);
}

ParameterLeaf read_leaf(protozero::pbf_reader reader, std::uint32_t number_tag, std::uint32_t index_tag) {
  ParameterLeaf leaf;
  while (reader.next()) {
    if (reader.tag() == number_tag) {
      leaf.number = reader.get_int64();
    } else if (reader.tag() == index_tag) {
      read_int64s(reader, leaf.index, kMostNesting);
    } else {
      reader.skip();
    }
  }
  return leaf;
}

std::vector<std::string> read_result_shardings(std::string bytes) {
  std::vector<std::string> leaves;
  protozero::pbf_reader reader(bytes);
  bool is_tuple = false;
  while (reader.next()) {
    if (reader.tag() == OpSharding::type) {
      is_tuple = reader.get_enum() == std::to_underlying(OpSharding_Type::TUPLE);
    } else if (reader.tag() == OpSharding::tuple_shardings) {
      if (leaves.size() == kMostValues) throw TooLarge("a sharding has too many elements");
      leaves.push_back(reader.get_bytes());
    } else {
      reader.skip();
    }
  }
  if (!is_tuple) return {std::move(bytes)};
  return leaves;
}

HloSignature read_module(protozero::pbf_reader reader) {
  HloSignature s;
  std::vector<ParameterLeaf> given;
  while (reader.next()) {
    switch (reader.tag()) {
      case HloModuleProto::name:
        s.name = reader.get_string();
        break;
      case HloModuleProto::host_program_shape: {
        protozero::pbf_reader shape = reader.get_message();
        while (shape.next()) {
          switch (shape.tag()) {
            case ProgramShapeProto::parameters: {
              ParsedShape parameter = parse_shape(shape.get_message());
              s.has_tuple_parameter |= parameter.is_tuple;
              flatten(std::move(parameter), s.parameters);
              break;
            }
            case ProgramShapeProto::result:
              flatten(parse_shape(shape.get_message()), s.results);
              break;
            case ProgramShapeProto::parameter_names:
              if (s.parameter_names.size() == kMostValues) throw TooLarge("it has too many names");
              s.parameter_names.push_back(shape.get_string());
              break;
            default:
              shape.skip();
          }
        }
        break;
      }
      case HloModuleProto::input_output_alias: {
        namespace f = HloInputOutputAliasProto_AliasEntryProto;
        protozero::pbf_reader entries = reader.get_message();
        while (entries.next(HloInputOutputAliasProto::entries)) {
          if (given.size() == kMostValues) throw TooLarge("it has too many aliases");
          given.push_back(read_leaf(entries.get_message(), f::parameter_number, f::parameter_shape_index));
        }
        break;
      }
      case HloModuleProto::buffer_donor: {
        namespace f = HloBufferDonorProto_BufferDonorEntryProto;
        protozero::pbf_reader entries = reader.get_message();
        while (entries.next(HloBufferDonorProto::entries)) {
          if (given.size() == kMostValues) throw TooLarge("it has too many aliases");
          given.push_back(read_leaf(entries.get_message(), f::parameter_number, f::parameter_shape_index));
        }
        break;
      }
      case HloModuleProto::schedule:
        s.is_scheduled = reader.get_view().size() > 0;
        break;
      case HloModuleProto::spmd_parameters_shardings:
        if (s.parameter_shardings.size() == kMostValues) throw TooLarge("it has too many shardings");
        s.parameter_shardings.push_back(reader.get_bytes());
        break;
      case HloModuleProto::spmd_output_sharding:
        s.result_shardings = read_result_shardings(reader.get_bytes());
        break;
      default:
        reader.skip();
    }
  }
  s.donated.resize(s.parameters.size());
  for (const ParameterLeaf& leaf : given) {
    const std::size_t i = flat_index(leaf, s.has_tuple_parameter);
    if (i < s.donated.size()) s.donated[i] = true;
  }
  return s;
}

/// How many partitions a serialized xla.OpSharding names; tuples one level deep.
std::int64_t partitions_of(protozero::pbf_reader reader, bool is_element = false) {
  std::vector<std::int64_t> tiles;
  std::int64_t most = 1;
  while (reader.next()) {
    switch (reader.tag()) {
      case OpSharding::tile_assignment_dimensions:
        read_int64s(reader, tiles, kMostDimensions);
        break;
      case OpSharding::tuple_shardings: {
        const protozero::pbf_reader element = reader.get_message();
        if (!is_element) most = std::max(most, partitions_of(element, true));
        break;
      }
      default:
        reader.skip();
    }
  }
  std::int64_t count = 1;
  for (const std::int64_t t : tiles) {
    if (t < 1 || t > kMostPartitions || count > kMostPartitions / t) throw TooLarge("a sharding has too many tiles");
    count *= t;
  }
  return std::max(most, count);
}

/// One more than the greatest number among some.
std::int64_t end_of(const std::vector<std::int64_t>& ids) {
  const std::int64_t end = ids.empty() ? 0 : std::ranges::max(ids) + 1;
  if (end > kMostPartitions) throw TooLarge("it names too many devices");
  return end;
}

std::int64_t end_of_group(protozero::pbf_reader group) {
  std::vector<std::int64_t> ids;
  while (group.next(ReplicaGroup::replica_ids)) read_int64s(group, ids);
  return end_of(ids);
}

/// Of groups that are all the numbers from 0 on, in some order.
std::int64_t end_of_iota(protozero::pbf_reader list) {
  namespace f = IotaReplicaGroupListProto;
  std::int64_t groups = 0;
  std::int64_t in_each = 0;
  while (list.next()) {
    if (list.tag() == f::num_replica_groups) {
      groups = list.get_int64();
    } else if (list.tag() == f::num_devices_per_group) {
      in_each = list.get_int64();
    } else {
      list.skip();
    }
  }
  if (groups < 1 || in_each < 1) return 0;
  if (groups > kMostPartitions || in_each > kMostPartitions / groups) throw TooLarge("it names too many devices");
  return groups * in_each;
}

/// The devices among which an instruction of a program communicates.
struct Communication {
  std::int64_t ids = 0;  // one more than the greatest
  std::int64_t channel = 0;
  bool ids_are_global = false;
};

void read_instruction(protozero::pbf_reader reader, bool is_entry, std::int64_t root, HloDevices& devices,
                      std::int64_t& all, std::set<std::string>& targets) {
  namespace f = HloInstructionProto;
  Communication among;
  std::string opcode;
  std::string sharding;
  std::int64_t id = 0;
  std::int64_t number = 0;
  std::int64_t pairs_end = 0;
  while (reader.next()) {
    switch (reader.tag()) {
      case f::opcode:
        opcode = reader.get_string();
        break;
      case f::id:
        id = reader.get_int64();
        break;
      case f::parameter_number:
        number = reader.get_int64();
        break;
      case f::custom_call_target:
        if (std::string target = reader.get_string(); !target.empty()) targets.insert(std::move(target));
        break;
      case f::sharding:
        sharding = reader.get_bytes();
        break;
      case f::channel_id:
        among.channel = reader.get_int64();
        break;
      case f::use_global_device_ids:
        among.ids_are_global = reader.get_bool();
        break;
      case f::replica_groups:
        among.ids = std::max(among.ids, end_of_group(reader.get_message()));
        break;
      case f::collective_device_list: {
        protozero::pbf_reader groups = reader.get_message();
        while (groups.next(CollectiveDeviceListProto::replica_groups))
          among.ids = std::max(among.ids, end_of_group(groups.get_message()));
        break;
      }
      case f::iota_collective_device_list:
        among.ids = std::max(among.ids, end_of_iota(reader.get_message()));
        break;
      case f::source_target_pairs: {
        std::vector<std::int64_t> ids;
        protozero::pbf_reader pair = reader.get_message();
        while (pair.next()) read_int64s(pair, ids, 2);
        pairs_end = std::max(pairs_end, end_of(ids));
        break;
      }
      default:
        reader.skip();
    }
  }
  if (!sharding.empty()) {
    devices.partitions = std::max(devices.partitions, partitions_of(protozero::pbf_reader(sharding)));
    if (is_entry && opcode == "parameter" && number >= 0 && static_cast<std::size_t>(number) < kMostValues) {
      const auto at = static_cast<std::size_t>(number);
      if (devices.parameter_shardings.size() <= at) devices.parameter_shardings.resize(at + 1);
      devices.parameter_shardings[at] = sharding;
    }
    if (is_entry && id == root) devices.result_sharding = sharding;
  }
  const bool is_permutation = pairs_end > 0;
  const std::int64_t ids = std::max(among.ids, pairs_end);
  if (among.ids_are_global) {
    all = std::max(all, ids);
  } else if (among.channel > 0 && (is_permutation || opcode == "all-to-all")) {
    devices.partitions = std::max(devices.partitions, ids);
  } else {
    devices.replicas = std::max(devices.replicas, ids);
  }
}

HloDevices read_devices(std::string_view code) {
  HloDevices devices;
  std::int64_t all = 1;
  std::int64_t entry = 0;
  std::set<std::string> targets;
  for (protozero::pbf_reader reader(code.data(), code.size()); reader.next();) {
    if (reader.tag() == HloModuleProto::entry_computation_id) {
      entry = reader.get_int64();
    } else if (reader.tag() == HloModuleProto::device_assignment) {
      for (protozero::pbf_reader counts = reader.get_message(); counts.next();) {
        const bool is_replicas = counts.tag() == DeviceAssignmentProto::replica_count;
        if (is_replicas || counts.tag() == DeviceAssignmentProto::computation_count) {
          const std::int64_t count = counts.get_int64();
          if (count > kMostPartitions) throw TooLarge("it is for too many devices");
          (is_replicas ? devices.replicas : devices.partitions) = std::max<std::int64_t>(1, count);
        } else {
          counts.skip();
        }
      }
    } else if (reader.tag() == HloModuleProto::spmd_parameters_shardings ||
               reader.tag() == HloModuleProto::spmd_output_sharding) {
      devices.partitions = std::max(devices.partitions, partitions_of(reader.get_message()));
    } else {
      reader.skip();
    }
  }
  for (protozero::pbf_reader reader(code.data(), code.size()); reader.next(HloModuleProto::computations);) {
    const protozero::pbf_reader computation = reader.get_message();
    std::int64_t id = 0;
    std::int64_t root = 0;
    for (protozero::pbf_reader r = computation; r.next();) {
      if (r.tag() == HloComputationProto::id) {
        id = r.get_int64();
      } else if (r.tag() == HloComputationProto::root_id) {
        root = r.get_int64();
      } else {
        r.skip();
      }
    }
    for (protozero::pbf_reader r = computation; r.next(HloComputationProto::instructions);)
      read_instruction(r.get_message(), id == entry, root, devices, all, targets);
  }
  if (devices.replicas * devices.partitions < all) {
    if (devices.replicas == 1) {
      devices.partitions = all;
    } else {
      devices.replicas = (all + devices.partitions - 1) / devices.partitions;
    }
  }
  devices.custom_calls.assign(targets.begin(), targets.end());
  return devices;
}

}  // namespace

Result<HloDevices> parse_hlo_devices(std::string_view code) {
  return guarded("HloModuleProto", [&] { return read_devices(code); });
}

Result<std::vector<std::string>> sharding_elements(std::string_view sharding) {
  return guarded("OpSharding", [&] { return read_result_shardings(std::string(sharding)); });
}

Result<HloSignature> parse_hlo_signature(std::string_view code, std::string_view format) {
  return guarded("HloModuleProto", [&] {
    protozero::pbf_reader reader(code.data(), code.size());
    if (format != "hlo_with_config") return read_module(reader);
    HloSignature s;
    while (reader.next(kModuleOfModuleWithConfig)) s = read_module(reader.get_message());
    return s;
  });
}

}  // namespace pjrt::proto
