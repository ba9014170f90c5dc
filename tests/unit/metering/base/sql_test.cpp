// The interface to the databases, in each of them.
#include "metering/base/sql.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "metering/base/migrations.h"
#include "tests/unit/metering/ledger/ledger_place.h"

namespace cloister::metering {
namespace {

class SqlTest : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = Connection::open(place->location(), "test");
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    database.emplace(std::move(opened).value());
    exec("CREATE TABLE things(id {key}, number BIGINT NOT NULL, name {text} NOT NULL, body {blob} NOT NULL)");
  }
  void exec(const char* text) {
    const auto done = database->exec(text);
    ASSERT_TRUE(done.ok()) << done.error().message();
  }
  Statement prepare(std::string_view text) {
    auto prepared = database->prepare(text);
    EXPECT_TRUE(prepared.ok()) << prepared.error().message();
    return prepared.ok() ? std::move(prepared).value() : Statement();
  }
  std::int64_t count() {
    auto counted = prepare("SELECT COUNT(*) FROM things");
    EXPECT_EQ(counted.step(), Statement::Step::row);
    return counted.integer(0);
  }
  bool put(std::int64_t id) {
    auto insert = prepare("INSERT INTO things VALUES(?1, 0, 'n', 'b')");
    return insert.bind(1, id).run();
  }

  std::unique_ptr<LedgerPlace> place = makeLedgerPlace();
  std::optional<Connection> database;
};

TEST_F(SqlTest, IntegersAndBytesComeBackAsTheyWere) {
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  const std::int64_t numbers[] = {0, 1, -1, 127, 128, -129, 65535, 65536, INT64_MAX, INT64_MIN};
  const std::string texts[] = {"", std::string("\0", 1), every, "?1 $1 'x'"};
  auto insert = prepare("INSERT INTO things(id, number, name, body) VALUES(?, ?, ?, ?)");
  auto read = prepare("SELECT number, name, body FROM things WHERE id = ?1 AND name = ?2 AND body = ?3");
  std::int64_t id = 0;
  for (const auto number : numbers) {
    for (const std::string& text : texts) {
      ASSERT_TRUE(insert.bind(1, ++id).bind(2, number).bind(3, std::string_view(text)).bindBlob(4, text).run())
          << database->error().message();
      read.bind(1, id).bind(2, std::string_view(text)).bindBlob(3, text);
      ASSERT_EQ(read.step(), Statement::Step::row);
      EXPECT_EQ(read.integer(0), number);
      EXPECT_EQ(read.bits(0), static_cast<std::uint64_t>(number));
      EXPECT_EQ(read.bytes(1), text);
      EXPECT_EQ(read.bytes(2), text);
      EXPECT_EQ(read.step(), Statement::Step::done);
      read.reset();
    }
  }
  ASSERT_TRUE(insert.bind(1, ++id).bind(2, UINT64_MAX).bind(3, std::string_view()).bindBlob(4, {}).run());
  read.bind(1, id).bind(2, std::string_view()).bindBlob(3, {});
  ASSERT_EQ(read.step(), Statement::Step::row);
  EXPECT_EQ(read.bits(0), UINT64_MAX);
}

TEST_F(SqlTest, AFailureIsToldAndTheConnectionGoesOn) {
  EXPECT_FALSE(database->prepare("SELECT nothing FROM nowhere").ok());
  EXPECT_FALSE(database->exec("no SQL").ok());
  ASSERT_TRUE(put(1));
  EXPECT_FALSE(put(1));
  const auto error = database->error();
  EXPECT_EQ(error.stage, "test");
  EXPECT_EQ(error.path, database->name());
  EXPECT_FALSE(error.operation.empty());
  EXPECT_FALSE(database->damaged());
  EXPECT_TRUE(put(2));
  EXPECT_EQ(count(), 2);
}

TEST_F(SqlTest, ATransactionIsWholeOrNot) {
  {
    Transaction transaction(*database);
    ASSERT_TRUE(transaction.begin().ok());
    ASSERT_TRUE(put(1));
    EXPECT_EQ(count(), 1);
  }
  EXPECT_EQ(count(), 0);
  {
    Transaction transaction(*database);
    ASSERT_TRUE(transaction.begin().ok());
    ASSERT_TRUE(put(1));
    ASSERT_TRUE(transaction.commit().ok());
  }
  EXPECT_EQ(count(), 1);
}

TEST_F(SqlTest, ASnapshotDoesNotSeeWhatIsWrittenMeanwhile) {
  ASSERT_TRUE(put(1));
  auto other = Connection::open(place->location(), "test", Connection::Mode::readOnly);
  ASSERT_TRUE(other.ok()) << other.error().message();
  auto counted = other->prepare("SELECT COUNT(*) FROM things");
  ASSERT_TRUE(counted.ok());
  const auto see = [&] {
    EXPECT_EQ(counted->step(), Statement::Step::row);
    const auto seen = counted->integer(0);
    counted->reset();
    return seen;
  };
  {
    Snapshot snapshot(*other);
    ASSERT_TRUE(snapshot.begin().ok());
    EXPECT_EQ(see(), 1);
    ASSERT_TRUE(put(2));
    EXPECT_EQ(see(), 1);
  }
  EXPECT_EQ(see(), 2);
  EXPECT_FALSE(other->exec("INSERT INTO things VALUES(9, 0, 'n', 'b')").ok()) << "it was opened for reading";
}

