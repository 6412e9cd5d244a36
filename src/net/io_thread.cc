// SPDX-License-Identifier: Apache-2.0

#include "net/io_thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/fd.h"

namespace hami::net {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

}  // namespace

class IoThread::Loop {
 public:
  explicit Loop(const char* name)
      : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    CHECK(epoll_.valid() && wake_.valid());
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.fd = wake_.get();
    CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0);
    thread_ = std::thread([this] { Run(); });
    pthread_setname_np(thread_.native_handle(), name);
  }

  ~Loop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    Wake();
    CHECK(!IsCurrent());
    thread_.join();
    // What is dropped may hold the last reference to something that cancels its own timer.
    decltype(timers_) dropped;
    const std::lock_guard lock(mutex_);
    dropped.swap(timers_);
    timer_times_.clear();
  }

  void Post(Task task) {
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      tasks_.push_back(std::move(task));
      if (tasks_.size() > 1) return;  // whoever put the first one in has woken the thread
    }
    if (!IsCurrent()) Wake();
  }

  TimerId After(int64_t delay_ms, Task task) {
    const SteadyTime when = std::chrono::steady_clock::now() +
                            std::chrono::milliseconds(std::max<int64_t>(delay_ms, 0));
    bool is_first = false;
    TimerId id = 0;
    {
      const std::lock_guard lock(mutex_);
      id = ++last_timer_;
      const auto place = timers_.emplace(std::pair(when, id), std::move(task)).first;
      timer_times_.emplace(id, when);
      is_first = place == timers_.begin();
    }
    if (is_first && !IsCurrent()) Wake();
    return id;
  }

  void Cancel(TimerId id) {
    Task dropped;  // destroyed outside the lock
    const std::lock_guard lock(mutex_);
    const auto found = timer_times_.find(id);
    if (found == timer_times_.end()) return;
    const auto timer = timers_.find(std::pair(found->second, id));
    dropped = std::move(timer->second);
    timers_.erase(timer);
    timer_times_.erase(found);
  }

  void Watch(int fd, uint32_t events, std::function<void(uint32_t)> ready) {
    CHECK(IsCurrent());
    const auto found = watches_.find(fd);
    if (events == 0) {
      if (found == watches_.end()) return;
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
      watches_.erase(found);
      return;
    }
    epoll_event event = {};
    event.events = events;
    event.data.fd = fd;
    watches_[fd] = std::make_shared<Ready>(std::move(ready));
    // A descriptor that was closed without a word has left epoll by itself.
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0) {
      CHECK(errno == ENOENT && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
    }
  }

  bool IsCurrent() const { return std::this_thread::get_id() == thread_id_; }

 private:
  using Ready = std::function<void(uint32_t)>;

  void Wake() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof(one));
  }

  void Run() {
    // Signals are for the program's own threads; a peer that has gone is an error, not SIGPIPE.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    thread_id_ = std::this_thread::get_id();
    while (RunTasks()) {
      const int timeout_ms = RunTimers();
      Wait(timeout_ms);
    }
  }

  // False when the thread is to end: everything that was posted before has run.
  bool RunTasks() {
    std::vector<Task> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
      ended_ = stopping_ && tasks.empty();
      if (ended_) return false;
    }
    for (Task& task : tasks) {
      task();
      task = nullptr;
    }
    return true;
  }

  // Runs what is due; returns for how long there is nothing to do, -1 for ever.
  int RunTimers() {
    while (true) {
      Task task;
      {
        const std::lock_guard lock(mutex_);
        if (!tasks_.empty() || stopping_) return 0;
        if (timers_.empty()) return -1;
        const auto first = timers_.begin();
        const SteadyTime now = std::chrono::steady_clock::now();
        if (first->first.first > now) {
          const auto left =
              std::chrono::ceil<std::chrono::milliseconds>(first->first.first - now).count();
          return static_cast<int>(std::min<int64_t>(left, 3'600'000));
        }
        task = std::move(first->second);
        timer_times_.erase(first->first.second);
        timers_.erase(first);
      }
      task();
    }
  }

  void Wait(int timeout_ms) {
    epoll_event events[64];
    const int count = epoll_wait(epoll_.get(), events, std::size(events), timeout_ms);
    CHECK(count >= 0 || errno == EINTR);
    for (int index = 0; index < count; ++index) {
      const int fd = events[index].data.fd;
      if (fd == wake_.get()) {
        uint64_t woken = 0;
        [[maybe_unused]] const ssize_t got = read(fd, &woken, sizeof(woken));
        continue;
      }
      const auto found = watches_.find(fd);
      if (found == watches_.end()) continue;  // forgotten by an earlier event of this round
      const std::shared_ptr<Ready> ready = found->second;  // it may forget itself
      (*ready)(events[index].events);
    }
  }

  const base::Fd epoll_;
  const base::Fd wake_;

  std::mutex mutex_;
  std::vector<Task> tasks_;
  std::map<std::pair<SteadyTime, TimerId>, Task> timers_;
  std::unordered_map<TimerId, SteadyTime> timer_times_;
  TimerId last_timer_ = 0;
  bool stopping_ = false;
  bool ended_ = false;

  std::unordered_map<int, std::shared_ptr<Ready>> watches_;  // of the thread alone
  std::atomic<std::thread::id> thread_id_;
  std::thread thread_;
};

IoThread::IoThread(const char* name) : loop_(std::make_unique<Loop>(name)) {}
IoThread::~IoThread() = default;

void IoThread::Post(Task task) { loop_->Post(std::move(task)); }
IoThread::TimerId IoThread::After(int64_t delay_ms, Task task) {
  return loop_->After(delay_ms, std::move(task));
}
void IoThread::Cancel(TimerId id) { loop_->Cancel(id); }
void IoThread::Watch(int fd, uint32_t events, std::function<void(uint32_t)> ready) {
  loop_->Watch(fd, events, std::move(ready));
}
bool IoThread::IsCurrent() const { return loop_->IsCurrent(); }

}  // namespace hami::net
