#include "pjrt/prepared_execution.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/call.hpp"
#include "core/event_state.hpp"
#include "core/execute.hpp"
#include "core/execute_callbacks.hpp"
#include "core/handle_errors.hpp"
#include "core/try.hpp"

namespace pjrt {

namespace fn = abi::fn;

struct PreparedExecution::State {
  State(detail::Ref<detail::LoadedExecutableState> e, const ExecuteOptions& o)
      : exe(std::move(e)), signature(detail::signature_of(*exe)), options(o) {}

  detail::Ref<detail::LoadedExecutableState> exe;
  const detail::Signature& signature;
  ExecuteOptions options;
  const detail::DeviceRecord* device = nullptr;
  std::vector<std::int64_t> kept;
  std::unique_ptr<detail::CExecuteOptions> c_options;

  std::vector<Buffer> arguments;
  std::vector<bool> takes;  // whether a run may take the argument's memory
  std::vector<Buffer> outputs;
  std::vector<abi::PJRT_Buffer*> raw_arguments;
  std::vector<abi::PJRT_Buffer*> raw_outputs;
  abi::PJRT_Buffer* const* argument_list = nullptr;
  abi::PJRT_Buffer** output_list = nullptr;
  abi::PJRT_LoadedExecutable_Execute_Args args{};

  Result<void> set_argument(std::size_t i, const Argument& argument) {
    PJRT_CHECK(detail::check_argument(*exe, signature, i, argument.state(), device));
    PJRT_CHECK(detail::check_kept(*exe, signature, i, *argument.state()));
    arguments[i] = Buffer(detail::Ref<detail::BufferState>::share(argument.state()));
    raw_arguments[i] = argument.state()->raw;
    takes[i] = !is_kept(i, argument) && is_donated(i);
    note_kept();
    return {};
  }

  bool is_donated(std::size_t i) const { return !signature.known || signature.parameters[i].donated; }
  bool is_kept(std::size_t i, const Argument& argument) const {
    return argument.kept() || std::ranges::find(options.non_donatable_inputs, static_cast<std::int64_t>(i)) !=
                                  options.non_donatable_inputs.end();
  }

  /// Tells the plugin which arguments it would take and may not.
  void note_kept() {
    kept.clear();
    for (std::size_t i = 0; i < takes.size(); ++i) {
      if (!takes[i] && is_donated(i)) kept.push_back(static_cast<std::int64_t>(i));
    }
    c_options->keep_inputs(kept);
  }

  /// Frees the C buffer of a handle that nobody else holds; the handle stays for another.
  void empty(detail::BufferState& b, const char* why) {
    b.consumed.store(why, std::memory_order_release);
    detail::call_quietly<fn::PJRT_Buffer_Destroy>(exe->plugin(), {.buffer = std::exchange(b.raw, nullptr)});
  }

  /// Puts a new C buffer into output slot `i`, into the handle of the last run if nobody else holds it.
  void set_output(std::size_t i, abi::PJRT_Buffer* raw) {
    detail::BufferState* old = outputs[i].state().get();
    if (old == nullptr || old->references.load(std::memory_order_acquire) != 1) {
      outputs[i] = detail::make_output(*exe, signature, i, raw, device);
      return;
    }
    if (old->raw != nullptr) empty(*old, "");  // who else held it let go during the run
    old->raw = raw;
    old->consumed.store(nullptr, std::memory_order_release);
  }

