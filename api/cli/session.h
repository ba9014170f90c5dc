// One exec or run session: the caller's standard streams joined to a process over a WebSocket.
//
// Frames are binary, their first byte a channel (controlplane/model/node_protocol.h): 0 stdin, 1 stdout, 2 stderr, 3
// control, JSON. The session ends with {"exit": N}, which is its result, or {"error": text}.
// Threads: one. Failures: std::runtime_error when the connection ends without an exit code or the node reports an
// error.
#pragma once

#include "api/cli/http.h"
#include "sandbox/base/caller_terminal.h"

namespace cloister::cli {

struct SessionStreams {
  int input = 0;
  int output = 1;
  int error = 2;
};

// Returns the exit code of the remote process.
[[nodiscard]] int runSession(Connection& connection, terminal::Mode mode, SessionStreams streams = {});

}  // namespace cloister::cli
