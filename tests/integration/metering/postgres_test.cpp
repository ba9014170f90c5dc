// What only a server can do to a ledger: be away, crash, stand still, lose an answer, have no room.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "tests/integration/metering/postgres_proxy.h"
#include "tests/integration/metering/postgres_server.h"
#include "tests/integration/patience.h"
#include "tests/unit/metering/ledger/ledger_fixture.h"

namespace cloister::metering {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using test::PostgresProxy;
using test::sharedPostgres;

class PostgresLedgerTest : public testing::Test {
 protected:
  void open(const std::string& where) {
    ledger.reset();
    auto opened = Ledger::open(where);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    ledger = std::move(opened).value();
  }
  [[nodiscard]] Result<Appended> append(std::uint64_t sequence) const {
    return ledger->append({"nd-1", sequence, "boot", rowsOf(sequence)}, 1);
  }
  // Three rows of t, and with them the sum of all sequences.
  static std::vector<UsageRow> rowsOf(std::uint64_t sequence) {
    return {row("t", Meter::cpu, sequence), row("t", Meter::memoryPeak, sequence),
            row("t", Meter::gap, 1, 0, "", "", "why")};
  }
  void expectRecorded(std::uint64_t sequence) const {
    const auto appended = append(sequence);
    ASSERT_TRUE(appended.ok()) << appended.error().message();
    EXPECT_EQ(*appended, Appended::recorded) << sequence;
  }
  void expectRepeated(std::uint64_t sequence) const {
    const auto appended = append(sequence);
    ASSERT_TRUE(appended.ok()) << appended.error().message();
    EXPECT_EQ(*appended, Appended::repeated) << sequence;
  }
  void expectError(std::uint64_t sequence, int code, const std::string& words) const {
    const auto failed = append(sequence);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, code) << failed.error().message();
    EXPECT_NE(failed.error().message().find(words), std::string::npos) << failed.error().message();
    EXPECT_NE(failed.error().message().find("postgresql://cloister@"), std::string::npos) << failed.error().message();
  }
  // All of 1..last, each once, in memory and in the database.
  void expectWhole(std::uint64_t last) const {
    const auto verified = ledger->verify("t");
    ASSERT_TRUE(verified.ok()) << verified.error().message();
    EXPECT_TRUE(verified->whole()) << verified->badRow << ": " << verified->reason;
    EXPECT_EQ(verified->rows, 3 * last);
    EXPECT_TRUE(ledger->totals("t").at(static_cast<std::size_t>(Meter::cpu)) == last * (last + 1) / 2);
    EXPECT_TRUE(ledger->health(INT64_MAX).gapMilliseconds == last);
    const auto sums = ledger->query({"t", 0, INT64_MAX, "", "", UsageQuery::Group::tenant});
    ASSERT_TRUE(sums.ok()) << sums.error().message();
    ASSERT_EQ(sums->size(), 3U);
    EXPECT_TRUE(sums->front().quantity == last * (last + 1) / 2);
  }
  static milliseconds since(Clock::time_point began) {
    return std::chrono::duration_cast<milliseconds>(Clock::now() - began);
  }

  std::string name = sharedPostgres().createPlace();
  std::string location = sharedPostgres().location(name);
  std::unique_ptr<Ledger> ledger;
};

TEST_F(PostgresLedgerTest, AServerThatIsAwayIsAnErrorUntilItIsBack) {
  open(location);
  expectRecorded(1);
  sharedPostgres().crash();
  for (int i = 0; i < 3; ++i) expectError(2, ENOTCONN, "no connection to the database");
  EXPECT_FALSE(ledger->verify("t").ok());
  EXPECT_TRUE(ledger->totals("t").at(static_cast<std::size_t>(Meter::cpu)) == 1) << "from memory";
  sharedPostgres().start();
  expectRepeated(1);
  expectRecorded(2);
  expectWhole(2);
}

// The server is back before the first call notices: that call must be served.
TEST_F(PostgresLedgerTest, ARestartBetweenTwoCallsIsNotSeen) {
  open(location);
  expectRecorded(1);
  sharedPostgres().crash();
  sharedPostgres().start();
  expectRecorded(2);
  expectWhole(2);
}