  /// Frees what the last run left, so that this one can have its memory; the handles stay for the new buffers.
  void let_outputs_go() {
    for (Buffer& output : outputs) {
      detail::BufferState* s = output.state().get();
      if (s == nullptr || s->raw == nullptr || s->references.load(std::memory_order_acquire) != 1) continue;
      empty(*s, "let go when its execution ran again");
    }
  }
};

PreparedExecution::PreparedExecution(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
PreparedExecution::PreparedExecution(PreparedExecution&&) noexcept = default;
PreparedExecution& PreparedExecution::operator=(PreparedExecution&&) noexcept = default;
PreparedExecution::~PreparedExecution() = default;

Result<PreparedExecution> LoadedExecutable::prepare(std::span<const Argument> arguments,
                                                    const ExecuteOptions& options) const try {
  if (!state_) return std::unexpected(detail::moved_from("executable"));
  if (state_->devices.size() > 1 && !options.device) {
    return std::unexpected(Error(ErrorCode::InvalidArgument, "executable '" + state_->name + "' runs on " +
                                                                 std::to_string(state_->devices.size()) +
                                                                 " devices; only an execution on one can be prepared"));
  }
  if (options.completion_events) {
    return std::unexpected(
        Error(ErrorCode::InvalidArgument, "a prepared execution gives no completion events; await its outputs"));
  }
  auto s = std::make_unique<PreparedExecution::State>(state_, options);
  PJRT_TRY(s->device, detail::one_device(*state_, options));
  PJRT_CHECK(detail::check_arguments(*state_, s->signature, arguments, s->device));
  s->raw_arguments.resize(arguments.size());
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    PJRT_CHECK(detail::check_kept(*state_, s->signature, i, *arguments[i].state()));
    s->arguments.push_back(Buffer(detail::Ref<detail::BufferState>::share(arguments[i].state())));
    s->raw_arguments[i] = arguments[i].state()->raw;
    s->takes.push_back(!s->is_kept(i, arguments[i]) && s->is_donated(i));
  }
  for (std::size_t i = 0; i < state_->num_outputs; ++i)
    s->outputs.push_back(Buffer(detail::Ref<detail::BufferState>()));
  s->raw_outputs.resize(state_->num_outputs);
  s->argument_list = s->raw_arguments.data();
  s->output_list = s->raw_outputs.data();
  s->c_options = std::make_unique<detail::CExecuteOptions>(state_->plugin(), s->options, s->kept);
  s->note_kept();
  PJRT_CHECK(s->c_options->prepare(1));
  s->args.executable = state_->raw;
  s->args.options = s->c_options->get();
  s->args.argument_lists = &s->argument_list;
  s->args.num_devices = 1;
  s->args.num_args = arguments.size();
  s->args.output_lists = &s->output_list;
  s->args.execute_device = options.device ? options.device->raw() : nullptr;
  return PreparedExecution(std::move(s));
}
PJRT_CATCH

namespace {

std::unexpected<Error> moved_from() {
  return std::unexpected(detail::moved_from("prepared execution"));
}

}  // namespace

Result<void> PreparedExecution::run() try {
  if (!state_) return moved_from();
  State& s = *state_;
  if (s.exe->deleted.load(std::memory_order_relaxed)) {
    return std::unexpected(Error(ErrorCode::FailedPrecondition, "executable '" + s.exe->name + "': it was deleted"));
  }
  for (std::size_t i = 0; i < s.arguments.size(); ++i) {
    if (auto ok = detail::check_live(*s.arguments[i].state()); !ok) {
      return std::unexpected(
          ok.error().with_context("argument " + std::to_string(i) + " of prepared execution of '" + s.exe->name + "'"));
    }
  }
  s.let_outputs_go();
  abi::PJRT_Event* event = nullptr;
  const bool wants_event = s.outputs.empty() || s.c_options->must_outlive_the_run();
  s.args.device_complete_events = wants_event ? &event : nullptr;
  PJRT_CHECK(detail::call_execute(*s.exe, s.args));
  for (std::size_t i = 0; i < s.outputs.size(); ++i) s.set_output(i, s.raw_outputs[i]);
  for (std::size_t i = 0; i < s.arguments.size(); ++i) {
    if (s.takes[i]) detail::mark_donated(*s.exe, s.signature, i, s.arguments[i], {});
  }
  if (!wants_event) return {};
  const Event done = detail::make_event(s.exe->plugin(), s.exe->client, event);
  s.c_options->keep_until(done);
  return s.outputs.empty() ? done.await() : Result<void>();
}
PJRT_CATCH

const Buffer& PreparedExecution::output(std::size_t i) const& noexcept {
  static const Buffer nothing{detail::Ref<detail::BufferState>()};
  return i < num_outputs() ? state_->outputs[i] : nothing;
}
std::size_t PreparedExecution::num_outputs() const noexcept {
  return state_ ? state_->outputs.size() : 0;
}

namespace {

std::unexpected<Error> out_of_range(const char* what, std::size_t i, std::size_t count) {
  return std::unexpected(Error(ErrorCode::OutOfRange, std::string("there is no ") + what + " " + std::to_string(i) +
                                                          "; there are " + std::to_string(count)));
}

std::unexpected<Error> no_output(std::size_t i) {
  return std::unexpected(
      Error(ErrorCode::FailedPrecondition, "there is no output " + std::to_string(i) + " yet, or it has been taken"));
}

}  // namespace

Result<Buffer> PreparedExecution::take_output(std::size_t i) try {
  if (!state_) return moved_from();
  State& s = *state_;
  if (i >= s.outputs.size()) return out_of_range("output", i, s.outputs.size());
  if (s.outputs[i].raw() == nullptr) return no_output(i);
  return std::exchange(s.outputs[i], Buffer(detail::Ref<detail::BufferState>()));
}
PJRT_CATCH

Result<void> PreparedExecution::feed_back(std::size_t output, std::size_t argument) try {
  if (!state_) return moved_from();
  State& s = *state_;
  if (output >= s.outputs.size()) return out_of_range("output", output, s.outputs.size());
  if (argument >= s.arguments.size()) return out_of_range("argument", argument, s.arguments.size());
  if (s.outputs[output].raw() == nullptr) return no_output(output);
  detail::BufferState* next = s.outputs[output].state().get();
  PJRT_CHECK(detail::check_argument(*s.exe, s.signature, argument, next, s.device));
  s.raw_arguments[argument] = next->raw;
  std::swap(s.outputs[output], s.arguments[argument]);
  // The old argument's handle is the next output's, if it has that shape and only we hold it.
  detail::BufferState* old = s.outputs[output].state().get();
  if (old->references.load(std::memory_order_acquire) != 1 || old->shape != next->shape ||
      old->device != next->device || old->layout != next->layout ||
      old->layout_known.load() != next->layout_known.load() || old->may_be_dynamic != next->may_be_dynamic) {
    s.outputs[output] = Buffer(detail::Ref<detail::BufferState>());
  } else {
    s.empty(*old, "replaced by an output of the last run");
  }
  return {};
}
PJRT_CATCH

Result<void> PreparedExecution::set_argument(std::size_t i, const Argument& argument) try {
  if (!state_) return moved_from();
  if (i >= state_->arguments.size()) return out_of_range("argument", i, state_->arguments.size());
  return state_->set_argument(i, argument);
}
PJRT_CATCH

}  // namespace pjrt
