// What can happen to a ledger because it is a file.
#include <filesystem>
#include <fstream>

#include "tests/unit/metering/ledger/ledger_fixture.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::metering {
namespace {

class LedgerFileTest : public LedgerTest {
 protected:
  [[nodiscard]] std::string path() const { return place->location(); }
};

TEST_F(LedgerFileTest, AFlippedBitInTheFileIsFound) {
  std::vector<UsageRow> rows;
  for (std::uint64_t i = 0; i < 50; ++i) rows.push_back(row("t", Meter::cpu, 0x0123456789abcd00 + i));
  EXPECT_EQ(append(1, rows), Appended::recorded);
  ledger.reset();  // closing moves the log into the file
  std::string bytes;
  {
    std::ifstream file(path(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  const std::string wanted("\x01\x23\x45\x67\x89\xab\xcd\x11", 8);  // row 18's quantity, big-endian in SQLite's records
  const auto found = bytes.find(wanted);
  ASSERT_NE(found, std::string::npos);
  bytes[found + 2] = static_cast<char>(bytes[found + 2] ^ 0x10);
  writeFile(path(), bytes);
  reopen();
  const auto verified = ledger->verify("t");
  ASSERT_TRUE(verified.ok());
  EXPECT_EQ(verified->badRow, 18U) << verified->reason;
}

TEST_F(LedgerFileTest, AFileThatWasCutIsAnErrorAndNotANewLedger) {
  std::vector<UsageRow> rows;
  for (std::uint64_t i = 0; i < 2000; ++i) rows.push_back(row("t", Meter::cpu, i, 0, "ap-" + std::to_string(i)));
  EXPECT_EQ(append(1, rows), Appended::recorded);
  ledger.reset();
  const auto size = std::filesystem::file_size(path());
  ASSERT_GT(size, 20U * 4096);
  for (const auto length : {size - 100, size / 2 + 100, std::uintmax_t{4096 + 17}, std::uintmax_t{50}}) {
    const auto cut = path() + ".cut";
    std::filesystem::copy_file(path(), cut, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(cut, length);
    auto opened = Ledger::open(cut);
    ASSERT_FALSE(opened.ok()) << length;
    EXPECT_EQ(opened.error().code, EBADMSG) << opened.error().message();
    EXPECT_NE(opened.error().message().find(cut), std::string::npos);
    EXPECT_EQ(std::filesystem::file_size(cut), length);
  }
}

// While it is open: what is in memory must not hide it, and the whole file goes on where it ended.
TEST_F(LedgerFileTest, AFileThatIsCutWhileOpenTakesNothingTwice) {
  std::vector<UsageRow> rows;
  for (std::uint64_t i = 0; i < 2000; ++i) rows.push_back(row("t", Meter::cpu, i, 0, "ap-" + std::to_string(i)));
  EXPECT_EQ(append(1, rows), Appended::recorded);
  reopen();  // the log is in the file now
  const auto whole = path() + ".whole";
  std::filesystem::copy_file(path(), whole);
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) / 2 + 100);
  const auto verified = ledger->verify("t");
  EXPECT_TRUE(!verified.ok() || !verified->whole());
  const auto failed = ledger->append({"nd-1", 2, "boot", {row("t", Meter::cpu, 1)}}, 1);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, EBADMSG) << failed.error().message();
  ledger.reset();
  for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(path() + suffix);
  std::filesystem::rename(whole, path());
  reopen();
  EXPECT_EQ(append(1, rows), Appended::repeated);
  EXPECT_EQ(append(2, {row("t", Meter::cpu, 1)}), Appended::recorded);
  EXPECT_EQ(ledger->verify("t")->rows, 2001U);
  EXPECT_TRUE(ledger->verify("t")->whole());
}

// The tables as the first release made them, with two batches of it.
TEST_F(LedgerFileTest, ALedgerOfTheFirstFormatGoesOn) {
  ledger.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path() + suffix);
  {
    auto database = Connection::open(path(), "test");
    ASSERT_TRUE(database.ok());
    std::ifstream script(std::string(CLOISTER_SOURCE_DIR) + "/tests/unit/metering/ledger/ledger_format_1.sql");
    const std::string sql{std::istreambuf_iterator<char>(script), {}};
    ASSERT_GT(sql.size(), 1000U);
    const auto made = database->exec(sql);
    ASSERT_TRUE(made.ok()) << made.error().message();
  }
  reopen();
  const std::vector<UsageRow> first{row("t", Meter::cpu, 5), row("u", Meter::memoryPeak, 7, 0, "a", "i"),
                                    row("t", Meter::gap, 1500, 0, "", "", "why")};
  EXPECT_EQ(append(1, first), Appended::repeated);
  EXPECT_EQ(append(2, {row("t", Meter::cpu, 7, 1)}), Appended::refused);
  EXPECT_TRUE(total("t", Meter::cpu) == 11);
  EXPECT_EQ(ledger->health(0).refusedBatches, 2U);
  EXPECT_TRUE(ledger->health(0).gapMilliseconds == 1500);
  EXPECT_EQ(append(3, {row("t", Meter::cpu, 1, 2), row("new", Meter::cpu, 1, 2)}), Appended::recorded);
  for (const auto& [tenant, rows] : {std::pair{"t", 4U}, {"u", 1U}, {"new", 1U}}) {
    EXPECT_TRUE(ledger->verify(tenant)->whole()) << tenant << ledger->verify(tenant)->reason;
    EXPECT_EQ(ledger->verify(tenant)->rows, rows) << tenant;
  }
  auto other = Ledger::open(path());
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(appendTo(**other, 4, {row("t", Meter::cpu, 1, 2)}), Appended::recorded);
  EXPECT_EQ(append(5, {row("t", Meter::cpu, 1, 2)}), Appended::recorded);
  EXPECT_TRUE(ledger->verify("t")->whole());
}

}  // namespace
}  // namespace cloister::metering
