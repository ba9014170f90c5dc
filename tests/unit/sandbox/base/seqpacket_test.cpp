#include "sandbox/base/seqpacket.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "sandbox/base/wire.h"

namespace cloister::seqpacket {
namespace {

class Seqpacket : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-seq-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = pattern + "/socket";
    auto listener = listen(path_, 0660);
    ASSERT_TRUE(listener.ok()) << listener.error().message();
    listener_ = std::move(*listener);
    auto client = connect(path_);
    ASSERT_TRUE(client.ok()) << client.error().message();
    client_ = std::move(*client);
    auto server = accept(listener_.get());
    ASSERT_TRUE(server.ok());
    server_ = std::move(*server);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path directory_;
  std::string path_;
  UniqueFd listener_;
  UniqueFd client_;
  UniqueFd server_;
};

std::size_t openDescriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST_F(Seqpacket, keepsMessagesApart) {
  ASSERT_TRUE(send(client_.get(), "one", {}));
  ASSERT_TRUE(send(client_.get(), "two", {}));
  EXPECT_EQ(receive(server_.get())->bytes, "one");
  EXPECT_EQ(receive(server_.get())->bytes, "two");
}

TEST_F(Seqpacket, carriesTheLargestMessageAndNoLargerOne) {
  const std::string largest(wire::kMaxMessage, 'm');
  ASSERT_TRUE(send(client_.get(), largest, {}));
  EXPECT_EQ(receive(server_.get())->bytes, largest);
  EXPECT_EQ(send(client_.get(), largest + "m", {}).error().code, EMSGSIZE);
  EXPECT_EQ(send(client_.get(), "", {}).error().code, EMSGSIZE) << "an empty message means 'closed'";
}

TEST_F(Seqpacket, carriesDescriptorsThatCloseOnExec) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd readEnd(ends[0]);
  UniqueFd writeEnd(ends[1]);
  ASSERT_TRUE(send(client_.get(), "take", std::span<const int>(&ends[1], 1)));
  writeEnd.reset();
  auto message = receive(server_.get());
  ASSERT_TRUE(message.ok());
  ASSERT_EQ(message->descriptors.size(), 1U);
  EXPECT_NE(::fcntl(message->descriptors[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_EQ(::write(message->descriptors[0].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(readEnd.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
}

TEST_F(Seqpacket, carriesAsManyDescriptorsAsTheKernelAllows) {
  const std::vector<int> most(kMostDescriptors, client_.get());
  const std::size_t before = openDescriptors();
  {
    ASSERT_TRUE(send(client_.get(), "many", most));
    auto message = receive(server_.get());
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->descriptors.size(), kMostDescriptors);
  }
  EXPECT_EQ(openDescriptors(), before) << "descriptors leaked";
  EXPECT_EQ(send(client_.get(), "more", std::vector<int>(kMostDescriptors + 1, 0)).error().code, EMSGSIZE);
}

TEST_F(Seqpacket, aTruncatedMessageIsAnErrorAndLeaksNothing) {
  // Written with sendmsg itself, as a hostile peer would: the helper refuses.
  std::string tooLarge(wire::kMaxMessage + 1, 'm');
  const std::size_t before = openDescriptors();
  iovec part{tooLarge.data(), tooLarge.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  *header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  const int fd = client_.get();
  std::copy_n(reinterpret_cast<const unsigned char*>(&fd), sizeof fd, CMSG_DATA(header));
  ASSERT_EQ(::sendmsg(client_.get(), &message, 0), static_cast<ssize_t>(tooLarge.size()));
  const auto received = receive(server_.get());
  ASSERT_FALSE(received.ok());
  EXPECT_EQ(received.error().code, EMSGSIZE);
  EXPECT_EQ(openDescriptors(), before);
}

TEST_F(Seqpacket, aClosedPeerIsAnEmptyMessage) {
  client_.reset();
  const auto message = receive(server_.get());
  ASSERT_TRUE(message.ok());
  EXPECT_TRUE(message->bytes.empty());
  EXPECT_EQ(send(server_.get(), "x", {}).error().code, EPIPE) << "and no SIGPIPE";
}

TEST_F(Seqpacket, knowsItsPeer) {
  const auto who = peer(server_.get());
  ASSERT_TRUE(who.ok());
  EXPECT_EQ(who->pid, ::getpid());
  EXPECT_EQ(who->uid, ::getuid());
}

TEST_F(Seqpacket, listenReplacesAStaleSocketAndSetsTheMode) {
  ASSERT_TRUE(listen(path_, 0600).ok());
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST(SeqpacketAddress, impossiblePathsAreErrors) {
  EXPECT_EQ(connect("").error().code, ENAMETOOLONG);
  EXPECT_EQ(connect(std::string(108, 'a')).error().code, ENAMETOOLONG);
  EXPECT_EQ(connect("/nonexistent/socket").error().code, ENOENT);
  EXPECT_FALSE(listen("/nonexistent/socket", 0600).ok());
}

TEST(SeqpacketPair, speaksBothWays) {
  auto ends = pair();
  ASSERT_TRUE(ends.ok());
  ASSERT_TRUE(send(ends->first.get(), "ping", {}));
  EXPECT_EQ(receive(ends->second.get())->bytes, "ping");
  ASSERT_TRUE(send(ends->second.get(), "pong", {}));
  EXPECT_EQ(receive(ends->first.get())->bytes, "pong");
}

}  // namespace
}  // namespace cloister::seqpacket
