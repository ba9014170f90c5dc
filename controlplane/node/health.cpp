#include "controlplane/node/health.h"

#include <Poco/Exception.h>
#include <Poco/Net/NetException.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/SocketImpl.h>
#include <Poco/Net/StreamSocket.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace cloister::node {

using Clock = std::chrono::steady_clock;

Answer judge(std::string_view head, std::string& reason) {
  constexpr std::string_view kStart = "HTTP/1.";
  const std::size_t known = std::min(head.size(), kStart.size());
  if (head.substr(0, known) != kStart.substr(0, known)) {
    reason = "the answer is no HTTP";
    return Answer::bad;
  }
  if (head.size() < 12) return Answer::incomplete;  // "HTTP/1.1 200"
  const std::string_view code = head.substr(9, 3);
  const bool digits = std::all_of(code.begin(), code.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (head[8] != ' ' || !digits) {
    reason = "the answer is no HTTP";
    return Answer::bad;
  }
  if (code[0] == '2' || code[0] == '3') return Answer::good;
  reason = "status " + std::string(code);
  return Answer::bad;
}

struct HealthProber::Running {
  Probe probe;
  Done done;
  Clock::time_point deadline;
  Poco::Net::StreamSocket socket;
  std::string request;
  std::string head;
  bool connected = false;

  Running(Probe what, Done then) : probe(std::move(what)), done(std::move(then)), deadline(Clock::now() + kProbeLimit) {
    const std::string address = formatIpv4(probe.address);
    if (!probe.path.empty()) {
      const auto host = probe.host.empty() ? address + ":" + std::to_string(probe.port) : probe.host;
      request = "GET " + probe.path + " HTTP/1.1\r\nHost: " + host +
                "\r\nUser-Agent: cloister-health\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    }
    socket.connectNB(Poco::Net::SocketAddress(address, probe.port));
  }

  // A verdict, if there is one now: empty text for good.
  std::optional<std::string> step(bool readable, bool writable) {
    if (!connected && (readable || writable)) {
      const int failed = socket.impl()->socketError();
      if (failed != 0) return std::string("connect: ") + std::strerror(failed);
      connected = true;
      socket.setBlocking(false);
      if (probe.path.empty()) return std::string();
    }
    if (!connected) return std::nullopt;
    if (!request.empty() && writable) {
      const int sent = socket.sendBytes(request.data(), static_cast<int>(request.size()));
      if (sent > 0) request.erase(0, static_cast<std::size_t>(sent));
    }
    if (!readable) return std::nullopt;
    std::array<char, kMaxHead> buffer{};
    const int got = socket.receiveBytes(buffer.data(), static_cast<int>(buffer.size()));
    if (got == 0) return "closed without an answer";
    if (got < 0) return std::nullopt;
    head.append(buffer.data(), static_cast<std::size_t>(got));
    std::string reason;
    switch (judge(head, reason)) {
      case Answer::good:
        return std::string();
      case Answer::bad:
        return reason;
      case Answer::incomplete:
        return std::nullopt;
    }
    return std::nullopt;
  }
};

Result<std::unique_ptr<HealthProber>> HealthProber::start() {
  std::unique_ptr<HealthProber> prober(new HealthProber());
  auto wakeup = streams::Wakeup::make();
  if (!wakeup) return wakeup.error();
  prober->wakeup_ = std::move(wakeup).value();
  prober->thread_ = std::thread([raw = prober.get()] { raw->run(); });
  return prober;
}

HealthProber::~HealthProber() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wakeup_.signal();
  if (thread_.joinable()) thread_.join();
}

void HealthProber::check(Probe probe, Done done) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.emplace_back(std::move(probe), std::move(done));
  }
  wakeup_.signal();
}

void HealthProber::run() {
  std::vector<std::unique_ptr<Running>> probes;
  for (;;) {
    std::vector<std::pair<Probe, Done>> fresh;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      fresh.swap(waiting_);
    }
    for (auto& [probe, done] : fresh) {
      try {
        probes.push_back(std::make_unique<Running>(probe, done));
      } catch (const Poco::Exception& error) {
        done("connect: " + error.displayText());
      }
    }
    std::vector<streams::Watched> watched{{wakeup_.fd(), streams::Want::input}};
    Clock::time_point next = Clock::now() + std::chrono::hours(1);
    for (const auto& probe : probes) {
      const bool sending = !probe->connected || !probe->request.empty();
      watched.push_back({probe->socket.impl()->sockfd(), sending ? streams::Want::both : streams::Want::input});
      next = std::min(next, probe->deadline);
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now()).count() + 1;
    if (auto done = streams::waitAny(watched, static_cast<int>(std::max<std::int64_t>(left, 0))); !done) return;
    if (watched[0].readable) wakeup_.drain();
    const auto now = Clock::now();
    std::vector<std::unique_ptr<Running>> rest;
    for (std::size_t i = 0; i < probes.size(); ++i) {
      std::optional<std::string> verdict;
      try {
        verdict = probes[i]->step(watched[i + 1].readable, watched[i + 1].writable);
      } catch (const Poco::Exception& error) {
        verdict = error.displayText();
      }
      if (!verdict && now >= probes[i]->deadline)
        verdict = probes[i]->connected ? "no answer in 2 s" : "no connection in 2 s";
      if (verdict) {
        probes[i]->done(*verdict);
      } else {
        rest.push_back(std::move(probes[i]));
      }
    }
    probes = std::move(rest);
  }
}

}  // namespace cloister::node