TEST_F(PostgresLedgerTest, ABreakBeforeTheCommitKeepsNothing) {
  PostgresProxy proxy(sharedPostgres().socket());
  open(sharedPostgres().locationBehind(proxy.directory(), name));
  expectRecorded(1);
  proxy.act(PostgresProxy::At::beforeCommit);
  expectError(2, ENOTCONN, "no connection to the database");
  ASSERT_TRUE(proxy.acted());
  expectRecorded(2);
  expectRecorded(3);
  expectWhole(3);
}

TEST_F(PostgresLedgerTest, ACommitWhoseAnswerIsLostCountsOnce) {
  PostgresProxy proxy(sharedPostgres().socket());
  open(sharedPostgres().locationBehind(proxy.directory(), name));
  expectRecorded(1);
  proxy.act(PostgresProxy::At::afterCommit);
  expectError(2, ENOTCONN, "no connection to the database");
  ASSERT_TRUE(proxy.acted());
  expectRepeated(2);
  expectRecorded(3);
  expectWhole(3);
  // Also when another batch comes first: it must chain to the one that memory does not know.
  proxy.act(PostgresProxy::At::afterCommit);
  expectError(4, ENOTCONN, "no connection to the database");
  expectRecorded(5);
  expectRepeated(4);
  expectWhole(5);
}

TEST_F(PostgresLedgerTest, AnAnswerThatNeverComesCostsThePatienceAndNoMore) {
  PostgresProxy proxy(sharedPostgres().socket());
  open(sharedPostgres().locationBehind(proxy.directory(), name, "statement_timeout=1000"));
  expectRecorded(1);
  proxy.act(PostgresProxy::At::silentAfter);
  const auto began = Clock::now();
  expectError(2, ETIMEDOUT, "no answer");
  EXPECT_LT(since(began), milliseconds(test::patient(9000)));
  expectRepeated(2);
  expectWhole(2);
}

TEST_F(PostgresLedgerTest, AServerThatStandsStillHangsNobody) {
  open(sharedPostgres().location(name, "statement_timeout=1000", "&connect_timeout=2"));
  expectRecorded(1);
  sharedPostgres().pause();
  auto began = Clock::now();
  expectError(2, ETIMEDOUT, "no answer");
  EXPECT_LT(since(began), milliseconds(test::patient(9000)));
  began = Clock::now();
  expectError(2, ENOTCONN, "no connection");
  EXPECT_LT(since(began), milliseconds(test::patient(4000)));
  // Those who waited in line meanwhile do not each wait as long.
  began = Clock::now();
  for (int i = 0; i < 50; ++i) expectError(2, ENOTCONN, "no connection");
  EXPECT_LT(since(began), milliseconds(500));
  sharedPostgres().resume();
  Result<Appended> again = append(2);
  for (int i = 0; i < 100 && !again.ok(); ++i) {
    std::this_thread::sleep_for(milliseconds(100));
    again = append(2);
  }
  ASSERT_TRUE(again.ok()) << again.error().message();
  expectRecorded(3);
  expectWhole(3);
}

TEST_F(PostgresLedgerTest, KilledAgainAndAgainNothingIsLostOrDoubled) {
  constexpr int kKills = 4;
  open(location);
  std::atomic<int> killed{0};
  std::uint64_t sequence = 0;
  std::thread reaper([&] {
    for (int i = 0; i < kKills; ++i) {
      std::this_thread::sleep_for(milliseconds(150 + 70 * i));
      sharedPostgres().crash();
      ++killed;
      // Its parent's thread must not end before the server: so the main thread starts it.
      while (killed != 0) std::this_thread::sleep_for(milliseconds(5));
    }
    killed = -1;
  });
  while (killed >= 0) {
    const auto appended = append(sequence + 1);
    if (appended.ok()) {
      ++sequence;
    } else {
      EXPECT_EQ(appended.error().code, ENOTCONN) << appended.error().message();
    }
    if (killed == 1) {
      sharedPostgres().start();
      killed = 0;
    }
  }
  reaper.join();
  EXPECT_GT(sequence, 20U);
  expectWhole(sequence);
  open(location);
  expectWhole(sequence);
}

