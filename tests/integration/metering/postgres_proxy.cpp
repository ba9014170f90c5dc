#include "tests/integration/metering/postgres_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace cloister::test {
namespace {

// The simple-query message of libpq: type, length with itself, text and its NUL.
constexpr std::string_view kCommit(
    "Q\0\0\0\x0b"
    "COMMIT\0",
    12);

sockaddr_un addressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

bool relay(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string_view take(int from, std::array<char, 65536>& buffer) {
  const ssize_t got = ::recv(from, buffer.data(), buffer.size(), 0);
  return {buffer.data(), got <= 0 ? 0 : static_cast<std::size_t>(got)};
}

}  // namespace

PostgresProxy::PostgresProxy(std::string serverSocket) : serverSocket_(std::move(serverSocket)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cloister-proxy-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp " + pattern);
  directory_ = pattern;
  const auto address = addressOf(directory_ + "/.s.PGSQL.5432");
  listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 16) != 0) {
    throw std::runtime_error("listen in " + directory_);
  }
  thread_ = std::thread([this] { run(); });
}

PostgresProxy::~PostgresProxy() {
  stopping_ = true;
  thread_.join();
  ::close(listener_);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void PostgresProxy::actBefore(int messages, std::function<void()> act) {
  await();
  act_ = std::move(act);
  messagesLeft_ = messages;
}

void PostgresProxy::await() {
  messagesLeft_ = INT_MAX;
  if (acting_.valid()) acting_.get();
}

void PostgresProxy::accept() {
  Pair pair;
  pair.client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  pair.server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = addressOf(serverSocket_);
  if (::connect(pair.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    ::close(pair.client);
    ::close(pair.server);
    return;
  }
  pairs_.push_back(pair);
}

bool PostgresProxy::fromClient(Pair& pair) {
  std::array<char, 65536> buffer;
  const auto bytes = take(pair.client, buffer);
  if (bytes.empty()) return false;
  if (--messagesLeft_ == 0) {
    if (!act_) return false;
    acting_ = std::async(std::launch::async, std::exchange(act_, nullptr));
    acting_.wait_for(std::chrono::milliseconds(100));
  }
  const bool hit = at_ != At::nothing && bytes.find(kCommit) != std::string_view::npos;
  const auto at = hit ? at_.exchange(At::nothing) : At::nothing;
  if (at == At::beforeCommit || !relay(pair.server, bytes)) return false;
  if (at == At::nothing) return true;
  // The answer is the proof that it is committed.
  std::array<char, 65536> answer;
  static_cast<void>(take(pair.server, answer));
  pair.silent = at == At::silentAfter;
  return pair.silent;
}

bool PostgresProxy::fromServer(const Pair& pair) {
  std::array<char, 65536> buffer;
  const auto bytes = take(pair.server, buffer);
  return !bytes.empty() && (pair.silent || relay(pair.client, bytes));
}

void PostgresProxy::run() {
  while (!stopping_) {
    std::vector<pollfd> watched{{listener_, POLLIN, 0}};
    for (const auto& pair : pairs_) {
      watched.push_back({pair.client, POLLIN, 0});
      watched.push_back({pair.server, POLLIN, 0});
    }
    if (::poll(watched.data(), watched.size(), 20) <= 0) continue;
    std::vector<Pair> left;
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      auto pair = pairs_[i];
      bool open = true;
      if (watched[2 * i + 1].revents != 0) open = fromClient(pair);
      if (open && watched[2 * i + 2].revents != 0) open = fromServer(pair);
      if (open) {
        left.push_back(pair);
      } else {
        ::close(pair.client);
        ::close(pair.server);
      }
    }
    pairs_ = std::move(left);
    if (watched[0].revents != 0) accept();
  }
  for (const auto& pair : pairs_) {
    ::close(pair.client);
    ::close(pair.server);
  }
}

}  // namespace cloister::test
