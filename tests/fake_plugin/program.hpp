#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "pjrt/error.hpp"
#include "pjrt/named_value.hpp"
#include "pjrt/shape.hpp"

namespace pjrt::fake {

/// What a function of the fake says when it fails.
struct Failure {
  ErrorCode code = ErrorCode::Internal;
  std::string message;
  std::vector<ErrorPayload> payloads = {};
};

/// How something went; empty: well.
using Outcome = std::optional<Failure>;

/// What an event tells of.
class Promise {
 public:
  static std::shared_ptr<Promise> kept(Outcome outcome = {}) {
    auto promise = std::make_shared<Promise>();
    promise->set(std::move(outcome));
    return promise;
  }

  bool is_set() const {
    const std::lock_guard lock(mutex_);
    return outcome_.has_value();
  }
  /// The first outcome stays.
  void set(Outcome outcome) {
    std::unique_lock lock(mutex_);
    if (outcome_) return;
    outcome_ = std::move(outcome);
    const auto waiting = std::exchange(waiting_, {});
    lock.unlock();
    ready_.notify_all();
    for (const auto& callback : waiting) callback(*outcome_);
  }
  Outcome wait() const {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return outcome_.has_value(); });
    return *outcome_;
  }
  void then(std::function<void(const Outcome&)> callback) {
    std::unique_lock lock(mutex_);
    if (!outcome_) {
      waiting_.push_back(std::move(callback));
      return;
    }
    lock.unlock();
    callback(*outcome_);
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable ready_;
  std::optional<Outcome> outcome_;
  std::vector<std::function<void(const Outcome&)>> waiting_;
};

class Run;

/// A program of format "fake": what it says of itself, and what it does.
struct Program {
  std::vector<Shape> outputs;
  /// Called during PJRT_LoadedExecutable_Execute. Outputs are zero before.
  std::function<void(std::shared_ptr<Run>)> run;
  int replicas = 1;
  int partitions = 1;
  bool portable = false;
  /// Arguments whose memory it takes.
  std::vector<std::size_t> donated;
  /// A serialized HloModuleProto; empty: the plugin does not tell.
  std::string optimized;
  std::vector<std::string> parameter_memory_kinds;
  NamedValues cost;
};

}  // namespace pjrt::fake
