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

TEST(FocusVersionOption, IsAskedForOfTheServer) {
  const TestServer server(
      [](const Asked&, std::size_t, ServerRequest&, Answer& answer) { TestServer::reply(answer, 200, "a,b\n"); });
  for (const auto& verb : {std::vector<std::string>{"invoice", "show", "inv-1"},
                           {"invoice", "preview", "--period", "2026-11"},
                           {"usage", "export", "--period", "2026-11"}}) {
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.begin(), verb.begin(), verb.end());
      return cloister(more, server.url());
    };
    const auto before = server.asked().size();
    EXPECT_EQ(with({"-f", "focus", "--focus-version", "1.3"}).out, "a,b\n");
    EXPECT_EQ(with({"-f", "focus", "--focus-version", "1.2"}).out, "a,b\n");
    EXPECT_EQ(with({"-f", "focus"}).out, "a,b\n");
    const auto asked = server.asked();
    ASSERT_EQ(asked.size(), before + 3);
    EXPECT_TRUE(asked[before].uri.ends_with("?focus_version=1.3&format=focus")) << asked[before].uri;
    EXPECT_TRUE(asked[before + 1].uri.ends_with("?focus_version=1.2&format=focus")) << asked[before + 1].uri;
    EXPECT_TRUE(asked[before + 2].uri.ends_with("?format=focus")) << "the server knows the default";
    const auto unknown = with({"-f", "focus", "--focus-version", "1.4"});
    EXPECT_EQ(unknown.code, 2);
    EXPECT_NE(unknown.err.find("--focus-version"), std::string::npos) << unknown.err;
    for (const auto& elsewhere : {with({"--focus-version", "1.3"}), with({"-f", "events", "--focus-version", "1.3"})}) {
      EXPECT_EQ(elsewhere.code, 2);
      EXPECT_NE(elsewhere.err.find("--focus-version: goes with -f focus alone"), std::string::npos) << elsewhere.err;
    }
    EXPECT_EQ(server.asked().size(), before + 3);
  }
}

TEST(FocusVersionOption, IsWhatAFileIsCheckedAgainst) {
  const test::TemporaryDirectory directory;
  const std::string file = directory.path() / "focus.csv";
  // Mandatory columns alone, of a tax.
  const std::string columns =
      "BilledCost,BillingAccountId,BillingAccountName,BillingCurrency,BillingPeriodEnd,BillingPeriodStart,"
      "ChargeCategory,ChargeClass,ChargeDescription,ChargePeriodEnd,ChargePeriodStart,ContractedCost,EffectiveCost,"
      "InvoiceIssuerName,ListCost,PricingQuantity,PricingUnit,ProviderName,PublisherName,ServiceCategory,ServiceName";
  const std::string row =
      "1,tn-1,acme,EUR,2026-12-01T00:00:00Z,2026-11-01T00:00:00Z,Tax,,VAT,2026-12-01T00:00:00Z,2026-11-01T00:00:00Z,"
      "1,1,Hoster,1,,,Hoster,Hoster,Other,Account";
  const auto check = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"usage", "check-focus", file});
    return cloister(more);
  };
  std::ofstream(file) << columns << "\r\n" << row << "\r\n";
  EXPECT_NE(check({}).out.find("conforms to FOCUS 1.2: 1 rows"), std::string::npos) << check({}).err;
  EXPECT_EQ(check({"--focus-version", "1.2"}).out, check({}).out);
  const auto old = check({"--focus-version", "1.3"});
  EXPECT_EQ(old.code, 1);
  EXPECT_NE(old.err.find("ServiceProviderName: is missing"), std::string::npos) << old.err;

  std::ofstream(file) << columns << ",ServiceProviderName,HostProviderName\r\n" << row << ",Hoster,Hoster\r\n";
  EXPECT_EQ(check({}).code, 1);
  EXPECT_NE(check({"--focus-version", "1.3"}).out.find("conforms to FOCUS 1.3: 1 rows"), std::string::npos);
  EXPECT_EQ(check({"--focus-version", "1.4"}).code, 2);
}

TEST(PriceCommand, ShowsAListAndChecksAFile) {
  const test::TemporaryDirectory directory;
  const auto file = directory.path() / "prices.toml";
  std::ofstream(file) << "name = \"2027\"\n";
  const TestServer server([](const Asked& asked, std::size_t, ServerRequest&, Answer& answer) {
    std::string list =
        R"({"name":"2027","currency":"EUR","from":"2027-01-01T00:00:00Z","items":[{"sku":"cpu","meter":"cpu",)"
        R"("unit":"core-hour","included":1,"tiers":[{"up_to":3,"price":"0.5"},{"price":"0.25"}]}],)"
        R"("plans":[{"plan":"small","fee":"9"}],"taxes":[{"name":"VAT","percent":"19"}])";
    if (asked.uri.ends_with("/check")) list += R"(,"warnings":["a and b count alike"])";
    TestServer::reply(answer, 200, list + "}");
  });
  const auto shown = cloister({"price", "show", "2027"}, server.url());
  EXPECT_EQ(shown.code, 0) << shown.err;
  for (const char* part : {"2027", "EUR", "core-hour", "1 free, then 0.5 up to 3, then 0.25", "small", "VAT"})
    EXPECT_NE(shown.out.find(part), std::string::npos) << part << " is not in\n" << shown.out;
  const auto checked = cloister({"price", "check", file.string()}, server.url());
  EXPECT_EQ(checked.out, shown.out);
  EXPECT_EQ(checked.err, "Warning: a and b count alike\n");
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
