#include "tests/integration/edge/harness.h"

#include <Poco/Net/HTTPClientSession.h>
#include <Poco/Net/HTTPRequest.h>
#include <Poco/Net/HTTPResponse.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/StreamCopier.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>

#include "sandbox/base/identity.h"

namespace cloister::edge {
namespace {

namespace fs = std::filesystem;
namespace net = Poco::Net;
using std::chrono::steady_clock;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Address addressOf(const std::string& host, std::uint16_t port) {
  Address address;
  sockaddr_in four{};
  sockaddr_in6 six{};
  if (::inet_pton(AF_INET, host.c_str(), &four.sin_addr) == 1) {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    std::copy_n(reinterpret_cast<const char*>(&four), sizeof four, reinterpret_cast<char*>(&address.storage));
    address.size = sizeof four;
  } else {
    ::inet_pton(AF_INET6, host.c_str(), &six.sin6_addr);
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    std::copy_n(reinterpret_cast<const char*>(&six), sizeof six, reinterpret_cast<char*>(&address.storage));
    address.size = sizeof six;
  }
  return address;
}

std::uint16_t freePort() {
  const net::ServerSocket probe(net::SocketAddress("127.0.0.1", 0));
  return probe.address().port();
}

}  // namespace

Route to(std::vector<Backend> backends, const std::string& app, const std::string& tenant) {
  return {app, tenant, std::move(backends), Absence::noInstance};
}

std::string request(const std::string& host, const std::string& path, const std::string& headers) {
  return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "Connection: close\r\n\r\n";
}

Client::Client(std::uint16_t port, const std::string& source, const std::string& target) {
  const auto there = addressOf(target, port);
  fd_.reset(::socket(there.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (source != "127.0.0.1") {
    const auto here = addressOf(source, 0);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&here.storage), here.size), 0);
  }
  EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&there.storage), there.size), 0);
}

void Client::send(const std::string& bytes) const {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t count = ::send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;
    sent += static_cast<std::size_t>(count);
  }
}

void Client::finish() const {
  ::shutdown(fd_.get(), SHUT_WR);
}

std::string Client::receive(const std::string& end, int seconds) const {
  std::string text;
  std::array<char, 65'536> buffer{};
  const auto limit = steady_clock::now() + std::chrono::seconds(seconds);
  while (end.empty() || text.find(end) == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(limit - steady_clock::now()).count();
    pollfd one{fd_.get(), POLLIN, 0};
    if (left <= 0 || ::poll(&one, 1, static_cast<int>(left)) <= 0) break;
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return text;
}

bool Client::closed() const {
  pollfd one{fd_.get(), POLLIN, 0};
  char byte = 0;
  return ::poll(&one, 1, 0) == 1 && ::recv(fd_.get(), &byte, 1, MSG_PEEK) <= 0;
}

RawApp::RawApp(Behaviour behaviour) : behaviour_(std::move(behaviour)) {
  listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto here = addressOf("127.0.0.1", 0);
  EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&here.storage), here.size), 0);
  EXPECT_EQ(::listen(listener_.get(), 512), 0);
  acceptor_ = std::thread([this] {
    for (;;) {
      UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection.valid()) return;
      const std::lock_guard guard(mutex_);
      open_.push_back(connection.get());
      threads_.emplace_back([this, fd = std::move(connection)]() mutable { serve(std::move(fd)); });
    }
  });
}

RawApp::~RawApp() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard guard(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (auto& thread : threads_) thread.join();
}

Backend RawApp::backend() const {
  sockaddr_in here{};
  socklen_t size = sizeof here;
  ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&here), &size);
  return {parseIpv4("127.0.0.1"), ntohs(here.sin_port)};
}

void RawApp::serve(UniqueFd connection) {
  const int fd = connection.get();
  const Client client(std::move(connection));
  for (;;) {
    std::string head;
    char byte = 0;
    while (!head.ends_with("\r\n\r\n") && ::recv(fd, &byte, 1, 0) == 1) head += byte;
    if (!head.ends_with("\r\n\r\n")) break;
    ++requests_;
    if (!behaviour_(client, head)) break;
  }
  const std::lock_guard guard(mutex_);
  std::erase(open_, fd);
}

void Edge::SetUp() {
  if (!fs::exists("/usr/sbin/haproxy")) GTEST_SKIP() << "haproxy is not installed";
  directory_ = fs::temp_directory_path() / ("cloister-edge-" + std::to_string(Poco::Process::id()));
  fs::create_directories(directory_);
  port_ = freePort();
  options_.mapDirectory = directory_;
  options_.bind = {"127.0.0.1:" + std::to_string(port_)};
  if (fs::exists("/proc/net/if_inet6")) options_.bind.push_back("[::1]:" + std::to_string(port_));
  options_.runtimeSocket = directory_ / "haproxy.sock";
  options_.luaFile = directory_ / "haproxy.lua";
  options_.instanceNetwork = "127.0.0.0/8";
  ensureMapFiles(directory_);
}

void Edge::TearDown() {
  stopHaproxy();
  if (!directory_.empty()) fs::remove_all(directory_);
}

void Edge::startHaproxy() {
  std::ofstream(directory_ / "haproxy.cfg") << haproxyConfig(options_);
  std::ofstream(directory_ / "haproxy.lua") << haproxyLua(options_.answerSeconds);
  haproxy_.emplace(Poco::Process::launch("/usr/sbin/haproxy", {"-db", "-q", "-f", directory_ / "haproxy.cfg"}));
  for (int i = 0; i < 200; ++i) {
    try {
      const net::StreamSocket probe(net::SocketAddress("127.0.0.1", port_));
      const net::StreamSocket runtime(net::SocketAddress(net::SocketAddress::UNIX_LOCAL, options_.runtimeSocket));
      return;
    } catch (const Poco::Exception&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
  }
  FAIL() << "haproxy does not listen";
}

void Edge::stopHaproxy() {
  if (!haproxy_) return;
  Poco::Process::kill(*haproxy_);
  haproxy_->wait();
  haproxy_.reset();
}

EdgeMap::Options Edge::edgeOptions() const {
  return {.socket = directory_ / "haproxy.sock", .mapDirectory = directory_};
}

Answer Edge::get(const std::string& host) const {
  net::HTTPClientSession session("127.0.0.1", port_);
  session.setTimeout(Poco::Timespan(10, 0));
  net::HTTPRequest sent(net::HTTPRequest::HTTP_GET, "/", net::HTTPRequest::HTTP_1_1);
  sent.setHost(host);
  sent.set("X-Forwarded-For", "203.0.113.9");
  session.sendRequest(sent);
  net::HTTPResponse response;
  Answer answer;
  Poco::StreamCopier::copyToString(session.receiveResponse(response), answer.body);
  answer.status = response.getStatus();
  return answer;
}

std::string Edge::ask(const std::string& bytes, const std::string& source) const {
  const Client client(port_, source);
  client.send(bytes);
  return client.receive();
}

std::string Edge::mapFile(const char* name) const {
  std::ifstream file(directory_ / name);
  return {std::istreambuf_iterator<char>(file), {}};
}

Backend Edge::dead() {
  return {parseIpv4("127.0.0.1"), freePort()};
}

}  // namespace cloister::edge
