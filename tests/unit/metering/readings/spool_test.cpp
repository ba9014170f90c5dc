#include "metering/readings/spool.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>
#include <utility>

#include "metering/base/sql.h"
#include "sandbox/base/unique_fd.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::metering {
namespace {

const AmountKey kCpu{{"t", "a", "i"}, Meter::cpu, ""};

// Whatever is stored, a state whose last reading says `counted` in all, of which `open` are in the open window: half
// of them with the group, the others apart.
SpoolState stateAt(std::uint64_t counted, std::uint64_t open) {
  SpoolState state;
  GroupState group{{"t", "a", "i"}, "boot", 99, {1024}, bornAt(5), 1};
  group.progress.last.cpuNanos = counted;
  group.progress.last.memoryBytes.reset();
  group.finished = true;
  state.groups.change("over") = group;
  group.finished = false;
  group.sums.add(Meter::cpu, open / 2);
  state.groups.change("g") = group;
  state.networks.change("t") = TenantCounters{"boot", {counted, 2, 3, 4}, 5};
  state.windowFrom = static_cast<std::int64_t>(counted);
  state.clock = {"boot", -5};
  state.amounts.clear();
  if (open != 0) state.amounts.change(kCpu) = open - open / 2;
  return state;
}

RowLists lists(const std::vector<UsageRow>& rows = {}) {
  RowLists made(Spool::kRowsPerBatch);
  for (const auto& row : rows) (void)made.add(row);
  return made;
}

UsageRow row(std::uint64_t quantity) {
  return {"t", "a", "i", Meter::cpu, quantity, 10, 20, ""};
}

std::uint64_t openIn(const SpoolState& state) {
  std::uint64_t sum = 0;
  for (const auto& [key, quantity] : state.amounts.all()) sum += quantity;
  for (const auto& [name, group] : state.groups.all()) sum += group.sums.of(Meter::cpu);
  return sum;
}

// What batches and the open window hold together.
std::uint64_t held(Spool& spool, const SpoolState& state) {
  std::uint64_t sum = openIn(state);
  const auto batches = spool.pending(1'000'000);
  EXPECT_TRUE(batches.ok());
  for (const auto& batch : *batches) {
    for (const auto& one : batch.rows) sum += one.quantity;
  }
  return sum;
}

std::uint64_t counted(const SpoolState& state) {
  const auto group = state.groups.all().find("g");
  return group == state.groups.all().end() ? 0 : group->second.progress.last.cpuNanos.value_or(0);
}

TEST(Spool, StateSurvivesAnotherOpen) {
  const ScratchDirectory scratch;
  const auto path = scratch.file("spool.db");
  auto state = stateAt(1'000'000'000'000'000'000, 7);
  state.amounts.change({{"t"}, Meter::gap, gap::kVanished}) = UINT64_MAX;
  state.host = {"boot", 1, 2, 3};
  {
    auto spool = Spool::open(path, "nd-1");
    ASSERT_TRUE(spool.ok()) << spool.error().message();
    EXPECT_EQ((*spool)->past(), Spool::Past::none);
    ASSERT_TRUE((*spool)->load().ok());
    ASSERT_TRUE((*spool)->commit(state, "boot", lists()).ok());
  }
  auto spool = Spool::open(path, "nd-1");
  ASSERT_TRUE(spool.ok());
  EXPECT_EQ((*spool)->past(), Spool::Past::known);
  auto back = (*spool)->load();
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->groups.all(), state.groups.all());
  EXPECT_EQ(back->networks.all(), state.networks.all());
  EXPECT_EQ(back->amounts.all(), state.amounts.all());
  EXPECT_EQ(back->windowFrom, state.windowFrom);
  EXPECT_EQ(back->clock, state.clock);
  EXPECT_EQ(back->host, state.host);
  // What is gone from the state goes from the file, and what did not change stays.
  back->groups.erase(back->groups.find("over"));
  back->networks.clear();
  back->amounts.clear();
  back->amounts.change(kCpu) = 11;
  ASSERT_TRUE((*spool)->commit(*back, "boot", lists()).ok());
  const auto last = (*spool)->load();
  ASSERT_TRUE(last.ok());
  EXPECT_EQ(last->groups.all(), back->groups.all());
  EXPECT_EQ(last->groups.all().size(), 1U);
  EXPECT_TRUE(last->networks.all().empty());
  EXPECT_EQ(last->amounts.all(), back->amounts.all());
}

