#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace pjrt::detail {

/// Keeps what a plugin may use until the process ends; nobody can say when it stops. It stays reachable, so that leak
/// checkers do not take it for lost.
template <class T>
void keep_for_ever(std::unique_ptr<T> object) {
  static auto* const kept = new std::pair<std::mutex, std::vector<std::unique_ptr<T>>>;
  const std::lock_guard lock(kept->first);
  kept->second.push_back(std::move(object));
}

}  // namespace pjrt::detail
