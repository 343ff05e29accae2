#include "pjrt/compile_options.hpp"

#include <limits>
#include <utility>

#include "core/try.hpp"
#include "proto/fields.hpp"
#include "proto/parse.hpp"
#include "proto/shape.hpp"

namespace pjrt {

namespace top = proto::CompileOptionsProto;
namespace build = proto::ExecutableBuildOptionsProto;
namespace entry = proto::CompileOptionsProto_EnvOptionOverridesEntry;
namespace value_of = proto::OptionOverrideProto;

CompileOptions& CompileOptions::num_replicas(int n) {
  replicas_ = n;
  return *this;
}
CompileOptions& CompileOptions::num_partitions(int n) {
  partitions_ = n;
  return *this;
}
CompileOptions& CompileOptions::use_spmd(bool on) {
  build_bools_[build::use_spmd_partitioning] = on;
  return *this;
}
CompileOptions& CompileOptions::use_shardy(bool on) {
  build_bools_[build::use_shardy_partitioner] = on;
  return *this;
}
CompileOptions& CompileOptions::use_auto_spmd(bool on, std::vector<std::int64_t> mesh_shape,
                                              std::vector<std::int64_t> mesh_ids) {
  build_bools_[build::use_auto_spmd_partitioning] = on;
  build_lists_[build::auto_spmd_partitioning_mesh_shape] = std::move(mesh_shape);
  build_lists_[build::auto_spmd_partitioning_mesh_ids] = std::move(mesh_ids);
  return *this;
}
CompileOptions& CompileOptions::device_assignment(DeviceAssignment assignment) {
  replicas_ = assignment.num_replicas();
  partitions_ = assignment.num_partitions();
  assignment_ = std::move(assignment);
  return *this;
}
CompileOptions& CompileOptions::portable(bool on) {
  top_bools_[top::compile_portable_executable] = on;
  return *this;
}
CompileOptions& CompileOptions::argument_layouts(std::vector<LaidOutShape> layouts) {
  argument_layouts_.clear();
  for (const LaidOutShape& s : layouts) argument_layouts_.push_back(proto::serialize_shape(s.shape, s.layout));
  return *this;
}
CompileOptions& CompileOptions::result_layout(LaidOutShape layout) {
  build_bytes_[build::result_layout] = proto::serialize_shape(layout.shape, layout.layout);
  return *this;
}
CompileOptions& CompileOptions::parameter_is_tupled_arguments(bool on) {
  top_bools_[top::parameter_is_tupled_arguments] = on;
  return *this;
}
CompileOptions& CompileOptions::allow_spmd_sharding_propagation_to_parameters(std::vector<bool> allow) {
  build_lists_[build::allow_spmd_sharding_propagation_to_parameters].assign(allow.begin(), allow.end());
  return *this;
}
CompileOptions& CompileOptions::allow_spmd_sharding_propagation_to_output(std::vector<bool> allow) {
  build_lists_[build::allow_spmd_sharding_propagation_to_output].assign(allow.begin(), allow.end());
  return *this;
}
CompileOptions& CompileOptions::alias_passthrough_params(bool on) {
  build_bools_[build::alias_passthrough_params] = on;
  return *this;
}
CompileOptions& CompileOptions::deduplicate_hlo(bool on) {
  build_bools_[build::deduplicate_hlo] = on;
  return *this;
}
CompileOptions& CompileOptions::run_backend_only(bool on) {
  build_bools_[build::run_backend_only] = on;
  return *this;
}
CompileOptions& CompileOptions::allow_in_place_mlir_modification(bool on) {
  top_bools_[top::allow_in_place_mlir_modification] = on;
  return *this;
}
CompileOptions& CompileOptions::device_memory_size(std::int64_t bytes) {
  build_ints_[build::device_memory_size] = bytes;
  return *this;
}
CompileOptions& CompileOptions::slice_size(std::int64_t size) {
  build_ints_[build::slice_size] = size;
  return *this;
}
CompileOptions& CompileOptions::process(std::int64_t index, std::int64_t count) {
  build_ints_[build::process_index] = index;
  build_ints_[build::process_count] = count;
  return *this;
}
CompileOptions& CompileOptions::exec_time_optimization_effort(float effort) {
  build_floats_[build::exec_time_optimization_effort] = effort;
  return *this;
}
CompileOptions& CompileOptions::memory_fitting_effort(float effort) {
  build_floats_[build::memory_fitting_effort] = effort;
  return *this;
}
CompileOptions& CompileOptions::optimization_level(int level) {
  build_ints_[build::optimization_level] = level;
  return *this;
}
CompileOptions& CompileOptions::memory_fitting_level(int level) {
  build_ints_[build::memory_fitting_level] = level;
  return *this;
}
CompileOptions& CompileOptions::matrix_unit_operand_precision(int precision) {
  top_ints_[top::matrix_unit_operand_precision] = precision;
  return *this;
}
CompileOptions& CompileOptions::profile_version(std::int64_t version) {
  top_ints_[top::profile_version] = version;
  return *this;
}
CompileOptions& CompileOptions::fdo_profile(std::string profile) {
  build_bytes_[build::fdo_profile] = std::move(profile);
  return *this;
}
CompileOptions& CompileOptions::compiler_variant(std::string variant) {
  top_bytes_[top::compiler_variant] = std::move(variant);
  return *this;
}
CompileOptions& CompileOptions::target_config(std::string proto) {
  top_bytes_[top::target_config] = std::move(proto);
  return *this;
}
CompileOptions& CompileOptions::multi_slice_config(std::string bytes) {
  top_bytes_[top::serialized_multi_slice_config] = std::move(bytes);
  return *this;
}
CompileOptions& CompileOptions::debug_options(const DebugOptions& options) {
  build_bytes_[build::debug_options] = options.serialize();
  return *this;
}
CompileOptions& CompileOptions::compilation_environments(const CompilationEnvironments& environments) {
  build_bytes_[build::comp_envs] = environments.serialize();
  return *this;
}

CompileOptions& CompileOptions::set_flag(std::string name, FlagValue value) {
  flags_.emplace_back(std::move(name), std::move(value));
  return *this;
}

namespace {

struct ValueWriter {
  protozero::pbf_writer& w;
  void operator()(const std::string& v) const { w.add_string(value_of::string_field, v); }
  void operator()(bool v) const { w.add_bool(value_of::bool_field, v); }
  void operator()(std::int64_t v) const { w.add_int64(value_of::int_field, v); }
  void operator()(double v) const { w.add_double(value_of::double_field, v); }
};

FlagValue read_value(protozero::pbf_reader reader) {
  FlagValue value;
  while (reader.next()) {
    switch (reader.tag()) {
      case value_of::string_field:
        value = reader.get_string();
        break;
      case value_of::bool_field:
        value = reader.get_bool();
        break;
      case value_of::int_field:
        value = reader.get_int64();
        break;
      case value_of::double_field:
        value = reader.get_double();
        break;
      default:
        reader.skip();
    }
  }
  return value;
}

std::pair<std::string, FlagValue> read_flag(protozero::pbf_reader reader) {
  std::pair<std::string, FlagValue> flag;
  while (reader.next()) {
    switch (reader.tag()) {
      case entry::key:
        flag.first = reader.get_string();
        break;
      case entry::value:
        flag.second = read_value(reader.get_message());
        break;
      default:
        reader.skip();
    }
  }
  return flag;
}

/// Appends the field the reader stands at, as it is on the wire.
void keep_field(protozero::pbf_reader& reader, const char* begin, std::string& out) {
  reader.skip();
  out.append(begin, reader.data().data());
}

}  // namespace

bool CompileOptions::uses_spmd() const noexcept {
  const auto it = build_bools_.find(build::use_spmd_partitioning);
  return it != build_bools_.end() && it->second;
}

bool CompileOptions::is_portable() const noexcept {
  const auto it = top_bools_.find(top::compile_portable_executable);
  return it != top_bools_.end() && it->second;
}

bool CompileOptions::runs_backend_only() const noexcept {
  const auto it = build_bools_.find(build::run_backend_only);
  return it != build_bools_.end() && it->second;
}

bool CompileOptions::tuples_arguments() const noexcept {
  const auto it = top_bools_.find(top::parameter_is_tupled_arguments);
  return it != top_bools_.end() && it->second;
}

std::string CompileOptions::serialize() const {
  std::string bytes;
  protozero::pbf_writer w(bytes);
  for (const std::string& layout : argument_layouts_) w.add_message(top::argument_layouts, layout);
  for (const auto& [tag, v] : top_bools_) w.add_bool(tag, v);
  for (const auto& [tag, v] : top_ints_) w.add_int64(tag, v);
  for (const auto& [tag, v] : top_bytes_) w.add_bytes(tag, v);
  for (const auto& [name, value] : flags_) {
    protozero::pbf_writer flag(w, top::env_option_overrides);
    flag.add_string(entry::key, name);
    protozero::pbf_writer v(flag, entry::value);
    std::visit(ValueWriter{v}, value);
  }
  {
    protozero::pbf_writer b(w, top::executable_build_options);
    b.add_int64(build::device_ordinal, device_ordinal_);
    b.add_int64(build::num_replicas, replicas_);
    b.add_int64(build::num_partitions, partitions_);
    for (const auto& [tag, v] : build_bools_) b.add_bool(tag, v);
    for (const auto& [tag, v] : build_ints_) b.add_int64(tag, v);
    for (const auto& [tag, v] : build_floats_) b.add_float(tag, v);
    for (const auto& [tag, v] : build_bytes_) b.add_bytes(tag, v);
    for (const auto& [tag, v] : build_lists_) b.add_packed_int64(tag, v.begin(), v.end());
    if (assignment_) b.add_message(build::device_assignment, assignment_->serialize());
    bytes += build_unknown_;
  }
  bytes += top_unknown_;
  return bytes;
}

Result<CompileOptions> CompileOptions::parse(std::string_view bytes) try {
  CompileOptions o;
  std::int64_t replicas = 0;
  std::int64_t partitions = 0;
  std::string assignment;
  const auto read_build = [&](protozero::pbf_reader reader) {
    for (const char* begin = reader.data().data(); reader.next(); begin = reader.data().data()) {
      switch (reader.tag()) {
        case build::device_ordinal:
          o.device_ordinal_ = reader.get_int64();
          break;
        case build::num_replicas:
          replicas = reader.get_int64();
          break;
        case build::num_partitions:
          partitions = reader.get_int64();
          break;
        case build::device_assignment:
          assignment = reader.get_bytes();
          break;
        case build::use_spmd_partitioning:
        case build::use_auto_spmd_partitioning:
        case build::use_shardy_partitioner:
        case build::deduplicate_hlo:
        case build::alias_passthrough_params:
        case build::run_backend_only: {
          const std::uint32_t tag = reader.tag();
          o.build_bools_[tag] = reader.get_bool();
          break;
        }
        case build::device_memory_size:
        case build::process_index:
        case build::process_count:
        case build::slice_size:
        case build::optimization_level:
        case build::memory_fitting_level: {
          const std::uint32_t tag = reader.tag();
          o.build_ints_[tag] = reader.get_int64();
          break;
        }
        case build::exec_time_optimization_effort:
        case build::memory_fitting_effort: {
          const std::uint32_t tag = reader.tag();
          o.build_floats_[tag] = reader.get_float();
          break;
        }
        case build::result_layout:
        case build::comp_envs:
        case build::debug_options:
        case build::fdo_profile: {
          const std::uint32_t tag = reader.tag();
          o.build_bytes_[tag] = reader.get_bytes();
          break;
        }
        case build::allow_spmd_sharding_propagation_to_output:
        case build::allow_spmd_sharding_propagation_to_parameters:
        case build::auto_spmd_partitioning_mesh_ids:
        case build::auto_spmd_partitioning_mesh_shape:
          proto::read_int64s(reader, o.build_lists_[reader.tag()]);
          break;
        default:
          keep_field(reader, begin, o.build_unknown_);
      }
    }
  };
  PJRT_CHECK(proto::guarded("CompileOptionsProto", [&] {
    protozero::pbf_reader reader(bytes.data(), bytes.size());
    for (const char* begin = bytes.data(); reader.next(); begin = reader.data().data()) {
      switch (reader.tag()) {
        case top::argument_layouts:
          o.argument_layouts_.push_back(reader.get_bytes());
          break;
        case top::executable_build_options:
          read_build(reader.get_message());
          break;
        case top::env_option_overrides:
          o.flags_.push_back(read_flag(reader.get_message()));
          break;
        case top::parameter_is_tupled_arguments:
        case top::compile_portable_executable:
        case top::allow_in_place_mlir_modification: {
          const std::uint32_t tag = reader.tag();
          o.top_bools_[tag] = reader.get_bool();
          break;
        }
        case top::profile_version:
        case top::matrix_unit_operand_precision: {
          const std::uint32_t tag = reader.tag();
          o.top_ints_[tag] = reader.get_int64();
          break;
        }
        case top::serialized_multi_slice_config:
        case top::target_config:
        case top::compiler_variant: {
          const std::uint32_t tag = reader.tag();
          o.top_bytes_[tag] = reader.get_bytes();
          break;
        }
        default:
          keep_field(reader, begin, o.top_unknown_);
      }
    }
    return true;
  }));
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  if (replicas < 1 || partitions < 1 || replicas > kMost || partitions > kMost) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "the compile options have " + std::to_string(replicas) +
                                                                 " replicas and " + std::to_string(partitions) +
                                                                 " partitions; there must be at least one of each"));
  }
  o.replicas_ = static_cast<int>(replicas);
  o.partitions_ = static_cast<int>(partitions);
  if (!assignment.empty()) {
    PJRT_TRY(o.assignment_, DeviceAssignment::parse(assignment));
  }
  return o;
}
PJRT_CATCH

}  // namespace pjrt
