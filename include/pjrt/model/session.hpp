#pragma once

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pjrt/client.hpp"
#include "pjrt/compile_options.hpp"
#include "pjrt/error.hpp"
#include "pjrt/export.hpp"
#include "pjrt/host_buffer.hpp"
#include "pjrt/loaded_executable.hpp"
#include "pjrt/model/interface.hpp"
#include "pjrt/model/model.hpp"
#include "pjrt/plugin.hpp"
#include "pjrt/shape.hpp"
#include "pjrt/sharding.hpp"

namespace pjrt {

namespace model {
class ReplicaNames;
}

/// Where and how a session runs its model.
struct SessionOptions {
  /// Default: what Plugin::load_default gives.
  std::optional<Plugin> plugin;
  /// Options for the client; a CPU client gets as many devices as the model needs unless `cpu_device_count` is among
  /// them.
  NamedValues client_options;
  /// Flags and other wishes; partitions, replicas and partitioner are the model's.
  CompileOptions compile_options;
  /// The first of the client's addressable devices to run on.
  int device = 0;
};

/// Arrays by name, for `Session::run`.
using NamedArrays = std::vector<std::pair<std::string, HostBuffer>>;

/// The outputs of one run, accessible by name or by position.
///
/// Copies share the arrays. A moved-from object has no outputs.
class PJRT_EXPORT SessionOutputs {
 public:
  /// An output asked for by name: the array, or the error that lists the names of the model's outputs.
  class Entry {
   public:
    explicit Entry(Result<HostBuffer> array) : array_(std::move(array)) {}
    /// The array, which shares its memory with the outputs.
    Result<HostBuffer> array() const { return array_; }
    /// Its elements in place, valid as long as the outputs; see HostBuffer::span.
    template <HostElement T>
    Result<std::span<const T>> span() const {
      if (!array_) return std::unexpected(array_.error());
      const HostBuffer& array = *array_;
      return array.span<T>();
    }
    /// A copy of its elements, row-major.
    template <HostElement T>
    Result<std::vector<T>> to_vector() const {
      if (!array_) return std::unexpected(array_.error());
      return array_->to_vector<T>();
    }

   private:
    Result<HostBuffer> array_;
  };
  /// The same for outputs that are a temporary object: its elements can be copied, not looked at, because they die with
  /// the outputs.
  class OwnedEntry {
   public:
    explicit OwnedEntry(Result<HostBuffer> array) : array_(std::move(array)) {}
    /// The array, which keeps its memory.
    Result<HostBuffer> array() const { return array_; }
    /// A copy of its elements, row-major.
    template <HostElement T>
    Result<std::vector<T>> to_vector() const {
      if (!array_) return std::unexpected(array_.error());
      return array_->to_vector<T>();
    }

   private:
    Result<HostBuffer> array_;
  };

  SessionOutputs(std::shared_ptr<const std::vector<SessionValue>> values,
                 std::shared_ptr<const model::ReplicaNames> names, std::vector<HostBuffer> arrays)
      : values_(std::move(values)), names_(std::move(names)), arrays_(std::move(arrays)) {}

  /// The number of outputs.
  std::size_t size() const noexcept { return arrays_.size(); }
  /// Output `i`; an array without elements if there is no such output.
  const HostBuffer& operator[](std::size_t i) const& noexcept;
  /// The same of a temporary object; the array keeps its memory.
  HostBuffer operator[](std::size_t i) &&;
  /// By path, name, or the end of a path: "result['logits']", "logits"; see Session::find_output.
  Entry operator[](std::string_view name) const&;
  /// The same of a temporary object.
  OwnedEntry operator[](std::string_view name) &&;
  /// The number of an output; see Session::find_output.
  Result<std::size_t> find(std::string_view name) const;
  /// What the model says of output `i`; a value without a path if there is no such output.
  const SessionValue& value(std::size_t i) const noexcept;
  std::vector<HostBuffer>::const_iterator begin() const noexcept { return arrays_.begin(); }
  std::vector<HostBuffer>::const_iterator end() const noexcept { return arrays_.end(); }

