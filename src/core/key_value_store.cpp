#include "pjrt/key_value_store.hpp"
#include "core/try.hpp"

#include <algorithm>

namespace pjrt {

Result<std::string> InMemoryKeyValueStore::get(std::string_view key, std::chrono::milliseconds timeout) try {
  std::unique_lock lock(mutex_);
  // Capped, so that "for ever" does not overflow the clock.
  const auto capped = std::min<std::chrono::milliseconds>(timeout, std::chrono::years(100));
  const bool there = changed_.wait_for(lock, capped, [&] { return values_.contains(key); });
  if (!there) {
    return std::unexpected(Error(ErrorCode::DeadlineExceeded, "no value for key '" + std::string(key) + "' after " +
                                                                  std::to_string(timeout.count()) + " ms"));
  }
  return values_.find(key)->second;
}
PJRT_CATCH

Result<std::string> InMemoryKeyValueStore::try_get(std::string_view key) try {
  const std::lock_guard lock(mutex_);
  const auto it = values_.find(key);
  if (it == values_.end())
    return std::unexpected(Error(ErrorCode::NotFound, "no value for key '" + std::string(key) + "'"));
  return it->second;
}
PJRT_CATCH

Result<void> InMemoryKeyValueStore::put(std::string_view key, std::string_view value) try {
  {
    const std::lock_guard lock(mutex_);
    values_.insert_or_assign(std::string(key), std::string(value));
  }
  changed_.notify_all();
  return {};
}
PJRT_CATCH

}  // namespace pjrt
