#include "core/dispatcher.hpp"

#include <pthread.h>
#include <new>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

#include "core/process.hpp"

namespace pjrt::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto kIdle = 10s;  // after which a thread without work ends
constexpr auto kStuck = 5ms;

class Threads {
 public:
  /// Never destroyed: callbacks may run until the process ends. Null without memory for it.
  static Threads* instance() noexcept {
    static std::atomic<Threads*> current{nullptr};
    Threads* here = current.load(std::memory_order_acquire);
    while (here == nullptr || here->generation_ != process_generation()) {
      auto* fresh =
          new (std::nothrow) Threads;  // the parent's threads do not exist in this process, and its locks may be held
      if (fresh == nullptr) return nullptr;
      if (current.compare_exchange_strong(here, fresh, std::memory_order_acq_rel)) return fresh;
      delete fresh;
    }
    return here;
  }

  /// Whether a thread will run the job.
  bool post(Job* job) noexcept {
    const std::lock_guard lock(mutex_);
    (last_ != nullptr ? last_->next : first_) = job;
    last_ = job;
    ++queued_;
    if (queued_ > idle_) {
      if (threads_ < Dispatcher::kUsualThreads) {
        if (start(&Threads::work)) {
          ++threads_;
        } else if (threads_ == 0) {
          return !take_back(job);
        }
      } else if (!supervised_) {
        supervised_ = start(&Threads::supervise);
      } else {
        stuck_.notify_one();
      }
    }
    posted_.notify_one();
    return true;
  }

 private:
  /// Signals that are sent to the process stay with the program's own threads; those of faults reach the thread that
  /// made them.
  bool start(void (Threads::*what)() noexcept) noexcept {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) ::sigdelset(&all, fault);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = true;
    try {
      std::thread(what, this).detach();
    } catch (...) {
      started = false;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return started;
  }

  /// Of the only job there is, as there are no threads.
  bool take_back(Job* job) noexcept {
    if (first_ != job) return false;
    first_ = last_ = nullptr;
    --queued_;
    return true;
  }

  Job* take() noexcept {
    Job* job = first_;
    first_ = job->next;
    if (first_ == nullptr) last_ = nullptr;
    job->next = nullptr;
    --queued_;
    ++begun_;
    return job;
  }

  void work() noexcept {
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      const bool has_work = posted_.wait_for(lock, kIdle, [this] { return first_ != nullptr; });
      --idle_;
      if (!has_work) {
        if (threads_ == 1) continue;
        --threads_;
        return;
      }
      Job* job = take();
      lock.unlock();
      job->run(job);
      lock.lock();
    }
  }

  /// Starts more threads while jobs wait and none is begun: those that run may be waiting for one that does not.
  void supervise() noexcept {
    std::unique_lock lock(mutex_);
    for (;;) {
      stuck_.wait(lock, [this] { return queued_ > idle_; });
      const std::uint64_t before = begun_;
      stuck_.wait_for(lock, kStuck, [this] { return queued_ <= idle_; });
      if (queued_ <= idle_ || begun_ != before) continue;
      if (threads_ < Dispatcher::kMostThreads && start(&Threads::work)) {
        ++threads_;
      } else {
        stuck_.wait_for(lock, kIdle, [this] { return queued_ <= idle_; });
      }
    }
  }

  const std::uint32_t generation_ = process_generation();
  std::mutex mutex_;
  std::condition_variable posted_;
  std::condition_variable stuck_;
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  int queued_ = 0;
  int idle_ = 0;
  int threads_ = 0;
  std::uint64_t begun_ = 0;
  bool supervised_ = false;
};

}  // namespace

void Dispatcher::post(Job* job) noexcept {
  Threads* const threads = Threads::instance();
  if (threads == nullptr || !threads->post(job)) job->run(job);
}

}  // namespace pjrt::detail