TEST_F(PostgresLedgerTest, AWriterThatHoldsTheLockIsNotWaitedForForEver) {
  open(sharedPostgres().location(name, "lock_timeout=300"));
  auto other = Connection::open(location, "test");
  ASSERT_TRUE(other.ok());
  {
    Transaction held(*other);
    ASSERT_TRUE(held.begin().ok());
    expectError(1, 0, "lock timeout");
  }
  expectRecorded(1);
}

TEST_F(PostgresLedgerTest, AWriterThatFellSilentLosesTheLock) {
  open(location);
  auto silent = Connection::open(sharedPostgres().location(name, "idle_in_transaction_session_timeout=500"), "test");
  ASSERT_TRUE(silent.ok());
  Transaction held(*silent);
  ASSERT_TRUE(held.begin().ok());
  expectRecorded(1);
  const auto late = held.commit();
  ASSERT_FALSE(late.ok());
}

TEST_F(PostgresLedgerTest, TheCommitOfAFailedTransactionIsNoSuccess) {
  auto database = Connection::open(location, "test");
  ASSERT_TRUE(database.ok());
  Transaction transaction(*database);
  ASSERT_TRUE(transaction.begin().ok());
  EXPECT_FALSE(database->exec("SELECT 1/0").ok());
  EXPECT_NE(database->error().operation.find("22012"), std::string::npos) << database->error().message();
  const auto done = transaction.commit();
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().message().find("rolled back"), std::string::npos) << done.error().message();
}

TEST_F(PostgresLedgerTest, WhatTheServerLeavesOpenIsSet) {
  auto database = Connection::open(location, "test");
  ASSERT_TRUE(database.ok());
  ASSERT_TRUE(database->exec("CREATE TABLE x(n BIGINT)").ok());
  auto shown = database->prepare(
      "SELECT current_setting('statement_timeout') || current_setting('lock_timeout') || "
      "current_setting('synchronous_commit') || current_setting('idle_in_transaction_session_timeout')");
  ASSERT_TRUE(shown.ok());
  ASSERT_EQ(shown->step(), Statement::Step::row);
  EXPECT_EQ(shown->bytes(0), "30s10son1min");
  auto own =
      Connection::open(sharedPostgres().location(name, "lock_timeout=7s%20-c%20synchronous_commit%3Doff"), "test");
  ASSERT_TRUE(own.ok());
  auto owns = own->prepare("SELECT current_setting('lock_timeout') || current_setting('synchronous_commit')");
  ASSERT_TRUE(owns.ok());
  ASSERT_EQ(owns->step(), Statement::Step::row);
  EXPECT_EQ(owns->bytes(0), "7son");
  const auto sum = database->prepare("SELECT SUM(n) FROM x");
  ASSERT_FALSE(sum.ok());
  EXPECT_NE(sum.error().message().find("CAST"), std::string::npos) << sum.error().message();
}

