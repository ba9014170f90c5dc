#include "api/waiting_room.h"

#include <Poco/Exception.h>
#include <Poco/Net/IPAddress.h>
#include <Poco/Net/SocketAddress.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace cloister::api {
namespace {

constexpr std::chrono::milliseconds kTick(1000);
// Descriptors that are not for waiting connections: workers', files, databases.
constexpr std::size_t kOtherDescriptors = 1024;

Poller openPoller() {
  auto poller = Poller::open();
  if (!poller) throw std::runtime_error(poller.error().message());
  return std::move(poller).value();
}

std::size_t withinDescriptors(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return wanted;
  const std::size_t all = limit.rlim_cur;
  return std::clamp<std::size_t>(all > 2 * kOtherDescriptors ? all - kOtherDescriptors : all / 2, 16, wanted);
}

// An IPv6 client has a whole network of 64 bits to itself.
std::string sourceOf(sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    return Poco::Net::IPAddress(&static_cast<sockaddr_in*>(static_cast<void*>(&address))->sin_addr, sizeof(in_addr))
        .toString();
  }
  if (address.ss_family == AF_INET6) {
    auto& host = static_cast<sockaddr_in6*>(static_cast<void*>(&address))->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&host)) return Poco::Net::IPAddress(&host.s6_addr[12], sizeof(in_addr)).toString();
    std::fill(host.s6_addr + 8, host.s6_addr + 16, std::uint8_t{0});
    return Poco::Net::IPAddress(&host, sizeof host).toString() + "/64";
  }
  return "local";
}

}  // namespace

WaitingRoom::WaitingRoom(int listener, RoomLimits limits, Take take, Refuse refuse)
    : listener_(listener), limits_(limits), take_(std::move(take)), refuse_(std::move(refuse)), poller_(openPoller()) {
  limits_.connections = withinDescriptors(limits_.connections);
  (void)::fcntl(listener_, F_SETFL, ::fcntl(listener_, F_GETFL) | O_NONBLOCK);
  if (const auto watched = poller_.watch(listener_, Interest::read, this); !watched) {
    throw std::runtime_error(watched.error().message());
  }
}

void WaitingRoom::start() {
  thread_ = std::thread([this] { run(); });
}

void WaitingRoom::stop() {
  if (stopping_.exchange(true)) return;
  poller_.knock();
  if (thread_.joinable()) thread_.join();
  const std::scoped_lock lock(mutex_);
  back_.clear();
}

void WaitingRoom::giveBack(Connection::Ptr connection, Next next) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) return;
    back_.emplace_back(std::move(connection), next);
  }
  poller_.knock();
}

void WaitingRoom::run() {
  while (!stopping_) {
    auto most = kTick;
    if (!due_.empty()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(due_.begin()->first - Clock::now());
      most = std::clamp(left, std::chrono::milliseconds(0), kTick);
    }
    for (const auto& event : poller_.wait(most)) {
      if (event.subject == this) {
        acceptAll();
      } else if (const auto guest = guests_.find(static_cast<Guest*>(event.subject)); guest != guests_.end()) {
        ready(*guest->second, event.broken);
      }
    }
    std::vector<std::pair<Connection::Ptr, Next>> back;
    {
      const std::scoped_lock lock(mutex_);
      back.swap(back_);
    }
    for (auto& [connection, next] : back) admit(std::move(connection), next);
    while (!due_.empty() && due_.begin()->first <= Clock::now()) expire(*due_.begin()->second);
    gone_.clear();
  }
  guests_.clear();
  poller_.forget(listener_);
}

