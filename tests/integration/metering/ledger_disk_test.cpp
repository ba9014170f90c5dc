// A ledger in a file, on a disk that fills up.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "metering/ledger/ledger.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::metering {
namespace {

UsageBatch batchOf(std::uint64_t sequence) {
  UsageBatch batch{"nd-1", sequence, "boot", {}};
  for (std::int64_t i = 0; i < 500; ++i) {
    batch.rows.push_back(
        {"t", "ap-" + std::to_string(i), "in-" + std::to_string(sequence), Meter::cpu, 1, i, i + 1, ""});
  }
  return batch;
}

void fillAndGoOn(const std::string& directory) {
  const auto size = [&](const char* options) {
    return ::mount("tmpfs", directory.c_str(), "tmpfs", MS_REMOUNT, options) == 0;
  };
  auto opened = Ledger::open(directory + "/ledger.db");
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  auto ledger = std::move(opened).value();
  std::uint64_t sequence = 0;
  Result<Appended> appended = Appended::recorded;
  while (appended.ok() && sequence < 1000) appended = ledger->append(batchOf(++sequence), 1);
  ASSERT_FALSE(appended.ok()) << "2 MiB took " << sequence << " batches";
  EXPECT_EQ(appended.error().code, ENOSPC) << appended.error().message();
  EXPECT_NE(appended.error().message().find("full"), std::string::npos) << appended.error().message();
  ASSERT_GT(sequence, 2U);
  // What is on record stays readable, and is not taken twice.
  EXPECT_TRUE(ledger->totals("t").at(0) == 500 * (sequence - 1));
  const auto repeated = ledger->append(batchOf(1), 1);
  ASSERT_TRUE(repeated.ok()) << repeated.error().message();
  EXPECT_EQ(*repeated, Appended::repeated);
  auto verified = ledger->verify("t");
  ASSERT_TRUE(verified.ok()) << verified.error().message();
  EXPECT_TRUE(verified->whole()) << verified->reason;
  EXPECT_EQ(verified->rows, 500 * (sequence - 1));

  ASSERT_TRUE(size("size=16m"));
  appended = ledger->append(batchOf(sequence), 1);
  ASSERT_TRUE(appended.ok()) << appended.error().message();
  EXPECT_EQ(*appended, Appended::recorded);
  ledger.reset();
  auto again = Ledger::open(directory + "/ledger.db");
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(*(*again)->append(batchOf(sequence), 1), Appended::repeated);
  verified = (*again)->verify("t");
  ASSERT_TRUE(verified.ok());
  EXPECT_TRUE(verified->whole()) << verified->reason;
  EXPECT_EQ(verified->rows, 500 * sequence);
}

// In a mount namespace of a thread of its own: nothing is left when it ends.
TEST(LedgerDisk, OneThatIsFullIsAnErrorAndNothingIsDoubled) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root for a small file system";
  const ScratchDirectory scratch;
  const auto directory = scratch.file("small");
  std::filesystem::create_directory(directory);
  std::thread alone([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=2m"), 0);
    fillAndGoOn(directory);
  });
  alone.join();
}

}  // namespace
}  // namespace cloister::metering
