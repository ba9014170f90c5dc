#include "metering/export/verify.h"

#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <vector>

#include "tests/unit/metering/export/exported_month.h"

namespace cloister::metering {
namespace {

class StatementTest : public ExportedMonth {
 protected:
  std::string write(const Invoice& invoice) {
    std::string file;
    const auto written = billing_->statement(invoice, key_, {}, [&](std::string_view text) { file += text; });
    EXPECT_TRUE(written) << written.error().message();
    return file;
  }
  // As a reader of the file does it: by line feeds.
  StatementReport verify(const std::string& file, const std::string& key) {
    std::size_t at = 0;
    return verifyStatement(
        [&](std::string& line) {
          if (at >= file.size()) return false;
          const auto end = std::min(file.find('\n', at), file.size());
          line = file.substr(at, end - at);
          at = end + 1;
          return true;
        },
        key);
  }
  StatementReport verify(const std::string& file) { return verify(file, key_.publicKey()); }
  // Which record a byte lies in: "row 7", or the number of its line.
  static std::string recordAt(const std::string& file, std::size_t byte) {
    const auto before =
        static_cast<std::size_t>(std::count(file.begin(), file.begin() + static_cast<long>(byte), '\n'));
    return "line " + std::to_string(before + 1) + ":";
  }

  SigningKey key_ = SigningKey::fromSeed(std::string(32, 'k')).value();
};

TEST_F(StatementTest, holdsFromRowsToTheLastLine) {
  for (const auto& period : {kJanuary, kFebruary}) {
    const auto report = verify(write(closed(period)));
    EXPECT_EQ(report.finding, "") << monthText(period);
    EXPECT_EQ(report.invoice, closed(period));
  }
  EXPECT_EQ(verify(write(closed(kJanuary))).rows, 120U);  // the plan's row lies before the month: it is an event
}

// A head as it was given out when the chain had so many rows, from a file that has them.
TEST_F(StatementTest, passesThroughAHeadThatWasKept) {
  const auto file = write(closed(kFebruary));
  use(kFebruary.to, kCoreHour);
  const auto check = [&](const PublishedHead& head) {
    std::istringstream text(file);
    return verifyStatement([&](std::string& line) { return static_cast<bool>(std::getline(text, line)); },
                           key_.publicKey(), {}, head)
        .finding;
  };
  const auto end = ledger_->head(kTenant).value();
  PublishedHead head{kTenant, end.rows, hexadecimal(end.hash), "2026-03-01T00:00:00Z", ""};
  EXPECT_EQ(check(head), "the head is not signed by the key given");
  sign(head, key_);
  EXPECT_NE(check(head).find("which this file does not have"), std::string::npos) << check(head);
  const auto invoice = closed(kFebruary);
  head.rows = invoice.lastRow;
  head.hash = invoice.head;
  EXPECT_EQ(check(head), "the head is not signed by the key given");
  sign(head, key_);
  EXPECT_EQ(check(head), "");

  // A row in the middle, whose hash is the file's own.
  const auto at = file.find("\nrow\t" + std::to_string(invoice.lastRow - 7) + '\t');
  ASSERT_NE(at, std::string::npos);
  const auto line = file.substr(at + 1, file.find('\n', at + 1) - at - 1);
  head.rows = invoice.lastRow - 7;
  head.hash = line.substr(line.rfind('\t') + 1);
  sign(head, key_);
  EXPECT_EQ(check(head), "");
  head.hash.front() = head.hash.front() == '0' ? '1' : '0';
  sign(head, key_);
  EXPECT_NE(check(head).find("row " + std::to_string(head.rows) + ": the chain does not pass through the head"),
            std::string::npos)
      << check(head);
  head.tenantId = "tn-2";
  sign(head, key_);
  EXPECT_EQ(check(head), "the head is of another tenant");
  PublishedHead empty{kTenant, 0, std::string(64, '0'), "", ""};
  sign(empty, key_);
  EXPECT_EQ(check(empty), "");
}

TEST_F(StatementTest, aHeadThatCannotBeReadNamesTheField) {
  const std::string good =
      R"({"tenant_id": "t", "rows": 3, "hash": "ab", "recorded_at": "x", "signature": "cd", "tenant": "acme"})";
  ASSERT_TRUE(headFromJson(good));
  EXPECT_EQ(headFromJson(good)->rows, 3U);
  EXPECT_EQ(headFromJson("[]").error().path, "head");
  EXPECT_EQ(headFromJson("nonsense").error().path, "head");
  EXPECT_EQ(headFromJson(R"({"tenant_id": "t"})").error().path, "rows");
  EXPECT_EQ(headFromJson(R"({"tenant_id": "t", "rows": -1})").error().path, "rows");
  EXPECT_EQ(headFromJson(R"({"tenant_id": "t", "rows": 1, "hash": 5})").error().path, "hash");
}

TEST_F(StatementTest, aDraftHasAStatementToo) {
  use(parseMonth("2026-03")->from, 5 * kCoreHour);
  const auto draft = billing_->draft(kTenant, "acme", *parseMonth("2026-03"));
  ASSERT_TRUE(draft);
  EXPECT_EQ(verify(write(*draft)).finding, "");
}

// A bit of each eleventh byte, and each bit of the seal: always found, and what is named is the line that it is in.
TEST_F(StatementTest, aFlippedBitIsFoundAndItsLineNamed) {
  const auto file = write(closed(kFebruary));
  std::size_t named = 0;
  std::size_t flips = 0;
  const auto seal = 8 * file.rfind("seal");
  for (std::size_t bit = 0; bit < 8 * file.size(); bit += bit < seal ? 11 * 8 + 1 : 1) {
    const std::size_t byte = bit / 8;
    auto bad = file;
    bad[byte] = static_cast<char>(bad[byte] ^ static_cast<char>(1U << (bit % 8)));
    const auto report = verify(bad);
    ASSERT_FALSE(report.holds()) << "bit " << bit % 8 << " of byte " << byte;
    ++flips;
    // A line feed that is lost or made changes what a line is: the line that it ended or stood in is named.
    named += report.finding.starts_with(recordAt(file, byte)) ? 1U : 0U;
    EXPECT_TRUE(report.finding.starts_with(recordAt(file, byte)) || file[byte] == '\n' || bad[byte] == '\n')
        << report.finding << "; it was " << recordAt(file, byte);
  }
  EXPECT_GT(named, flips * 99 / 100);
}

TEST_F(StatementTest, aRowIsNamedByItsNumber) {
  auto file = write(closed(kJanuary));
  const auto row = file.find("\nrow\t17\t");
  const auto digit = file.find("\tcpu\t", row) + 5;
  file[digit] = file[digit] == '1' ? '2' : '1';
  EXPECT_NE(verify(file).finding.find("row 17: "), std::string::npos) << verify(file).finding;
}

TEST_F(StatementTest, whatIsLeftOutOrDoubledIsFound) {
  const auto file = write(closed(kJanuary));
  std::vector<std::string> lines;
  std::istringstream text(file);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string without;
    std::string twice;
    for (std::size_t j = 0; j < lines.size(); ++j) {
      if (j != i) without += lines[j] + '\n';
      twice += lines[j] + '\n' + (j == i ? lines[j] + '\n' : "");
    }
    EXPECT_FALSE(verify(without).holds()) << "without line " << i + 1;
    EXPECT_FALSE(verify(twice).holds()) << "line " << i + 1 << " twice";
  }
  EXPECT_FALSE(verify("").holds());
  EXPECT_FALSE(verify(file + "row\n").holds());
}

// Whoever has the key can seal anything; that the lines follow from the rows is still checked.
TEST_F(StatementTest, aSignedInvoiceThatDoesNotFollowFromTheRowsIsFound) {
  auto invoice = closed(kJanuary);
  invoice.lines.at(1).cost += 1;
  auto report = verify(write(invoice));
  EXPECT_NE(report.finding.find("invoice line 2"), std::string::npos) << report.finding;
  invoice = closed(kJanuary);
  invoice.total += 1;
  EXPECT_NE(verify(write(invoice)).finding.find("total"), std::string::npos);
  invoice = closed(kFebruary);
  for (auto& line : invoice.lines) {
    if (line.kind == ChargeKind::correction) line.cost *= 2;
  }
  EXPECT_NE(verify(write(invoice)).finding.find("Correction"), std::string::npos);
}

TEST_F(StatementTest, anotherKeyIsNotThis) {
  const auto other = SigningKey::fromSeed(std::string(32, 'x')).value();
  const auto report = verify(write(closed(kJanuary)), other.publicKey());
  EXPECT_NE(report.finding.find("another key"), std::string::npos);
  EXPECT_FALSE(verify(write(closed(kJanuary)), "").holds());
}

TEST(SigningKeyTest, isMadeOnceAndKeptForItsOwner) {
  const auto path = std::filesystem::temp_directory_path() / ("key-" + std::to_string(::getpid()));
  const auto made = SigningKey::open(path);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_EQ(SigningKey::open(path)->publicKey(), made->publicKey());
  EXPECT_TRUE(isSignedBy(made->publicKey(), "text", made->sign("text")));
  EXPECT_FALSE(isSignedBy(made->publicKey(), "texT", made->sign("text")));
  EXPECT_FALSE(isSignedBy("zz", "text", made->sign("text")));
  std::filesystem::permissions(path, std::filesystem::perms(0640));
  EXPECT_FALSE(SigningKey::open(path));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace cloister::metering
