#include "metering/export/focus.h"

#include <algorithm>
#include <utility>

#include "metering/export/documents.h"
#include "metering/export/focus_check.h"
#include "tests/unit/metering/export/exported_month.h"

namespace cloister::metering {
namespace {

class FocusTest : public ExportedMonth {
 protected:
  std::string write(const Period& period, FocusVersion version = FocusVersion::v12) {
    const auto invoice = closed(period);
    const auto charges = billing_->chargesOf(invoice);
    EXPECT_TRUE(charges) << charges.error().message();
    std::string csv;
    const auto lineage = billing_->lineageOf(invoice);
    EXPECT_TRUE(lineage) << lineage.error().message();
    writeFocus(invoice, *charges, *lineage, {"Hoster, \"Inc\"", "local", {{"ap-1", "shop"}}, version},
               [&](std::string_view text) { csv += text; });
    return csv;
  }
  static std::string replaced(std::string text, const std::string& what, const std::string& with) {
    const auto at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return text.replace(at, what.size(), with);
  }
  // RFC 4180, of a file that is well formed.
  static std::vector<std::vector<std::string>> records(const std::string& csv) {
    std::vector<std::vector<std::string>> all(1, std::vector<std::string>(1));
    bool quoted = false;
    for (std::size_t at = 0; at < csv.size(); ++at) {
      auto& field = all.back().back();
      if (csv[at] == '"' && quoted && csv[at + 1] == '"') {
        field += csv[++at];
      } else if (csv[at] == '"') {
        quoted = !quoted;
      } else if (quoted || (csv[at] != ',' && csv[at] != '\r' && csv[at] != '\n')) {
        field += csv[at];
      } else if (csv[at] == ',') {
        all.back().emplace_back();
      } else if (csv[at] == '\n') {
        all.emplace_back(1);
      }
    }
    all.pop_back();
    return all;
  }
  static std::size_t indexOf(const std::vector<std::string>& header, const std::string& column) {
    const auto found = std::find(header.begin(), header.end(), column);
    EXPECT_NE(found, header.end()) << column;
    return static_cast<std::size_t>(found - header.begin());
  }
  // The file with another value in the first row of a category that is no correction.
  static std::string changed(const std::string& csv, const std::string& category, const std::string& column,
                             const std::string& with) {
    auto rows = records(csv);
    const auto at = indexOf(rows[0], column);
    const auto row = std::find_if(rows.begin() + 1, rows.end(), [&, header = rows[0]](const auto& one) {
      return one[indexOf(header, "ChargeCategory")] == category && one[indexOf(header, "ChargeClass")].empty();
    });
    EXPECT_NE(row, rows.end()) << category;
    if (row != rows.end()) (*row)[at] = with;
    std::string out;
    for (const auto& one : rows) {
      for (std::size_t i = 0; i < one.size(); ++i) out += (i == 0 ? "" : ",") + csvField(one[i]);
      out += "\r\n";
    }
    return out;
  }
  static void expectOnly(const FocusReport& report, const std::string& column, const std::string& what) {
    ASSERT_EQ(report.findings.size(), 1U)
        << column << ' ' << what << ' ' << (report.findings.empty() ? "" : report.findings.back());
    EXPECT_NE(report.findings[0].find(": " + column + ": " + what), std::string::npos) << report.findings[0];
  }
};

TEST_F(FocusTest, conformsAndAddsUpToTheInvoice) {
  for (const auto& [period, version] : {std::pair{kJanuary, FocusVersion::v12},
                                        {kFebruary, FocusVersion::v12},
                                        {kJanuary, FocusVersion::v13},
                                        {kFebruary, FocusVersion::v13}}) {
    const auto report = checkFocus(write(period, version), version);
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
    const auto report = checkFocus(csv, FocusVersion::v12);
    ASSERT_FALSE(report.conforms()) << word;
    EXPECT_NE(report.findings.front().find(word), std::string::npos) << report.findings.front();
  }
}

struct BadValue {
  const char* category;
  const char* column;
  const char* value;
  const char* finding;
};

TEST_F(FocusTest, whatACategoryMustAndMustNotHaveIsChecked) {
  for (const auto version : {FocusVersion::v12, FocusVersion::v13}) {
    const auto good = write(kFebruary, version);
    for (const auto& bad : {BadValue{"Tax", "PricingQuantity", "1", "must be null for Tax"},
                            BadValue{"Tax", "PricingUnit", "Months", "must be null for Tax"},
                            BadValue{"Tax", "ListUnitPrice", "1", "must be null for Tax"},
                            BadValue{"Tax", "ContractedUnitPrice", "1", "must be null for Tax"},
                            BadValue{"Tax", "PricingCategory", "Standard", "must be null for Tax"},
                            BadValue{"Tax", "SkuId", "VAT", "must be null for Tax"},
                            BadValue{"Tax", "SkuPriceId", "2026/VAT", "must be null for Tax"},
                            BadValue{"Usage", "SkuPriceId", "", "must not be null for Usage"},
                            BadValue{"Purchase", "SkuPriceId", "", "must not be null for Purchase"},
                            BadValue{"Purchase", "ConsumedQuantity", "1", "must be null for Purchase"},
                            BadValue{"Purchase", "ConsumedUnit", "ns", "must be null for Purchase"},
                            BadValue{"Credit", "ConsumedQuantity", "1", "must be null for Credit"},
                            BadValue{"Tax", "ConsumedQuantity", "1", "must be null for Tax"}})
      expectOnly(checkFocus(changed(good, bad.category, bad.column, bad.value), version), bad.column, bad.finding);
  }
}

TEST_F(FocusTest, aColumnThatIsNotOfFocusBeginsWithX) {
  const auto good = write(kFebruary);
  EXPECT_TRUE(checkFocus(replaced(good, ",Tags,", ",x_Labels,"), FocusVersion::v12).conforms());
  expectOnly(checkFocus(replaced(good, ",Tags,", ",Labels,"), FocusVersion::v12), "Labels",
             "is no column of FOCUS 1.2");
  expectOnly(checkFocus(replaced(good, ",Tags,", ",X_Labels,"), FocusVersion::v12), "X_Labels",
             "is no column of FOCUS 1.2");
  EXPECT_TRUE(checkFocus(replaced(good, ",Tags,", ",RegionName,"), FocusVersion::v12).conforms()) << "FOCUS defines it";
}

TEST_F(FocusTest, aRowOfTheLedgerHasOneHash) {
  const auto other = changed(write(kFebruary), "Tax", "x_ChainHead", std::string(64, 'a'));
  expectOnly(checkFocus(other, FocusVersion::v12), "x_ChainHead",
             "is another than that of a row before with the same x_LedgerLastSeq");
  // Row numbers are a tenant's own.
  EXPECT_TRUE(checkFocus(changed(other, "Tax", "BillingAccountId", "tn-2"), FocusVersion::v12).conforms());
}

TEST_F(FocusTest, creditsTaxesAndAdjustmentsCoverAllRowsOfTheInvoicesCharges) {
  const auto good = write(kFebruary);
  const auto adjusted = changed(good, "Credit", "ChargeCategory", "Adjustment");
  ASSERT_TRUE(checkFocus(adjusted, FocusVersion::v12).conforms());
  for (const auto& [csv, category] : {std::pair{good, "Credit"}, {good, "Tax"}, {adjusted, "Adjustment"}}) {
    expectOnly(checkFocus(changed(csv, category, "x_LedgerFirstSeq", "2"), FocusVersion::v12), "x_LedgerFirstSeq",
               "leaves out rows");
    expectOnly(checkFocus(changed(csv, category, "x_LedgerLastSeq", "3"), FocusVersion::v12), "x_LedgerLastSeq",
               "leaves out rows");
  }
}

TEST_F(FocusTest, aFileOfOneVersionIsNoneOfTheOther) {
  const auto old = checkFocus(write(kFebruary), FocusVersion::v13);
  ASSERT_FALSE(old.conforms());
  EXPECT_EQ(old.findings[0], "row 0: ServiceProviderName: is missing");
  EXPECT_EQ(old.findings[1], "row 0: HostProviderName: is missing");
  const auto later = checkFocus(write(kFebruary, FocusVersion::v13), FocusVersion::v12);
  ASSERT_EQ(later.findings.size(), 2U);
  EXPECT_EQ(later.findings[0], "row 0: HostProviderName: is no column of FOCUS 1.2, and has no x_ before it");
  EXPECT_EQ(later.findings[1], "row 0: ServiceProviderName: is no column of FOCUS 1.2, and has no x_ before it");
}

TEST_F(FocusTest, version13AddsTwoProvidersAndKeepsTheOthers) {
  const auto good = write(kFebruary, FocusVersion::v13);
  const auto rows = records(good);
  for (const char* column : {"ServiceProviderName", "HostProviderName", "ProviderName", "PublisherName"}) {
    EXPECT_EQ(rows[1][indexOf(rows[0], column)], "Hoster, \"Inc\"") << column;
    EXPECT_FALSE(checkFocus(replaced(good, std::string(",") + column + ',', ",x_None,"), FocusVersion::v13).conforms())
        << column;
  }
  for (const char* column : {"ServiceProviderName", "ProviderName", "PublisherName"})
    expectOnly(checkFocus(changed(good, "Tax", column, ""), FocusVersion::v13), column, "must not be null");
  for (const char* category : {"Usage", "Purchase", "Credit"})
    expectOnly(checkFocus(changed(good, category, "HostProviderName", ""), FocusVersion::v13), "HostProviderName",
               std::string("must not be null for ") + category);
  EXPECT_TRUE(checkFocus(changed(good, "Tax", "HostProviderName", ""), FocusVersion::v13).conforms());
  const auto adjusted = changed(good, "Credit", "ChargeCategory", "Adjustment");
  EXPECT_TRUE(checkFocus(changed(adjusted, "Adjustment", "HostProviderName", ""), FocusVersion::v13).conforms());
}

TEST_F(FocusTest, columnsThat13AddsAreCustomOnesIn12) {
  const auto allocated = replaced(write(kFebruary), ",Tags,", ",AllocatedTags,");
  expectOnly(checkFocus(allocated, FocusVersion::v12), "AllocatedTags", "is no column of FOCUS 1.2");
  EXPECT_TRUE(checkFocus(replaced(write(kFebruary, FocusVersion::v13), ",Tags,", ",AllocatedTags,"), FocusVersion::v13)
                  .conforms());
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
