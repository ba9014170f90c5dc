#include "api/workers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <semaphore>

#include "api/problem.h"

namespace cloister::api {
namespace {

// Jobs that run until they are let go.
class Gate {
 public:
  Workers::Job job() {
    return {[this] {
              ++running;
              gate_.wait();
              ++done;
            },
            [] {}, [] {}};
  }
  void open() { promise_.set_value(); }
  static void until(const std::function<bool()>& holds) {
    for (int i = 0; i < 500 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(holds());
  }
  std::atomic<int> running{0};
  std::atomic<int> done{0};

 private:
  std::promise<void> promise_;
  std::shared_future<void> gate_{promise_.get_future()};
};

TEST(Workers, OneCallerNeverHasAllThreads) {
  Gate gate;
  Gate other;
  Workers workers({8, 4, 1000, 100, 8});
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(workers.offer("greedy", gate.job()));
  Gate::until([&] { return gate.running == 4; });
  EXPECT_TRUE(workers.offer("other", other.job()));
  Gate::until([&] { return other.running == 1; });
  EXPECT_EQ(gate.running, 4);
  other.open();
  gate.open();
  Gate::until([&] { return gate.done == 50; });
}

TEST(Workers, TheLastQuarterIsForCallersWithNoneAtWork) {
  Gate gate;
  Gate late;
  Workers workers({8, 4, 1000, 100, 8});
  for (const char* caller : {"a", "b"}) {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(workers.offer(caller, gate.job()));
  }
  Gate::until([&] { return gate.running >= 6; });
  EXPECT_EQ(workers.counts().atWork, 6U);
  EXPECT_TRUE(workers.offer("d", late.job()));
  EXPECT_TRUE(workers.offer("e", late.job()));
  Gate::until([&] { return late.running == 2; });
  late.open();
  gate.open();
  Gate::until([&] { return gate.done == 20; });
}

TEST(Workers, ACallerHasABoundOfWaitingJobs) {
  Gate gate;
  Workers workers({4, 2, 100, 3, 4});
  int taken = 0;
  for (int i = 0; i < 20; ++i) taken += workers.offer("a", gate.job()) ? 1 : 0;
  EXPECT_GE(taken, 3);
  EXPECT_LE(taken, 5);
  EXPECT_TRUE(workers.offer("b", gate.job()));
  gate.open();
}

TEST(Workers, PartsOfACallerHaveABoundEachAndOneTogether) {
  Gate gate;
  Workers workers({4, 1, 1000, 3, 4});
  EXPECT_TRUE(workers.offer("source", gate.job(), 1));
  Gate::until([&] { return gate.running == 1; });
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(workers.offer("source", gate.job(), 1));
  EXPECT_FALSE(workers.offer("source", gate.job(), 1));
  int taken = 0;
  for (std::size_t part = 2; part < 50; ++part) taken += workers.offer("source", gate.job(), part) ? 1 : 0;
  EXPECT_EQ(taken, 8 * 3 - 3);
  gate.open();
  Gate::until([&] { return gate.done == 1 + 8 * 3; });
}

TEST(Workers, TheFullQueueLetsInWhoHasNone) {
  Gate gate;
  Workers workers({4, 1, 4, 4, 4});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(workers.offer("a" + std::to_string(i), gate.job()));
  Gate::until([&] { return gate.running == 3; });
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(workers.offer("a" + std::to_string(i % 3), gate.job()));
  EXPECT_FALSE(workers.offer("a0", gate.job()));
  EXPECT_TRUE(workers.offer("new", gate.job()));
  gate.open();
}

TEST(Workers, LongJobsTakeNoThreadOfTheShortOnes) {
  Gate gate;
  std::promise<void> answered;
  Workers workers({2, 2, 100, 100, 50});
  std::atomic<int> lengthened{0};
  for (int i = 0; i < 20; ++i) {
    auto job = gate.job();
    auto run = job.run;
    job.run = [run] {
      Workers::becomeLong("streams");
      run();
    };
    job.lengthened = [&] { ++lengthened; };
    EXPECT_TRUE(workers.offer("streams", std::move(job)));
  }
  Gate::until([&] { return gate.running == 20; });
  EXPECT_EQ(lengthened, 20);
  EXPECT_EQ(workers.counts().lasting, 20U);
  EXPECT_TRUE(workers.offer("other", {[&] { answered.set_value(); }, [] {}, [] {}}));
  EXPECT_EQ(answered.get_future().wait_for(std::chrono::seconds(5)), std::future_status::ready);
  gate.open();
  Gate::until([&] { return gate.done == 20; });
}

TEST(Workers, ACallerWithFewLongJobsDisplacesTheOldestOfTheOneWithMost) {
  Workers workers({4, 4, 100, 100, 8});
  std::atomic<int> lasting{0};
  std::atomic<int> refused{0};
  std::vector<std::unique_ptr<std::binary_semaphore>> ends;
  const auto offer = [&](const std::string& caller) {
    ends.push_back(std::make_unique<std::binary_semaphore>(0));
    auto* end = ends.back().get();
    return workers.offer(caller, {[&, caller, end] {
                                    try {
                                      Workers::becomeLong(caller);
                                      ++lasting;
                                      end->acquire();
                                      --lasting;
                                    } catch (const Problem& problem) {
                                      EXPECT_EQ(problem.status, 503);
                                      ++refused;
                                    }
                                  },
                                  [end] { end->release(); }, [] {}});
  };
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(offer("greedy"));
    Gate::until([&] { return lasting == i + 1; });
  }
  EXPECT_TRUE(offer("greedy"));
  Gate::until([&] { return refused == 1; });
  EXPECT_TRUE(offer("other"));
  Gate::until([&] { return lasting == 8 && workers.counts().lasting == 8; });
  EXPECT_EQ(refused, 1);
  for (auto& end : ends) end->release();
  Gate::until([&] { return workers.counts().lasting == 0; });
}

}  // namespace
}  // namespace cloister::api
