// The launcher and a caller who means it harm: whatever a session sends, that session alone ends.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/base/process.h"
#include "sandbox/base/seqpacket.h"
#include "tests/integration/launcher/harness.h"

namespace cloister::test {
namespace {

namespace fs = std::filesystem;

class HostileCaller : public LauncherTest {
 protected:
  [[nodiscard]] UniqueFd session() const {
    auto socket = seqpacket::connect(path("run") + "/launcher.sock");
    EXPECT_TRUE(socket) << socket.error().message();
    const timeval patience{10, 0};
    ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return std::move(*socket);
  }
  // End-of-file is what an ended session answers; a time-out is not.
  static void expectEnded(int session, const std::string& what) {
    char byte = 0;
    const ssize_t got = ::recv(session, &byte, 1, 0);
    EXPECT_TRUE(got == 0 || (got < 0 && errno == ECONNRESET)) << what << ": " << got << " " << errno;
  }
  void expectEnds(const std::string& bytes, std::size_t descriptors, const std::string& what) {
    const UniqueFd mine = session();
    const std::vector<int> given(descriptors, null_.get());
    ASSERT_TRUE(seqpacket::send(mine.get(), bytes, given)) << what;
    expectEnded(mine.get(), what);
  }
  // Everybody else, meanwhile and afterwards.
  void expectServes() { EXPECT_TRUE(client_->posture()); }
  [[nodiscard]] std::size_t descriptorsOfLauncher() const {
    const fs::directory_iterator list("/proc/" + std::to_string(launcher_) + "/fd");
    return static_cast<std::size_t>(std::distance(fs::begin(list), fs::end(list)));
  }
  [[nodiscard]] std::vector<std::string> goodRequests() const {
    const std::string digest(64, 'a');
    launcher::TenantPutRequest tenant;
    tenant.tenant = 9;
    return {encode(request("some", "exit 0")),
            encode(launcher::ExecRequest{"some", "one", {"sh"}, {}, "/", {}, launcher::Writes::byMode, {}}),
            encode(launcher::SignalRequest{"some", SIGTERM, launcher::SignalTarget::init}),
            encode(launcher::RemoveRequest{"some"}),
            encode(tenant),
            encode(launcher::TenantRemoveRequest{9}),
            encode(launcher::Verb::layerMount, launcher::LayerRequest{digest}),
            encode(launcher::Verb::layerRelease, launcher::LayerRequest{digest}),
            encode(launcher::Verb::recover),
            encode(launcher::NetworkUsageRequest{}),
            encode(launcher::Verb::posture),
            encode(launcher::DenialsRequest{}),
            encode(launcher::EndExecRequest{"some", "one"})};
  }

