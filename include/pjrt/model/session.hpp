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
class NameIndex;
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

/// What a run gives: arrays by name and in order.
class PJRT_EXPORT SessionOutputs {
 public:
  /// An output asked for by name: the array, or the error that says which names there are.
  class Entry {
   public:
    explicit Entry(Result<HostBuffer> array) : array_(std::move(array)) {}
    const Result<HostBuffer>& array() const noexcept { return array_; }
    /// Its elements where they lie; see HostBuffer::span.
    template <HostElement T>
    Result<std::span<const T>> span() const {
      if (!array_) return std::unexpected(array_.error());
      return array_->span<T>();
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

  SessionOutputs(std::shared_ptr<const std::vector<SessionValue>> values,
                 std::shared_ptr<const model::NameIndex> names, std::vector<HostBuffer> arrays)
      : values_(std::move(values)), names_(std::move(names)), arrays_(std::move(arrays)) {}

  std::size_t size() const noexcept { return arrays_.size(); }
  const HostBuffer& operator[](std::size_t i) const noexcept { return arrays_[i]; }
  /// By path, name, or the end of a path: "result['logits']", "logits".
  Entry operator[](std::string_view name) const;
  /// The number of an output; see Session::find_output.
  Result<std::size_t> find(std::string_view name) const;
  /// What the model says of output `i`.
  const SessionValue& value(std::size_t i) const noexcept { return (*values_)[i]; }
  std::vector<HostBuffer>::const_iterator begin() const noexcept { return arrays_.begin(); }
  std::vector<HostBuffer>::const_iterator end() const noexcept { return arrays_.end(); }

 private:
  std::shared_ptr<const std::vector<SessionValue>> values_;
  std::shared_ptr<const model::NameIndex> names_;
  std::vector<HostBuffer> arrays_;
};

/// A model ready to run: plugin, client, compiled program, and the arrays that stay on the device.
///
/// Arrays go in and come out whole, by name; a model for several devices is cut and put together here. Move-only. `run`
/// may be called from several threads.
class PJRT_EXPORT Session {
 public:
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

  /// All inputs in order, those the program does not use included.
  std::span<const SessionValue> inputs() const noexcept;
  std::span<const SessionValue> outputs() const noexcept;
  /// The input of that path or name; of that key ("w" and "layers.0.w" for "args[0]['w']" and
  /// "args[0]['layers.0.w']"), end of a path ("['conv1'].kernel", "conv1.kernel", "conv1/kernel"), or number ("arg3", or
  /// "arr_3" as numpy.savez has it). The first of these that fits decides. NotFound names some that there are;
  /// InvalidArgument if several fit equally well.
  Result<std::size_t> find_input(std::string_view name) const;
  /// The output of that path, name, end of a path, or number ("out3"); errors as for inputs.
  Result<std::size_t> find_output(std::string_view name) const;

  /// Puts an array on the device to stay there, for every run to come; runs need not give it. Not to be called during a
  /// run.
  [[nodiscard]] Result<void> bind(std::string_view name, const HostBuffer& array);

  /// Runs the model once. InvalidArgument for an array of the wrong type or shape, one that is missing, or one too
  /// many, by name.
  Result<SessionOutputs> run(const NamedArrays& inputs) const;
  /// Runs it with arrays in the order of inputs(); arrays of inputs that are bound or not used may be left out by
  /// nullopt.
  Result<SessionOutputs> run(std::span<const std::optional<HostBuffer>> inputs) const;

  const Client& client() const noexcept;
  const LoadedExecutable& executable() const noexcept;
  const model::Model& model() const noexcept;

 private:
  struct State;
  explicit Session(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace pjrt
