#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/buffer_state.hpp"
#include "core/call.hpp"
#include "core/convert.hpp"
#include "core/event_state.hpp"
#include "core/executable_state.hpp"
#include "core/execute.hpp"
#include "core/execute_callbacks.hpp"
#include "core/handle_errors.hpp"
#include "core/scratch.hpp"
#include "core/try.hpp"
#include "pjrt/loaded_executable.hpp"

namespace pjrt {

namespace fn = abi::fn;

namespace detail {
namespace {

std::string argument_name(const Signature& s, std::size_t i) {
  std::string text = "argument " + std::to_string(i);
  if (i < s.parameters.size() && !s.parameters[i].name.empty()) text += " (" + s.parameters[i].name + ")";
  return text;
}

std::unexpected<Error> refuse(ErrorCode code, const LoadedExecutableState& exe, std::string what) {
  return std::unexpected(Error(code, "executable '" + exe.name + "': " + std::move(what)));
}

bool same_layout(const std::optional<MemoryLayout>& have, const std::optional<Layout>& want) {
  if (!have) return !want;
  const auto* tiled = std::get_if<Layout>(&*have);
  return tiled != nullptr && want && std::ranges::equal(tiled->minor_to_major(), want->minor_to_major());
}

/// Everything about one argument that plugins do not look at themselves.
Result<void> check_slow(const LoadedExecutableState& exe, const Signature& s, std::size_t i, const BufferState* b,
                        const DeviceRecord* device) {
  if (b == nullptr) return refuse(ErrorCode::FailedPrecondition, exe, argument_name(s, i) + " was moved from");
  if (auto ok = check_live(*b); !ok)
    return std::unexpected(ok.error().with_context("executable '" + exe.name + "', " + argument_name(s, i)));
  if (b->client.get() != exe.client.get()) {
    const bool same_plugin = b->client->plugin == exe.client->plugin;
    return refuse(ErrorCode::InvalidArgument, exe,
                  argument_name(s, i) + " belongs to another " + (same_plugin ? "client" : "plugin"));
  }
  if (b->device != nullptr && b->device != device) {
    return refuse(ErrorCode::InvalidArgument, exe,
                  argument_name(s, i) + " is on device " + b->device->description.text + ", the program runs on " +
                      device->description.text);
  }
  if (!s.known) return {};
  const Parameter& p = s.parameters[i];
  if (p.shape.type != ElementType::Invalid && (p.shape.type != b->shape.type || p.shape.dims != b->shape.dims)) {
    return refuse(
        ErrorCode::InvalidArgument, exe,
        argument_name(s, i) + " is " + pjrt::to_string(b->shape) + ", the program takes " + pjrt::to_string(p.shape));
  }
  return {};
}

/// Buffers that do not lie row by row, or parameters that are not wanted so.
Result<void> check_layout(const LoadedExecutableState& exe, const Signature& s, std::size_t i, BufferState& b) {
  const Parameter& p = s.parameters[i];
  PJRT_TRY(const std::optional<MemoryLayout> have, layout_of(b));
  if (same_layout(have, p.layout)) return {};
  const Layout row_major = Layout::row_major(p.shape.rank());
  std::string is = have ? std::string("strided") : pjrt::to_string(row_major);
  if (have && std::holds_alternative<Layout>(*have)) is = pjrt::to_string(std::get<Layout>(*have));
  return refuse(ErrorCode::InvalidArgument, exe,
                argument_name(s, i) + " has the layout " + is + ", the program takes " +
                    pjrt::to_string(p.layout.value_or(row_major)));
}

/// What would make the run of one device fail while the others wait for it: CPU plugins end the process then.
Result<void> check_together(const LoadedExecutableState& exe, const Signature& s, std::span<const Argument> arguments,
                            const DeviceRecord* device) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const BufferState& b = *arguments[i].state();
    const Buffer buffer(Ref<BufferState>::share(arguments[i].state()));
    if (b.device == nullptr) {
      const Device actual = buffer.device();
      if (actual.record() != device) {
        return refuse(ErrorCode::InvalidArgument, exe,
                      argument_name(s, i) + " is on device " + actual.to_string() + ", the program runs on " +
                          device->description.text);
      }
    }
    if (exe.client->is_cpu) {
      Result<void> outcome = check_fulfilled(*arguments[i].state());
      if (outcome) outcome = buffer.ready().await();
      if (!outcome) {
        return std::unexpected(outcome.error().with_context("executable '" + exe.name + "', " + argument_name(s, i) +
                                                            " of device " + device->description.text));
      }
    }
    const bool given = !arguments[i].kept() && (!s.known || s.parameters[i].donated);
    const auto same = [&](const Argument& other) { return &other != &arguments[i] && other.state() == &b; };
    if (given && std::ranges::any_of(arguments, same)) {
      return refuse(ErrorCode::InvalidArgument, exe,
                    argument_name(s, i) + " of device " + device->description.text +
                        " is donated, and given as another argument too");
    }
  }
  return {};
}

/// CPU 0.81 aborts when the arguments of a tuple come one by one and nobody said that they would.
Result<void> check_tuple(const LoadedExecutableState& exe, const Signature& s) {
  if (!s.has_tuple_parameter || exe.tuples_arguments) return {};
  return std::unexpected(
      Error(ErrorCode::InvalidArgument, "executable '" + exe.name + "': it takes a tuple, and no argument is one")
          .with_note("CompileOptions::parameter_is_tupled_arguments makes the tuple of the arguments"));
}

}  // namespace

