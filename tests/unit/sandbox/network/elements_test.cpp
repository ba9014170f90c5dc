#include "sandbox/network/elements.h"

#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstring>

namespace cloister::network {
namespace {

// The payload of the only message of a batch: what the kernel's own answer looks like behind the netlink header.
std::string payload(Batch& batch) {
  batch.end();
  return batch.bytes().substr(sizeof(nlmsghdr));
}

TEST(Elements, ReadBackACountedTenant) {
  Batch batch;
  addTenantElements(batch, Change::add, 77, {{1234, 5}, {}, {99, 1}, {}}, Ports::pinned);
  batch.end();
  // Five messages; the second is the bytes sent to the outside.
  nlmsghdr first{};
  std::memcpy(&first, batch.bytes().data(), sizeof first);
  const auto elements = parseElements(batch.bytes().substr(first.nlmsg_len + sizeof(nlmsghdr)));
  ASSERT_EQ(elements.size(), 1U);
  EXPECT_EQ(elements[0].key, std::string("\x4d\0\0\0", 4));
  EXPECT_EQ(elements[0].counter.bytes, 1234U);
  EXPECT_EQ(elements[0].counter.packets, 5U);
}

TEST(Elements, ReadBackAVerdict) {
  for (const auto& [egress, chain] :
       {std::pair{launcher::Egress::internet, kEgressInternet}, std::pair{launcher::Egress::none, kEgressNone}}) {
    Batch batch;
    addEgress(batch, Change::add, 77, egress);
    const auto elements = parseElements(payload(batch));
    ASSERT_EQ(elements.size(), 1U);
    EXPECT_EQ(elements[0].chain, chain);
  }
}

TEST(Elements, ATruncatedAnswerYieldsNoneOrAPartAndNeverReadsBeyond) {
  Batch batch;
  addEgress(batch, Change::add, 77, launcher::Egress::internet);
  const std::string whole = payload(batch);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of its own on the heap, so that a sanitizer sees a read behind it.
    const std::string part(whole.data(), size);
    EXPECT_LE(parseElements(part).size(), 1U) << size;
  }
}

TEST(Comment, OnlyAWholeOneIsRead) {
  EXPECT_EQ(parseComment(std::string("\0\3ab\0", 5)), "ab");
  const std::string cases[] = {"", std::string(1, '\0'), std::string("\0\4ab\0", 5), std::string("\1\3ab\0", 5)};
  for (const std::string& text : cases) EXPECT_EQ(parseComment(text), "") << text.size();
}

TEST(Ruleset, IsTheSameBytesForAnyNumberOfTenants) {
  Batch batch;
  addRuleset(batch, Ports::pinned);
  batch.end();
  EXPECT_LT(batch.bytes().size(), 32'768U);
  EXPECT_EQ(rulesetVersion(), rulesetVersion());
  EXPECT_TRUE(rulesetVersion().starts_with("cloister rules "));
}

TEST(Ruleset, WithoutTheBridgeFamilyHasNoPorts) {
  Batch with;
  Batch without;
  addSource(with, Change::add, subnetOf(77) + 2, Ports::pinned);
  addSource(without, Change::add, subnetOf(77) + 2, Ports::unsupported);
  with.end();
  without.end();
  EXPECT_NE(with.bytes().find("cv77-2"), std::string::npos);
  EXPECT_EQ(without.bytes().find("cv77-2"), std::string::npos);
  EXPECT_NE(without.bytes().find("cl77"), std::string::npos);
}

}  // namespace
}  // namespace cloister::network
