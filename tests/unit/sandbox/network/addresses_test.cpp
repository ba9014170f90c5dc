#include "sandbox/network/addresses.h"

#include <gtest/gtest.h>

#include <set>

namespace cloister::network {
namespace {

bool denied(const char* text) {
  const Ipv4 address = parseIpv4(text);
  for (const Range& range : deniedRanges()) {
    if (address >= range.begin && (range.end == 0 || address < range.end)) return true;
  }
  return false;
}

TEST(DeniedRanges, HoldWhatIsNotThePublicInternet) {
  for (const char* text :
       {"0.0.0.0",        "0.255.255.255",   "10.0.0.1",        "10.128.3.2",      "10.255.255.255",
        "100.64.0.1",     "100.127.255.255", "127.0.0.1",       "169.254.169.254", "169.254.1.1",
        "172.16.0.1",     "172.31.255.255",  "192.0.0.8",       "192.168.0.1",     "198.18.0.1",
        "198.19.255.255", "224.0.0.1",       "239.255.255.255", "240.0.0.1",       "255.255.255.255"}) {
    EXPECT_TRUE(denied(text)) << text;
  }
}

TEST(DeniedRanges, LeaveTheirNeighboursAlone) {
  for (const char* text : {"1.0.0.0", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
                           "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0",
                           "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"}) {
    EXPECT_FALSE(denied(text)) << text;
  }
}

TEST(DeniedRanges, AreInOrderAndDisjoint) {
  Ipv4 end = 0;
  for (const Range& range : deniedRanges()) {
    EXPECT_GE(range.begin, end);
    EXPECT_TRUE(range.end == 0 || range.end > range.begin);
    end = range.end;
  }
}

TEST(Mac, IsLocalUnicastAndOneAnAddress) {
  std::set<Mac> all;
  for (TenantIndex tenant = kFirstTenant; tenant <= kLastTenant; tenant += 997) {
    for (Ipv4 octet = 1; octet < 255; octet += 23) {
      const Mac mac = macOf(subnetOf(tenant) + octet);
      EXPECT_EQ(mac[0] & 0x03, 0x02);
      EXPECT_TRUE(all.insert(mac).second);
    }
  }
}

TEST(LinkNames, AreReadBackAndFitAnInterfaceName) {
  for (const TenantIndex tenant : {kFirstTenant, TenantIndex{77}, kLastTenant}) {
    EXPECT_EQ(tenantOfBridge(bridgeName(tenant)), tenant);
    EXPECT_LE(uploadName(tenant).size(), 15U);
    for (const Ipv4 octet : {2U, 99U, 254U}) {
      const Ipv4 address = subnetOf(tenant) + octet;
      EXPECT_EQ(addressOfHostLink(hostLinkName(address)), address);
      EXPECT_LE(hostLinkName(address).size(), 15U);
    }
  }
}

TEST(LinkNames, OfOthersAreNotTakenForOurs) {
  for (const char* name : {"", "cl", "cl0", "cl01", "cl-1", "cl30001", "cl1x", "cl1-up", "clat", "Cl1", "cl99999999999",
                           "eth0", "cv1-2"}) {
    EXPECT_EQ(tenantOfBridge(name), 0U) << name;
  }
  for (const char* name : {"", "cv", "cv1", "cv1-", "cv1-0", "cv1-1", "cv1-255", "cv1-256", "cv1-02", "cv01-2", "cv0-2",
                           "cv30001-2", "cv1-2x", "cv1--2", "cv-2", "cl1"}) {
    EXPECT_EQ(addressOfHostLink(name), 0U) << name;
  }
}

TEST(Keys, AreInTheWiresOrder) {
  EXPECT_EQ(wireOf(parseIpv4("1.2.3.4")), std::string("\1\2\3\4", 4));
  EXPECT_EQ(paddedName("cl1"), std::string("cl1") + std::string(13, '\0'));
}

}  // namespace
}  // namespace cloister::network
