// One exec or run session: the caller's standard streams joined to a process over a WebSocket.
//
// controlplane/model/session_protocol.h says what is sent. Input is read no faster than the command reads it, output
// taken no faster than the caller's own streams take it; neither is ever lost or held beyond a window.
// Threads: one. Failures: std::invalid_argument for arguments beyond the limits, before anything is sent;
// std::runtime_error when the connection ends without an exit code or the node reports an error.
#pragma once

#include <string>
#include <vector>

#include "api/cli/http.h"
#include "sandbox/base/caller_terminal.h"

namespace cloister::cli {

struct SessionStreams {
  int input = 0;
  int output = 1;
  int error = 2;
};

// Throws std::invalid_argument that names the limit when the arguments are more than a command may have.
void checkCommand(const std::vector<std::string>& command);

// Returns the exit code of the remote process.
[[nodiscard]] int runSession(Connection& connection, const std::vector<std::string>& command, terminal::Mode mode,
                             SessionStreams streams = {});

}  // namespace cloister::cli
