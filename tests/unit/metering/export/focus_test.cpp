#include "metering/export/focus.h"

#include "metering/export/documents.h"
#include "metering/export/focus_check.h"
#include "tests/unit/metering/export/exported_month.h"

namespace cloister::metering {
namespace {

class FocusTest : public ExportedMonth {
 protected:
  std::string write(const Period& period) {
    const auto invoice = closed(period);
    const auto charges = billing_->chargesOf(invoice);
    EXPECT_TRUE(charges) << charges.error().message();
    std::string csv;
    const auto lineage = billing_->lineageOf(invoice);
    EXPECT_TRUE(lineage) << lineage.error().message();
    writeFocus(invoice, *charges, *lineage, {"Hoster, \"Inc\"", "local", {{"ap-1", "shop"}}},
               [&](std::string_view text) { csv += text; });
    return csv;
  }
  static std::string replaced(std::string text, const std::string& what, const std::string& with) {
    const auto at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), with);
  }
};

TEST_F(FocusTest, conformsAndAddsUpToTheInvoice) {
  for (const auto& period : {kJanuary, kFebruary}) {
    const auto report = checkFocus(write(period));
    EXPECT_TRUE(report.conforms()) << report.findings.front();
    EXPECT_GT(report.rows, 20U);
    ASSERT_EQ(report.billed.size(), 1U);
    EXPECT_EQ(report.billed.at(invoiceId(kTenant, period)), closed(period).total);
  }
}

TEST_F(FocusTest, theCheckerFindsWhatDoesNotConform) {
  const auto good = write(kFebruary);
  const std::vector<std::pair<std::string, std::string>> bad = {
      {replaced(good, "BillingCurrency", "Currency"), "BillingCurrency"},
      {replaced(good, "ChargeClass", "ChargeCategory"), "ChargeCategory"},
      {replaced(good, ",EUR,", ",eur,"), "BillingCurrency"},
      {replaced(good, ",EUR,", ",,"), "BillingCurrency"},
      {replaced(good, ",Usage,", ",Use,"), "ChargeCategory"},
      {replaced(good, ",Correction,", ",correction,"), "ChargeClass"},
      {replaced(good, ",Correction,", ",,"), "ChargePeriodStart"},
      {replaced(good, "2026-03-01T00:00:00Z", "2026-03-01"), "BillingPeriodEnd"},
      {replaced(good, "2026-03-01T00:00:00Z", "2026-01-01T00:00:00Z"), "BillingPeriodEnd"},
      {replaced(good, ",0.012345678,Standard", ",0.112345678,Standard"), "ListCost"},
      {replaced(good, ",Standard,", ",,"), "PricingCategory"},
      {replaced(good, "Core-Hours", ""), "PricingUnit"},
      {replaced(good, "Compute", "Hosting"), "ServiceCategory"},
      {replaced(good, ",125,134,", ",135,134,"), "x_LedgerFirstSeq"},
      {replaced(good, ",125,134,", ",,134,"), "x_LedgerFirstSeq"},
      {replaced(good, "x_ChainHead", "x_Head"), "x_ChainHead"},
      {good + "1,2,3\r\n", "fields"},
      {"", "empty"}};
  for (const auto& [csv, word] : bad) {
    const auto report = checkFocus(csv);
    ASSERT_FALSE(report.conforms()) << word;
    EXPECT_NE(report.findings.front().find(word), std::string::npos) << report.findings.front();
  }
}

TEST_F(FocusTest, documentsSayWhatTheInvoiceSays) {
  const auto invoice = closed(kFebruary);
  const auto csv = invoiceCsv(invoice, {{"ap-1", "shop"}});
  EXPECT_NE(csv.find("Total,,2026-02-01T00:00:00Z,2026-03-01T00:00:00Z,,," + moneyText(invoice.total) + ",EUR"),
            std::string::npos)
      << csv;
  const auto html = invoiceHtml(invoice, {{"ap-1", "<b>shop</b>"}}, "Hoster");
  EXPECT_EQ(html.find("<b>shop"), std::string::npos);
  EXPECT_NE(html.find("&lt;b&gt;shop"), std::string::npos);
  EXPECT_NE(html.find(moneyText(invoice.total)), std::string::npos);
}

}  // namespace
}  // namespace cloister::metering