TEST(Spool, BatchesAreCutAcknowledgedAndTheirSequencesNeverReturn) {
  const ScratchDirectory scratch;
  const auto path = scratch.file("spool.db");
  std::uint64_t last = 0;
  for (int open = 0; open < 3; ++open) {
    auto spool = Spool::open(path, "nd-1");
    ASSERT_TRUE(spool.ok());
    const std::vector<UsageRow> rows(Spool::kRowsPerBatch + 1, row(1));
    ASSERT_TRUE((*spool)->commit({}, "boot-" + std::to_string(open), lists(rows)).ok());
    const auto batches = (*spool)->pending();
    ASSERT_TRUE(batches.ok());
    ASSERT_EQ(batches->size(), 2U);
    EXPECT_EQ((*batches)[0].rows.size(), Spool::kRowsPerBatch);
    EXPECT_EQ((*batches)[1].rows.size(), 1U);
    EXPECT_EQ((*batches)[0].source, "nd-1");
    EXPECT_EQ((*batches)[0].bootId, "boot-" + std::to_string(open));
    for (const auto& batch : *batches) {
      EXPECT_GT(batch.sequence, last);
      last = batch.sequence;
      ASSERT_TRUE((*spool)->acknowledge(batch.sequence).ok());
    }
    EXPECT_TRUE((*spool)->pending()->empty());
    EXPECT_TRUE((*spool)->acknowledge(last).ok());
  }
}

TEST(Spool, ALostFileDoesNotGiveASequenceAgain) {
  const ScratchDirectory scratch;
  std::uint64_t last = 0;
  for (const char* name : {"one.db", "two.db"}) {
    auto spool = Spool::open(scratch.file(name), "nd-1");
    ASSERT_TRUE(spool.ok());
    ASSERT_TRUE((*spool)->commit({}, "boot", lists({row(1)})).ok());
    const auto batches = (*spool)->pending();
    ASSERT_TRUE(batches.ok());
    EXPECT_GT(batches->front().sequence, last);
    last = batches->front().sequence;
  }
}

TEST(Spool, ADamagedFileIsKeptAsideAndANewOneBegun) {
  const ScratchDirectory scratch;
  const auto path = scratch.file("spool.db");
  writeFile(path, std::string(8192, 'x'));
  auto spool = Spool::open(path, "nd-1");
  ASSERT_TRUE(spool.ok()) << spool.error().message();
  EXPECT_EQ((*spool)->past(), Spool::Past::none);
  std::size_t aside = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch.file(""))) {
    aside += entry.path().filename().string().starts_with("spool.db.damaged-") ? 1U : 0U;
  }
  EXPECT_EQ(aside, 1U);
}

