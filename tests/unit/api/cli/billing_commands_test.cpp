// invoice, price, credit and usage as a user calls them.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/unit/api/cli/cli_run.h"
#include "tests/unit/api/cli/temporary_directory.h"
#include "tests/unit/api/cli/test_server.h"

namespace cloister::cli {
namespace {

using test::Asked;
using test::cloister;
using test::TestServer;
using ServerRequest = TestServer::Request;
using Answer = TestServer::Answer;

std::string contentsOf(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(InvoiceCommand, AnOutputFileTakesWhateverIsShown) {
  const test::TemporaryDirectory directory;
  const TestServer server([](const Asked& asked, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(
        answer, 200,
        asked.uri.ends_with("format=csv")
            ? "a,b\n"
            : R"({"id":"inv-1","lines":[{"description":"CPU","cost":"5"}],"total":"5","currency":"EUR"})");
  });
  const auto file = directory.path() / "invoice";
  const auto show = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments{"invoice", "show", "inv-1", "-O", file.string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto outcome = cloister(arguments, server.url());
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "") << "it is in the file";
    return contentsOf(file);
  };
  const auto table = cloister({"invoice", "show", "inv-1"}, server.url()).out;
  EXPECT_NE(table.find("TOTAL 5 EUR"), std::string::npos) << table;
  EXPECT_EQ(show({}), table);
  EXPECT_EQ(show({"-f", "json"}).front(), '{');
  EXPECT_EQ(show({"-f", "csv"}), "a,b\n");
  const auto nowhere = cloister({"invoice", "show", "inv-1", "-O", "/absent/file"}, server.url());
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_EQ(nowhere.err, "cloister: /absent/file: cannot be written\n");
}

TEST(PriceCommand, ShowsAListAndChecksAFile) {
  const test::TemporaryDirectory directory;
  const auto file = directory.path() / "prices.toml";
  std::ofstream(file) << "name = \"2027\"\n";
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(
        answer, 200,
        R"({"name":"2027","currency":"EUR","from":"2027-01-01T00:00:00Z","items":[{"sku":"cpu","meter":"cpu",)"
        R"("unit":"core-hour","included":1,"tiers":[{"up_to":3,"price":"0.5"},{"price":"0.25"}]}],)"
        R"("plans":[{"plan":"small","fee":"9"}],"taxes":[{"name":"VAT","percent":"19"}]})");
  });
  const auto shown = cloister({"price", "show", "2027"}, server.url());
  EXPECT_EQ(shown.code, 0) << shown.err;
  for (const char* part : {"2027", "EUR", "core-hour", "1 free, then 0.5 up to 3, then 0.25", "small", "VAT"})
    EXPECT_NE(shown.out.find(part), std::string::npos) << part << " is not in\n" << shown.out;
  EXPECT_EQ(cloister({"price", "check", file.string()}, server.url()).out, shown.out);
  EXPECT_EQ(server.asked().at(0).uri, "/v1/prices/2027");
  EXPECT_EQ(server.asked().at(1).method + ' ' + server.asked().at(1).uri, "POST /v1/prices/check");
  EXPECT_NE(server.asked().at(1).body.find("2027"), std::string::npos);
}

TEST(CreditCommand, RevokesById) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    answer.setStatusAndReason(Poco::Net::HTTPResponse::HTTP_NO_CONTENT);
    answer.send();
  });
  const auto outcome = cloister({"credit", "revoke", "cr-1"}, server.url());
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "revoked: cr-1\n");
  EXPECT_EQ(server.asked().at(0).method, "DELETE");
  EXPECT_EQ(server.asked().at(0).uri, "/v1/credits/cr-1");
}

TEST(UsageCommand, ByInstanceHasAColumnOfThem) {
  const TestServer server([](const Asked&, std::size_t, ServerRequest&, Answer& answer) {
    TestServer::reply(
        answer, 200,
        R"({"items":[{"app":"shop","instance":"in-1","meter":"cpu","unit":"ns","quantity":"9000000000"}]})");
  });
  const auto shown = cloister({"usage", "--by", "instance", "--instance", "in-1"}, server.url());
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_NE(shown.out.find("INSTANCE"), std::string::npos) << shown.out;
  EXPECT_NE(shown.out.find("in-1"), std::string::npos) << shown.out;
  EXPECT_EQ(server.asked().at(0).uri, "/v1/usage?instance=in-1&by=instance");
  EXPECT_EQ(cloister({"usage"}, server.url()).out.find("in-1"), std::string::npos);
  EXPECT_EQ(cloister({"usage", "--by", "moon"}).code, 2);
}

}  // namespace
}  // namespace cloister::cli
