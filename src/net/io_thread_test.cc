// SPDX-License-Identifier: Apache-2.0

#include "net/io_thread.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/fd.h"

namespace hami::net {
namespace {

using ::testing::ElementsAre;

// Runs on the thread, and returns when it has.
template <typename F>
void RunOn(IoThread& thread, F task) {
  std::promise<void> done;
  thread.Post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

TEST(IoThreadTest, TasksRunInTheirOrderOnTheThread) {
  IoThread thread("test");
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) thread.Post([&order, i] { order.push_back(i); });
  bool inside = false;
  RunOn(thread, [&] { inside = thread.IsCurrent(); });
  EXPECT_THAT(order, ElementsAre(0, 1, 2));
  EXPECT_TRUE(inside);
  EXPECT_FALSE(thread.IsCurrent());
}

TEST(IoThreadTest, ATaskMayPost) {
  IoThread thread("test");
  std::promise<void> done;
  thread.Post([&] { thread.Post([&] { thread.Post([&] { done.set_value(); }); }); });
  done.get_future().wait();
}

TEST(IoThreadTest, TimersRunInTheOrderOfTheirTimes) {
  IoThread thread("test");
  std::vector<int> order;
  std::promise<void> done;
  RunOn(thread, [&] {
    thread.After(30, [&] {
      order.push_back(3);
      done.set_value();
    });
    thread.After(1, [&] { order.push_back(1); });
    thread.After(1, [&] { order.push_back(2); });
    thread.After(-5, [&] { order.push_back(0); });
  });
  done.get_future().wait();
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3));
}

TEST(IoThreadTest, ACancelledTimerDoesNotRun) {
  IoThread thread("test");
  std::atomic<int> runs{0};
  std::promise<void> done;
  RunOn(thread, [&] {
    const auto first = thread.After(1, [&] { ++runs; });
    // From a timer that is due at the same moment.
    const auto second = thread.After(1, [&] { ++runs; });
    thread.After(0, [&, second] { thread.Cancel(second); });
    thread.Cancel(first);
    thread.Cancel(first);
    thread.Cancel(12345);
    thread.After(5, [&] { done.set_value(); });
  });
  done.get_future().wait();
  EXPECT_EQ(runs, 0);
}

TEST(IoThreadTest, ATimerFromOutsideWakesTheThread) {
  IoThread thread("test");
  std::promise<void> done;
  thread.After(3'600'000, [] {});
  thread.After(1, [&] { done.set_value(); });
  done.get_future().wait();
}

TEST(IoThreadTest, DescriptorsAreWatchedUntilForgotten) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  base::Fd reader(ends[0]);
  const base::Fd writer(ends[1]);
  IoThread thread("test");
  std::promise<char> got;
  RunOn(thread, [&] {
    thread.Watch(reader.get(), EPOLLIN, [&](uint32_t events) {
      char byte = 0;
      CHECK((events & EPOLLIN) != 0 && read(reader.get(), &byte, 1) == 1);
      got.set_value(byte);
    });
  });
  ASSERT_EQ(write(writer.get(), "x", 1), 1);
  EXPECT_EQ(got.get_future().get(), 'x');

  std::atomic<int> calls{0};
  std::promise<void> forgotten;
  RunOn(thread, [&] {
    thread.Watch(reader.get(), EPOLLIN, [&](uint32_t) {
      ++calls;
      thread.Watch(reader.get(), 0, nullptr);  // itself
      forgotten.set_value();
    });
  });
  ASSERT_EQ(write(writer.get(), "y", 1), 1);
  forgotten.get_future().wait();
  RunOn(thread, [] {});
  EXPECT_EQ(calls, 1);
}

TEST(IoThreadTest, ADescriptorThatWasClosedUnforgottenCanComeAgain) {
  IoThread thread("test");
  int number = -1;
  for (int round = 0; round < 2; ++round) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    base::Fd reader(ends[0]);
    const base::Fd writer(ends[1]);
    EXPECT_TRUE(number == -1 || number == reader.get()) << "the test's own condition";
    number = reader.get();
    std::promise<void> ready;
    RunOn(thread, [&] {
      thread.Watch(reader.get(), EPOLLIN, [&](uint32_t) {
        char byte = 0;
        CHECK(read(reader.get(), &byte, 1) == 1);
        ready.set_value();
      });
    });
    ASSERT_EQ(write(writer.get(), "x", 1), 1);
    ready.get_future().wait();
    RunOn(thread, [&] { reader.Reset(); });
  }
}

TEST(IoThreadTest, TheEndRunsWhatIsPostedAndDropsTimers) {
  std::vector<int> order;
  auto held = std::make_shared<int>(1);  // with the dropped timer
  {
    IoThread thread("test");
    thread.After(3'600'000, [held] {});
    thread.Post([&] {
      order.push_back(1);
      thread.Post([&] { order.push_back(2); });
    });
  }
  EXPECT_THAT(order, ElementsAre(1, 2));
  EXPECT_EQ(held.use_count(), 1);
}

TEST(IoThreadTest, ManyThreadsPost) {
  IoThread thread("test");
  int count = 0;  // of the thread
  std::vector<std::thread> others;
  others.reserve(4);
  for (int i = 0; i < 4; ++i) {
    others.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) {
        thread.Post([&count] { ++count; });
        if (n % 10 == 0) thread.Cancel(thread.After(1, [&count] { ++count; }));
      }
    });
  }
  for (std::thread& other : others) other.join();
  int seen = 0;
  RunOn(thread, [&] { seen = count; });
  EXPECT_GE(seen, 4000);
}

}  // namespace
}  // namespace hami::net
