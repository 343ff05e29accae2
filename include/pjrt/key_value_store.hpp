#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "pjrt/error.hpp"
#include "pjrt/export.hpp"

namespace pjrt {

/// Where the processes of a multi-process program meet: plugins publish and read small binary values under text keys.
/// Given to `Client::create`; the client holds it as long as it lives.
///
/// Called from threads of the plugin, several at once. What an implementation throws or returns as an error reaches the
/// plugin as an error. Wraps PJRT_KeyValueGetCallback, PJRT_KeyValueTryGetCallback (since 0.61) and
/// PJRT_KeyValuePutCallback.
class PJRT_EXPORT KeyValueStore {
 public:
  virtual ~KeyValueStore() = default;

  /// Waits until there is a value; DeadlineExceeded after `timeout`.
  virtual Result<std::string> get(std::string_view key, std::chrono::milliseconds timeout) = 0;
  /// The value if there is one now; NotFound otherwise.
  virtual Result<std::string> try_get(std::string_view key) = 0;
  /// Sets a value, over an old one if need be.
  [[nodiscard]] virtual Result<void> put(std::string_view key, std::string_view value) = 0;
};

/// A store for the clients of one process.
class PJRT_EXPORT InMemoryKeyValueStore final : public KeyValueStore {
 public:
  Result<std::string> get(std::string_view key, std::chrono::milliseconds timeout) override;
  Result<std::string> try_get(std::string_view key) override;
  [[nodiscard]] Result<void> put(std::string_view key, std::string_view value) override;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace pjrt
