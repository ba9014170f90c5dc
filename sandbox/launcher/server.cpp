#include "sandbox/launcher/server.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>

#include "sandbox/base/process.h"
#include "sandbox/launcher/layer_fetch.h"
#include "sandbox/launcher/requests.h"

namespace cloister::launcher {
namespace {

constexpr std::size_t kMostSessions = 32;
// A caller who does not take a reply for so long has no session any more: nobody else waits longer because of them.
constexpr timeval kReplyPatience{1, 0};

// For poll(2); -1: no end.
int millisUntil(Pending::Clock::time_point until) {
  if (until == Pending::Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Pending::Clock::now()).count();
  return static_cast<int>(std::max<decltype(left)>(left, 0));
}

bool sendAnswer(int session, const Answer& answer) {
  return !answer.bytes.empty() && seqpacket::send(session, answer.bytes, seqpacket::numbers(answer.descriptors)).ok();
}

// A request that came in memory takes the place of the datagram that said so; false when that is none.
bool unfold(seqpacket::Message& message) {
  if (message.bytes != encode(Verb::inMemory)) return true;
  if (message.descriptors.empty()) return false;
  auto request = process::readSealed(message.descriptors.front().get(), kMostRequest);
  if (!request || request->empty()) return false;
  message.bytes = std::move(*request);
  message.descriptors.erase(message.descriptors.begin());
  return true;
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
    auto until = Pending::Clock::time_point::max();
    for (const Job& job : jobs_) {
      const auto wait = job.pending->wait();
      polled.push_back({wait.descriptor, wait.events, 0});
      until = std::min(until, wait.until);
    }
    for (const auto& [fd, session] : sessions_) {
      if (!session.waiting) polled.push_back({fd, POLLIN, 0});
    }
    if (::poll(polled.data(), polled.size(), millisUntil(until)) < 0 && errno != EINTR)
      return errnoError("server", "poll");
    if (polled[1].revents != 0) {
      signalfd_siginfo info{};
      while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGCHLD) return {};
      }
      reap();
    }
    const std::size_t firstSession = 2 + jobs_.size();
    advanceJobs({polled.begin() + 2, polled.begin() + static_cast<std::ptrdiff_t>(firstSession)});
    for (std::size_t i = firstSession; i < polled.size(); ++i) {
      if (polled[i].revents != 0 && !serve(polled[i].fd)) sessions_.erase(polled[i].fd);
    }
    if (polled[0].revents != 0) acceptSession();
  }
}

void Server::advanceJobs(const std::vector<pollfd>& polled) {
  std::vector<Job> waiting;
  bool finished = false;
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    Job& job = jobs_[i];
    std::optional<Answer> answer;
    if (polled[i].revents != 0 || job.pending->wait().until <= Pending::Clock::now()) answer = job.pending->advance();
    if (!answer) {
      waiting.push_back(std::move(job));
      continue;
    }
    finished = true;
    sessions_.at(job.session).waiting = false;
    if (!sendAnswer(job.session, *answer)) sessions_.erase(job.session);
  }
  jobs_ = std::move(waiting);
  if (finished) resumeHeld();
}