 private:
  std::shared_ptr<const std::vector<SessionValue>> values_;
  std::shared_ptr<const model::ReplicaNames> names_;
  std::vector<HostBuffer> arrays_;
};

/// A model ready to run: plugin, client, compiled program, and the arrays that stay on the device.
///
/// Arrays go in and come out whole, by name; a model for several devices is cut and put together here.
///
/// A program of several replicas (`mhlo.num_replicas`, as jax.pmap made them; artifacts of jax.export have one) runs
/// several times at once, and each run has arrays of its own. Input `arg0` given by that name is the same for every
/// replica; `arg0@1` is that of replica 1 alone. Every replica's outputs are listed and found as `out0@0`, `out0@1`.
///
/// Move-only. `run` and `bind` may be called from several threads. After a move, functions that return a Result fail
/// with FailedPrecondition, and the others return empty lists and handles.
class PJRT_EXPORT Session {
 public:
  Session(Session&&) noexcept = default;
  Session& operator=(Session&&) noexcept = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Opens a model file and compiles it.
  static Result<Session> open(const std::filesystem::path& path, const SessionOptions& options = {});
  /// The same.
  static Result<Session> open(const char* path, const SessionOptions& options = {}) {
    return open(std::filesystem::path(path), options);
  }
  /// The same for a model that is open.
  static Result<Session> open(const model::Model& model, const SessionOptions& options = {});
  /// The same on a client of one's own.
  static Result<Session> open(const model::Model& model, const Client& client,
                              const CompileOptions& compile_options = {}, int device = 0);

  /// All inputs in order, those that the program does not use included. With several replicas, each input is followed
  /// further down by the same input of each replica, which can be given instead: arg0, arg1, arg0@0, arg0@1, arg1@0,
  /// arg1@1.
  std::span<const SessionValue> inputs() const& noexcept;
  std::span<const SessionValue> inputs() const&& = delete;
  /// All outputs in order; with several replicas, each output of each: out0@0, out0@1, out1@0, out1@1.
  std::span<const SessionValue> outputs() const& noexcept;
  std::span<const SessionValue> outputs() const&& = delete;
  /// The input of that path or name; of that key ("w" and "layers.0.w" for "args[0]['w']" and
  /// "args[0]['layers.0.w']"), end of a path ("['conv1'].kernel", "conv1.kernel", "conv1/kernel"), or number ("arg3",
  /// or "arr_3" as numpy.savez has it); with several replicas, "@1" behind it for that of replica 1. The first of these
  /// that fits decides. NotFound names some that there are; InvalidArgument if several fit equally well.
  Result<std::size_t> find_input(std::string_view name) const;
  /// The output of that path, name, end of a path, or number ("out3"); errors as for inputs. With several replicas, the
  /// replica is a part of the name: "out3@1".
  Result<std::size_t> find_output(std::string_view name) const;

  /// Uploads `array` and uses it as input `name` for all later runs, which may then omit it. A run that has begun is
  /// not affected.
  [[nodiscard]] Result<void> bind(std::string_view name, const HostBuffer& array);

  /// Runs the model once. InvalidArgument for an array of the wrong type or shape, or one too many, and for inputs that
  /// are missing, by name.
  Result<SessionOutputs> run(const NamedArrays& inputs) const;
  /// The same: `run({{"x", images}})`, `run({})`.
  Result<SessionOutputs> run(std::initializer_list<std::pair<std::string, HostBuffer>> inputs) const;
  /// Runs it with arrays in the order of inputs(); arrays of inputs that are bound or not used may be left out by
  /// nullopt. With several replicas, the list may end before the inputs of single replicas.
  Result<SessionOutputs> run(std::span<const std::optional<HostBuffer>> inputs) const;

  const Client& client() const& noexcept;
  const Client& client() const&& = delete;
  const LoadedExecutable& executable() const& noexcept;
  const LoadedExecutable& executable() const&& = delete;
  const model::Model& model() const& noexcept;
  const model::Model& model() const&& = delete;

 private:
  struct State;
  explicit Session(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace pjrt
