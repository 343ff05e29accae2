// Compiled programs and their execution.

#include <algorithm>

#include "fake_plugin/objects.hpp"
#include "fake_plugin/run.hpp"

namespace pjrt::fake {
namespace {

namespace fn = abi::fn;

std::shared_ptr<Compiled> compile(FakePlugin& f, const std::string& name, std::string options) {
  const auto program = f.find_program(name);
  if (program == nullptr) refuse(ErrorCode::InvalidArgument, "there is no program '" + name + "'");
  auto c = std::make_shared<Compiled>(Compiled{name, program, std::move(options)});
  for (const Shape& shape : program->outputs) {
    c->types.push_back(static_cast<abi::PJRT_Buffer_Type>(shape.type));
    c->dims.insert(c->dims.end(), shape.dims.begin(), shape.dims.end());
    c->ranks.push_back(shape.rank());
    c->output_kinds.push_back("device");
    c->output_kind_sizes.push_back(6);
  }
  for (const std::string& kind : program->parameter_memory_kinds) {
    c->parameter_kinds.push_back(kind.data());
    c->parameter_kind_sizes.push_back(kind.size());
  }
  return c;
}

std::shared_ptr<Compiled> compile(FakePlugin& f, const abi::PJRT_Program& program, std::string options) {
  if (text(program.format, program.format_size) != "fake")
    refuse(ErrorCode::InvalidArgument, "programs are of format fake");
  return compile(f, text(program.code, program.code_size), std::move(options));
}

abi::PJRT_LoadedExecutable* load(FakePlugin& f, abi::PJRT_Client* raw, std::shared_ptr<Compiled> compiled) {
  const auto client = f.at<Client>(raw);
  LoadedExecutable exe{client, compiled};
  const Program& p = *compiled->program;
  for (int i = 0; !p.portable && i < p.replicas * p.partitions; ++i) {
    if (static_cast<std::size_t>(i) >= client->addressable.size())
      refuse(ErrorCode::InvalidArgument, "not enough devices");
    exe.devices.push_back(client->addressable[static_cast<std::size_t>(i)]);
    exe.logical_ids.push_back({i / p.partitions, i % p.partitions});
  }
  return reinterpret_cast<abi::PJRT_LoadedExecutable*>(f.make<LoadedExecutable>(std::move(exe)));
}

std::shared_ptr<Compiled> compiled_of(FakePlugin& f, const abi::PJRT_Executable* raw) {
  const auto executable = f.at<Executable>(raw);
  if (executable->is_view && executable->whole.expired()) throw Fault{"the executable's loaded executable is gone"};
  return executable->compiled;
}

/// A serialized xla.DeviceAssignmentProto, for devices with small numbers.
std::string assignment(const Program& p) {
  std::string bytes{'\x08', static_cast<char>(p.replicas), '\x10', static_cast<char>(p.partitions)};
  for (int partition = 0; partition < p.partitions; ++partition) {
    std::string ids;
    for (int replica = 0; replica < p.replicas; ++replica) ids += static_cast<char>(replica * p.partitions + partition);
    bytes += std::string{'\x1a', static_cast<char>(ids.size() + 2), '\x0a', static_cast<char>(ids.size())} + ids;
  }
  return bytes;
}

void execute(FakePlugin& f, abi::PJRT_LoadedExecutable_Execute_Args& a) {
  const auto exe = f.at<LoadedExecutable>(a.executable);
  const Program& p = *exe->compiled->program;
  if (p.portable != (a.execute_device != nullptr))
    refuse(ErrorCode::InvalidArgument, "the device is not what the program needs");
  if (a.num_devices != (p.portable ? 1 : exe->devices.size()))
    refuse(ErrorCode::InvalidArgument, "wrong number of devices");

  const auto run = std::make_shared<Run>(f, *a.options, a.num_devices);
  Outcome broken;  // by an argument
  std::vector<std::shared_ptr<Buffer>> taken;
  for (std::size_t d = 0; d < a.num_devices; ++d) {
    for (std::size_t i = 0; i < a.num_args; ++i) {
      const auto buffer = live_buffer(f, a.argument_lists[d][i]);
      if (buffer->ready->is_set() && !broken) broken = buffer->ready->wait();
      const auto& s = buffer->storage;
      run->arguments[d].push_back(s != nullptr ? std::string(reinterpret_cast<const char*>(s->data), s->size)
                                               : std::string());
      const auto* kept = a.options->non_donatable_input_indices;
      const bool keep = std::find(kept, kept + a.options->num_non_donatable_input_indices,
                                  static_cast<std::int64_t>(i)) != kept + a.options->num_non_donatable_input_indices;
      const bool donated = std::ranges::find(p.donated, i) != p.donated.end();
      if (donated && !keep && buffer->external_references == 0) taken.push_back(buffer);
    }
  }
  std::vector<Buffer> outputs;
  for (std::size_t d = 0; d < a.num_devices; ++d) {
    auto* device = a.execute_device != nullptr ? a.execute_device : exe->devices[d];
    for (const Shape& shape : p.outputs) {
      Buffer b;
      b.client = exe->client;
      b.device = device;
      b.memory = f.at<Device>(device)->memories.front();
      b.type = static_cast<abi::PJRT_Buffer_Type>(shape.type);
      b.dims.assign(shape.dims.begin(), shape.dims.end());
      for (std::size_t i = shape.rank(); i > 0; --i) b.minor_to_major.push_back(static_cast<std::int64_t>(i - 1));
      b.storage = std::make_shared<Storage>(bytes_of(b.type, b.dims));
      b.ready = run->done;
      run->outputs[d].emplace_back(b.storage->data, b.storage->size);
      outputs.push_back(std::move(b));
    }
  }
  f.runs.push_back(run);
  if (broken)
    run->finish(broken);
  else if (p.run)
    p.run(run);
  if (!run->is_later()) run->finish();

  for (const auto& buffer : taken) buffer->storage = nullptr;
  for (std::size_t d = 0; d < a.num_devices; ++d) {
    for (std::size_t i = 0; i < p.outputs.size(); ++i) {
      give(a.output_lists[d][i], f.make<Buffer>(std::move(outputs[d * p.outputs.size() + i])));
    }
    if (a.device_complete_events != nullptr) a.device_complete_events[d] = event_of(f, run->done);
  }
}

void answer_compiled(FakePlugin& f) {
  f.usually<fn::PJRT_Executable_Destroy>([&f](auto& a) { f.take<Executable>(a.executable); });
  f.usually<fn::PJRT_Executable_Name>(
      [&f](auto& a) { give(a.executable_name, a.executable_name_size, compiled_of(f, a.executable)->name); });
  f.usually<fn::PJRT_Executable_NumReplicas>(
      [&f](auto& a) { a.num_replicas = static_cast<std::size_t>(compiled_of(f, a.executable)->program->replicas); });
  f.usually<fn::PJRT_Executable_NumPartitions>([&f](auto& a) {
    a.num_partitions = static_cast<std::size_t>(compiled_of(f, a.executable)->program->partitions);
  });
  f.usually<fn::PJRT_Executable_NumOutputs>(
      [&f](auto& a) { a.num_outputs = compiled_of(f, a.executable)->types.size(); });
  f.usually<fn::PJRT_Executable_SizeOfGeneratedCodeInBytes>(
      [&f](auto& a) { a.size_in_bytes = static_cast<std::int64_t>(compiled_of(f, a.executable)->name.size()); });
  f.usually<fn::PJRT_Executable_Fingerprint>([&f](auto& a) {
    give(a.executable_fingerprint, a.executable_fingerprint_size, compiled_of(f, a.executable)->name);
  });
  f.usually<fn::PJRT_Executable_GetCostAnalysis>([&f](auto& a) {
    const auto compiled = compiled_of(f, a.executable);
    auto cost = std::make_shared<NamedValuesC>(compiled->program->cost);
    give(a.properties, a.num_properties, *cost);
    compiled->cost = cost;
  });
  f.usually<fn::PJRT_Executable_GetCompiledMemoryStats>([&f](auto& a) {
    compiled_of(f, a.executable);
    std::int64_t* const fields = &a.generated_code_size_in_bytes;
    std::fill_n(fields, 10, 7);
    if (f.minor >= 72) a.peak_memory_in_bytes = 72;
    if (f.minor >= 90) a.total_size_in_bytes = 90;
    if (f.minor >= 104) a.total_allocation_bytes = a.indefinite_allocations = a.peak_unpadded_heap_bytes = 104;
  });
  f.usually<fn::PJRT_Executable_OutputElementTypes>(
      [&f](auto& a) { give(a.output_types, a.num_output_types, compiled_of(f, a.executable)->types); });
  f.usually<fn::PJRT_Executable_OutputDimensions>([&f](auto& a) {
    const auto c = compiled_of(f, a.executable);
    a.dims = c->dims.data();
    give(a.dim_sizes, a.num_outputs, c->ranks);
  });
  f.usually<fn::PJRT_Executable_OutputMemoryKinds>([&f](auto& a) {
    const auto c = compiled_of(f, a.executable);
    a.memory_kind_sizes = c->output_kind_sizes.data();
    give(a.memory_kinds, a.num_outputs, c->output_kinds);
  });
  f.usually<fn::PJRT_Executable_ParameterMemoryKinds>([&f](auto& a) {
    const auto c = compiled_of(f, a.executable);
    a.memory_kind_sizes = c->parameter_kind_sizes.data();
    give(a.memory_kinds, a.num_parameters, c->parameter_kinds);
  });
  f.usually<fn::PJRT_Executable_OptimizedProgram>([&f](auto& a) {
    const std::string& code = compiled_of(f, a.executable)->program->optimized;
    if (code.empty()) refuse(ErrorCode::Unimplemented, "the program is a secret");
    a.program->format = "hlo";
    a.program->format_size = 3;
    if (a.program->code == nullptr)
      a.program->code_size = code.size();
    else
      std::copy_n(code.data(), code.size(), a.program->code);
  });
  f.usually<fn::PJRT_Executable_Serialize>([&f](auto& a) {
    f.give_bytes("executable " + compiled_of(f, a.executable)->name, a.serialized_bytes, a.serialized_bytes_size,
                 a.serialized_executable, a.serialized_executable_deleter);
  });
  f.usually<fn::PJRT_Executable_GetCompileOptions>([&f](auto& a) {
    f.give_bytes(compiled_of(f, a.executable)->options, a.serialized_bytes, a.serialized_bytes_size,
                 a.serialized_compile_options, a.serialized_compile_options_deleter);
  });
}

struct Context {
  static constexpr auto kKind = "execute context";
};

void answer_loaded(FakePlugin& f) {
  f.usually<fn::PJRT_Client_Compile>([&f](auto& a) {
    a.executable = load(f, a.client, compile(f, *a.program, text(a.compile_options, a.compile_options_size)));
  });
  f.usually<fn::PJRT_Compile>([&f](auto& a) {
    f.at<Topology>(a.topology);
    give(a.executable,
         f.make<Executable>(compile(f, *a.program, text(a.compile_options, a.compile_options_size)), false));
  });
  f.usually<fn::PJRT_Client_Load>([&f](auto& a) {
    if (f.at<Executable>(a.executable)->is_view) refuse(ErrorCode::InvalidArgument, "Missing shared_executable");
    a.loaded_executable = load(f, a.client, compiled_of(f, a.executable));
  });
  f.usually<fn::PJRT_Executable_DeserializeAndLoad>([&f](auto& a) {
    const std::string bytes = text(a.serialized_executable, a.serialized_executable_size);
    if (!bytes.starts_with("executable ")) refuse(ErrorCode::InvalidArgument, "no executable");
    std::string options;
    if (f.minor >= 71)
      options = text(a.overridden_serialized_compile_options, a.overridden_serialized_compile_options_size);
    a.loaded_executable = load(f, a.client, compile(f, bytes.substr(11), options));
  });

  f.usually<fn::PJRT_LoadedExecutable_Destroy>([&f](auto& a) { f.take<LoadedExecutable>(a.executable); });
  f.usually<fn::PJRT_LoadedExecutable_GetExecutable>([&f](auto& a) {
    const auto whole = f.at<LoadedExecutable>(a.loaded_executable);
    give(a.executable, f.make<Executable>(whole->compiled, true, whole));
  });
  f.usually<fn::PJRT_LoadedExecutable_GetDeviceAssignment>([&f](auto& a) {
    const Program& p = *f.at<LoadedExecutable>(a.executable)->compiled->program;
    a.serialized_bytes_size = 0;
    a.serialized_device_assignment_deleter = [](auto*) {};
    if (p.portable) return;  // the pointer is not written
    f.give_bytes(assignment(p), a.serialized_bytes, a.serialized_bytes_size, a.serialized_device_assignment,
                 a.serialized_device_assignment_deleter);
  });
  f.usually<fn::PJRT_LoadedExecutable_AddressableDevices>([&f](auto& a) {
    give(a.addressable_devices, a.num_addressable_devices, f.at<LoadedExecutable>(a.executable)->devices);
  });
  f.usually<fn::PJRT_LoadedExecutable_AddressableDeviceLogicalIds>([&f](auto& a) {
    give(a.addressable_device_logical_ids, a.num_addressable_device_logical_ids,
         f.at<LoadedExecutable>(a.executable)->logical_ids);
  });
  f.usually<fn::PJRT_LoadedExecutable_Delete>([&f](auto& a) { f.at<LoadedExecutable>(a.executable)->deleted = true; });
  f.usually<fn::PJRT_LoadedExecutable_IsDeleted>(
      [&f](auto& a) { a.is_deleted = f.at<LoadedExecutable>(a.executable)->deleted; });
  f.usually<fn::PJRT_LoadedExecutable_Fingerprint>([&f](auto& a) {
    give(a.executable_fingerprint, a.executable_fingerprint_size, f.at<LoadedExecutable>(a.executable)->compiled->name);
  });
  f.usually<fn::PJRT_LoadedExecutable_Execute>([&f](auto& a) { execute(f, a); });

  f.usually<fn::PJRT_ExecuteContext_Create>([&f](auto& a) { give(a.context, f.make<Context>()); });
  f.usually<fn::PJRT_ExecuteContext_Destroy>([&f](auto& a) { f.take<Context>(a.context); });
}

}  // namespace

void answer_executables(FakePlugin& f) {
  answer_compiled(f);
  answer_loaded(f);
}

}  // namespace pjrt::fake
