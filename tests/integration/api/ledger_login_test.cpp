// How cloisterd logs in at a PostgreSQL server over TCP. The server's port is fixed, so it has a network namespace.
#include <Poco/Thread.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "daemon_process.h"
#include "fake_node.h"
#include "http_client.h"
#include "tests/integration/metering/postgres_server.h"

namespace cloister::testing {
namespace {

constexpr const char* kPassword = "sekret-7";
constexpr const char* kBatch =
    R"({"source": "one", "sequence": "1", "bootId": "b", "rows": [{"tenant": "tn-1", "meter": "cpu",
        "quantity": "1000", "from": "1700000000000000", "to": "1700000010000000"}]})";

class LedgerLogin : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root for a network namespace";
    if (test::PostgresServer::binaries().empty()) GTEST_SKIP() << "no PostgreSQL server is installed";
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    const int any = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq loopback{};
    std::strcpy(loopback.ifr_name, "lo");
    loopback.ifr_flags = IFF_UP | IFF_RUNNING;
    ASSERT_EQ(::ioctl(any, SIOCSIFFLAGS, &loopback), 0);
    ::close(any);
    server = std::make_unique<test::PostgresServer>(test::PostgresServer::Reach::loopback);
    server->setPassword(kPassword);
  }
  // As /etc/cloister/pgpass is: the service user's, and nobody else can read it.
  [[nodiscard]] std::string passfile(const std::string& password) const {
    const auto path = server->directory() + "/pgpass";
    std::ofstream(path) << "127.0.0.1:5432:postgres:cloister:" << password << '\n';
    struct stat owner {};
    EXPECT_EQ(::stat(server->directory().c_str(), &owner), 0);
    EXPECT_EQ(::chown(path.c_str(), owner.st_uid, owner.st_gid), 0);
    EXPECT_EQ(::chmod(path.c_str(), 0600), 0);
    return path;
  }
  static void expectItServes(const std::string& location) {
    const DaemonProcess daemon("ledger = \"" + location + "\"");
    const FakeNode node(daemon.nodeSocket(), daemon.nodeToken());
    EXPECT_TRUE(node.desired(-1).has_value());
    const auto taken = node.send("POST", "/node/v1/usage", kBatch);
    EXPECT_EQ(taken.status, 200) << taken.body << daemon.log();
    EXPECT_EQ(daemon.log().find(kPassword), std::string::npos) << daemon.log();
  }
  // A start that fails tells so in the log, which the exception has.
  static void expectItRefuses(const std::string& location, const std::string& reason) {
    std::string told;
    try {
      const DaemonProcess daemon("ledger = \"" + location + "\"");
    } catch (const std::runtime_error& error) {
      told = error.what();
    }
    EXPECT_NE(told.find("the setting ledger: "), std::string::npos) << location << ": " << told;
    EXPECT_NE(told.find(reason), std::string::npos) << told;
    for (const char* secret : {"sekret", "wrong-9"}) EXPECT_EQ(told.find(secret), std::string::npos) << told;
  }

  std::unique_ptr<test::PostgresServer> server;
};

TEST_F(LedgerLogin, TheUrlsPasswordLetsInAndAWrongOneIsAStartError) {
  expectItServes(std::string("postgresql://cloister:") + kPassword + "@127.0.0.1:5432/postgres");
  expectItRefuses("postgresql://cloister:wrong-9@127.0.0.1:5432/postgres", "password authentication failed");
  expectItRefuses("postgresql://cloister:wrong-9@127.0.0.1:port/postgres", "port must be a number");
  expectItRefuses("postgresql://cloister:wrong-9@127.0.0.1/postgres?sslmode=perhaps", "sslmode");
}

TEST_F(LedgerLogin, APassfileLetsInAndWithoutOneOrAWrongOneItIsAStartError) {
  const std::string location = "postgresql://cloister@127.0.0.1:5432/postgres?passfile=";
  expectItServes(location + passfile(kPassword));
  expectItRefuses(location + passfile("wrong-9"), "password authentication failed");
  expectItRefuses(location + "/nonexistent", "no password supplied");
}

// The database was restored without its roles while cloisterd ran: that is mended there, and cloisterd goes on.
TEST_F(LedgerLogin, ALoginThatIsRefusedLaterIsAnsweredAsALedgerThatIsAway) {
  const DaemonProcess daemon(std::string("ledger = \"postgresql://cloister:") + kPassword +
                             "@127.0.0.1:5432/postgres\"");
  const FakeNode node(daemon.nodeSocket(), daemon.nodeToken());
  ASSERT_TRUE(node.desired(-1).has_value());
  EXPECT_EQ(node.send("POST", "/node/v1/usage", kBatch).status, 200);
  server->setPassword("other");
  server->crash();
  server->start();
  const auto refused = node.send("POST", "/node/v1/usage", kBatch);
  EXPECT_EQ(refused.text("code"), "ledger_unavailable") << refused.body;
  EXPECT_NE(daemon.log().find("password authentication failed"), std::string::npos) << daemon.log();
  EXPECT_EQ(daemon.log().find("sekret"), std::string::npos) << daemon.log();
  server->setPassword(kPassword);
  // As a node does: who asks within a moment of a failure is refused without another attempt.
  Reply taken;
  for (int i = 0; i < 100 && taken.status != 200; ++i) {
    Poco::Thread::sleep(100);
    taken = node.send("POST", "/node/v1/usage", kBatch);
  }
  EXPECT_EQ(taken.status, 200) << taken.body;
}

}  // namespace
}  // namespace cloister::testing