  UniqueFd null_{::open("/dev/null", O_RDWR | O_CLOEXEC)};
};

TEST_F(HostileCaller, UnknownVerbsEndTheSession) {
  for (const unsigned verb : {0U, 15U, 16U, 255U, 256U, 0x7fffU, 0xffffU}) {
    wire::Writer writer;
    writer.put(static_cast<std::uint16_t>(verb));
    expectEnds(writer.bytes(), 0, "verb " + std::to_string(verb));
  }
  expectServes();
}

TEST_F(HostileCaller, ShortAndLongRequestsEndTheSession) {
  for (const auto& good : goodRequests()) {
    const std::string what = "verb " + std::to_string(static_cast<int>(good[0]));
    for (const std::size_t size : {std::size_t{1}, std::size_t{2}, good.size() / 2, good.size() - 1}) {
      // Two bytes are a whole request where the verb says it all.
      if (size == 0 || size >= good.size()) continue;
      expectEnds(good.substr(0, size), 0, what + " cut to " + std::to_string(size));
    }
    expectEnds(good + '\0', 0, what + " and a byte more");
    expectEnds(good + good, 0, what + " twice in one datagram");
    expectEnds(good + std::string(wire::kMaxMessage - good.size(), 'x'), 0, what + " filled up");
  }
  expectServes();
}

TEST_F(HostileCaller, DescriptorsThatAVerbDoesNotTakeEndTheSession) {
  const std::size_t before = descriptorsOfLauncher();
  const std::vector<std::size_t> most = {5, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  const auto requests = goodRequests();
  ASSERT_EQ(requests.size(), most.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    expectEnds(requests[i], most[i] + 1, "verb " + std::to_string(i + 1) + " with one too many");
    expectEnds(requests[i], 200, "verb " + std::to_string(i + 1) + " with 200");
  }
  expectServes();
  EXPECT_LE(descriptorsOfLauncher(), before + 1) << "what strangers sent is closed";
}

TEST_F(HostileCaller, TooFewDescriptorsAreRefusedAndTheSessionGoesOn) {
  const UniqueFd mine = session();
  const std::string launch = encode(request("few", "exit 0"));
  for (std::size_t count = 0; count < 4; ++count) {
    const std::vector<int> given(count, null_.get());
    ASSERT_TRUE(seqpacket::send(mine.get(), launch, given));
    auto reply = seqpacket::receive(mine.get());
    ASSERT_TRUE(reply);
    wire::Reader reader(reply->bytes);
    EXPECT_EQ(reader.get<std::uint8_t>(), 1U);
    Error error;
    ASSERT_TRUE(launcher::decodeFailure(reader, error));
    EXPECT_EQ(error.path, "descriptors");
  }
  EXPECT_TRUE(fs::is_empty(path("run") + "/containers"));
}

// What stands for a request must be memory that nobody can change or cut any more, and hold one.
TEST_F(HostileCaller, RequestsInMemoryThatIsNotSealedEndTheSession) {
  const std::string datagram = encode(launcher::Verb::inMemory);
  const std::string good = encode(launcher::Verb::posture);
  expectEnds(datagram, 0, "no memory");
  expectEnds(datagram, 1, "a device");
  const auto expectEndsWith = [&](int descriptor, const std::string& what) {
    const UniqueFd mine = session();
    ASSERT_TRUE(seqpacket::send(mine.get(), datagram, std::span<const int>(&descriptor, 1)));
    expectEnded(mine.get(), what);
  };
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  expectEndsWith(reader.get(), "a pipe that nobody writes to");
  const UniqueFd file(::open(path("request").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::write(file.get(), good.data(), good.size()), static_cast<ssize_t>(good.size()));
  expectEndsWith(file.get(), "a file");
  const UniqueFd open(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::write(open.get(), good.data(), good.size()), static_cast<ssize_t>(good.size()));
  expectEndsWith(open.get(), "memory without seals");
  ASSERT_EQ(::fcntl(open.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  expectEndsWith(open.get(), "memory that can be written");
  for (const auto& [bytes, what] : {std::pair{std::string(), "nothing"},
                                    {datagram, "itself"},
                                    {std::string("x"), "no verb"},
                                    {good + '\0', "a byte more"},
                                    {std::string(launcher::kMostRequest + 1, 'x'), "too much"}}) {
    const auto memory = process::sealedMemory(bytes, "hostile");
    ASSERT_TRUE(memory);
    expectEndsWith(memory->get(), what);
  }
  const auto memory = process::sealedMemory(good, "good");
  const UniqueFd mine = session();
  const int descriptor = memory->get();
  ASSERT_TRUE(seqpacket::send(mine.get(), datagram, std::span<const int>(&descriptor, 1)));
  auto reply = seqpacket::receive(mine.get());
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->bytes.front(), '\0');
  expectServes();
}

TEST_F(HostileCaller, GarbageEndsTheSession) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string bytes(1 + random() % 600, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    // A verb that exists, so that its decoder sees the rest; a request that says nothing more would be a good one.
    bytes[0] = static_cast<char>(1 + random() % 8);
    if (bytes.size() > 1) bytes[1] = '\0';
    const UniqueFd mine = session();
    ASSERT_TRUE(seqpacket::send(mine.get(), bytes, {}));
    expectEnded(mine.get(), "round " + std::to_string(round));
  }
  expectServes();
  EXPECT_TRUE(fs::is_empty(path("run") + "/containers"));
}

TEST_F(HostileCaller, RepeatedRequestsChangeNothingTwice) {
  auto container = launch(request("twin", "sleep 60"));
  ASSERT_TRUE(container) << container.error().message();
  for (int round = 0; round < 20; ++round) {
    auto again = launch(request("twin", "sleep 60"));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, EEXIST);
  }
  EXPECT_FALSE(waitFor(container->descriptor(launcher::DescriptorKind::pid), 0)) << "the first one lives on";
  for (int round = 0; round < 5; ++round) EXPECT_TRUE(client_->remove("twin"));
}

TEST_F(HostileCaller, SessionsBeyondTheMostAreClosedAtOnce) {
  std::vector<UniqueFd> many;
  for (int i = 0; i < 200; ++i) many.push_back(session());
  expectServes();
  // Those that were let in still answer, the others are closed.
  std::size_t answered = 0;
  for (const auto& one : many) {
    if (!seqpacket::send(one.get(), launcher::encode(launcher::Verb::posture), {})) continue;
    auto reply = seqpacket::receive(one.get());
    answered += reply && !reply->bytes.empty() ? 1U : 0U;
  }
  EXPECT_GT(answered, 0U);
  EXPECT_LE(answered, 32U);
  many.clear();
  const UniqueFd later = session();
  ASSERT_TRUE(seqpacket::send(later.get(), launcher::encode(launcher::Verb::posture), {}));
  auto reply = seqpacket::receive(later.get());
  EXPECT_TRUE(reply && !reply->bytes.empty()) << "their places are free again";
}

TEST_F(HostileCaller, HalfOpenSessionsHoldNobodyUp) {
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 10; ++i) {
    silent.push_back(session());
    if (i % 2 == 0) ::shutdown(silent.back().get(), SHUT_WR);
  }
  expectServes();
  EXPECT_EQ(run(request("beside", "exit 0")).status, "exit 0\n");
}

// A caller that asks and never reads: its replies fill its socket, and then the launcher must not wait for it.
TEST_F(HostileCaller, SlowReadersHoldNobodyUp) {
  const UniqueFd deaf = session();
  const std::string ask = launcher::encode(launcher::Verb::posture);
  for (int i = 0; i < 5000; ++i) {
    if (::send(deaf.get(), ask.data(), ask.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN) break;
  }
  expectServes();
  EXPECT_EQ(run(request("meanwhile", "exit 0")).status, "exit 0\n");
}

// Where another user could make or move a name, what the launcher makes or follows as root would lead where he points
// it.
TEST_F(LauncherTest, DirectoriesThatOthersMayChangeAreRefused) {
  constexpr uid_t kOther = 1234;
  killLauncher(SIGTERM);
  for (const char* name : {"run", "store"}) {
    const std::string directory = path(name);
    struct stat before {};
    ASSERT_EQ(::stat(directory.c_str(), &before), 0);
    const auto refused = [&] { return refusalToStart().find(directory) != std::string::npos; };
    ASSERT_EQ(::chmod(directory.c_str(), 01775), 0);
    EXPECT_TRUE(refused()) << name << ": sticky and writable";
    ASSERT_EQ(::chmod(directory.c_str(), before.st_mode & 07777U), 0);
    ASSERT_EQ(::chown(directory.c_str(), kOther, 0), 0);
    EXPECT_TRUE(refused()) << name << ": another user's";
    ASSERT_EQ(::chown(directory.c_str(), 0, 0), 0);
    ASSERT_EQ(::rename(directory.c_str(), path("elsewhere").c_str()), 0);
    ASSERT_EQ(::symlink("elsewhere", directory.c_str()), 0);
    EXPECT_TRUE(refused()) << name << ": a link";
    ASSERT_EQ(::unlink(directory.c_str()), 0);
    ASSERT_EQ(::rename(path("elsewhere").c_str(), directory.c_str()), 0);
  }
  startLauncher();
}

}  // namespace
}  // namespace cloister::test
