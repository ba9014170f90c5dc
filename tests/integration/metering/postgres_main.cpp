#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>

#include "tests/integration/metering/postgres_server.h"

// With a mount namespace of its own where it may have one: what a test mounts goes with the process.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (cloister::test::PostgresServer::binaries().empty()) {
    std::puts(
        "Skipped\nno PostgreSQL server is installed (Debian's package postgresql)\n[  SKIPPED ] all of the binary");
    return 0;
  }
  if (::geteuid() == 0 &&
      (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)) {
    std::perror("mount namespace");
    return 1;
  }
  const int code = RUN_ALL_TESTS();
  cloister::test::stopSharedPostgres();
  return code;
}
