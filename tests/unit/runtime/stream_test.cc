#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "runtime/device/cpu.h"
#include "runtime/device/open.h"

namespace reef::device {
namespace {

TEST(CpuStream, RunsWorkInOrderOnItsOwnThreadThenSaysDone) {
  CpuStream stream("test", 1);
  std::vector<int> order;
  std::thread::id worker;
  std::promise<void> finished;
  for (int i = 0; i < 3; ++i) {
    stream.submit(
        0,
        [&order, &worker, i](ops::Context&) {
          worker = std::this_thread::get_id();
          order.push_back(2 * i);
        },
        [&order, &finished, i] {
          order.push_back(2 * i + 1);
          if (i == 2) finished.set_value();
        });
  }
  finished.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_NE(worker, std::this_thread::get_id());
}

TEST(CpuStream, MakesNoDenormals) {
  CpuStream stream("test", 1);
  std::promise<float> made;
  volatile float factor = 1e-20f;
  stream.submit(
      0, [&](ops::Context&) { made.set_value(factor * factor); }, [] {});
  EXPECT_EQ(made.get_future().get(), 0.0f);
}

TEST(CpuStream, RunsWhatIsMostUrgentFirst) {
  CpuStream stream("test", 1);
  std::promise<void> began, go_on, finished;
  std::vector<int> order;
  stream.submit(
      0,
      [&](ops::Context&) {
        began.set_value();
        go_on.get_future().wait();
      },
      [] {});
  began.get_future().wait();
  for (const int priority : {-1, 2, 0, 2}) {
    stream.submit(
        priority, [&order, priority](ops::Context&) { order.push_back(priority); },
        [&order, &finished] {
          if (order.size() == 4) finished.set_value();
        });
  }
  go_on.set_value();
  finished.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{2, 2, 0, -1}));
}

TEST(CpuStream, FinishesTheRunningWorkWhenDestroyed) {
  std::promise<void> began, go_on;
  std::atomic<int> ran = 0;
  auto stream = std::make_unique<CpuStream>("test", 1);
  stream->submit(
      0,
      [&](ops::Context&) {
        began.set_value();
        go_on.get_future().wait();
        ++ran;
      },
      [] {});
  began.get_future().wait();
  std::thread destroyer([&stream] { stream.reset(); });
  go_on.set_value();
  destroyer.join();
  EXPECT_EQ(ran, 1);
}

TEST(CpuStream, PlaysASlowerDevice) {
  constexpr std::chrono::milliseconds kPace{40};
  CpuStream stream("test", 1);
  const Time start = system_clock().now();
  std::vector<Duration> done;
  std::promise<void> finished;
  for (int i = 0; i < 3; ++i) {
    stream.submit(
        0, [](ops::Context&) {},
        [&, i] {
          done.push_back(system_clock().now() - start);
          if (i == 2) finished.set_value();
        },
        i == 1 ? Duration::zero() : kPace);
  }
  finished.get_future().wait();
  EXPECT_GE(done[0], kPace);
  EXPECT_GE(done[1], done[0]);  // waits its turn, and then for nothing
  EXPECT_GE(done[2], 2 * kPace);
}

TEST(CpuStream, CountsWorkThatTakesLongerThanItsPace) {
  CpuStream stream("test", 1);
  std::promise<void> finished;
  stream.submit(
      0, [](ops::Context&) {}, [] {}, std::chrono::milliseconds(20));
  for (int i = 0; i < 2; ++i) {
    stream.submit(
        0,
        [](ops::Context&) {
          const Time start = system_clock().now();
          while (system_clock().now() - start < std::chrono::milliseconds(1)) continue;
        },
        [] {}, std::chrono::microseconds(10));
  }
  stream.submit(
      0, [](ops::Context&) {}, [&finished] { finished.set_value(); });
  finished.get_future().wait();
  EXPECT_EQ(stream.overruns(), 2u);
}

TEST(CpuStream, StopsWithoutWaitingForThePace) {
  std::promise<void> worked;
  bool said = false;
  {
    CpuStream stream("test", 1);
    stream.submit(
        0, [&worked](ops::Context&) { worked.set_value(); }, [&said] { said = true; },
        std::chrono::hours(24));
    worked.get_future().wait();
  }
  EXPECT_FALSE(said);
}

/// The stream of a device that works behind a queue.
std::unique_ptr<ContextStream> twin() {
  const std::filesystem::path library = ATOLL_TWIN;
  return open_stream({"twin", 0}, 1, library.parent_path()).value();
}

TEST(ContextStream, IsDoneWhenTheDeviceIsAndLaunchesMeanwhile) {
  const auto stream = twin();
  std::promise<void> open, launched, finished;
  std::atomic<int> done = 0;
  stream->submit(
      0,
      [&open](ops::Context& context) {
        context.when_done(
            [](void* gate) { static_cast<std::promise<void>*>(gate)->get_future().wait(); }, &open);
      },
      [&done] { ++done; });
  stream->submit(
      0, [&launched](ops::Context&) { launched.set_value(); },
      [&] {
        ++done;
        finished.set_value();
      });
  launched.get_future().wait();  // though the device stands still
  EXPECT_EQ(done, 0);
  open.set_value();
  finished.get_future().wait();
  EXPECT_EQ(done, 2);
}

TEST(ContextStream, SaysAllThatWasLaunchedDoneBeforeItEnds) {
  auto stream = twin();
  std::promise<void> open, launched;
  std::atomic<bool> done = false;
  stream->submit(
      0,
      [&](ops::Context& context) {
        context.when_done(
            [](void* gate) { static_cast<std::promise<void>*>(gate)->get_future().wait(); }, &open);
        launched.set_value();
      },
      [&done] { done = true; });
  launched.get_future().wait();
  std::thread destroyer([&stream] { stream.reset(); });
  open.set_value();
  destroyer.join();
  EXPECT_TRUE(done);
}

TEST(ContextStream, APacedDeviceIsWaitedFor) {
  constexpr std::chrono::milliseconds kPace{20};
  const auto stream = twin();
  const Time start = system_clock().now();
  std::promise<Duration> finished;
  stream->submit(
      0, [](ops::Context&) {}, [&] { finished.set_value(system_clock().now() - start); }, kPace);
  EXPECT_GE(finished.get_future().get(), kPace);
}

TEST(OpenStream, SaysWhatIsMissing) {
  const std::filesystem::path folder = std::filesystem::path(ATOLL_TWIN).parent_path();
  const auto absent = open_stream({"absent", 0}, 1, folder / "nowhere");
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, Code::kPath);
  EXPECT_NE(absent.error().what.find("libatoll_absent.so"), std::string::npos);
  const auto third = open_stream({"twin", 2}, 1, folder);
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error().text(), "E_NO_FIT: device twin:2: this machine has 2 of them");
  EXPECT_EQ(check_device({"twin", 2}, folder).error(), third.error());
  EXPECT_TRUE(check_device({"twin", 1}, folder).ok());
  EXPECT_TRUE(check_device({}, folder / "nowhere").ok());
}

TEST(InlineStream, RunsAtOnce) {
  InlineStream stream;
  int state = 0;
  stream.submit(
      0, [&state](ops::Context&) { state = 1; }, [&state] { state *= 10; });
  EXPECT_EQ(state, 10);
}

}  // namespace
}  // namespace reef::device
