#include "sandbox/client/launcher_client.h"

#include <cerrno>
#include <mutex>
#include <semaphore>
#include <span>

#include "sandbox/base/process.h"
#include "sandbox/base/seqpacket.h"
#include "sandbox/base/wire.h"

namespace cloister::sandbox {
namespace {

constexpr std::uint8_t kDone = 0;

Error protocolError(std::string_view what) {
  return Error{"client", "decode", std::string(what), EPROTO};
}

// A request beyond the protocol's limits would only end the session; here its sender learns why.
template <typename Request>
Status encodable(const std::string& bytes) {
  wire::Reader reader(bytes);
  Request copy;
  const bool known = reader.get<std::uint16_t>() != 0;
  if (known && bytes.size() <= launcher::kMostRequest && launcher::decode(reader, copy)) return {};
  return Error{"client", "encode", "beyond the limits of launcher_protocol.h", E2BIG};
}

// A reply's payload and descriptors, when its status byte is good.
struct Answer {
  std::string payload;
  std::vector<UniqueFd> descriptors;
};

Result<Answer> accepted(seqpacket::Message message) {
  wire::Reader reader(message.bytes);
  if (reader.get<std::uint8_t>() != kDone) {
    Error error;
    return launcher::decodeFailure(reader, error) ? error : protocolError("failure");
  }
  return Answer{message.bytes.substr(1), std::move(message.descriptors)};
}

Result<Container> containerOf(launcher::Launched launched, std::span<UniqueFd> descriptors) {
  if (descriptors.size() != launched.descriptors.size()) return protocolError("descriptors");
  Container container;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    container.descriptors.emplace_back(launched.descriptors[i], std::move(descriptors[i]));
  }
  container.launched = std::move(launched);
  return container;
}

std::vector<int> listOf(const Standard& standard) {
  if (standard.in < 0) return {standard.status};
  std::vector<int> list = {standard.in, standard.out, standard.err, standard.status};
  if (standard.output >= 0) list.push_back(standard.output);
  return list;
}

}  // namespace

int Container::descriptor(launcher::DescriptorKind kind) const {
  for (const auto& [has, fd] : descriptors) {
    if (has == kind) return fd.get();
  }
  return -1;
}

UniqueFd Container::take(launcher::DescriptorKind kind) {
  for (auto& [has, fd] : descriptors) {
    if (has == kind) return std::move(fd);
  }
  return {};
}

// Sockets that wait for a caller. One that failed is dropped; a launcher that was restarted makes all of them stale.
class LauncherClient::Connections {
 public:
  explicit Connections(std::string path) : path_(std::move(path)) {}

  Result<Answer> ask(const std::string& request, const std::vector<int>& descriptors) {
    const Turn turn(turns_);
    auto socket = request.size() <= wire::kMaxMessage ? send(request, descriptors) : sendLarge(request, descriptors);
    if (!socket) return socket.error();
    auto message = receive(*socket);
    if (!message) return message.error();
    keep(std::move(*socket));
    return accepted(std::move(*message));
  }

  Result<std::vector<Container>> recover() {
    const Turn turn(turns_);
    auto socket = send(launcher::encode(launcher::Verb::recover), {});
    if (!socket) return socket.error();
    std::vector<Container> containers;
    // What follows a part that does not decode would be taken for the next request's reply: only at the end is the
    // connection kept.
    for (;;) {
      auto message = receive(*socket);
      if (!message) return message.error();
      auto answer = accepted(std::move(*message));
      if (!answer) return answer.error();
      wire::Reader reader(answer->payload);
      launcher::Recovered part;
      if (!launcher::decode(reader, part)) return protocolError("recovered");
      if (part.instances.empty()) break;
      std::span<UniqueFd> rest(answer->descriptors);
      for (auto& launched : part.instances) {
        const std::size_t count = launched.descriptors.size();
        if (count > rest.size()) return protocolError("recovered descriptors");
        auto container = containerOf(std::move(launched), rest.first(count));
        if (!container) return container.error();
        containers.push_back(std::move(*container));
        rest = rest.subspan(count);
      }
    }
    keep(std::move(*socket));
    return containers;
  }

 private:
  using Turns = std::counting_semaphore<kMostConnections>;
  class Turn {
   public:
    explicit Turn(Turns& turns) : turns_(turns) { turns_.acquire(); }
    ~Turn() { turns_.release(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Turns& turns_;
  };

  // The socket that the request went out on.
  Result<UniqueFd> send(const std::string& request, const std::vector<int>& descriptors) {
    // A launcher that was restarted shows as a broken socket at the first use; the request was not read then.
    for (UniqueFd socket = takeKept(); socket; socket = takeKept()) {
      auto sent = seqpacket::send(socket.get(), request, descriptors);
      if (sent) return socket;
      if (sent.error().code != EPIPE && sent.error().code != ECONNRESET) return sent.error();
    }
    auto socket = seqpacket::connect(path_);
    if (!socket) return socket;
    if (auto sent = seqpacket::send(socket->get(), request, descriptors); !sent) return sent.error();
    return socket;
  }

  Result<UniqueFd> sendLarge(const std::string& request, std::vector<int> descriptors) {
    const auto memory = process::sealedMemory(request, "launcher-request");
    if (!memory) return memory.error();
    descriptors.insert(descriptors.begin(), memory->get());
    return send(launcher::encode(launcher::Verb::inMemory), descriptors);
  }

  Result<seqpacket::Message> receive(const UniqueFd& socket) const {
    auto message = seqpacket::receive(socket.get());
    if (!message || !message->bytes.empty()) return message;
    return Error{"client", "receive", path_, ECONNRESET};
  }

  UniqueFd takeKept() {
    const std::lock_guard lock(mutex_);
    if (kept_.empty()) return {};
    UniqueFd socket = std::move(kept_.back());
    kept_.pop_back();
    return socket;
  }

  void keep(UniqueFd socket) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(socket));
  }