void WaitingRoom::acceptAll() {
  for (int i = 0; i < 256; ++i) {
    sockaddr_storage address{};
    auto accepted = acceptWaiting(listener_, address);
    if (!accepted) {
      const int code = accepted.error().code;
      if (code == ECONNABORTED || code == EINTR) continue;
      // Out of descriptors: one that waits makes room; the listener is told of again.
      if ((code == EMFILE || code == ENFILE) && evictFrom(order_)) continue;
      if (code != EAGAIN) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      return;
    }
    const auto source = sourceOf(address);
    const int on = 1;
    (void)::setsockopt(accepted->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    Connection::Ptr connection(new Connection(accepted->release(), source));
    admit(std::move(connection), Next::head);
  }
}

void WaitingRoom::admit(Connection::Ptr connection, Next next) {
  if (stopping_ || !connection->flush()) return;
  auto owned = std::make_unique<Guest>();
  Guest& guest = *owned;
  const bool proven = !connection->caller.empty();
  guest.connection = std::move(connection);
  guest.next = next;
  guest.since = Clock::now();
  guest.sendingSince = guest.since;
  guest.group = proven ? "caller " + guest.connection->caller : "source " + guest.connection->source();
  makeRoom(guest.group, proven);
  guests_.emplace(&guest, std::move(owned));
  count_ = guests_.size();
  if (guest.connection->flushed()) {
    afterSending(guest);
  } else {
    settle(guest, Phase::sending, limits_.send);
  }
}

void WaitingRoom::makeRoom(const std::string& group, bool proven) {
  const std::size_t most = proven ? limits_.perCaller : limits_.perSource;
  if (const auto own = groups_.find(group); own != groups_.end() && most > 0 && own->second.size() >= most) {
    (void)evictFrom(own->second);
  }
  if (guests_.size() >= limits_.connections) (void)evictFrom(order_);
}

bool WaitingRoom::evictFrom(Order& order) {
  if (order.empty()) return false;
  Guest& guest = *std::get<Guest*>(*order.begin());
  // A crowd that is turned away costs a packet each, and leaves nothing behind.
  if (guest.phase == Phase::head) guest.connection->resetAtEnd();
  leave(guest);
  // A crowd can keep this thread at work for longer than the kernel's tick: whoever has a request goes first.
  std::this_thread::yield();
  return true;
}

int WaitingRoom::rankOf(const Guest& guest) {
  if (guest.phase == Phase::lingering) return 0;
  if (guest.connection->caller.empty()) return 1;
  return guest.phase == Phase::head ? 2 : 3;
}

// Into a phase, and watched for what it waits for.
void WaitingRoom::settle(Guest& guest, Phase phase, std::chrono::seconds within) {
  unplace(guest);
  guest.phase = phase;
  guest.due = Clock::now() + within;
  place(guest);
  const auto interest = phase == Phase::sending ? Interest::write : Interest::read;
  const int fd = guest.connection->descriptor();
  const auto watched = guest.watched ? poller_.change(fd, interest, &guest) : poller_.watch(fd, interest, &guest);
  guest.watched = true;
  if (!watched) leave(guest);
}

void WaitingRoom::place(Guest& guest) {
  guest.rank = rankOf(guest);
  const auto key = std::make_tuple(guest.rank, guest.since, &guest);
  order_.insert(key);
  groups_[guest.group].insert(key);
  due_.emplace(guest.due, &guest);
}

void WaitingRoom::unplace(Guest& guest) {
  const auto key = std::make_tuple(guest.rank, guest.since, &guest);
  if (order_.erase(key) == 0) return;
  const auto group = groups_.find(guest.group);
  group->second.erase(key);
  if (group->second.empty()) groups_.erase(group);
  due_.erase({guest.due, &guest});
}

void WaitingRoom::leave(Guest& guest) {
  if (!guest.connection) return;
  unplace(guest);
  if (guest.watched) poller_.forget(guest.connection->descriptor());
  // Closed now; only the note of it stays, for events of this round may name it.
  guest.connection = nullptr;
  const auto entry = guests_.find(&guest);
  gone_.push_back(std::move(entry->second));
  guests_.erase(entry);
  count_ = guests_.size();
}

void WaitingRoom::ready(Guest& guest, bool broken) {
  switch (guest.phase) {
    case Phase::head:
      readHead(guest);
      return;
    case Phase::body:
      readBody(guest);
      return;
    case Phase::sending:
      if (broken) return leave(guest);
      sendRest(guest);
      return;
    case Phase::lingering:
      if (!guest.connection->discard() || guest.connection->discarded() > limits_.lingerBytes) leave(guest);
      return;
  }
}

void WaitingRoom::sendRest(Guest& guest) {
  if (!guest.connection->flush()) return leave(guest);
  if (guest.connection->flushed()) return afterSending(guest);
  if (Clock::now() - guest.sendingSince > limits_.sendWhole) return leave(guest);
  settle(guest, Phase::sending, limits_.send);
}

void WaitingRoom::afterSending(Guest& guest) {
  switch (guest.next) {
    case Next::head:
      guest.begun = false;
      settle(guest, Phase::head, limits_.idle);
      if (!guest.connection->idle()) readHead(guest);
      return;
    case Next::body:
      settle(guest, Phase::body, limits_.body);
      if (guests_.contains(&guest)) readBody(guest);
      return;
    case Next::linger:
      guest.connection->closeSending();
      settle(guest, Phase::lingering, limits_.linger);
      return;
    case Next::close:
      leave(guest);
      return;
  }
}

void WaitingRoom::readHead(Guest& guest) {
  auto& connection = *guest.connection;
  const auto filled = connection.fill(kMaxHead + 1);
  const auto state = connection.readHead();
  if (state == HeadState::refused) return answer(guest, refuse_(connection.refusal()));
  if (state == HeadState::more) {
    if (filled == Connection::Fill::ended) return leave(guest);
    if (!guest.begun && !connection.idle()) {
      guest.begun = true;
      settle(guest, Phase::head, limits_.head);
    }
    return;
  }
  const auto& head = connection.head();
  const bool small = head.body == BodyKind::sized && head.length <= limits_.bodyWithHead && !head.expectsContinue;
  if (!small) return hand(guest);
  settle(guest, Phase::body, limits_.body);
  if (guests_.contains(&guest)) readBody(guest);
}

void WaitingRoom::readBody(Guest& guest) {
  auto& connection = *guest.connection;
  // Chunks have frames, too: a few bytes a byte of content in the worst case.
  const auto filled = connection.fill(8 * limits_.bodyMost);
  const bool there = connection.bodyIsThere(limits_.bodyMost);
  if (!there && filled == Connection::Fill::more) return;
  connection.awaited = true;
  hand(guest);
}

void WaitingRoom::hand(Guest& guest) {
  auto connection = guest.connection;
  unplace(guest);
  poller_.forget(connection->descriptor());
  guest.watched = false;
  const auto refusal = take_(connection);
  if (!refusal.empty()) return answer(guest, refusal);
  leave(guest);
}

void WaitingRoom::answer(Guest& guest, const std::string& text) {
  guest.connection->queue(text);
  guest.next = Next::linger;
  guest.sendingSince = Clock::now();
  sendRest(guest);
}

void WaitingRoom::expire(Guest& guest) {
  const bool late = (guest.phase == Phase::head && guest.begun) || guest.phase == Phase::body;
  if (!late) return leave(guest);
  answer(guest, refuse_({408, "request_timeout",
                         "the request did not come within " + std::to_string(limits_.head.count()) + " seconds"}));
}

}  // namespace cloister::api
