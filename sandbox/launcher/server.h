// The launcher's socket: accepts Cloister's user, reads one request at a time, answers it, knows nothing else.
//
// A session is a table look-up: verb -> decoder -> check -> action -> reply. A datagram that is short, long, unknown or
// cut ends its session without a reply. Requests are carried out one after another in arrival order. Threads: the whole
// launcher is one thread. Failures: a request's go to its sender; accept and poll errors end run().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
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
  void acceptSession();
  // False: the session is over.
  [[nodiscard]] bool serve(int session);
  // Empty: the datagram was no request.
  [[nodiscard]] std::string answer(seqpacket::Message& message, std::vector<UniqueFd>& descriptors, int session);
  [[nodiscard]] std::string answerTenantPut(wire::Reader& reader, std::vector<UniqueFd>& descriptors);
  [[nodiscard]] std::string answerRecover(int session);
  void reap();

  UniqueFd listener_;
  Parts parts_;
  UniqueFd signals_;
  std::map<int, UniqueFd> sessions_;
};

}  // namespace cloister::launcher
