#include "api/body.h"

#include <gtest/gtest.h>

#include "api/problem.h"

namespace cloister::api {
namespace {

// The problem that `read` runs into, as "status code field"; empty when it does not.
template <typename F>
std::string problemOf(F read) {
  try {
    read();
    return {};
  } catch (const Problem& problem) {
    return std::to_string(problem.status) + " " + problem.code + " " + problem.field;
  }
}

TEST(Body, ReadsWhatIsAskedFor) {
  Body body(R"({"name": "x", "version": 3, "limits": {"pids": 7}})");
  EXPECT_EQ(body.text("name"), "x");
  EXPECT_EQ(body.optionalInteger("version"), 3);
  EXPECT_EQ(body.optionalText("absent"), std::nullopt);
  Body limits = body.object("limits");
  EXPECT_EQ(limits.optionalInteger("pids"), 7);
  limits.finish();
  body.finish();
}

TEST(Body, NamesTheFieldAtFault) {
  EXPECT_EQ(problemOf([] { (void)Body("{}").text("name"); }), "400 missing_field name");
  EXPECT_EQ(problemOf([] { (void)Body(R"({"name": null})").text("name"); }), "400 invalid_field name");
  EXPECT_EQ(problemOf([] { (void)Body(R"({"v": true})").optionalInteger("v"); }), "400 invalid_field v");
  EXPECT_EQ(problemOf([] { (void)Body(R"({"v": "3"})").optionalInteger("v"); }), "400 invalid_field v");
  EXPECT_EQ(problemOf([] { (void)Body(R"({"v": 2.5})").optionalInteger("v"); }), "400 invalid_field v");
  EXPECT_EQ(problemOf([] { (void)Body(R"({"v": -1})").optionalInteger("v"); }), "400 invalid_field v");
  EXPECT_EQ(problemOf([] { (void)Body(R"({"l": {"x": "y"}})").object("l").optionalInteger("x"); }),
            "400 invalid_field l.x");
  EXPECT_EQ(problemOf([] { Body(R"({"l": {"x": 1}})").object("l").finish(); }), "400 unknown_field l.x");
  EXPECT_EQ(problemOf([] { Body(R"({"a": 1})").finish(); }), "400 unknown_field a");
  EXPECT_EQ(problemOf([] { (void)Body(R"({"A": 1})").texts(); }), "400 invalid_field A");
  EXPECT_EQ(problemOf([] { (void)Body(R"({"web": null})").integers(); }), "400 invalid_field web");
  EXPECT_EQ(problemOf([] { (void)Body("[1]"); }), "400 malformed_json ");
  EXPECT_EQ(problemOf([] { (void)Body("{"); }), "400 malformed_json ");
}

TEST(Body, AnEmptyTextIsAnEmptyObject) {
  EXPECT_EQ(problemOf([] { Body("").finish(); }), "");
}

TEST(Body, NullUnsets) {
  const auto texts = Body(R"({"A": "1", "B": null})").texts();
  EXPECT_EQ(texts.at("A"), "1");
  EXPECT_EQ(texts.at("B"), std::nullopt);
}

}  // namespace
}  // namespace cloister::api
