#include "metering/readings/pressure.h"

#include <gtest/gtest.h>

namespace cloister::metering {
namespace {

TEST(Pressure, ReadsTheKernelsTotals) {
  EXPECT_EQ(parsePressure("memory",
                          "some avg10=0.00 avg60=1.25 avg300=0.40 total=123456\n"
                          "full avg10=0.00 avg60=0.00 avg300=0.00 total=42\n"),
            (std::vector<Stall>{{"memory", "some", 123456}, {"memory", "full", 42}}));
}

TEST(Pressure, OtherShapesAreNothing) {
  for (const char* text : {"", "\n", "some", "some avg10=0.00", "some avg10=0.00 total=", "some total=1x\n",
                           "some total=-1\n", "most avg10=0.00 total=1\n", "some total=99999999999999999999\n"}) {
    EXPECT_TRUE(parsePressure("cpu", text).empty()) << text;
  }
}

TEST(Pressure, ADirectoryWithoutTheFilesHasNone) {
  EXPECT_TRUE(readPressure(-1).empty());
}

}  // namespace
}  // namespace cloister::metering