TEST_F(SqlTest, StatementsMayBeUsedWithinTheRowsOfAnother) {
  for (std::int64_t id = 1; id <= 20; ++id) ASSERT_TRUE(put(id));
  auto outer = prepare("SELECT id FROM things ORDER BY id");
  auto inner = prepare("SELECT number FROM things WHERE id = ?1");
  std::int64_t rows = 0;
  while (outer.step() == Statement::Step::row) {
    ASSERT_EQ(inner.bind(1, outer.integer(0)).step(), Statement::Step::row);
    inner.reset();
    EXPECT_EQ(outer.integer(0), ++rows);
  }
  EXPECT_EQ(rows, 20);
}

TEST_F(SqlTest, AStartedStatementIsAnsweredByItsStep) {
  ASSERT_TRUE(put(7));
  auto read = prepare("SELECT id FROM things WHERE id >= ?1");
  read.bind(1, std::int64_t{0}).start();
  ASSERT_EQ(read.step(), Statement::Step::row);
  EXPECT_EQ(read.integer(0), 7);
  read.reset();
  // One whose answer nobody takes must not stand in the way.
  read.bind(1, std::int64_t{0}).start();
  read.reset();
  EXPECT_EQ(count(), 1);
  {
    Snapshot snapshot(*database);
    ASSERT_TRUE(snapshot.begin().ok());
    read.start();
  }
  read.reset();
  EXPECT_EQ(count(), 1);
}

TEST_F(SqlTest, AListOfIntegersMayBeAskedFor) {
  for (std::int64_t id = -3; id <= 20; ++id) ASSERT_TRUE(put(id));
  auto counted = prepare("SELECT COUNT(*) FROM things WHERE id IN ({list ?2}) AND number = ?1");
  const auto ask = [&](std::vector<std::int64_t> ids) {
    counted.bind(1, std::int64_t{0}).bindList(2, ids);
    EXPECT_EQ(counted.step(), Statement::Step::row) << database->error().message();
    const auto found = counted.integer(0);
    counted.reset();
    return found;
  };
  EXPECT_EQ(ask({}), 0);
  EXPECT_EQ(ask({5}), 1);
  EXPECT_EQ(ask({-3, 5, 5, 20, 21, INT64_MAX, INT64_MIN}), 3);
}

TEST_F(SqlTest, BulkWritesNewRowsAndReplacesOthers) {
  const std::string body("\0\xff", 2);
  auto fresh = database->bulk({"things", {"id", "number", "name", "body"}, 0});
  ASSERT_TRUE(fresh.ok()) << fresh.error().message();
  auto replaced = database->bulk({"things", {"id", "number", "name", "body"}, 1});
  ASSERT_TRUE(replaced.ok()) << replaced.error().message();
  EXPECT_TRUE(fresh->flush()) << "of nothing";
  const auto write = [&](Bulk& bulk, std::int64_t from, std::int64_t to, std::int64_t number) {
    bool good = true;
    for (std::int64_t id = from; id < to; ++id) {
      bulk.bind(1, id).bind(2, number).bind(3, std::string_view("name")).bindBlob(4, body);
      good = good && bulk.add();
    }
    return bulk.flush() && good;
  };
  EXPECT_TRUE(write(*fresh, 0, 500, 1)) << database->error().message();
  EXPECT_TRUE(write(*replaced, 400, 600, 2)) << database->error().message();
  EXPECT_TRUE(write(*replaced, 590, 600, 3)) << database->error().message();
  EXPECT_FALSE(write(*fresh, 599, 600, 4)) << "the row is there";
  EXPECT_TRUE(write(*fresh, 600, 601, 5)) << database->error().message();
  auto sums = prepare("SELECT number, COUNT(*) FROM things WHERE body = ?1 GROUP BY number ORDER BY number");
  sums.bindBlob(1, body);
  const std::pair<std::int64_t, std::int64_t> wanted[] = {{1, 400}, {2, 190}, {3, 10}, {5, 1}};
  for (const auto& [number, rows] : wanted) {
    ASSERT_EQ(sums.step(), Statement::Step::row);
    EXPECT_EQ(sums.integer(0), number);
    EXPECT_EQ(sums.integer(1), rows) << number;
  }
  EXPECT_EQ(sums.step(), Statement::Step::done);
}

TEST_F(SqlTest, MigrationsGoOnWhereTheyEnded) {
  const std::array<const char*, 3> steps{"CREATE TABLE a(x BIGINT)",
                                         "CREATE TABLE b(x BIGINT); INSERT INTO a VALUES(1)", "no SQL"};
  ASSERT_TRUE(migrate(*database, std::span(steps).first(1)).ok());
  EXPECT_EQ(*database->format(), 1);
  const auto failed = migrate(*database, steps);
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(*database->format(), 2) << "the second step was whole";
  ASSERT_TRUE(migrate(*database, std::span(steps).first(2)).ok());
  auto rows = prepare("SELECT COUNT(*) FROM a");
  ASSERT_EQ(rows.step(), Statement::Step::row);
  EXPECT_EQ(rows.integer(0), 1);
  const auto older = migrate(*database, std::span(steps).first(1));
  ASSERT_FALSE(older.ok());
  EXPECT_NE(older.error().message().find("format 2 is newer"), std::string::npos) << older.error().message();
}

}  // namespace
}  // namespace cloister::metering