void Server::resumeHeld() {
  std::vector<int> held;
  for (const auto& [fd, session] : sessions_) {
    if (session.held) held.push_back(fd);
  }
  for (const int fd : held) {
    Session& session = sessions_.at(fd);
    seqpacket::Message message = std::move(*session.held);
    session.held.reset();
    session.waiting = false;
    if (!handle(fd, std::move(message))) sessions_.erase(fd);
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
  sessions_[fd].socket = std::move(*session);
}

bool Server::serve(int session) {
  auto message = seqpacket::receive(session);
  return message && !message->bytes.empty() && unfold(*message) && handle(session, std::move(*message));
}

bool Server::handle(int session, seqpacket::Message message) {
  Reaction reaction = react(message, session);
  if (auto* answer = std::get_if<Answer>(&reaction)) return sendAnswer(session, *answer);
  sessions_.at(session).waiting = true;
  if (auto* job = std::get_if<Job>(&reaction)) {
    jobs_.push_back(std::move(*job));
  } else {
    sessions_.at(session).held = std::move(message);
  }
  return true;
}

bool Server::busy(const std::string& subject) const {
  return std::any_of(jobs_.begin(), jobs_.end(), [&](const Job& job) { return job.subject == subject; });
}

Server::Reaction Server::react(seqpacket::Message& message, int session) {
  wire::Reader reader(message.bytes);
  // One request of each kind: decodes exactly and carries no descriptor that its verb does not take, or ends the
  // session.
  const auto exact = [&](auto& request, std::size_t most) {
    return decode(reader, request) && message.descriptors.size() <= most;
  };
  enum class Claim { shared, alone };
  const auto begun = [&](const std::string& subject, Claim claim, Outcome outcome) -> Reaction {
    if (auto* answer = std::get_if<Answer>(&outcome)) return std::move(*answer);
    return Job{session, claim == Claim::alone ? subject : std::string(),
               std::move(std::get<std::unique_ptr<Pending>>(outcome))};
  };
  const auto verb = static_cast<Verb>(reader.get<std::uint16_t>());
  const bool bare = reader.finish() && message.descriptors.empty();  // of a verb that says it all
  switch (verb) {
    case Verb::launch: {
      LaunchRequest request;
      if (!exact(request, 5)) return Answer{};
      if (busy(request.instance)) return Later{};
      return begun(request.instance, Claim::alone, parts_.containers->launch(request, message.descriptors));
    }
    case Verb::exec: {
      ExecRequest request;
      if (!exact(request, 4)) return Answer{};
      if (busy(request.instance)) return Later{};
      return begun(request.instance, Claim::shared, parts_.containers->exec(request, message.descriptors));
    }
    case Verb::endExec: {
      EndExecRequest request;
      if (!exact(request, 0)) return Answer{};
      if (busy(request.instance)) return Later{};
      return begun(request.instance, Claim::shared, parts_.containers->endExec(request));
    }
    case Verb::inMemory:  // within such a request
      return Answer{};
    case Verb::signal: {
      SignalRequest request;
      if (!exact(request, 0)) return Answer{};
      if (busy(request.instance)) return Later{};
      return answerOf(parts_.containers->signal(request));
    }
    case Verb::remove: {
      RemoveRequest request;
      if (!exact(request, 0)) return Answer{};
      if (busy(request.instance)) return Later{};
      return begun(request.instance, Claim::alone, parts_.containers->remove(request.instance));
    }
    case Verb::tenantPut:
      return message.descriptors.empty() ? answerTenantPut(reader) : Answer{};
    case Verb::tenantRemove: {
      TenantRemoveRequest request;
      if (!exact(request, 0)) return Answer{};
      Status done = check(request);
      if (done) done = parts_.groups->removeTenant(request.tenant);
      if (done) done = parts_.network->removeTenant(request.tenant);
      if (done && parts_.appArmor != nullptr) done = parts_.appArmor->remove(request.tenant);
      if (done) parts_.layers->forgetTenant(request.tenant);
      return answerOf(done);
    }
    case Verb::layerMount: {
      LayerRequest request;
      if (!exact(request, 1)) return Answer{};
      if (auto good = check(request); !good) return answerOf(good);
      if (busy(request.digest)) return Later{};
      if (message.descriptors.empty()) return answerOf(parts_.layers->ensure(request.digest));
      return begun(request.digest, Claim::alone,
                   mountLayer(*parts_.layers, request.digest, message.descriptors.front().get()));
    }
    case Verb::layerRelease: {
      LayerRequest request;
      if (!exact(request, 0)) return Answer{};
      if (busy(request.digest)) return Later{};
      Status done = check(request);
      if (done) done = parts_.layers->release(request.digest);
      return answerOf(done);
    }
    case Verb::recover:
      if (!bare) return Answer{};
      if (!jobs_.empty()) return Later{};
      return answerRecover(session);
    case Verb::networkUsage: {
      NetworkUsageRequest request;
      if (!exact(request, 0)) return Answer{};
      auto usage = parts_.network->usage();
      if (!usage) return answerOf(usage.error());
      std::erase_if(*usage, [&request](const NetworkUsage& one) { return one.tenant <= request.after; });
      return Answer{encode(NetworkUsageReply{std::move(*usage)}), {}};
    }
    case Verb::posture:
      return bare ? Answer{encode(parts_.posture.reply()), {}} : Answer{};
    case Verb::denials: {
      DenialsRequest request;
      if (!exact(request, 0)) return Answer{};
      return Answer{encode(parts_.denials ? parts_.denials->after(request.since) : DenialsReply{}), {}};
    }
  }
  return Answer{};
}

Answer Server::answerTenantPut(wire::Reader& reader) {
  TenantPutRequest request;
  if (!decode(reader, request)) return {};
  if (auto good = check(request); !good) return answerOf(good);
  auto group = parts_.groups->putTenant(request.tenant, request.limits);
  if (!group) return answerOf(group.error());
  const Status linked = parts_.network->putTenant(request.tenant, request.limits.networkBitsPerSecond, request.egress);
  if (!linked) return answerOf(linked);
  TenantGroups reply;
  Answer answer;
  reply.cgroupInode = group->inode;
  for (auto& [kind, directory] : group->directories) {
    reply.descriptors.push_back(kind);
    answer.descriptors.push_back(std::move(directory));
  }
  answer.bytes = encode(reply);
  return answer;
}

// Datagrams of kRecoveredPerMessage containers each; the last one, empty, is the caller's to send.
Answer Server::answerRecover(int session) {
  auto found = parts_.containers->recover();
  if (!found) return answerOf(found.error());
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
  return {encode(Recovered{}), {}};
}

}  // namespace cloister::launcher