Result<void> check_arguments(const LoadedExecutableState& exe, const Signature& s, std::span<const Argument> arguments,
                             const DeviceRecord* device) {
  if (exe.deleted.load(std::memory_order_relaxed)) return refuse(ErrorCode::FailedPrecondition, exe, "it was deleted");
  PJRT_CHECK(check_tuple(exe, s));
  if (s.known && arguments.size() != s.parameters.size()) {
    return refuse(ErrorCode::InvalidArgument, exe,
                  std::to_string(arguments.size()) + (arguments.size() == 1 ? " argument" : " arguments") +
                      ", the program takes " + std::to_string(s.parameters.size()));
  }
  for (std::size_t i = 0; i < arguments.size(); ++i)
    PJRT_CHECK(check_argument(exe, s, i, arguments[i].state(), device));
  return {};
}

Result<void> check_argument(const LoadedExecutableState& exe, const Signature& s, std::size_t i, BufferState* b,
                            const DeviceRecord* device) {
  const bool plainly_good = b != nullptr && b->consumed.load(std::memory_order_acquire) == nullptr &&
                            b->client.get() == exe.client.get() && b->device == device && s.known &&
                            s.parameters[i].shape == b->shape;
  if (!plainly_good) PJRT_CHECK(check_slow(exe, s, i, b, device));
  if (s.known && b->shape.rank() > 1) {
    const bool layout_known = b->layout_known.load(std::memory_order_acquire);
    const bool buffer_is_special = layout_known && b->layout;
    const bool unsure = exe.client->is_cpu && (s.parameters[i].layout || !layout_known);
    if (buffer_is_special || unsure) PJRT_CHECK(check_layout(exe, s, i, *b));
  }
  return {};
}

Result<void> check_kept(const LoadedExecutableState& exe, const Signature& s, std::size_t i, BufferState& b) {
  if (s.known && !s.parameters[i].donated) return {};
  if (auto ok = check_fulfilled(b); !ok) {
    return std::unexpected(
        ok.error().with_context("executable '" + exe.name + "', " + argument_name(s, i) + " is to be kept"));
  }
  return {};
}

void mark_donated(const LoadedExecutableState& exe, const Signature& s, std::size_t i, const Argument& argument,
                  std::span<const std::int64_t> kept) {
  if (argument.kept() || (s.known && !s.parameters[i].donated) ||
      std::ranges::find(kept, static_cast<std::int64_t>(i)) != kept.end())
    return;
  // With an external reference held the runtime copies and leaves the argument alone.
  const auto gone = call<fn::PJRT_Buffer_IsDeleted>(exe.plugin(), {.buffer = argument.state()->raw});
  if (!gone || !gone->is_deleted) return;
  const char* nobody = nullptr;
  argument.state()->consumed.compare_exchange_strong(nobody, "donated to an execution");
}

Shape output_shape(const LoadedExecutableState& exe, std::size_t i, abi::PJRT_Buffer* raw) {
  if (!exe.output_shapes.empty()) return exe.output_shapes[i];
  Shape shape;
  if (const auto type = call<fn::PJRT_Buffer_ElementType>(exe.plugin(), {.buffer = raw}))
    shape.type = from_c(type->type);
  if (const auto dims = call<fn::PJRT_Buffer_Dimensions>(exe.plugin(), {.buffer = raw}))
    shape.dims = Dimensions(std::span(dims->dims, dims->num_dims));
  return shape;
}

