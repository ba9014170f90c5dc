#include "sandbox/network/message.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>

#include <cstring>

namespace cloister::network {
namespace {

std::string raw(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

TEST(Encoder, PadsValuesAndCountsThemUnpadded) {
  Encoder encoder;
  encoder.put(3, "abcde");
  encoder.be32(4, 0x01020304);
  EXPECT_EQ(encoder.bytes(), raw({9, 0, 3, 0, 'a', 'b', 'c', 'd', 'e', 0, 0, 0, 8, 0, 4, 0, 1, 2, 3, 4}));
}

TEST(Encoder, NestsHoldWhatIsPutBetweenOpenAndClose) {
  Encoder encoder;
  const auto outer = encoder.nest(1);
  const auto inner = encoder.nest(2);
  encoder.u8(5, 7);
  encoder.close(inner);
  encoder.close(outer);
  encoder.text(6, "x");
  EXPECT_EQ(encoder.bytes(), raw({16, 0, 1, 0x80, 12, 0, 2, 0x80, 5, 0, 5, 0, 7, 0, 0, 0, 6, 0, 6, 0, 'x', 0, 0, 0}));
}

TEST(Batch, NumbersMessagesAndClosesTheirLengths) {
  Batch batch;
  batch.begin(16, NLM_F_ACK, "first");
  batch.u32(1, 9);
  batch.begin(17, 0, "second");
  batch.end();
  nlmsghdr first{};
  nlmsghdr second{};
  std::memcpy(&first, batch.bytes().data(), sizeof first);
  ASSERT_EQ(first.nlmsg_len, 24U);
  std::memcpy(&second, batch.bytes().data() + first.nlmsg_len, sizeof second);
  EXPECT_EQ(first.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
  EXPECT_EQ(first.nlmsg_seq, 1U);
  EXPECT_EQ(second.nlmsg_seq, 2U);
  EXPECT_EQ(second.nlmsg_len, 16U);
  EXPECT_EQ(batch.lastAcknowledged(), 1U);
  EXPECT_STREQ(batch.label(2), "second");
  EXPECT_STREQ(batch.label(3), "netlink");
  EXPECT_STREQ(batch.label(0), "netlink");
}

TEST(Attributes, ReadsBackWhatTheEncoderWrote) {
  Encoder encoder;
  encoder.text(1, "eth0");
  const auto nest = encoder.nest(2);
  encoder.be64(3, 0x1122334455667788U);
  encoder.close(nest);
  const Attributes attributes(encoder.bytes());
  EXPECT_EQ(readText(attributes.find(1)), "eth0");
  std::uint64_t number = 0;
  ASSERT_TRUE(readBe64(Attributes(attributes.find(2)).find(3), number));
  EXPECT_EQ(number, 0x1122334455667788U);
  EXPECT_TRUE(attributes.find(9).empty());
}

TEST(Attributes, EndsAtWhatDoesNotFit) {
  const std::string cases[] = {
      "",
      raw({4}),
      raw({4, 0, 1}),
      raw({0, 0, 1, 0, 1, 2, 3, 4}),     // shorter than its header
      raw({3, 0, 1, 0}),                 //
      raw({9, 0, 1, 0, 1, 2, 3, 4}),     // longer than the message
      raw({255, 255, 1, 0, 1, 2, 3, 4})  //
  };
  for (const std::string& bytes : cases) {
    Attributes attributes(bytes);
    std::uint16_t type = 0;
    std::string_view value;
    EXPECT_FALSE(attributes.next(type, value)) << bytes.size();
    EXPECT_TRUE(attributes.find(1).empty());
  }
}

TEST(Attributes, AnUnpaddedLastOneIsRead) {
  const std::string bytes = raw({5, 0, 1, 0, 42});
  EXPECT_EQ(Attributes(bytes).find(1), std::string(1, 42));
}

TEST(Numbers, TooShortIsRefused) {
  std::uint32_t small = 5;
  std::uint64_t big = 5;
  EXPECT_FALSE(readU32("abc", small));
  EXPECT_FALSE(readBe32("", small));
  EXPECT_FALSE(readBe64("1234567", big));
  EXPECT_EQ(small, 5U);
}

}  // namespace
}  // namespace cloister::network
