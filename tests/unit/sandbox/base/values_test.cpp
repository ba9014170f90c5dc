// result.h, unique_fd.h, identity.h.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include <gtest/gtest.h>

#include "sandbox/base/identity.h"
#include "sandbox/base/result.h"
#include "sandbox/base/unique_fd.h"

namespace cloister {
namespace {

bool isOpen(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}
int openNull() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

TEST(UniqueFd, closesWhatItHeldWhenAnotherIsMovedOverIt) {
  UniqueFd first(openNull());
  UniqueFd second(openNull());
  const int old = first.get();
  const int kept = second.get();
  first = std::move(second);
  EXPECT_FALSE(isOpen(old));
  EXPECT_TRUE(isOpen(kept));
  EXPECT_EQ(first.get(), kept);
}

TEST(UniqueFd, survivesAMoveToItself) {
  UniqueFd fd(openNull());
  UniqueFd& same = fd;
  const int number = fd.get();
  fd = std::move(same);
  EXPECT_EQ(fd.get(), number);
  EXPECT_TRUE(isOpen(number));
}

TEST(UniqueFd, closesAtTheEndAndNotAfterRelease) {
  int closed = -1;
  int released = -1;
  {
    const UniqueFd one(openNull());
    UniqueFd two(openNull());
    closed = one.get();
    released = two.release();
    EXPECT_FALSE(two.valid());
  }
  EXPECT_FALSE(isOpen(closed));
  EXPECT_TRUE(isOpen(released));
  ::close(released);
}

TEST(UniqueFd, resetClosesAndTakesOver) {
  UniqueFd fd(openNull());
  const int old = fd.get();
  fd.reset(openNull());
  EXPECT_TRUE(isOpen(fd.get()));
  fd.reset();
  EXPECT_FALSE(fd);
  EXPECT_FALSE(isOpen(old));
}

TEST(Result, carriesAValueOrAnError) {
  const Result<int> good = 3;
  const Result<int> bad = Error{"stage", "operation", "/path", ENOENT};
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, 3);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().code, ENOENT);
  EXPECT_EQ(bad.error().message(), "stage: operation /path: No such file or directory");
  const Error plain{"stage", "operation", "", 0};
  EXPECT_EQ(plain.message(), "stage: operation");
}

TEST(Result, holdsWhatCanOnlyBeMoved) {
  Result<UniqueFd> fd = UniqueFd(openNull());
  const UniqueFd taken = std::move(fd).value();
  EXPECT_TRUE(isOpen(taken.get()));
}

TEST(Result, errnoErrorTakesTheErrnoOfTheMoment) {
  errno = EXDEV;
  const Error error = errnoError("s", "o", "p");
  EXPECT_EQ(error.code, EXDEV);
  EXPECT_TRUE(Status().ok());
  EXPECT_FALSE(Status(error).ok());
}

TEST(ResultDeathTest, readingTheWrongSideAborts) {
  Result<int> bad = Error{};
  const Result<int> good = 1;
  EXPECT_DEATH((void)bad.value(), "");
  EXPECT_DEATH((void)good.error(), "");
  EXPECT_DEATH((void)Status().error(), "");
}

TEST(Identity, tenantsShareNeitherUidsNorAddressesNorLinkNames) {
  std::set<std::string> names;
  for (const TenantIndex tenant : {kFirstTenant, 2U, 255U, 256U, 29'999U, kLastTenant}) {
    ASSERT_TRUE(validTenant(tenant));
    EXPECT_EQ(firstUid(tenant) % kUidsPerTenant, 0U);
    EXPECT_EQ(firstUid(tenant) + kUidsPerTenant, firstUid(tenant + 1));
    EXPECT_EQ(subnetOf(tenant) >> 23U, subnetOf(0) >> 23U) << "left 10.128.0.0/9";
    EXPECT_TRUE(ownsAddress(tenant, subnetOf(tenant) + 2));
    EXPECT_TRUE(ownsAddress(tenant, subnetOf(tenant) + 254));
    for (const Ipv4 foreign : {subnetOf(tenant), gatewayOf(tenant), subnetOf(tenant) + 255, subnetOf(tenant + 1) + 2,
                               subnetOf(tenant) - 2, Ipv4{0}}) {
      EXPECT_FALSE(ownsAddress(tenant, foreign)) << formatIpv4(foreign);
    }
    EXPECT_TRUE(names.insert(bridgeName(tenant)).second);
    EXPECT_TRUE(names.insert(hostLinkName(subnetOf(tenant) + 254)).second);
    EXPECT_LT(hostLinkName(subnetOf(tenant) + 254).size(), 16U) << "IFNAMSIZ";
  }
  EXPECT_EQ(firstUid(kLastTenant) + kUidsPerTenant, (1U << 19U) + 30'001U * 65'536U) << "must stay below 2^31";
  EXPECT_FALSE(validTenant(0));
  EXPECT_FALSE(validTenant(kLastTenant + 1));
}

TEST(Identity, addressesParseAsDottedQuadsOnly) {
  EXPECT_EQ(formatIpv4(parseIpv4("10.128.1.2")), "10.128.1.2");
  for (const auto* text : {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-4", "1.2.3.4 ", " 1.2.3.4", "1..3.4",
                           "1.2.3.", "a.b.c.d", "1.2.3.4x", "+1.2.3.4", "0x1.2.3.4", "99999999999.1.1.1"}) {
    EXPECT_EQ(parseIpv4(text), 0U) << text;
  }
}

TEST(Identity, labelsAreDnsLabels) {
  for (const auto& text : {std::string("a"), std::string("a-b"), std::string("0"), std::string(63, 'x')}) {
    EXPECT_TRUE(validLabel(text)) << text;
  }
  for (const auto& text : {std::string(), std::string("-a"), std::string("a-"), std::string("A"), std::string("a.b"),
                           std::string("a_b"), std::string("a/b"), std::string(".."), std::string("a\0", 2),
                           std::string("\xc3\xa4"), std::string(64, 'x'), std::string("a b")}) {
    EXPECT_FALSE(validLabel(text)) << text;
  }
}

TEST(Identity, instanceIdsAreSafeAsFileNames) {
  EXPECT_TRUE(validInstanceId("i-1"));
  EXPECT_TRUE(validInstanceId(std::string(40, '9')));
  for (const auto& text :
       {std::string(), std::string("-"), std::string("."), std::string(".."), std::string("a/b"), std::string("a\n"),
        std::string("a\0b", 3), std::string(41, 'a'), std::string("cgroup.procs"), std::string("A")}) {
    EXPECT_FALSE(validInstanceId(text)) << text;
  }
}

TEST(Identity, digestsAreSixtyFourLowerCaseHexDigits) {
  EXPECT_TRUE(validDigest(std::string(64, 'a')));
  for (const auto& text : {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'), std::string(64, 'g'),
                           std::string(63, 'a') + "/", std::string()}) {
    EXPECT_FALSE(validDigest(text)) << text;
  }
}

}  // namespace
}  // namespace cloister
