#include "tests/bench/http_probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <string_view>
#include <thread>

#include "sandbox/base/unique_fd.h"

namespace cloister::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kRequest = "GET /etc/page HTTP/1.0\r\n\r\n";

// Until the server closes; false without a status line.
bool ask(Ipv4 address, std::uint16_t port) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{2, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sockaddr_in server{};
  server.sin_family = AF_INET;
  server.sin_port = htons(port);
  server.sin_addr.s_addr = htonl(address);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0) return false;
  if (::send(socket.get(), kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0) return false;
  std::array<char, 4096> answer{};
  bool good = false;
  for (ssize_t got = 0; (got = ::recv(socket.get(), answer.data(), answer.size(), 0)) != 0;) {
    if (got < 0) return false;
    good = good || std::string_view(answer.data(), static_cast<std::size_t>(got)).starts_with("HTTP/1.");
  }
  return good;
}

}  // namespace

bool awaitServer(Ipv4 address, std::uint16_t port, std::chrono::seconds patience) {
  const auto until = Clock::now() + patience;
  while (!ask(address, port)) {
    if (Clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

Probed probeServer(Ipv4 address, std::uint16_t port, std::chrono::milliseconds duration) {
  Probed probed;
  const auto until = Clock::now() + duration;
  while (Clock::now() < until) {
    const auto begin = Clock::now();
    if (ask(address, port)) {
      probed.millis.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    } else {
      ++probed.failed;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return probed;
}

}  // namespace cloister::bench
