// The client against a launcher that says what a test tells it to.
#include "sandbox/client/launcher_client.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include <gtest/gtest.h>

#include "sandbox/base/process.h"
#include "sandbox/base/seqpacket.h"

namespace cloister::sandbox {
namespace {

using launcher::DescriptorKind;

// What one request gets: any number of datagrams, each with this many descriptors of /dev/null. No datagram: hang up.
struct Datagram {
  std::string bytes;
  std::size_t descriptors = 0;
};
using Script = std::vector<std::vector<Datagram>>;

class LauncherClientTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-client-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    socket_ = pattern + "/launcher.sock";
  }
  void TearDown() override {
    if (server_.joinable()) server_.join();
    std::filesystem::remove_all(directory_);
  }

  // Answers the script's requests in order, over as many connections as it takes, and ends.
  void serve(Script script) {
    auto listener = seqpacket::listen(socket_, 0600);
    ASSERT_TRUE(listener.ok()) << listener.error().message();
    server_ = std::thread([this, script = std::move(script), fd = std::move(*listener)] { answer(script, fd.get()); });
  }

  void answer(const Script& script, int listener) {
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    UniqueFd session;
    for (const auto& replies : script) {
      if (!session) session = seqpacket::accept(listener).value();
      auto request = seqpacket::receive(session.get());
      if (!request || request->bytes.empty()) {
        // The client dropped its connection: the next request comes over a new one.
        session = seqpacket::accept(listener).value();
        request = seqpacket::receive(session.get());
      }
      requests_.push_back(std::move(*request));
      for (const auto& [bytes, count] : replies) {
        const auto sent = seqpacket::send(session.get(), bytes, std::vector<int>(count, null.get()));
        // A client that refused the first datagram has hung up before the second.
        EXPECT_TRUE(sent.ok() || sent.error().code == EPIPE);
      }
      if (replies.empty()) session.reset();
    }
  }

  static launcher::Launched launched(std::string instance) {
    return {.instance = std::move(instance),
            .tenant = 1,
            .pid = 2,
            .cgroupInode = 3,
            .descriptors = {DescriptorKind::pid, DescriptorKind::unified},
            .stages = {1, 2, 3}};
  }
  static Standard standard() { return {.in = 0, .out = 1, .err = 2, .status = 2}; }

  std::filesystem::path directory_;
  std::string socket_;
  std::vector<seqpacket::Message> requests_;  // read after the server was joined
  std::thread server_;
};

TEST_F(LauncherClientTest, launchSendsItsDescriptorsAndTagsThoseOfTheReply) {
  serve({{{encode(launched("i-0")), 2}}});
  LauncherClient client(socket_);
  launcher::LaunchRequest request;
  request.instance = "i-0";
  const auto container = client.launch(request, standard());
  ASSERT_TRUE(container.ok()) << container.error().message();
  EXPECT_EQ(container->launched.instance, "i-0");
  EXPECT_GE(container->descriptor(DescriptorKind::pid), 0);
  EXPECT_GE(container->descriptor(DescriptorKind::unified), 0);
  EXPECT_NE(container->descriptor(DescriptorKind::pid), container->descriptor(DescriptorKind::unified));
  EXPECT_EQ(container->descriptor(DescriptorKind::memory), -1);
  server_.join();
  EXPECT_EQ(requests_.at(0).bytes, encode(request));
  EXPECT_EQ(requests_.at(0).descriptors.size(), 4U);
}

TEST_F(LauncherClientTest, freezeSendsItsOutputToo) {
  serve({{{encode(launched("f")), 2}}});
  LauncherClient client(socket_);
  Standard with = standard();
  with.output = 1;
  ASSERT_TRUE(client.launch({}, with).ok());
  server_.join();
  EXPECT_EQ(requests_.at(0).descriptors.size(), 5U);
}

TEST_F(LauncherClientTest, aRequestLargerThanAMessageGoesInSealedMemory) {
  serve({{{encode(launched("large")), 2}}});
  LauncherClient client(socket_);
  launcher::LaunchRequest request;
  request.argv = {"sh", std::string(100'000, 'x'), std::string(100'000, '\xff')};
  ASSERT_TRUE(client.launch(request, standard()).ok());
  server_.join();
  EXPECT_EQ(requests_.at(0).bytes, encode(launcher::Verb::inMemory));
  ASSERT_EQ(requests_.at(0).descriptors.size(), 5U);
  auto memory = process::readSealed(requests_.at(0).descriptors.front().get(), launcher::kMostRequest);
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory.value(), encode(request));
}

