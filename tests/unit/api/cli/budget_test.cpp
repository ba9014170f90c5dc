#include <gtest/gtest.h>

#include "tests/unit/api/cli/cli_run.h"
#include "tests/unit/api/cli/test_server.h"

namespace cloister::cli {
namespace {

using test::Asked;
using test::cloister;
using test::TestServer;

TEST(Budget, ShowListsBothSidesAndWhyNothingIsKnown) {
  const TestServer server([](const Asked&, std::size_t, TestServer::Request&, TestServer::Answer& answer) {
    TestServer::reply(answer, 200, R"({"items":[
      {"set_by":"provider","amount":"50","cap":"hard","spent":"1.5","currency":"EUR"},
      {"set_by":"tenant","amount":"9","cap":"soft","failure":{"code":"price_missing","detail":"no price list"}}]})");
  });
  const auto shown = cloister({"budget", "show", "--tenant", "acme"}, server.url());
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(server.asked().at(0).uri, "/v1/budget?tenant=acme");
  EXPECT_EQ(shown.out,
            "SET BY    AMOUNT  CAP   SPENT  CURRENCY  PROBLEM\n"
            "provider      50  hard    1.5  EUR       -\n"
            "tenant         9  soft      -  -         no price list\n");
}

}  // namespace
}  // namespace cloister::cli
