// A sampler over a group of ordinary files and its spool, which can be started again at any moment.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "metering/readings/sampler.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::metering {

inline constexpr std::int64_t kStart = 1'700'000'000'000'000;  // a multiple of ten seconds

// Both clocks, `seconds` after the start; `step` moves the calendar only.
inline Moment at(double seconds, std::int64_t step = 0) {
  const auto micros = static_cast<std::int64_t>(seconds * 1e6);
  return {1'000'000'000'000U + static_cast<std::uint64_t>(micros) * 1000U, kStart + micros + step};
}

inline Subject subject(const std::string& group = "in-1-1", std::uint64_t inode = 11) {
  return {group, "tn-1", "ap-1", "in-1", inode, {1000}};
}

class SamplerTest : public testing::Test {
 protected:
  void SetUp() override { restart(); }
  // A new process: the spool's file is all that it knows.
  void restart(const std::string& bootId = "boot-a") {
    sampler.reset();
    spool.reset();
    auto opened = Spool::open(scratch.file("spool.db"), "nd-1");
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    spool = std::move(opened).value();
    auto made = Sampler::open(*spool, bootId, hostKey());
    ASSERT_TRUE(made.ok()) << made.error().message();
    sampler = std::move(made).value();
  }
  // subject() with 100 bytes in use, and what it spent since its birth.
  void launch(std::uint64_t cpuMicros) {
    group.unified(cpuMicros, 100);
    ASSERT_TRUE(sampler->add(subject(), group.descriptors(), Origin::launched, at(0)).ok());
  }
  std::vector<UsageRow> rows() {
    std::vector<UsageRow> all;
    const auto batches = spool->pending(1000);
    EXPECT_TRUE(batches.ok());
    for (const auto& batch : *batches) all.insert(all.end(), batch.rows.begin(), batch.rows.end());
    return all;
  }
  std::uint64_t sum(Meter meter, const std::string& note = "") {
    std::uint64_t total = 0;
    for (const auto& one : rows()) {
      if (one.meter == meter && one.note == note) total += one.quantity;
    }
    return total;
  }

  ScratchDirectory scratch;
  FakeGroup group{scratch.file("group")};
  std::unique_ptr<Spool> spool;
  std::unique_ptr<Sampler> sampler;
};

}  // namespace cloister::metering
