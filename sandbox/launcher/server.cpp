#include "sandbox/launcher/server.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "sandbox/launcher/requests.h"

namespace cloister::launcher {
namespace {

constexpr std::size_t kMostSessions = 32;
// A caller who does not take a reply for so long has no session any more: nobody else waits longer because of them.
constexpr timeval kReplyPatience{1, 0};

std::string replyTo(const Status& done) {
  return done ? encodeDone() : encodeFailure(done.error());
}

template <typename T>
std::string replyTo(Result<Reply<T>> done, std::vector<UniqueFd>& descriptors) {
  if (!done) return encodeFailure(done.error());
  descriptors = std::move(done->descriptors);
  return encode(done->values);
}

}  // namespace

Server::Server(UniqueFd listener, Parts parts) : listener_(std::move(listener)), parts_(std::move(parts)) {}

Status Server::run() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&watched, number);
  if (::sigprocmask(SIG_BLOCK, &watched, nullptr) != 0) return errnoError("server", "sigprocmask");
  signals_.reset(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return errnoError("server", "signalfd");
  for (;;) {
    std::vector<pollfd> polled = {{listener_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    for (const auto& [fd, session] : sessions_) polled.push_back({fd, POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) return errnoError("server", "poll");
    if (polled[1].revents != 0) {
      signalfd_siginfo info{};
      while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGCHLD) return {};
      }
      reap();
    }
    for (std::size_t i = 2; i < polled.size(); ++i) {
      if (polled[i].revents != 0 && !serve(polled[i].fd)) sessions_.erase(polled[i].fd);
    }
    if (polled[0].revents != 0) acceptSession();
  }
}

void Server::reap() {
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void Server::acceptSession() {
  auto session = seqpacket::accept(listener_.get());
  if (!session) return;
  const auto who = seqpacket::peer(session->get());
  if (!who || (who->uid != 0 && who->uid != parts_.allowed) || sessions_.size() >= kMostSessions) return;
  const int fd = session->get();
  if (::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kReplyPatience, sizeof kReplyPatience) != 0) return;
  sessions_.emplace(fd, std::move(*session));
}

bool Server::serve(int session) {
  auto message = seqpacket::receive(session);
  if (!message || message->bytes.empty()) return false;
  std::vector<UniqueFd> descriptors;
  const std::string reply = answer(*message, descriptors, session);
  return !reply.empty() && seqpacket::send(session, reply, seqpacket::numbers(descriptors)).ok();
}

std::string Server::answer(seqpacket::Message& message, std::vector<UniqueFd>& descriptors, int session) {
  wire::Reader reader(message.bytes);
  // One request of each kind: decodes exactly and carries no descriptor that its verb does not take, or ends the
  // session.
  const auto exact = [&](auto& request, std::size_t most) {
    return decode(reader, request) && message.descriptors.size() <= most;
  };
  const auto verb = static_cast<Verb>(reader.get<std::uint16_t>());
  const bool bare = reader.finish() && message.descriptors.empty();  // of a verb that says it all
  switch (verb) {
    case Verb::launch: {
      LaunchRequest request;
      if (!exact(request, 5)) return {};
      return replyTo(parts_.containers->launch(request, message.descriptors), descriptors);
    }
    case Verb::exec: {
      ExecRequest request;
      if (!exact(request, 4)) return {};
      return replyTo(parts_.containers->exec(request, message.descriptors), descriptors);
    }
    case Verb::signal: {
      SignalRequest request;
      return exact(request, 0) ? replyTo(parts_.containers->signal(request)) : std::string();
    }
    case Verb::remove: {
      RemoveRequest request;
      return exact(request, 0) ? replyTo(parts_.containers->remove(request.instance)) : std::string();
    }
    case Verb::tenantPut:
      return message.descriptors.empty() ? answerTenantPut(reader, descriptors) : std::string();
    case Verb::tenantRemove: {
      TenantRemoveRequest request;
      if (!exact(request, 0)) return {};
      Status done = check(request);
      if (done) done = parts_.groups->removeTenant(request.tenant);
      if (done) done = parts_.network->removeTenant(request.tenant);
      if (done && parts_.appArmor != nullptr) done = parts_.appArmor->remove(request.tenant);
      if (done) parts_.layers->forgetTenant(request.tenant);
      return replyTo(done);
    }
    case Verb::layerMount: {
      LayerRequest request;
      if (!exact(request, 1) || message.descriptors.size() != 1) return {};
      Status done = check(request);
      if (done) done = parts_.layers->mount(request.digest, message.descriptors.front().get());
      return replyTo(done);
    }
    case Verb::layerRelease: {
      LayerRequest request;
      if (!exact(request, 0)) return {};
      Status done = check(request);
      if (done) done = parts_.layers->release(request.digest);
      return replyTo(done);
    }
    case Verb::recover:
      return bare ? answerRecover(session) : std::string();
    case Verb::networkUsage: {
      if (!bare) return {};
      auto usage = parts_.network->usage();
      return usage ? encode(NetworkUsageReply{std::move(*usage)}) : encodeFailure(usage.error());
    }
    case Verb::posture:
      return bare ? encode(parts_.posture.reply()) : std::string();
    case Verb::denials: {
      DenialsRequest request;
      if (!exact(request, 0)) return {};
      return encode(parts_.denials ? parts_.denials->after(request.since) : DenialsReply{});
    }
  }
  return {};
}

std::string Server::answerTenantPut(wire::Reader& reader, std::vector<UniqueFd>& descriptors) {
  TenantPutRequest request;
  if (!decode(reader, request)) return {};
  if (auto good = check(request); !good) return encodeFailure(good.error());
  auto group = parts_.groups->putTenant(request.tenant, request.limits);
  if (!group) return encodeFailure(group.error());
  const Status linked = parts_.network->putTenant(request.tenant, request.limits.networkBitsPerSecond, request.egress);
  if (!linked) return encodeFailure(linked.error());
  TenantGroups reply;
  reply.cgroupInode = group->inode;
  for (auto& [kind, directory] : group->directories) {
    reply.descriptors.push_back(kind);
    descriptors.push_back(std::move(directory));
  }
  return encode(reply);
}

// Datagrams of kRecoveredPerMessage containers each; the last one, empty, is the caller's to send.
std::string Server::answerRecover(int session) {
  auto found = parts_.containers->recover();
  if (!found) return encodeFailure(found.error());
  for (std::size_t from = 0; from < found->size(); from += kRecoveredPerMessage) {
    Recovered part;
    std::vector<int> descriptors;
    for (std::size_t i = from; i < std::min(found->size(), from + kRecoveredPerMessage); ++i) {
      auto& reply = (*found)[i];
      part.instances.push_back(reply.values);
      for (const auto& fd : reply.descriptors) descriptors.push_back(fd.get());
    }
    if (!seqpacket::send(session, encode(part), descriptors)) return {};
  }
  return encode(Recovered{});
}

}  // namespace cloister::launcher
