#include "core/client_options.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "core/try.hpp"

namespace pjrt::detail {
namespace {

enum class Kind { String, Int64, Int64List, Float, Bool };

/// Plugins take integers for 32-bit ones without looking: what does not fit comes out as another number.
struct Range {
  std::int64_t least = INT64_MIN;
  std::int64_t most = INT64_MAX;
};

struct KnownOption {
  std::string_view name;
  Kind kind;
  Range range = {};
};

constexpr std::string_view kCpuDeviceCount = "cpu_device_count";
constexpr std::int64_t kCpuDeviceIds = 2048;  // of a process: they are 2048 * process_id + i

constexpr KnownOption kKnown[] = {
    {kCpuDeviceCount, Kind::Int64, {1, kCpuDeviceIds}},  // plugins abort when they cannot start a thread for each
    {"asynchronous", Kind::Bool},
    {"process_id", Kind::Int64, {0, INT32_MAX / kCpuDeviceIds}},
    {"platform_name", Kind::String},
    {"allocator", Kind::String},
    {"memory_fraction", Kind::Float},
    {"preallocate", Kind::Bool},
    {"collective_memory_size", Kind::Int64},
    {"visible_devices", Kind::Int64List},
    {"node_id", Kind::Int64},
    {"num_nodes", Kind::Int64},
    {"should_stage_host_to_device_transfers", Kind::Bool},
    {"abort_collectives_on_failure", Kind::Bool},
    {"use_tfrt_gpu_client", Kind::Bool},
    {"enable_mock_nccl", Kind::Bool},
    {"mock_gpu_topology", Kind::String},
    {"partition_index", Kind::Int64},
    {"max_inflight_computations", Kind::Int64},
};

/// CUDA's first, then libtpu's.
constexpr KnownOption kKnownOfTopologies[] = {
    {"topology", Kind::String},
    {"target_config", Kind::String},
    {"host_target_machine_options", Kind::String},
    {"chips_per_host_bounds", Kind::Int64List},
    {"num_slices", Kind::Int64, {1, INT32_MAX}},
};

constexpr Version kCpuPluginsCheckNames{0, 107};  // 0.106 knows one option and ignores others, 0.115 refuses them

std::string_view kind_text(Kind kind) {
  constexpr std::string_view kTexts[] = {"a string", "an integer", "a list of integers", "a number", "a bool"};
  return kTexts[std::to_underlying(kind)];
}

/// `what`: "client option".
Result<NamedValues> check(const NamedValues& options, std::span<const KnownOption> all_known, std::string_view what) {
  const auto refuse = [what](const NamedValue& option, const std::string& why) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, std::string(what) + " '" + option.name + "' " + why));
  };
  NamedValues checked;
  for (const NamedValue& option : options) {
    const auto known = std::ranges::find(all_known, option.name, &KnownOption::name);
    Value value = option.value;
    if (known != all_known.end()) {
      if (known->kind == Kind::Float && value.int64() != nullptr) value = static_cast<float>(*value.int64());
      if (value.variant().index() != static_cast<std::size_t>(known->kind)) {
        return refuse(option, "takes " + std::string(kind_text(known->kind)) + ", not " + to_string(value) + " (" +
                                  std::string(kind_name(value)) + ")");
      }
      if (const std::int64_t* i = value.int64(); i != nullptr && (*i < known->range.least || *i > known->range.most)) {
        return refuse(option, "is " + to_string(value) + "; it lies between " + std::to_string(known->range.least) +
                                  " and " + std::to_string(known->range.most));
      }
    }
    checked.add(option.name, std::move(value));
  }
  return checked;
}

}  // namespace

Result<NamedValues> check_client_options(const NamedValues& options) {
  return check(options, kKnown, "client option");
}

Result<NamedValues> check_topology_options(const NamedValues& options) {
  return check(options, kKnownOfTopologies, "topology option");
}

namespace {

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::optional<Value> parse_value(std::string_view text, Kind kind) {
  switch (kind) {
    case Kind::String:
      return Value(text);
    case Kind::Bool:
      if (text == "true" || text == "1") return Value(true);
      if (text == "false" || text == "0") return Value(false);
      return std::nullopt;
    case Kind::Int64:
      if (const auto i = number<std::int64_t>(text)) return Value(*i);
      return std::nullopt;
    case Kind::Float:
      if (const auto f = number<float>(text)) return Value(*f);
      return std::nullopt;
    case Kind::Int64List: {
      std::vector<std::int64_t> list;
      while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        const auto i = number<std::int64_t>(text.substr(0, comma));
        if (!i) return std::nullopt;
        list.push_back(*i);
        text.remove_prefix(std::min(comma + 1, text.size()));
      }
      return Value(std::move(list));
    }
  }
  return std::nullopt;
}

/// The kind a value of an unknown option looks like.
Kind guess(std::string_view text) {
  if (text == "true" || text == "false") return Kind::Bool;
  if (number<std::int64_t>(text)) return Kind::Int64;
  if (number<float>(text)) return Kind::Float;
  if (text.find(',') != std::string_view::npos && parse_value(text, Kind::Int64List)) return Kind::Int64List;
  return Kind::String;
}

}  // namespace

Result<NamedValue> parse_option(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "client option '" + std::string(text) + "' is not of the form name=value"));
  }
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = text.substr(equals + 1);
  const auto* known = std::ranges::find(kKnown, name, &KnownOption::name);
  const Kind kind = known != std::end(kKnown) ? known->kind : guess(value);
  std::optional<Value> parsed = parse_value(value, kind);
  if (!parsed) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "client option '" + std::string(name) + "' takes " +
                                                                 std::string(kind_text(kind)) + ", not '" +
                                                                 std::string(value) + "'"));
  }
  return NamedValue{std::string(name), *std::move(parsed)};
}

Result<void> refuse_ignored_options(const ClientState& client, const NamedValues& options) {
  if (!client.is_cpu || client.plugin->version >= kCpuPluginsCheckNames) return {};
  for (const NamedValue& option : options) {
    if (option.name == kCpuDeviceCount) continue;
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "plugin " + Plugin(client.plugin).description() +
                                              " does not know the client option '" + option.name +
                                              "' and would ignore it")
            .with_note("CPU plugins know cpu_device_count, newer ones asynchronous and process_id too"));
  }
  return {};
}

}  // namespace pjrt::detail