Buffer make_output(const LoadedExecutableState& exe, const Signature& s, std::size_t i, abi::PJRT_Buffer* raw,
                   const DeviceRecord* device) {
  return make_buffer(exe.client, raw, output_shape(exe, i, raw), device, s.output_layouts[i], s.output_is_dynamic[i]);
}

Result<void> call_execute(const LoadedExecutableState& exe, abi::PJRT_LoadedExecutable_Execute_Args& args) {
  Result<void> ok = call<fn::PJRT_LoadedExecutable_Execute>(exe.plugin(), args);
  if (!ok) return std::unexpected(ok.error().with_context("executable '" + exe.name + "'"));
  return ok;
}

Result<const DeviceRecord*> one_device(const LoadedExecutableState& exe, const ExecuteOptions& options) {
  if (options.device) {
    if (!(options.device->client_state() == exe.client)) {
      return refuse(ErrorCode::InvalidArgument, exe, "the device it is to run on belongs to another client");
    }
    return options.device->record();
  }
  if (exe.devices.size() == 1) return exe.devices.front();
  if (exe.devices.empty())
    return refuse(ErrorCode::InvalidArgument, exe, "it is portable; say which device runs it (ExecuteOptions::device)");
  return refuse(ErrorCode::InvalidArgument, exe,
                "it runs on " + std::to_string(exe.devices.size()) +
                    " devices; give the arguments of each (launching one alone would wait for the others for ever)");
}

Result<void> launch(LoadedExecutableState& exe, std::span<const std::span<const Argument>> lists,
                    const ExecuteOptions& options, std::span<const DeviceRecord* const> devices,
                    std::span<Outputs> results) {
  const Signature& s = signature_of(exe);
  const std::size_t num_devices = lists.size();
  const std::size_t num_args = num_devices == 0 ? 0 : lists[0].size();
  const std::size_t num_outputs = exe.num_outputs;
  for (std::size_t d = 0; d < num_devices; ++d) {
    if (lists[d].size() != num_args)
      return refuse(ErrorCode::InvalidArgument, exe, "the devices are given different numbers of arguments");
    PJRT_CHECK(check_arguments(exe, s, lists[d], devices[d]));
    if (num_devices > 1) PJRT_CHECK(check_together(exe, s, lists[d], devices[d]));
  }

  std::vector<std::int64_t> kept = options.non_donatable_inputs;
  for (std::size_t i = 0; i < num_args; ++i) {
    const bool keep = std::ranges::any_of(lists, [i](const auto& list) { return list[i].kept(); });
    if (keep && (!s.known || s.parameters[i].donated)) kept.push_back(static_cast<std::int64_t>(i));
  }
  for (const std::int64_t i : kept) {
    if (i < 0 || i >= static_cast<std::int64_t>(num_args)) continue;
    for (const auto& list : lists)
      PJRT_CHECK(check_kept(exe, s, static_cast<std::size_t>(i), *list[static_cast<std::size_t>(i)].state()));
  }
  CExecuteOptions c_options(exe.plugin(), options, kept);
  PJRT_CHECK(c_options.prepare(num_devices));

  Scratch<abi::PJRT_Buffer*> arguments(num_devices * num_args);
  Scratch<abi::PJRT_Buffer* const*> argument_lists(num_devices);
  Scratch<abi::PJRT_Buffer*> outputs(num_devices * num_outputs);
  Scratch<abi::PJRT_Buffer**> output_lists(num_devices);
  Scratch<abi::PJRT_Event*> events(num_devices);
  for (std::size_t d = 0; d < num_devices; ++d) {
    for (std::size_t i = 0; i < num_args; ++i) arguments[d * num_args + i] = lists[d][i].state()->raw;
    argument_lists[d] = arguments.data() + d * num_args;
    output_lists[d] = outputs.data() + d * num_outputs;
  }
  // Without outputs, the event is the only place where an error can come out.
  const bool wants_events = options.completion_events || num_outputs == 0 || c_options.must_outlive_the_run();

  abi::PJRT_LoadedExecutable_Execute_Args args{};
  args.executable = exe.raw;
  args.options = c_options.get();
  args.argument_lists = argument_lists.data();
  args.num_devices = num_devices;
  args.num_args = num_args;
  args.output_lists = output_lists.data();
  args.device_complete_events = wants_events ? events.data() : nullptr;
  args.execute_device = options.device ? options.device->raw() : nullptr;
  PJRT_CHECK(call_execute(exe, args));

  for (std::size_t d = 0; d < num_devices; ++d) {
    std::vector<Buffer> buffers;
    buffers.reserve(num_outputs);
    for (std::size_t i = 0; i < num_outputs; ++i)
      buffers.push_back(make_output(exe, s, i, outputs[d * num_outputs + i], devices[d]));
    std::optional<Event> completion;
    if (wants_events) {
      completion = make_event(exe.plugin(), exe.client, events[d]);
      c_options.keep_until(*completion);
    }
    results[d] = Outputs(std::move(buffers), std::move(completion));
    if (s.any_donated || !s.known) {
      bool promised = false;  // outputs may have the memory of an argument that is to come
      for (std::size_t i = 0; i < num_args; ++i) {
        mark_donated(exe, s, i, lists[d][i], kept);
        promised |= lists[d][i].state()->promised;
      }
      for (Buffer& output : results[d]) output.state()->promised = promised;
    }
  }
  return {};
}

}  // namespace detail