TEST(Spool, AFileCutMidPageGivesItsBatchesToTheNewOne) {
  const ScratchDirectory scratch;
  const auto path = scratch.file("spool.db");
  std::uint64_t last = 0;
  {
    auto spool = Spool::open(path, "nd-1");
    ASSERT_TRUE(spool.ok());
    for (std::uint64_t i = 1; i <= 40; ++i) {
      ASSERT_TRUE((*spool)->commit(stateAt(i, 0), "boot", lists(std::vector<UsageRow>(100, row(i)))).ok());
    }
    last = (*spool)->pending(100)->back().sequence;
  }
  const auto whole = std::filesystem::file_size(path);
  ASSERT_FALSE(std::filesystem::exists(path + "-wal")) << "closed: all of it is in the file";
  ASSERT_GT(whole, 100'000U);
  std::filesystem::resize_file(path, whole - 12'345);
  auto spool = Spool::open(path, "nd-1");
  ASSERT_TRUE(spool.ok()) << spool.error().message();
  EXPECT_EQ((*spool)->past(), Spool::Past::none);
  EXPECT_TRUE((*spool)->load()->groups.all().empty()) << "readings are of one instant or of none";
  const auto batches = (*spool)->pending(100);
  ASSERT_TRUE(batches.ok());
  EXPECT_GE(batches->size(), 30U) << "a few pages are gone, not all";
  for (const auto& batch : *batches) {
    ASSERT_EQ(batch.rows.size(), 100U) << "whole or not at all";
    EXPECT_EQ(batch.bootId, "boot");
  }
  // And none of their sequences is given again.
  ASSERT_TRUE((*spool)->commit({}, "boot", lists({row(7)})).ok());
  EXPECT_GT((*spool)->pending(100)->back().sequence, last);
}

TEST(Spool, ARefusedBatchGoesUnderAnotherSequence) {
  const ScratchDirectory scratch;
  const auto path = scratch.file("spool.db");
  std::uint64_t fresh = 0;
  {
    auto spool = Spool::open(path, "nd-1");
    ASSERT_TRUE(spool.ok());
    ASSERT_TRUE((*spool)->commit({}, "boot", lists({row(1)})).ok());
    ASSERT_TRUE((*spool)->commit({}, "boot", lists({row(2)})).ok());
    const auto before = (*spool)->pending();
    ASSERT_EQ(before->size(), 2U);
    ASSERT_TRUE((*spool)->renumber(before->front().sequence).ok());
    const auto after = (*spool)->pending();
    ASSERT_EQ(after->size(), 2U);
    EXPECT_GT(after->front().sequence, before->back().sequence);
    EXPECT_EQ(after->front().rows.front().quantity, 1U) << "in the order that they had";
    EXPECT_EQ(after->back().rows.front().quantity, 2U);
    fresh = after->back().sequence;
    ASSERT_TRUE((*spool)->renumber(12'345).ok()) << "an unknown one is fine";
  }
  auto spool = Spool::open(path, "nd-1");
  ASSERT_TRUE(spool.ok());
  ASSERT_TRUE((*spool)->commit({}, "boot", lists({row(3)})).ok());
  EXPECT_GT((*spool)->pending()->back().sequence, fresh);
}

TEST(Spool, ARowThatDoesNotDecodeSetsTheFileAside) {
  const ScratchDirectory scratch;
  const auto path = scratch.file("spool.db");
  ASSERT_TRUE(Spool::open(path, "nd-1").ok());
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
  EXPECT_EQ(
      sqlite3_exec(database, "INSERT INTO groups(name, state) VALUES('in-1-1', x'ff')", nullptr, nullptr, nullptr),
      SQLITE_OK);
  sqlite3_close(database);
  auto spool = Spool::open(path, "nd-1");
  ASSERT_TRUE(spool.ok()) << spool.error().message();
  EXPECT_EQ((*spool)->past(), Spool::Past::none);
  EXPECT_TRUE((*spool)->load().ok());
}

TEST(Spool, AFileOfTheFirstFormatGoesOnWithoutSegments) {
  const ScratchDirectory scratch;
  const auto path = scratch.file("spool.db");
  {
    auto spool = Spool::open(path, "nd-1");
    ASSERT_TRUE(spool.ok());
    ASSERT_TRUE((*spool)->commit(stateAt(7, 3), "boot", lists({row(1)})).ok());
  }
  {
    auto sqlite = Connection::openFile(path, "test");
    ASSERT_TRUE(sqlite.ok());
    ASSERT_TRUE(sqlite->exec("DROP TABLE segments").ok());
    ASSERT_TRUE(sqlite->exec("PRAGMA user_version = 1").ok());
  }
  auto spool = Spool::open(path, "nd-1");
  ASSERT_TRUE(spool.ok()) << spool.error().message();
  EXPECT_EQ((*spool)->past(), Spool::Past::known);
  auto state = (*spool)->load();
  ASSERT_TRUE(state.ok());
  EXPECT_EQ(counted(*state), 7U);
  EXPECT_TRUE(state->segments.all().empty());
  EXPECT_EQ((*spool)->pending()->size(), 1U);
  state->segments.change("t") = {4, {}, 10, 20};
  ASSERT_TRUE((*spool)->commit(*state, "boot", lists()).ok());
  spool->reset();
  spool = Spool::open(path, "nd-1");
  ASSERT_TRUE(spool.ok());
  EXPECT_EQ((*spool)->load()->segments.all(), state->segments.all());
}

TEST(Spool, ADirectoryThatIsNotThereIsAnErrorThatNamesThePath) {
  const auto spool = Spool::open("/nonexistent/spool.db", "nd-1");
  ASSERT_FALSE(spool.ok());
  EXPECT_EQ(spool.error().stage, "spool");
  EXPECT_EQ(spool.error().path, "/nonexistent/spool.db");
}

// Each commit adds one unit to the counter and to the window, and every third seals the window: counter and sums agree
// after every commit, so they must agree whenever the writer is killed.
// `committed` gets a byte with the first of them.
[[noreturn]] void writeUntilKilled(const std::string& path, int committed) {
  auto spool = Spool::open(path, "nd-1");
  if (!spool) ::_exit(1);
  auto loaded = (*spool)->load();
  if (!loaded) ::_exit(2);
  auto total = counted(*loaded);
  auto open = openIn(*loaded);
  for (;;) {
    ++total;
    ++open;
    RowLists sealed(Spool::kRowsPerBatch);
    if (total % 3 == 0) (void)sealed.add(row(std::exchange(open, 0)));
    if (!(*spool)->commit(stateAt(total, open), "boot", sealed)) ::_exit(3);
    if (committed >= 0 && ::write(std::exchange(committed, -1), "c", 1) != 1) ::_exit(4);
  }
}

TEST(Spool, KillAtAnyMomentLosesAndDoublesNothing) {
  const ScratchDirectory scratch;
  const auto path = scratch.file("spool.db");
  std::uint64_t before = 0;
  for (int round = 0; round < 25; ++round) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    const UniqueFd committed(pipe[0]);
    UniqueFd report(pipe[1]);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) writeUntilKilled(path, report.get());
    report.reset();
    // The first rounds end the writer wherever it is, as it opens the spool too; the others once it is at work.
    char byte = 0;
    if (round >= 5) {
      ASSERT_EQ(::read(committed.get(), &byte, 1), 1);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(8'000 + round * 1'777));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself: " << status;

    auto spool = Spool::open(path, "nd-1");
    ASSERT_TRUE(spool.ok()) << spool.error().message();
    auto state = (*spool)->load();
    ASSERT_TRUE(state.ok()) << state.error().message();
    EXPECT_EQ(held(**spool, *state), counted(*state)) << "round " << round;
    EXPECT_GE(counted(*state), before);
    before = counted(*state);
  }
  EXPECT_GT(before, 0U);
}

TEST(Spool, AWriteAheadLogCutMidPageLeavesAWholeEarlierState) {
  const ScratchDirectory scratch;
  const auto path = scratch.file("spool.db");
  const auto cut = scratch.file("cut.db");
  auto spool = Spool::open(path, "nd-1");
  ASSERT_TRUE(spool.ok());
  for (std::uint64_t total = 1; total <= 20; ++total) {
    ASSERT_TRUE((*spool)->commit(stateAt(total, total), "boot", lists()).ok());
  }
  const auto wal = std::filesystem::file_size(path + "-wal");
  ASSERT_GT(wal, 20'000U);
  bool rolledBack = false;
  for (const std::uintmax_t size :
       {wal, wal - 1, wal - 4096, wal - 4097, wal / 2 + 13, std::uintmax_t{5000}, std::uintmax_t{17}}) {
    std::filesystem::copy_file(path, cut, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::copy_file(path + "-wal", cut + "-wal", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::remove(cut + "-shm");
    std::filesystem::resize_file(cut + "-wal", size);
    auto copy = Spool::open(cut, "nd-1");
    ASSERT_TRUE(copy.ok()) << size << ": " << copy.error().message();
    auto state = (*copy)->load();
    ASSERT_TRUE(state.ok()) << size;
    EXPECT_EQ(held(**copy, *state), counted(*state)) << size;
    if (size == wal) {
      EXPECT_EQ(counted(*state), 20U);
    }
    rolledBack = rolledBack || counted(*state) < 20;
    // It goes on from there, with a sequence beyond all that were given.
    ASSERT_TRUE((*copy)->commit(stateAt(30, 30), "boot", lists({row(1)})).ok());
  }
  EXPECT_TRUE(rolledBack);
}

}  // namespace
}  // namespace cloister::metering
