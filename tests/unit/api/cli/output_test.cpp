#include "api/cli/output.h"

#include <Poco/JSON/Parser.h>
#include <gtest/gtest.h>

#include <sstream>

namespace cloister::cli {
namespace {

Poco::JSON::Object::Ptr object(const std::string& text) {
  return Poco::JSON::Parser().parse(text).extract<Poco::JSON::Object::Ptr>();
}

TEST(Table, AlignsNumbersRightAndEndsWithoutSpaces) {
  Table table({{"NAME", "name"}, {"MEMORY", "limits.memory", Unit::bytes}, {"NOTE", "note"}});
  table.add(*object(R"({"name":"small","limits":{"memory":268435456},"note":""})"));
  table.add(*object(R"({"name":"x","limits":{"memory":1610612736},"note":"caf\u00e9"})"));
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(),
            "NAME    MEMORY  NOTE\n"
            "small  256 MiB  -\n"
            "x      1.5 GiB  caf\xC3\xA9\n");
}

TEST(Table, ShowsAbsentMembersAsADash) {
  Table table({{"A", "a.b.c"}, {"B", "b", Unit::integer}, {"C", "c", Unit::time}});
  table.add(*object(R"({"b":null,"a":{}})"));
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(), "A  B  C\n-  -  -\n");
}

TEST(Table, NeverPassesATenantsControlBytesOn) {
  EXPECT_EQ(cell(*object(R"({"reason":"a\u001b[2Jb\nc"})"), "reason", Unit::text), "a?[2Jb?c");
  EXPECT_EQ(printable("\x1b[31mred\x1b[0m \x1b]0;title\x07", Colour::keep), "\x1b[31mred\x1b[0m ?]0;title?");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "?31m");
  EXPECT_EQ(printable("tab\tcaf\xC3\xA9\x7F"), "tab\tcaf\xC3\xA9?");
  EXPECT_EQ(printable("caf\xE9 \xF0\x9F\x98"), "caf\uFFFD \uFFFD\uFFFD\uFFFD");
}

TEST(BuildOutput, IsShownAsATerminalWouldShowIt) {
  EXPECT_EQ(lastDrawn("Hit:1 bookworm\r"), "Hit:1 bookworm");
  EXPECT_EQ(lastDrawn("10%\r50%\r100%\r\r"), "100%");
  EXPECT_EQ(lastDrawn("plain"), "plain");
  EXPECT_EQ(lastDrawn("\r"), "");
}

TEST(Units, AreThosePeopleUse) {
  EXPECT_EQ(humanBytes(0), "0 B");
  EXPECT_EQ(humanBytes(1023), "1023 B");
  EXPECT_EQ(humanBytes(1024), "1 KiB");
  EXPECT_EQ(humanRate(100e6), "100 Mbit/s");
  EXPECT_EQ(humanCpu(500), "0.5 core");
  EXPECT_EQ(humanCpu(2000), "2 cores");
  EXPECT_EQ(humanDuration(1.5), "1.5s");
  EXPECT_EQ(humanDuration(90), "1m 30s");
  EXPECT_EQ(humanDuration(7500), "2h 5m");
  EXPECT_EQ(humanDuration(90000), "1d 1h");
  EXPECT_EQ(humanTime("2026-01-31T12:00:00.123456Z"), "2026-01-31 12:00:00");
  EXPECT_EQ(humanQuantity(90e9, "ns"), "1m 30s");
  EXPECT_EQ(humanQuantity(2048, "bytes"), "2 KiB");
  EXPECT_EQ(humanQuantity(7, "count"), "7");
}

TEST(Units, ParseWhatPeopleWriteAndNothingElse) {
  EXPECT_EQ(parseBytes("512M"), 512ULL << 20U);
  EXPECT_EQ(parseBytes("1.5GiB"), 3ULL << 29U);
  EXPECT_EQ(parseBytes("2GB"), 2ULL << 30U);
  EXPECT_EQ(parseBytes("4096"), 4096U);
  EXPECT_EQ(parseBytes("1 k"), 1024U);
  EXPECT_EQ(parseCpu("500m"), 500U);
  EXPECT_EQ(parseCpu("0.5"), 500U);
  EXPECT_EQ(parseCpu("2"), 2000U);
  EXPECT_EQ(parseRate("100M"), 100'000'000U);
  EXPECT_EQ(parseRate("1.5Gbit/s"), 1'500'000'000U);
  EXPECT_EQ(parseDuration("15m"), 900U);
  EXPECT_EQ(parseDuration("2h"), 7200U);
  for (const char* bad :
       {"", "M", "-1", "1.2.3", "1.", ".5", "1e9", "10X", "10MM", "99999999999999999999999", "1P1", "nan"}) {
    EXPECT_FALSE(parseBytes(bad)) << bad;
    EXPECT_FALSE(parseCpu(bad)) << bad;
    EXPECT_FALSE(parseRate(bad)) << bad;
    EXPECT_FALSE(parseDuration(bad)) << bad;
  }
  EXPECT_FALSE(parseBytes("99999999999P"));
}

TEST(Fields, AlignTheirNames) {
  std::ostringstream out;
  printFields(out, {{"APP", "name"}, {"PROCESSES", "formation", Unit::list}},
              *object(R"({"name":"shop","formation":{"web":2,"worker":1}})"));
  EXPECT_EQ(out.str(), "APP:       shop\nPROCESSES: web=2 worker=1\n");
}

}  // namespace
}  // namespace cloister::cli
