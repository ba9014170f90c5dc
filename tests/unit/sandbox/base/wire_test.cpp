#include "sandbox/base/wire.h"

#include <gtest/gtest.h>

namespace cloister::wire {
namespace {

enum class Colour : std::uint8_t { red, green, blue };

std::string sample() {
  Writer writer;
  writer.put(std::uint8_t{7});
  writer.put(std::uint16_t{0x1234});
  writer.put(std::uint32_t{0xdeadbeef});
  writer.put(std::uint64_t{0x0102030405060708});
  writer.put(Colour::blue);
  writer.put(std::string_view("text"));
  writer.put(std::vector<std::string>{"a", "", std::string("\0b", 2)});
  return writer.bytes();
}

bool readSample(Reader& reader) {
  const auto number = reader.get<std::uint8_t>();
  (void)reader.get<std::uint16_t>();
  (void)reader.get<std::uint32_t>();
  const auto large = reader.get<std::uint64_t>();
  const auto colour = reader.getEnum(Colour::blue);
  const auto text = reader.getString();
  const auto list = reader.getStrings(3);
  return reader.finish() && number == 7 && large == 0x0102030405060708 && colour == Colour::blue && text == "text" &&
         list == std::vector<std::string>{"a", "", std::string("\0b", 2)};
}

TEST(Wire, integersAreLittleEndian) {
  Writer writer;
  writer.put(std::uint32_t{0x01020304});
  EXPECT_EQ(writer.bytes(), "\x04\x03\x02\x01");
}

TEST(Wire, whatIsWrittenIsReadBack) {
  const std::string bytes = sample();
  Reader reader(bytes);
  EXPECT_TRUE(readSample(reader));
}

TEST(Wire, aMessageCutAnywhereFails) {
  const std::string bytes = sample();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Reader reader(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(readSample(reader)) << size;
    EXPECT_TRUE(reader.failed()) << size;
  }
}

TEST(Wire, aByteTooManyFails) {
  const std::string bytes = sample() + '\0';
  Reader reader(bytes);
  EXPECT_FALSE(readSample(reader));
}

TEST(Wire, afterAFailureEverythingIsEmpty) {
  Reader reader("\xff\xff\xff\xff rest");
  EXPECT_EQ(reader.getString(), "");
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.get<std::uint8_t>(), 0);
  EXPECT_TRUE(reader.getStrings(10).empty());
  EXPECT_FALSE(reader.finish());
}

TEST(Wire, lengthsBeyondTheMessageOrTheLimitFail) {
  Writer writer;
  writer.put(std::string_view("12345678"));
  Reader limited(writer.bytes());
  EXPECT_EQ(limited.getString(7), "");
  EXPECT_TRUE(limited.failed());
  Reader exact(writer.bytes());
  EXPECT_EQ(exact.getString(8), "12345678");
  EXPECT_TRUE(exact.finish());
}

TEST(Wire, listsLongerThanTheirLimitFailBeforeTheyAreRead) {
  Writer writer;
  writer.put(std::uint16_t{0xffff});
  Reader reader(writer.bytes());
  EXPECT_TRUE(reader.getStrings(100).empty());
  EXPECT_TRUE(reader.failed());
}

TEST(Wire, unknownEnumeratorsFail) {
  Reader reader("\x03");
  (void)reader.getEnum(Colour::blue);
  EXPECT_TRUE(reader.failed());
}

TEST(Wire, aDecoderCanRejectAValue) {
  Reader reader("\x01\x02");
  EXPECT_FALSE(reader.reject<bool>());
  EXPECT_TRUE(reader.failed());
  EXPECT_FALSE(reader.finish());
}

}  // namespace
}  // namespace cloister::wire