  std::string path_;
  Turns turns_{kMostConnections};
  std::mutex mutex_;
  std::vector<UniqueFd> kept_;
};

LauncherClient::LauncherClient(std::string socketPath)
    : connections_(std::make_unique<Connections>(std::move(socketPath))) {}
LauncherClient::~LauncherClient() = default;

Result<Container> LauncherClient::launch(const launcher::LaunchRequest& request, const Standard& standard) {
  const std::string bytes = launcher::encode(request);
  if (auto fits = encodable<launcher::LaunchRequest>(bytes); !fits) return fits.error();
  auto answer = connections_->ask(bytes, listOf(standard));
  if (!answer) return answer.error();
  wire::Reader reader(answer->payload);
  launcher::Launched launched;
  if (!launcher::decode(reader, launched)) return protocolError("launched");
  return containerOf(std::move(launched), answer->descriptors);
}

Result<ExecHandle> LauncherClient::exec(const launcher::ExecRequest& request, const Standard& standard) {
  const std::string bytes = launcher::encode(request);
  if (auto fits = encodable<launcher::ExecRequest>(bytes); !fits) return fits.error();
  auto answer = connections_->ask(bytes, listOf(standard));
  if (!answer) return answer.error();
  wire::Reader reader(answer->payload);
  launcher::Executed executed;
  const std::size_t wanted = request.terminal.wanted() ? 2 : 1;
  if (!launcher::decode(reader, executed) || answer->descriptors.size() != wanted) return protocolError("executed");
  ExecHandle handle{executed.pid, std::move(answer->descriptors.front()), {}};
  if (request.terminal.wanted()) handle.terminal = std::move(answer->descriptors.back());
  return handle;
}

Status LauncherClient::endExec(const launcher::EndExecRequest& request) {
  auto answer = connections_->ask(launcher::encode(request), {});
  return answer ? Status() : Status(answer.error());
}

Status LauncherClient::signal(const launcher::SignalRequest& request) {
  auto answer = connections_->ask(launcher::encode(request), {});
  return answer ? Status() : Status(answer.error());
}

Status LauncherClient::remove(const std::string& instance) {
  auto answer = connections_->ask(launcher::encode(launcher::RemoveRequest{instance}), {});
  return answer ? Status() : Status(answer.error());
}

Result<TenantHandle> LauncherClient::putTenant(const launcher::TenantPutRequest& request) {
  auto answer = connections_->ask(launcher::encode(request), {});
  if (!answer) return answer.error();
  wire::Reader reader(answer->payload);
  launcher::TenantGroups groups;
  if (!launcher::decode(reader, groups) || groups.descriptors.size() != answer->descriptors.size()) {
    return protocolError("tenant");
  }
  TenantHandle handle{groups.cgroupInode, {}};
  for (std::size_t i = 0; i < groups.descriptors.size(); ++i) {
    handle.descriptors.emplace_back(groups.descriptors[i], std::move(answer->descriptors[i]));
  }
  return handle;
}

Status LauncherClient::removeTenant(TenantIndex tenant) {
  auto answer = connections_->ask(launcher::encode(launcher::TenantRemoveRequest{tenant}), {});
  return answer ? Status() : Status(answer.error());
}

Status LauncherClient::mountLayer(const std::string& digest, int file) {
  const auto request = launcher::encode(launcher::Verb::layerMount, launcher::LayerRequest{digest});
  auto answer = file < 0 ? connections_->ask(request, {}) : connections_->ask(request, {file});
  return answer ? Status() : Status(answer.error());
}

Status LauncherClient::releaseLayer(const std::string& digest) {
  auto answer = connections_->ask(launcher::encode(launcher::Verb::layerRelease, launcher::LayerRequest{digest}), {});
  return answer ? Status() : Status(answer.error());
}

Result<std::vector<Container>> LauncherClient::recover() {
  return connections_->recover();
}

Result<std::vector<launcher::NetworkUsage>> LauncherClient::networkUsage() {
  std::vector<launcher::NetworkUsage> all;
  for (;;) {
    const launcher::NetworkUsageRequest request{all.empty() ? 0 : all.back().tenant};
    auto answer = connections_->ask(launcher::encode(request), {});
    if (!answer) return answer.error();
    wire::Reader reader(answer->payload);
    launcher::NetworkUsageReply reply;
    if (!launcher::decode(reader, reply)) return protocolError("network usage");
    all.insert(all.end(), reply.tenants.begin(), reply.tenants.end());
    if (reply.tenants.size() < launcher::kUsagesPerReply) return all;
    // What does not go on would never end.
    if (all.back().tenant <= request.after) return protocolError("network usage");
  }
}

Result<std::vector<launcher::PostureCheck>> LauncherClient::posture() {
  auto answer = connections_->ask(launcher::encode(launcher::Verb::posture), {});
  if (!answer) return answer.error();
  wire::Reader reader(answer->payload);
  launcher::PostureReply reply;
  if (!launcher::decode(reader, reply)) return protocolError("posture");
  return std::move(reply.checks);
}

Result<std::vector<launcher::Denial>> LauncherClient::denials(std::uint64_t since) {
  auto answer = connections_->ask(launcher::encode(launcher::DenialsRequest{since}), {});
  if (!answer) return answer.error();
  wire::Reader reader(answer->payload);
  launcher::DenialsReply reply;
  if (!launcher::decode(reader, reply)) return protocolError("denials");
  return std::move(reply.denials);
}

}  // namespace cloister::sandbox
