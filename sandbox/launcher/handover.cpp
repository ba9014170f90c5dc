#include "sandbox/launcher/handover.h"

#include <poll.h>

#include "sandbox/base/seqpacket.h"
#include "sandbox/launcher/child.h"

namespace cloister::launcher {

Handed takeHanded(int socket) {
  Handed handed;
  for (int message = 0; message < 2; ++message) {
    pollfd watched{socket, POLLIN, 0};
    if (::poll(&watched, 1, 0) != 1) break;
    auto came = seqpacket::receive(socket);
    if (!came || came->bytes.size() != 1 || came->descriptors.size() != 1) break;
    auto& descriptor = came->descriptors.front();
    if (came->bytes.front() == kPidfd) handed.pidfd = std::move(descriptor);
    if (came->bytes.front() == kLeader) handed.leader = std::move(descriptor);
  }
  return handed;
}

}  // namespace cloister::launcher
