#include "metering/readings/cgroup_reader.h"

#include "tests/unit/metering/readings/fake_groups.h"

#include "sandbox/base/counters.h"

namespace cloister::metering {
namespace {

using launcher::DescriptorKind;

TEST(CgroupReader, ReadsAUnifiedGroup) {
  const ScratchDirectory scratch;
  FakeGroup group(scratch.file("g"));
  group.put("cpu.stat", "usage_usec 1500\nuser_usec 1\nnr_throttled 2\nthrottled_usec 9\n")
      .put("memory.current", "4096\n")
      .put("memory.peak", "8192\n")
      .put("memory.events", "low 0\noom 3\noom_kill 2\n")
      .put("io.stat", "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=1 wios=2\n")
      .put("pids.current", "4\n")
      .put("pids.peak", "9\n")
      .put("pids.events", "max 6\n");
  auto reader = CgroupReader::open(group.descriptors());
  ASSERT_TRUE(reader.ok());
  const auto reading = reader->read();
  ASSERT_TRUE(reading.ok());
  EXPECT_GT(reading->bootNanos, 0U);
  EXPECT_EQ(reading->cpuNanos, 1'500'000U);
  EXPECT_EQ(reading->throttledNanos, 9'000U);
  EXPECT_EQ(reading->memoryBytes, 4096U);
  EXPECT_EQ(reading->memoryPeakBytes, 8192U);
  EXPECT_EQ(reading->oomKills, 2U);
  EXPECT_EQ(reading->blockReadBytes, 101U);
  EXPECT_EQ(reading->blockWrittenBytes, 202U);
  EXPECT_FALSE(reading->pids) << "the peak says more";
  EXPECT_EQ(reading->pidsPeak, 9U);
  EXPECT_EQ(reading->throttles, 2U);
  EXPECT_EQ(reading->pidsRefused, 6U);
  EXPECT_EQ(reading->blockReads, 2U);
  EXPECT_EQ(reading->blockWrites, 4U);
  EXPECT_FALSE(reading->diskBytes);
}

TEST(CgroupReader, OnAHybridTheCpuIsThatOfTheGroupItIsBornIn) {
  const ScratchDirectory scratch;
  GroupDescriptors all;
  const auto add = [&](const char* name, DescriptorKind kind,
                       std::initializer_list<std::pair<const char*, const char*>> put) {
    FakeGroup group(scratch.file(name));
    for (const auto& [file, text] : put) group.put(file, text);
    auto one = group.descriptors(kind);
    all.push_back(std::move(one.front()));
  };
  add("unified", DescriptorKind::unified, {{"cpu.stat", "usage_usec 123457\n"}});
  add("cpuacct", DescriptorKind::cpuacct, {{"cpuacct.usage", "123456789\n"}});
  add("cpu", DescriptorKind::cpu, {{"cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_time 55\n"}});
  add("memory", DescriptorKind::memory,
      {{"memory.usage_in_bytes", "10\n"},
       {"memory.max_usage_in_bytes", "20\n"},
       {"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"}});
  add("blkio", DescriptorKind::blkio,
      {{"blkio.throttle.io_service_bytes_recursive", "8:0 Read 5\n8:0 Write 6\n8:0 Sync 11\n8:0 Total 11\nTotal 11\n"},
       {"blkio.throttle.io_serviced_recursive", "8:0 Read 1\n8:0 Write 2\n8:16 Read 3\n8:0 Total 3\nTotal 6\n"}});
  add("pids", DescriptorKind::pids, {{"pids.current", "2\n"}, {"pids.peak", "3\n"}, {"pids.events", "max 4\n"}});
  auto reader = CgroupReader::open(all);
  all.clear();  // borrowed only
  ASSERT_TRUE(reader.ok());
  const auto reading = reader->read();
  ASSERT_TRUE(reading.ok());
  EXPECT_EQ(reading->cpuNanos, 123'457'000U) << "with what a process spent before it moved into the v1 group";
  EXPECT_EQ(reading->throttledNanos, 55U);
  EXPECT_EQ(reading->memoryBytes, 10U);
  EXPECT_EQ(reading->memoryPeakBytes, 20U);
  EXPECT_EQ(reading->oomKills, 1U);
  EXPECT_EQ(reading->blockReadBytes, 5U);
  EXPECT_EQ(reading->blockWrittenBytes, 6U);
  EXPECT_EQ(reading->pidsPeak, 3U);
  EXPECT_EQ(reading->throttles, 1U);
  EXPECT_EQ(reading->pidsRefused, 4U);
  EXPECT_EQ(reading->blockReads, 4U);
  EXPECT_EQ(reading->blockWrites, 2U);
}

TEST(CgroupReader, WithoutAPeakOfItsProcessesTheirNumberServes) {
  const ScratchDirectory scratch;
  FakeGroup group(scratch.file("g"));
  group.put("cpu.stat", "usage_usec 1\n").put("pids.current", "4\n");
  auto reader = CgroupReader::open(group.descriptors());
  ASSERT_TRUE(reader.ok());
  const auto reading = reader->read();
  ASSERT_TRUE(reading.ok());
  EXPECT_EQ(reading->pids, 4U);
  EXPECT_FALSE(reading->pidsPeak);
}

TEST(CgroupReader, WithoutAUnifiedGroupCpuacctServes) {
  const ScratchDirectory scratch;
  FakeGroup group(scratch.file("cpuacct"));
  group.put("cpuacct.usage", "123456789\n");
  auto reader = CgroupReader::open(group.descriptors(DescriptorKind::cpuacct));
  ASSERT_TRUE(reader.ok());
  const auto reading = reader->read();
  ASSERT_TRUE(reading.ok());
  EXPECT_EQ(reading->cpuNanos, 123'456'789U);
}

TEST(CgroupReader, AMissingFileIsAbsentNotZeroAndKeptDescriptorsSeeChanges) {
  const ScratchDirectory scratch;
  FakeGroup group(scratch.file("g"));
  group.put("cpu.stat", "usage_usec 1\n");
  auto reader = CgroupReader::open(group.descriptors());
  ASSERT_TRUE(reader.ok());
  auto reading = reader->read();
  ASSERT_TRUE(reading.ok());
  EXPECT_EQ(reading->cpuNanos, 1000U);
  EXPECT_FALSE(reading->memoryBytes);
  EXPECT_FALSE(reading->blockReadBytes);
  EXPECT_FALSE(reading->throttledNanos);
  group.put("cpu.stat", "usage_usec 20\n");
  reading = reader->read();
  ASSERT_TRUE(reading.ok());
  EXPECT_EQ(reading->cpuNanos, 20'000U);
}

TEST(CgroupReader, NothingReadableIsAnError) {
  const ScratchDirectory scratch;
  FakeGroup group(scratch.file("g"));
  auto reader = CgroupReader::open(group.descriptors());
  ASSERT_TRUE(reader.ok());
  EXPECT_FALSE(reader->read().ok());
  group.put("cpu.stat", "garbage\n");
  reader = CgroupReader::open(group.descriptors());
  ASSERT_TRUE(reader.ok());
  EXPECT_FALSE(reader->read().ok());
}

// A group whose own directory is its upper too.
Result<CgroupReader> openWithUpper(const FakeGroup& group) {
  auto descriptors = group.descriptors();
  descriptors.push_back(std::move(group.descriptors(DescriptorKind::upper).front()));
  return CgroupReader::open(descriptors);
}

TEST(CgroupReader, UpperGivesTheDisk) {
  const ScratchDirectory scratch;
  FakeGroup group(scratch.file("g"));
  group.put("cpu.stat", "usage_usec 1\n");
  auto reader = openWithUpper(group);
  ASSERT_TRUE(reader.ok());
  const auto reading = reader->read();
  ASSERT_TRUE(reading.ok());
  EXPECT_GT(reading->diskBytes.value_or(0), 0U);
}

TEST(CgroupParsers, AwkwardTexts) {
  EXPECT_EQ(parseSingle("1000000000000000000\n"), 1'000'000'000'000'000'000U);
  EXPECT_EQ(parseSingle("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", "\n", "max\n", "-1\n", "1.5\n", "1 2\n", "1\n2\n", "18446744073709551616\n", "0x10\n"}) {
    EXPECT_FALSE(parseSingle(text)) << text;
  }
  EXPECT_EQ(parseKey("a 1\nab 2\n", "ab"), 2U);
  EXPECT_FALSE(parseKey("a 1\nab 2\n", "b"));
  EXPECT_FALSE(parseKey("a\n", "a"));
  EXPECT_FALSE(parseKey("a x\n", "a"));
  EXPECT_FALSE(parseKey("", "a"));
  ASSERT_TRUE(parseIoStat(""));
  EXPECT_EQ(parseIoStat("")->read, 0U);
  EXPECT_FALSE(parseIoStat("usage_usec 5\n"));
  EXPECT_FALSE(parseIoStat("8:0 rbytes=x\n"));
  ASSERT_TRUE(parseIoStat("8:0 \n"));
  ASSERT_TRUE(parseBlkio("Total 0\n"));
  EXPECT_EQ(parseBlkio("Total 0\n")->write, 0U);
  EXPECT_FALSE(parseBlkio(""));
  EXPECT_FALSE(parseBlkio("8:0 Read\nTotal 0\n"));
}

TEST(Counters, ClocksAndBootId) {
  const auto before = counters::bootNanos();
  EXPECT_GE(counters::bootNanos(), before);
  EXPECT_GT(counters::utcMicros(), 1'600'000'000'000'000);
  const auto boot = counters::bootId();
  ASSERT_TRUE(boot.ok());
  EXPECT_EQ(boot->size(), 36U);
}

// Whether a due reading was a full one.
bool isFull(CgroupReader& reader) {
  const auto reading = reader.read(CgroupReader::Depth::due);
  EXPECT_TRUE(reading.ok());
  return reading.ok() && reading->pidsPeak.has_value();
}

TEST(CgroupReader, AnIdleGroupIsReadInFullMoreSeldom) {
  const ScratchDirectory scratch;
  FakeGroup group(scratch.file("group"));
  group.put("cpu.stat", "usage_usec 1\n").put("pids.peak", "4\n");
  auto reader = CgroupReader::open(group.descriptors());
  ASSERT_TRUE(reader.ok());
  EXPECT_TRUE(isFull(*reader)) << "nobody knows what it did before";
  for (int round = 0; round < 2; ++round) {
    for (unsigned i = 1; i < CgroupReader::kIdleReadings; ++i) EXPECT_FALSE(isFull(*reader)) << i;
    EXPECT_TRUE(isFull(*reader)) << "what is written back for it needs no CPU of its own";
  }
  group.put("cpu.stat", "usage_usec 2\n");
  EXPECT_FALSE(reader->read(CgroupReader::Depth::usual)->pidsPeak);
  EXPECT_TRUE(isFull(*reader)) << "since the last full one, not since the last one";
  EXPECT_FALSE(isFull(*reader));
  group.put("cpu.stat", "usage_usec 3\n");
  EXPECT_TRUE(reader->read()->pidsPeak);
  EXPECT_TRUE(isFull(*reader)) << "what somebody else looked at is not counted yet";
}

TEST(CgroupReader, AnIdleGroupsDiskIsAskedForMoreSeldom) {
  const ScratchDirectory scratch;
  FakeGroup group(scratch.file("group"));
  group.put("cpu.stat", "usage_usec 1\n");
  auto reader = openWithUpper(group);
  ASSERT_TRUE(reader.ok());
  const auto use = [&](CgroupReader::Depth depth) { return reader->read(depth)->diskBytes.value_or(0); };
  using Depth = CgroupReader::Depth;
  std::uint64_t known = use(Depth::usual);
  for (const auto depth : {Depth::due, Depth::full}) {
    group.put("file-" + std::to_string(static_cast<int>(depth)), std::string(8UL << 20U, 'x'));
    EXPECT_EQ(use(Depth::usual), known);
    EXPECT_NE(use(depth), known);
    known = use(Depth::usual);
  }
  group.put("cpu.stat", "usage_usec 2\n").put("file", std::string(8UL << 20U, 'x'));
  EXPECT_NE(use(Depth::usual), known);
}

TEST(CgroupReader, WithoutACpuCounterNoGroupIsTakenForIdle) {
  const ScratchDirectory scratch;
  FakeGroup group(scratch.file("group"));
  group.put("memory.current", "1\n").put("pids.peak", "4\n");
  auto reader = CgroupReader::open(group.descriptors());
  ASSERT_TRUE(reader.ok());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(isFull(*reader));
}

}  // namespace
}  // namespace cloister::metering