namespace {

std::vector<Argument> as_arguments(std::span<const Buffer> buffers) {
  return {buffers.begin(), buffers.end()};
}

}  // namespace

Result<Outputs> LoadedExecutable::execute(std::span<const Argument> arguments, const ExecuteOptions& options) const
    try {
  if (!state_) return std::unexpected(detail::moved_from("executable"));
  PJRT_TRY(const detail::DeviceRecord* device, detail::one_device(*state_, options));
  const std::span<const Argument> lists[] = {arguments};
  const detail::DeviceRecord* const devices[] = {device};
  Outputs outputs;
  PJRT_CHECK(detail::launch(*state_, lists, options, devices, std::span(&outputs, 1)));
  return outputs;
}
PJRT_CATCH

Result<Outputs> LoadedExecutable::execute(std::span<const Buffer> arguments, const ExecuteOptions& options) const try {
  return execute(std::span<const Argument>(as_arguments(arguments)), options);
}
PJRT_CATCH

Result<std::vector<Outputs>> LoadedExecutable::execute(std::span<const std::vector<Argument>> arguments,
                                                       const ExecuteOptions& options) const try {
  if (!state_) return std::unexpected(detail::moved_from("executable"));
  if (options.device)
    return detail::refuse(ErrorCode::InvalidArgument, *state_, "one device is named for arguments of several");
  if (state_->devices.empty())
    return detail::refuse(ErrorCode::InvalidArgument, *state_,
                          "it is portable and runs on one device at a time (ExecuteOptions::device)");
  if (arguments.size() != state_->devices.size()) {
    return detail::refuse(ErrorCode::InvalidArgument, *state_,
                          "arguments for " + std::to_string(arguments.size()) + " devices, and it runs on " +
                              std::to_string(state_->devices.size()));
  }
  const std::vector<std::span<const Argument>> lists(arguments.begin(), arguments.end());
  std::vector<Outputs> outputs(lists.size());
  PJRT_CHECK(detail::launch(*state_, lists, options, state_->devices, outputs));
  return outputs;
}
PJRT_CATCH

Result<std::vector<Outputs>> LoadedExecutable::execute(std::span<const std::vector<Buffer>> arguments,
                                                       const ExecuteOptions& options) const try {
  std::vector<std::vector<Argument>> lists;
  lists.reserve(arguments.size());
  for (const std::vector<Buffer>& list : arguments) lists.push_back(as_arguments(list));
  return execute(std::span<const std::vector<Argument>>(lists), options);
}
PJRT_CATCH

Buffer& Outputs::none() noexcept {
  thread_local Buffer nothing{detail::Ref<detail::BufferState>()};
  nothing = Buffer(detail::Ref<detail::BufferState>());  // whoever had it before may have put something in
  return nothing;
}

Error Outputs::wrong_number(std::size_t wanted) const {
  return Error(ErrorCode::InvalidArgument,
               "the execution gave " + std::to_string(buffers_.size()) + " outputs, not " + std::to_string(wanted));
}

Result<void> Outputs::await() const try {
  // Outputs first: a poisoned run has failed outputs, and a device that goes on waiting for its inputs.
  for (const Buffer& b : buffers_) PJRT_CHECK(b.ready().await());
  return completion_ ? completion_->await() : Result<void>();
}
PJRT_CATCH

}  // namespace pjrt
