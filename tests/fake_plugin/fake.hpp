#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "fake_plugin/program.hpp"
#include "pjrt/abi/functions.hpp"
#include "pjrt/error.hpp"

/// A plugin that does what a test tells it to: the test's half. The plugin's half is the library pjrt_fake_0.NN.so, one
/// for each of several API versions; both see the same FakePlugin.
///
/// Left alone it is a small device in memory. A test may answer any function itself (`on`), look at what comes
/// (`watch`, `calls`), hold events back and let them go (`hold_events`), compile programs that are functions of its own
/// (`program`), and ask for tables of other shapes (`table`). Handles are counted: what is not destroyed, or twice, or
/// used afterwards, or before its time, is told by `live` and `faults`.

namespace pjrt::fake {

/// The API versions there is a fake plugin of: 0.57, 0.67, …
inline constexpr int kMinors[] = {57, 67, 75, 81, 90, 106, 114};

/// The C name of a function of the API, of an extension or of the profiler.
template <class F>
constexpr std::string_view name_of() {
  if constexpr (requires { F::info.function; })
    return F::info.function;
  else if constexpr (requires { F::info.name; })
    return F::info.name;
  else
    return F::kName;
}

/// A call as it came: the bytes of the arguments, as many as the caller says there are.
struct Call {
  std::string function;
  std::vector<std::byte> bytes;

  template <class Args>
  Args args() const {
    Args a{};
    std::memcpy(static_cast<void*>(&a), bytes.data(), std::min(bytes.size(), sizeof a));
    return a;
  }
};

/// A table of another shape than the plugin's own. Slots behind a struct's reported size are poisoned: calling one ends
/// the process.
struct TableOptions {
  /// Another version: its functions, and its number.
  std::optional<int> minor;
  std::optional<int> major;
  /// What the table says its size is.
  std::optional<std::size_t> struct_size;
  /// C names of functions whose slots are null.
  std::vector<std::string> null_slots;
  /// The chain of extensions, by number, unknown numbers included. Default: every known one.
  std::optional<std::vector<int>> extensions;
  /// What they say their sizes are. Default: what the registry says.
  std::map<int, std::size_t> extension_sizes;
};

/// Thrown where a caller broke a rule of the API, and a real plugin would crash or corrupt memory.
struct Fault {
  std::string what;
};

/// The object behind a PJRT_Error or a PLUGIN_Profiler_Error.
struct ErrorObject {
  static constexpr auto kKind = "error";
  const void* vtable = nullptr;
  Failure failure;
};

class FakePlugin {
 public:
  explicit FakePlugin(int minor) : minor(minor) {}
  FakePlugin(const FakePlugin&) = delete;

  /// Of this plugin's API version, 0.minor.
  const int minor;
  /// Devices of another process in clients made from now on.
  int remote_devices = 0;
  /// Extension functions, by name, that want their arguments to be of at least this size.
  std::map<std::string, std::size_t, std::less<>> wanted_sizes;

  // What functions answer.

  using Answer = std::function<Outcome(void* args)>;
  /// `answer(Args&)` instead of the usual; it gives an Outcome, or nothing for success.
  template <class F, class A>
  void on(A answer) {
    set(answers_, name_of<F>(), wrap<F>(std::move(answer)));
  }
  /// Looks at the arguments, which are answered as usual.
  template <class F, class W>
  void watch(W look) {
    on<F>([this, look = std::move(look)](typename F::Args& args) mutable {
      look(std::as_const(args));
      return usual<F>(args);
    });
  }
  void fail(std::string_view function, Failure failure) {
    set(answers_, function, [failure = std::move(failure)](void*) { return Outcome(failure); });
  }
  template <class F>
  void fail(ErrorCode code, std::string message, std::vector<ErrorPayload> payloads = {}) {
    fail(name_of<F>(), {code, std::move(message), std::move(payloads)});
  }
  /// What the function answers when it is left alone. Extension functions do nothing then, and succeed.
  template <class F>
  Outcome usual(typename F::Args& args) {
    const Answer answer = find(usual_, name_of<F>());
    return answer ? answer(&args) : Outcome();
  }
  template <class F, class A>
  void usually(A answer) {
    set(usual_, name_of<F>(), wrap<F>(std::move(answer)));
  }
  bool has_usual(std::string_view function) { return static_cast<bool>(find(usual_, function)); }

  // What was called.

  std::vector<Call> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  template <class F>
  std::vector<typename F::Args> calls_of() const {
    std::vector<typename F::Args> all;
    for (const Call& c : calls()) {
      if (c.function == name_of<F>()) all.push_back(c.args<typename F::Args>());
    }
    return all;
  }
  void record(std::string_view function, const void* args, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(args);
    const std::lock_guard lock(mutex_);
    calls_.push_back({std::string(function), {bytes, bytes + size}});
  }
  Answer answer_of(std::string_view function) {
    Answer answer = find(answers_, function);
    return answer ? answer : find(usual_, function);
  }

