// What a child hands to the launcher over a socket of theirs: the pidfd of the process that execs, the leader of its
// terminal. Each is a message of one byte (child.h) with the descriptor.
//
// Threads: reentrant. Failures: what did not come, or came otherwise, is an invalid descriptor.
#pragma once

#include "sandbox/base/unique_fd.h"

namespace cloister::launcher {

struct Handed {
  UniqueFd pidfd;
  UniqueFd leader;
};

// What is there now.
[[nodiscard]] Handed takeHanded(int socket);

}  // namespace cloister::launcher
