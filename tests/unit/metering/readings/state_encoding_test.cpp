#include "metering/readings/state_encoding.h"

#include <gtest/gtest.h>

#include "sandbox/base/wire.h"

namespace cloister::metering {
namespace {

constexpr std::uint64_t kHuge = 1'000'000'000'000'000'000;

// A running group as the first version of the format has it: with a link, thirteen fields of a reading.
std::string firstGroup(std::uint32_t present) {
  wire::Writer writer;
  writer.put(std::uint8_t{1});
  for (const char* text : {"tn", "ap", "in", "boot"}) writer.put(std::string(text));
  writer.put(std::uint64_t{99});    // inode
  writer.put(std::uint64_t{1024});  // memory limit
  writer.put(std::string("cv1-2"));
  writer.put(std::uint64_t{5});
  writer.put(present);
  for (std::uint64_t field = 0; field < 13; ++field) {
    if ((present >> field & 1U) != 0) writer.put(100 + field);
  }
  for (std::uint64_t remainder = 1; remainder <= 3; ++remainder) writer.put(remainder);
  writer.put(kHuge);
  writer.put(std::uint64_t{0});
  return writer.bytes();
}

TEST(Encoding, AGroupOfTheFirstVersionLosesItsLinkOnly) {
  GroupState group;
  ASSERT_TRUE(decode(firstGroup(0x1fff), group));
  EXPECT_EQ(group.owner.tenantId, "tn");
  EXPECT_EQ(group.cgroupInode, 99U);
  EXPECT_EQ(group.progress.last.cpuNanos, 100U);
  EXPECT_EQ(group.progress.last.blockWrittenBytes, 104U);
  EXPECT_EQ(group.progress.last.memoryBytes, 107U);
  EXPECT_EQ(group.progress.last.diskBytes, 111U);
  EXPECT_FALSE(group.progress.last.throttles) << "where it has a field that is gone";
  EXPECT_EQ(group.progress.lifeRemainder, 3U);
  EXPECT_EQ(group.lastUtcMicros, static_cast<std::int64_t>(kHuge));
  EXPECT_FALSE(group.finished);
  // Without link counters, as an instance without a network has it.
  ASSERT_TRUE(decode(firstGroup(0x0f9f), group));
  EXPECT_EQ(group.progress.last.memoryBytes, 107U);
  EXPECT_EQ(group.progress.last.diskBytes, 111U);
}

TEST(Encoding, ANetworkOfTheFirstVersionKeepsItsExternalCounters) {
  wire::Writer writer;
  writer.put(std::uint8_t{1});
  writer.put(std::string("boot"));
  for (std::uint64_t value = 1; value <= 7; ++value) writer.put(value);
  TenantCounters network;
  ASSERT_TRUE(decode(writer.bytes(), network));
  EXPECT_EQ(network, (TenantCounters{"boot", {1, 2, 0, 0}, 5, 0, 0, {}, false, true})) << "no group was looked at";
}

// What sums the open window has, and how many bytes they take.
Sums openSums() {
  Sums sums;
  sums.add(Meter::cpu, 9);
  sums.add(kLastMeter, kHuge);
  return sums;
}
constexpr std::size_t kSumsBytes = sizeof(std::uint32_t) + 2 * sizeof(std::uint64_t);

TEST(Encoding, TenantsOfFormerVersionsLackWhatCameLater) {
  const TenantCounters counters{"boot", {1, 2, 3, 4, 5}, 6, 7, 8, openSums(), true, true};
  auto bytes = encode(counters);
  TenantCounters back;
  ASSERT_TRUE(decode(bytes, back));
  EXPECT_EQ(back, counters);
  bytes.front() = '\4';
  EXPECT_FALSE(decode(bytes, back)) << "it is longer than one";
  bytes.resize(bytes.size() - kSumsBytes - 2);
  TenantCounters fourth;
  ASSERT_TRUE(decode(bytes, fourth));
  EXPECT_EQ(fourth, (TenantCounters{"boot", {1, 2, 3, 4, 5}, 6, 7, 8, {}, false, false}));
  bytes.front() = '\3';
  bytes.resize(bytes.size() - sizeof(std::uint64_t));
  TenantCounters third;
  ASSERT_TRUE(decode(bytes, third));
  EXPECT_EQ(third, (TenantCounters{"boot", {1, 2, 3, 4, 0}, 6, 7, 8, {}, false, false}));
}

TEST(Encoding, GroupsOfFormerVersionsLackWhatCameLater) {
  const GroupState group{{"tn", "ap", "in"}, "boot", 99, {1024}, bornAt(5), 6, 7, true, openSums()};
  auto bytes = encode(group);
  bytes.resize(bytes.size() - 2);  // the levels away
  bytes.front() = '\3';
  GroupState third;
  ASSERT_TRUE(decode(bytes, third));
  EXPECT_EQ(third, group);
  bytes.resize(bytes.size() - kSumsBytes);
  bytes.front() = '\2';
  GroupState second;
  ASSERT_TRUE(decode(bytes, second));
  EXPECT_TRUE(second.sums.empty());
  second.sums = group.sums;
  EXPECT_EQ(second, group);
}

TEST(Encoding, SumsOfAMeterThatIsNotKnownAreRefused) {
  auto bytes = encode(GroupState{{"tn", "ap", "in"}, "boot", 99, {1024}, bornAt(5), 6, 7, true, {}});
  const auto mask = bytes.size() - 2 - sizeof(std::uint32_t);
  GroupState back;
  ASSERT_TRUE(decode(bytes, back));
  bytes[mask + kMeters / 8] = static_cast<char>(1U << kMeters % 8);
  EXPECT_FALSE(decode(bytes + std::string(sizeof(std::uint64_t), '\0'), back));
}

TEST(Encoding, WhatIsWrittenIsReadAndNothingElse) {
  GroupState group{{"tn", "ap", "in"}, "boot", 99, {1024}, bornAt(5), 6, 7, true, openSums()};
  group.progress.last.memoryBytes.reset();
  group.progress.memoryAway = true;
  const auto bytes = encode(group);
  GroupState back;
  ASSERT_TRUE(decode(bytes, back));
  EXPECT_EQ(back, group);
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode(bytes.substr(0, size), back)) << size;
  EXPECT_FALSE(decode(bytes + "x", back));
  auto later = bytes;
  later.front() = '\5';
  EXPECT_FALSE(decode(later, back));
}

TEST(Encoding, ASegmentComesBackWhole) {
  Segment segment{kHuge, {}, -5, 7};
  segment.hash.fill(0xab);
  const auto bytes = encode(segment);
  Segment back;
  ASSERT_TRUE(decode(bytes, back));
  EXPECT_EQ(back, segment);
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode(bytes.substr(0, size), back)) << size;
  EXPECT_FALSE(decode(bytes + "x", back));
}

}  // namespace
}  // namespace cloister::metering