  // Objects behind handles.

  /// A new object, which the caller has to destroy; its address is the handle.
  template <class T, class... A>
  T* make(A&&... a) {
    return add<T>(T::kKind, true, std::forward<A>(a)...);
  }
  /// A new object that belongs to another one.
  template <class T, class... A>
  T* lend(A&&... a) {
    return add<T>(T::kKind, false, std::forward<A>(a)...);
  }
  template <class T>
  std::shared_ptr<T> at(const void* handle) {
    return std::static_pointer_cast<T>(find_object(handle, T::kKind, false, true));
  }
  /// The object, which is not alive any more.
  template <class T>
  std::shared_ptr<T> take(const void* handle, bool owed = true) {
    return std::static_pointer_cast<T>(find_object(handle, T::kKind, true, owed));
  }

  /// Bytes that the caller gives back through `deleter(holder)`.
  template <class Holder>
  void give_bytes(std::string bytes, const char*& data, std::size_t& size, Holder*& holder, void (*&deleter)(Holder*)) {
    Bytes* made = make<Bytes>(this, std::move(bytes));
    data = made->bytes.data();
    size = made->bytes.size();
    holder = reinterpret_cast<Holder*>(made);
    deleter = [](Holder* h) { reinterpret_cast<Bytes*>(h)->owner->drop(h, Bytes::kKind); };
  }
  /// A handle with nothing behind it, for what a test makes and destroys itself.
  template <class Handle>
  Handle* token(const std::string& kind) {
    return reinterpret_cast<Handle*>(add<Token>(kind, true));
  }
  /// Ends a token, or what else has that kind; not being alive is a fault.
  void drop(const void* handle, const std::string& kind) noexcept {
    try {
      find_object(handle, kind, true, true);
    } catch (const Fault& f) {
      blame(f.what);
    }
  }

  abi::PJRT_Error* make_error(const Failure& failure) {
    return reinterpret_cast<abi::PJRT_Error*>(make<ErrorObject>(nullptr, failure));
  }
  /// What a callback of the caller's returned; frees it.
  Outcome take_error(abi::PJRT_Error* error) {
    if (error == nullptr) return {};
    return take<ErrorObject>(error)->failure;
  }
  /// Given to callbacks, which make their errors with it.
  abi::PJRT_CallbackError callback_error = nullptr;

  /// How many objects of each kind the caller still has to destroy.
  std::map<std::string, int> live() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, int> kinds;
    for (const auto& [handle, object] : objects_) {
      if (object.owed) ++kinds[object.kind];
    }
    return kinds;
  }
  void blame(std::string what) {
    const std::lock_guard lock(mutex_);
    faults_.push_back(std::move(what));
  }
  std::vector<std::string> faults() const {
    const std::lock_guard lock(mutex_);
    return faults_;
  }

  // Time.

  /// From now on nothing finishes by itself: events stay pending, and bytes are copied when `release_events` says so.
  void hold_events() {
    const std::lock_guard lock(mutex_);
    holding_ = true;
  }
  /// Finishes what was held, in order, on this thread; with `failure`, it fails. Nothing is held from here on.
  void release_events(const Outcome& failure = {}) {
    std::unique_lock lock(mutex_);
    holding_ = false;
    const auto held = std::exchange(held_, {});
    lock.unlock();
    for (const auto& finish : held) finish(failure);
  }
  /// Does the work and sets the promise, now or when events are released.
  void settle(std::shared_ptr<Promise> promise, Outcome outcome = {}, std::function<void()> work = {}) {
    auto finish = [promise = std::move(promise), outcome = std::move(outcome),
                   work = std::move(work)](const Outcome& other) {
      const Outcome& o = outcome ? outcome : other;
      if (!o && work) work();
      promise->set(o);
    };
    std::unique_lock lock(mutex_);
    if (holding_) {
      held_.emplace_back(std::move(finish));
      return;
    }
    lock.unlock();
    finish({});
  }

  // Programs and tables.

  /// What compiling code `name` of format "fake" gives.
  void program(const std::string& name, Program program) {
    const std::lock_guard lock(mutex_);
    programs_[name] = std::make_shared<const Program>(std::move(program));
  }
  std::shared_ptr<const Program> find_program(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto it = programs_.find(name);
    return it != programs_.end() ? it->second : nullptr;
  }
  std::vector<std::weak_ptr<Run>> runs;

  /// A table of its own; lives for ever.
  const abi::PJRT_Api* table(const TableOptions& options) { return make_table(options); }
  const abi::PJRT_Api* (*make_table)(const TableOptions&) = nullptr;

  /// Forgets what a test said and did, and what it left behind.
  void reset() {
    release_events();
    decltype(objects_) left;
    const std::lock_guard lock(mutex_);
    answers_.clear();
    calls_.clear();
    faults_.clear();
    programs_.clear();
    wanted_sizes.clear();
    runs.clear();
    remote_devices = 0;
    left.swap(objects_);
  }