TEST_F(PostgresLedgerTest, WrongBindsAreRefused) {
  auto database = Connection::open(location, "test");
  ASSERT_TRUE(database.ok());
  ASSERT_TRUE(database->exec("CREATE TABLE x(n BIGINT, s SMALLINT, b {blob})").ok());
  auto insert = database->prepare("INSERT INTO x VALUES(?1, ?2, ?3)");
  ASSERT_TRUE(insert.ok()) << insert.error().message();
  EXPECT_FALSE(insert->bind(1, std::string_view("1")).run());
  EXPECT_FALSE(insert->bind(1, std::int64_t{1}).bind(2, std::int64_t{40'000}).bindBlob(3, "x").run());
  EXPECT_FALSE(insert->bind(2, std::int64_t{-4}).bind(4, std::int64_t{1}).run());
  EXPECT_TRUE(insert->bind(2, std::int64_t{-4}).run()) << database->error().message();
  for (const std::size_t keys : {0U, 1U}) {
    if (keys == 1) {
      ASSERT_TRUE(database->exec("TRUNCATE x; ALTER TABLE x ADD PRIMARY KEY(n)").ok());
    }
    auto bulk = database->bulk({"x", {"n", "b"}, keys});
    ASSERT_TRUE(bulk.ok()) << bulk.error().message();
    EXPECT_FALSE(bulk->bind(1, std::string_view("1")).bindBlob(2, "x").add());
    EXPECT_FALSE(bulk->flush());
    EXPECT_FALSE(bulk->bind(1, std::int64_t{2}).add());
    bulk->reset();
    EXPECT_TRUE(bulk->bind(1, std::int64_t(keys) + 3).bindBlob(2, "x").add());
    EXPECT_TRUE(bulk->flush()) << database->error().message();
  }
}

TEST_F(PostgresLedgerTest, FailedConnectsLeaveNoDescriptor) {
  open(location);
  expectRecorded(1);
  sharedPostgres().crash();
  EXPECT_FALSE(append(2).ok());
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const auto before = descriptors();
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(append(2).ok());
  EXPECT_EQ(descriptors(), before);
  sharedPostgres().start();
  expectRecorded(2);
  expectWhole(2);
}

TEST_F(PostgresLedgerTest, ADiskThatIsFullIsAnErrorAndNothingIsDoubled) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root for a small file system";
  const auto small = sharedPostgres().directory() + "/small";
  std::filesystem::create_directory(small);
  ASSERT_EQ(::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=16m,mode=0777"), 0);
  // The server lives in the namespace that it was started in, which is this process's.
  auto admin = Connection::open(sharedPostgres().database("postgres"), "test");
  ASSERT_TRUE(admin.ok());
  const auto data = small + "/data";
  std::filesystem::create_directory(data);
  struct stat owner {};
  ASSERT_EQ(::stat(sharedPostgres().directory().c_str(), &owner), 0);
  ASSERT_EQ(::chown(data.c_str(), owner.st_uid, owner.st_gid), 0);
  for (const std::string& sql :
       {"CREATE TABLESPACE small LOCATION '" + data + "'", std::string("CREATE DATABASE narrow TABLESPACE small")}) {
    const auto done = admin->exec(sql);
    ASSERT_TRUE(done.ok()) << done.error().message();
  }
  open(sharedPostgres().database("narrow"));
  std::uint64_t sequence = 0;
  std::vector<UsageRow> rows;
  for (std::uint64_t i = 0; i < 2000; ++i) rows.push_back(row("t", Meter::cpu, 1));
  Result<Appended> appended = Appended::recorded;
  while (appended.ok() && sequence < 200) appended = ledger->append({"nd-1", ++sequence, "boot", rows}, 1);
  ASSERT_FALSE(appended.ok()) << "16 MiB took " << sequence << " batches";
  EXPECT_EQ(appended.error().code, ENOSPC);
  EXPECT_NE(appended.error().message().find("53100"), std::string::npos) << appended.error().message();
  ASSERT_EQ(::mount("tmpfs", small.c_str(), "tmpfs", MS_REMOUNT, "size=64m,mode=0777"), 0);
  appended = ledger->append({"nd-1", sequence, "boot", rows}, 1);
  ASSERT_TRUE(appended.ok()) << appended.error().message();
  EXPECT_EQ(*appended, Appended::recorded);
  EXPECT_EQ(*ledger->append({"nd-1", sequence, "boot", rows}, 1), Appended::repeated);
  const auto verified = ledger->verify("t");
  ASSERT_TRUE(verified.ok()) << verified.error().message();
  EXPECT_TRUE(verified->whole()) << verified->reason;
  EXPECT_EQ(verified->rows, 2000 * sequence);
  EXPECT_TRUE(ledger->totals("t").at(0) == 2000 * sequence);
  ledger.reset();
  EXPECT_TRUE(admin->exec("DROP DATABASE narrow").ok());
  EXPECT_TRUE(admin->exec("DROP TABLESPACE small").ok());
  EXPECT_EQ(::umount2(small.c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace cloister::metering
