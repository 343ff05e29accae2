#include "core/process.hpp"

#include <pthread.h>

#include <cstdlib>
#include <new>

#include "core/plugin_list.hpp"
#include "core/timeline.hpp"

namespace pjrt::detail {
namespace {

std::atomic<std::uint32_t> generation{0};

/// Async-signal-safe: the child of a program with threads may do no more until it execs or returns here.
void in_child() {
  generation.fetch_add(1, std::memory_order_relaxed);
  observed.store(0, std::memory_order_relaxed);
  // Another thread of the parent may have held the mutex; the list itself is whole at every moment.
  new (&PluginList::mutex()) std::mutex;
  new (&Recorder::instance().mutex) std::mutex;
  for (PluginState* p = PluginList::first(); p != nullptr; p = p->next) {
    if (p->started.load(std::memory_order_relaxed)) p->gone.store(Gone::Forked, std::memory_order_relaxed);
  }
}

void at_exit() {
  for (PluginState* p = PluginList::first(); p != nullptr; p = p->next) {
    Gone no = Gone::No;
    p->gone.compare_exchange_strong(no, Gone::Exiting);
  }
}

}  // namespace

void watch_process() {
  (void)Recorder::instance();  // is there before the first fork
  [[maybe_unused]] static const int registered = ::pthread_atfork(nullptr, nullptr, in_child);
  std::atexit(at_exit);
}

std::uint32_t process_generation() noexcept {
  return generation.load(std::memory_order_relaxed);
}

}  // namespace pjrt::detail