TEST_F(LauncherClientTest, withATerminalTheStatusAloneIsSent) {
  serve({{{encode(launcher::Executed{7}), 2}}, {{encode(launcher::Executed{7}), 1}}});
  LauncherClient client(socket_);
  launcher::ExecRequest exec;
  exec.terminal = {24, 80};
  sandbox::Standard status;
  status.status = 1;
  auto handle = client.exec(exec, status);
  ASSERT_TRUE(handle.ok()) << handle.error().message();
  EXPECT_TRUE(handle->pidfd.valid());
  EXPECT_TRUE(handle->terminal.valid());
  EXPECT_EQ(client.exec(exec, status).error().code, EPROTO) << "without the leader";
  server_.join();
  EXPECT_EQ(requests_.at(0).descriptors.size(), 1U);
}

TEST_F(LauncherClientTest, theLaunchersOwnErrorComesBackWhole) {
  serve({{{launcher::encodeFailure({"rootfs", "mount", "/upper", ENOSPC}), 0}}});
  LauncherClient client(socket_);
  const auto container = client.launch({}, standard());
  ASSERT_FALSE(container.ok());
  EXPECT_EQ(container.error().message(), (Error{"rootfs", "mount", "/upper", ENOSPC}.message()));
}

TEST_F(LauncherClientTest, aRequestBeyondTheLimitsNeverLeaves) {
  LauncherClient client(socket_);  // nobody listens: a request that left would fail with ENOENT
  launcher::LaunchRequest request;
  request.argv.assign(launcher::kMostArguments + 1, "x");
  EXPECT_EQ(client.launch(request, standard()).error().code, E2BIG);
  request.argv.assign(40, std::string(100'000, 'x'));
  EXPECT_EQ(client.launch(request, standard()).error().code, E2BIG) << "more bytes than a request has";
  launcher::ExecRequest exec;
  exec.environment.assign(70'000, "A=b");
  EXPECT_EQ(client.exec(exec, standard()).error().code, E2BIG) << "a count that does not fit its field";
  EXPECT_EQ(client.signal({"i", 15, {}}).error().code, ENOENT);
}

TEST_F(LauncherClientTest, hostileRepliesAreProtocolErrors) {
  const std::string good = encode(launched("i"));
  const Script replies = {
      {{good, 1}},                             // a descriptor is missing
      {{good, 3}},                             // one too many
      {{good + '\0', 2}},                      // trailing byte
      {{good.substr(0, good.size() - 1), 2}},  // cut
      {{std::string(1, '\0'), 0}},             // no fields
      {{std::string(1, '\1'), 0}},             // a failure without its fields
      {{std::string(1, '\7'), 0}},             // a status that does not exist
  };
  serve(replies);
  LauncherClient client(socket_);
  for (std::size_t i = 0; i < replies.size(); ++i) {
    const auto container = client.launch({}, standard());
    ASSERT_FALSE(container.ok()) << i;
    EXPECT_EQ(container.error().code, EPROTO) << i;
  }
}

TEST_F(LauncherClientTest, recoverCollectsAllPartsUpToTheEmptyOne) {
  launcher::Recovered first;
  launcher::Recovered second;
  for (std::size_t i = 0; i < launcher::kRecoveredPerMessage; ++i)
    first.instances.push_back(launched("i-" + std::to_string(i)));
  second.instances.push_back(launched("last"));
  serve({{{encode(first), 2 * launcher::kRecoveredPerMessage}, {encode(second), 2}, {encode(launcher::Recovered{}), 0}},
         {{launcher::encodeDone(), 0}}});
  LauncherClient client(socket_);
  const auto containers = client.recover();
  ASSERT_TRUE(containers.ok()) << containers.error().message();
  ASSERT_EQ(containers->size(), launcher::kRecoveredPerMessage + 1);
  EXPECT_EQ(containers->back().launched.instance, "last");
  for (const auto& container : *containers) EXPECT_GE(container.descriptor(DescriptorKind::unified), 0);
  const auto removed = client.remove("last");
  EXPECT_TRUE(removed.ok()) << removed.error().message();
}

TEST_F(LauncherClientTest, aBrokenRecoverDoesNotPoisonTheNextRequest) {
  serve({{{encode(launcher::Recovered{{launched("i")}}), 1}, {encode(launcher::Recovered{}), 0}},
         {{launcher::encodeDone(), 0}}});
  LauncherClient client(socket_);
  EXPECT_EQ(client.recover().error().code, EPROTO);
  const auto done = client.remove("i");
  EXPECT_TRUE(done.ok()) << done.error().message();
}

TEST_F(LauncherClientTest, aRestartedLauncherIsFoundAgain) {
  serve({{{launcher::encodeDone(), 0}}, {}, {{launcher::encodeDone(), 0}}});
  LauncherClient client(socket_);
  EXPECT_TRUE(client.remove("a").ok());
  const auto lost = client.remove("b");
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.error().stage, "client");
  EXPECT_EQ(lost.error().code, ECONNRESET);
  EXPECT_TRUE(client.remove("c").ok());
}

TEST_F(LauncherClientTest, aRequestThatWaitsHoldsUpNoOther) {
  auto listener = seqpacket::listen(socket_, 0600);
  ASSERT_TRUE(listener.ok()) << listener.error().message();
  LauncherClient client(socket_);
  std::thread waiting([&client] { EXPECT_TRUE(client.remove("slow").ok()); });
  const UniqueFd slow = seqpacket::accept(listener->get()).value();
  EXPECT_EQ(seqpacket::receive(slow.get())->bytes, encode(launcher::RemoveRequest{"slow"}));
  server_ = std::thread([fd = listener->get()] {
    const UniqueFd quick = seqpacket::accept(fd).value();
    EXPECT_EQ(seqpacket::receive(quick.get())->bytes, encode(launcher::RemoveRequest{"quick"}));
    EXPECT_TRUE(seqpacket::send(quick.get(), launcher::encodeDone(), {}).ok());
  });
  EXPECT_TRUE(client.remove("quick").ok());
  EXPECT_TRUE(seqpacket::send(slow.get(), launcher::encodeDone(), {}).ok());
  waiting.join();
}

TEST_F(LauncherClientTest, otherVerbsDecodeTheirReplies) {
  serve({{{encode(launcher::Executed{77}), 1}},
         {{encode(launcher::TenantGroups{5, {DescriptorKind::unified, DescriptorKind::memory}}), 2}},
         {{encode(launcher::NetworkUsageReply{{{1, 10, 20, 30, 40}}}), 0}},
         {{encode(launcher::PostureReply{{{"seccomp", launcher::CheckState::enforced, ""}}}), 0}},
         {{launcher::encodeDone(), 0}},
         {{launcher::encodeDone(), 0}}});
  LauncherClient client(socket_);
  const auto exec = client.exec({}, standard());
  ASSERT_TRUE(exec.ok());
  EXPECT_EQ(exec->pid, 77U);
  EXPECT_TRUE(exec->pidfd.valid());
  const auto tenant = client.putTenant({});
  ASSERT_TRUE(tenant.ok());
  EXPECT_EQ(tenant->cgroupInode, 5U);
  EXPECT_EQ(tenant->descriptors.at(1).first, DescriptorKind::memory);
  EXPECT_EQ(client.networkUsage()->at(0).internalSentBytes, 40U);
  EXPECT_EQ(client.posture()->at(0).name, "seccomp");
  EXPECT_TRUE(client.mountLayer(std::string(64, 'a'), 0).ok());
  EXPECT_TRUE(client.releaseLayer(std::string(64, 'a')).ok());
  server_.join();
  EXPECT_EQ(requests_.at(4).descriptors.size(), 1U);
  EXPECT_EQ(requests_.at(5).descriptors.size(), 0U);
}

TEST_F(LauncherClientTest, aFullReplyOfNetworkUsageIsFollowedByAnotherRequest) {
  launcher::NetworkUsageReply full;
  for (std::uint32_t i = 1; i <= launcher::kUsagesPerReply; ++i) full.tenants.push_back({2 * i, i, 0, 0, 0, 0});
  serve({{{encode(full), 0}}, {{encode(launcher::NetworkUsageReply{{{9'000, 1, 2, 3, 4}}}), 0}}});
  LauncherClient client(socket_);
  const auto all = client.networkUsage();
  ASSERT_TRUE(all.ok()) << all.error().message();
  ASSERT_EQ(all->size(), launcher::kUsagesPerReply + 1);
  EXPECT_EQ(all->back().tenant, 9'000U);
  server_.join();
  EXPECT_EQ(requests_.at(0).bytes, encode(launcher::NetworkUsageRequest{0}));
  EXPECT_EQ(requests_.at(1).bytes, encode(launcher::NetworkUsageRequest{2 * launcher::kUsagesPerReply}));
}

TEST_F(LauncherClientTest, nobodyListening) {
  LauncherClient client(socket_);
  EXPECT_EQ(client.remove("i").error().code, ENOENT);
}

}  // namespace
}  // namespace cloister::sandbox