 private:
  struct Object {
    std::string kind;
    bool owed;
    std::shared_ptr<void> object;
  };
  struct Bytes {
    static constexpr auto kKind = "bytes";
    FakePlugin* owner;
    std::string bytes;
  };
  struct Token {};
  using Answers = std::map<std::string, Answer, std::less<>>;

  template <class F, class A>
  static Answer wrap(A answer) {
    using Args = typename F::Args;
    return [answer = std::move(answer)](void* args) mutable -> Outcome {
      if constexpr (std::is_void_v<std::invoke_result_t<A&, Args&>>) {
        answer(*static_cast<Args*>(args));
        return {};
      } else {
        return answer(*static_cast<Args*>(args));
      }
    };
  }
  void set(Answers& answers, std::string_view function, Answer answer) {
    const std::lock_guard lock(mutex_);
    answers.insert_or_assign(std::string(function), std::move(answer));
  }
  Answer find(const Answers& answers, std::string_view function) const {
    const std::lock_guard lock(mutex_);
    const auto it = answers.find(function);
    return it != answers.end() ? it->second : Answer();
  }

  template <class T, class... A>
  T* add(std::string kind, bool owed, A&&... a) {
    auto object = std::shared_ptr<T>(new T{std::forward<A>(a)...});
    const std::lock_guard lock(mutex_);
    objects_[object.get()] = {std::move(kind), owed, object};
    return object.get();
  }
  std::shared_ptr<void> find_object(const void* handle, const std::string& kind, bool remove, bool owed) {
    const std::lock_guard lock(mutex_);
    const auto it = objects_.find(handle);
    if (it == objects_.end()) throw Fault{handle == nullptr ? kind + " is null" : kind + " is not alive"};
    if (it->second.kind != kind) throw Fault{"expected a " + kind + ", got a " + it->second.kind};
    std::shared_ptr<void> object = it->second.object;
    if (remove) {
      if (it->second.owed != owed) throw Fault{kind + " belongs to another object"};
      objects_.erase(it);
    }
    return object;
  }

  mutable std::mutex mutex_;
  Answers usual_, answers_;
  std::vector<Call> calls_;
  std::map<const void*, Object> objects_;
  std::vector<std::string> faults_;
  bool holding_ = false;
  std::vector<std::function<void(const Outcome&)>> held_;
  std::map<std::string, std::shared_ptr<const Program>> programs_;
};

// The profiler's functions hang off its extension in a table of their own.

template <std::size_t N>
struct FunctionName {
  char text[N];
  constexpr FunctionName(const char (&name)[N]) { std::copy_n(name, N, text); }
};
template <FunctionName Name, class A, auto Slot>
struct ProfilerFunction {
  using Args = A;
  static constexpr auto slot = Slot;
  static constexpr std::string_view kName = Name.text;
};
namespace profiler {
using Api = abi::PLUGIN_Profiler_Api;
using ErrorDestroy =
    ProfilerFunction<"PLUGIN_Profiler_Error_Destroy", abi::PLUGIN_Profiler_Error_Destroy_Args, &Api::error_destroy>;
using ErrorMessage =
    ProfilerFunction<"PLUGIN_Profiler_Error_Message", abi::PLUGIN_Profiler_Error_Message_Args, &Api::error_message>;
using ErrorGetCode =
    ProfilerFunction<"PLUGIN_Profiler_Error_GetCode", abi::PLUGIN_Profiler_Error_GetCode_Args, &Api::error_get_code>;
using Create = ProfilerFunction<"PLUGIN_Profiler_Create", abi::PLUGIN_Profiler_Create_Args, &Api::create>;
using Destroy = ProfilerFunction<"PLUGIN_Profiler_Destroy", abi::PLUGIN_Profiler_Destroy_Args, &Api::destroy>;
using Start = ProfilerFunction<"PLUGIN_Profiler_Start", abi::PLUGIN_Profiler_Start_Args, &Api::start>;
using Stop = ProfilerFunction<"PLUGIN_Profiler_Stop", abi::PLUGIN_Profiler_Stop_Args, &Api::stop>;
using CollectData =
    ProfilerFunction<"PLUGIN_Profiler_CollectData", abi::PLUGIN_Profiler_CollectData_Args, &Api::collect_data>;
using Consume = ProfilerFunction<"PLUGIN_Profiler_Consume", abi::PLUGIN_Profiler_Consume_Args, &Api::consume>;
using ConsumeResultDestroy =
    ProfilerFunction<"PLUGIN_Profiler_ConsumeResult_Destroy", abi::PLUGIN_Profiler_ConsumeResult_Destroy_Args,
                     &Api::consume_result_destroy>;
using Serialize = ProfilerFunction<"PLUGIN_Profiler_Serialize", abi::PLUGIN_Profiler_Serialize_Args, &Api::serialize>;
}  // namespace profiler

}  // namespace pjrt::fake
