#pragma once

#include <chrono>
#include <concepts>
#include <thread>

namespace pjrt::test {

/// Whether a condition that another thread brings about comes true within some seconds.
template <std::predicate Condition>
bool becomes_true(Condition condition) {
  for (int i = 0; i < 5000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return condition();
}

}  // namespace pjrt::test
