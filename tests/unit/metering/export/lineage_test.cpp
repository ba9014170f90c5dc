#include "metering/export/lineage.h"

#include <algorithm>
#include <map>

#include "metering/base/sha256.h"
#include "metering/export/focus.h"
#include "metering/ledger/ledger_rows.h"
#include "tests/unit/metering/export/exported_month.h"

namespace cloister::metering {
namespace {

using FileRow = std::map<std::string, std::string>;  // values by column

class LineageTest : public ExportedMonth {
 protected:
  void SetUp() override {
    ExportedMonth::SetUp();
    auto database = Connection::open(place_->location(), "test", Connection::Mode::readOnly);
    ASSERT_TRUE(database);
    ASSERT_TRUE(eachRow(*database, kTenant, 1, closed(kFebruary).lastRow, [this](const ChainedRow& row) {
      chain_.push_back(row);
      return Status();
    }));
  }
  std::vector<FileRow> exported(const Period& period) {
    const auto invoice = closed(period);
    const auto lineage = billing_->lineageOf(invoice);
    EXPECT_TRUE(lineage) << lineage.error().message();
    std::string csv;
    writeFocus(invoice, *billing_->chargesOf(invoice), *lineage, {"Hoster", "local", {}},
               [&](std::string_view text) { csv += text; });
    return read(csv);
  }
  static std::vector<FileRow> read(const std::string& csv) {
    std::vector<std::vector<std::string>> records(1, std::vector<std::string>(1));
    bool quoted = false;
    for (const char c : csv) {
      if (c == '"') quoted = !quoted;  // doubled ones open again at once: what is compared here has none
      if (quoted || (c != ',' && c != '\r' && c != '\n')) {
        records.back().back() += c;
      } else if (c == ',') {
        records.back().emplace_back();
      } else if (c == '\n') {
        records.emplace_back(1);
      }
    }
    records.pop_back();
    std::vector<FileRow> rows;
    for (std::size_t i = 1; i < records.size(); ++i) {
      EXPECT_EQ(records[i].size(), records[0].size());
      FileRow row;
      for (std::size_t at = 0; at < records[i].size(); ++at) row[records[0][at]] = records[i][at];
      rows.push_back(std::move(row));
    }
    return rows;
  }
  static bool isEvent(const ChainedRow& row) { return row.row.meter == Meter::lifecycle; }
  // Whether a row of the ledger is one that a row of the file rests on.
  static bool rests(const FileRow& file, const ChainedRow& row, const Period& period) {
    const Period span{*parseUtc(file.at("ChargePeriodStart")), *parseUtc(file.at("ChargePeriodEnd"))};
    const bool within = span.contains(row.row.from);
    if (file.at("ChargeCategory") == "Purchase") return isEvent(row) && row.row.note.ends_with(plan(file));
    if (file.at("ChargeClass") == "Correction") return within && isBillable(row.row.meter);
    if (file.at("ChargeCategory") != "Usage")
      return isEvent(row) || (isBillable(row.row.meter) && period.contains(row.row.from));
    return within && isBillable(row.row.meter) && row.row.appId == file.at("ResourceId") &&
           file.at("ChargeDescription").ends_with(std::string(": ") + meterName(row.row.meter));
  }
  static std::string plan(const FileRow& file) { return file.at("SkuId").substr(std::string("plan-").size()); }

  std::vector<ChainedRow> chain_;
};

TEST_F(LineageTest, EachExportedRowsRangeHoldsTheRowsThatItRestsOn) {
  for (const auto& period : {kJanuary, kFebruary}) {
    const auto invoice = closed(period);
    std::map<std::string, int> kinds;
    for (const auto& file : exported(period)) {
      const auto first = std::stoull(file.at("x_LedgerFirstSeq"));
      const auto last = std::stoull(file.at("x_LedgerLastSeq"));
      const auto name = file.at("ChargeDescription") + " of " + file.at("ChargePeriodStart");
      std::vector<std::uint64_t> rows;
      for (const auto& row : chain_) {
        if (row.number <= invoice.lastRow && rests(file, row, period)) rows.push_back(row.number);
      }
      ASSERT_FALSE(rows.empty()) << name;
      EXPECT_LE(first, rows.front()) << name;
      EXPECT_GE(last, rows.back()) << name;
      ASSERT_LE(last, chain_.size());
      EXPECT_EQ(file.at("x_ChainHead"), hexadecimal(chain_[last - 1].hash)) << name;
      const bool usage = file.at("ChargeCategory") == "Usage" && file.at("ChargeClass").empty();
      if (usage) {
        EXPECT_EQ(first, rows.front()) << name;
        EXPECT_EQ(last, rows.back()) << name;
      } else {
        EXPECT_EQ(last, invoice.lastRow) << name;
      }
      ++kinds[file.at("ChargeClass").empty() ? file.at("ChargeCategory") : file.at("ChargeClass")];
    }
    EXPECT_EQ(kinds["Purchase"], period == kJanuary ? 1 : 2);
    EXPECT_GT(kinds["Usage"], 20);
    EXPECT_EQ(kinds["Tax"], 1);
    EXPECT_EQ(kinds["Correction"] > 0, period == kFebruary);
  }
}

TEST_F(LineageTest, AFeeBeginsWithItsPlansEventAndACorrectionWithItsMonth) {
  const auto invoice = closed(kFebruary);
  const auto lineage = billing_->lineageOf(invoice);
  ASSERT_TRUE(lineage) << lineage.error().message();
  std::map<std::string, std::uint64_t> first;
  for (const auto& line : invoice.lines) {
    if (line.kind != ChargeKind::usage) first[chargeKindName(line.kind) + (' ' + line.sku)] = lineage->of(line).first;
  }
  EXPECT_EQ(first.at("fee plan-small"), 1U);
  EXPECT_EQ(first.at("fee plan-large"), invoice.lastRow);  // the plan changed after all usage of the month
  EXPECT_LE(first.at("correction cpu"), 2U);
  EXPECT_EQ(first.at("tax VAT"), 1U);
}

}  // namespace
}  // namespace cloister::metering
