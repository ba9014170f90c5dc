// The launcher's socket: accepts Cloister's user, reads one request at a time, answers it, knows nothing else.
//
// A session is a table look-up: verb -> decoder -> check -> action -> reply. A datagram that is short, long, unknown or
// cut ends its session without a reply. A session's requests are answered in their order. One that has to wait for a
// child or for killed processes (pending.h) holds up its own session, and those that ask for the same container or
// layer: they are served when it is over, and `recover` when all are. Threads: the whole launcher is one thread.
// Failures: a request's go to its sender; accept and poll errors end run().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "sandbox/base/seqpacket.h"
#include "sandbox/launcher/containers.h"
#include "sandbox/launcher/denials.h"
#include "sandbox/launcher/posture.h"

namespace cloister::launcher {

class Server {
 public:
  struct Parts {
    Containers* containers = nullptr;
    cgroups::Tree* groups = nullptr;
    network::Network* network = nullptr;
    rootfs::Layers* layers = nullptr;
    AppArmor* appArmor = nullptr;    // null: the kernel has none
    std::optional<Denials> denials;  // none: the kernel does not show its log
    Posture posture;
    uid_t allowed = 0;  // besides root
  };
  Server(UniqueFd listener, Parts parts);

  // Serves until SIGTERM or SIGINT (good) or until the listener fails. Containers go on running.
  [[nodiscard]] Status run();

 private:
  struct Session {
    UniqueFd socket;
    bool waiting = false;                    // for a pending request, or for a held one
    std::optional<seqpacket::Message> held;  // not yet begun
  };
  struct Job {
    int session = -1;
    std::string subject;  // instance or digest; empty: others may ask for the same
    std::unique_ptr<Pending> pending;
  };
  // A request's container or layer is busy: later.
  struct Later {};
  using Reaction = std::variant<Answer, Job, Later>;

  void acceptSession();
  // False: the session is over.
  [[nodiscard]] bool serve(int session);
  [[nodiscard]] bool handle(int session, seqpacket::Message message);
  [[nodiscard]] Reaction react(seqpacket::Message& message, int session);
  [[nodiscard]] Answer answerTenantPut(wire::Reader& reader);
  [[nodiscard]] Answer answerRecover(int session);
  [[nodiscard]] bool busy(const std::string& subject) const;
  // Lets the pending requests go on that can, then the held ones that they held up.
  void advanceJobs(const std::vector<pollfd>& polled);
  void resumeHeld();
  void reap();

  UniqueFd listener_;
  Parts parts_;
  UniqueFd signals_;
  std::map<int, Session> sessions_;
  std::vector<Job> jobs_;
};

}  // namespace cloister::launcher
