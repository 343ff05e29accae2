#include "proto/hlo.hpp"

#include <utility>

namespace pjrt::proto {
namespace {

/// HloModuleProtoWithConfig { HloModuleProto hlo_module = 1; HloModuleConfigProto config = 2; }
constexpr std::uint32_t kModuleOfModuleWithConfig = 1;

void flatten(ParsedShape shape, std::vector<ParsedShape>& out) {
  if (!shape.is_tuple) {
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
      read_int64s(reader, leaf.index);
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
          given.push_back(read_leaf(entries.get_message(), f::parameter_number, f::parameter_shape_index));
        }
        break;
      }
      case HloModuleProto::buffer_donor: {
        namespace f = HloBufferDonorProto_BufferDonorEntryProto;
        protozero::pbf_reader entries = reader.get_message();
        while (entries.next(HloBufferDonorProto::entries)) {
          given.push_back(read_leaf(entries.get_message(), f::parameter_number, f::parameter_shape_index));
        }
        break;
      }
      case HloModuleProto::schedule:
        s.is_scheduled = reader.get_view().size() > 0;
        break;
      case HloModuleProto::spmd_parameters_shardings:
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

}  // namespace

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
