// Following a build: its log as it comes, over restarts of the server.
//
// Threads: one. Failures: ApiError; TransportError when the server stays away.
#pragma once

#include <iosfwd>
#include <string>

#include "api/cli/commands.h"

namespace cloister::cli {

// Waits until the build at `path` has begun, or ended, and gives its state; news of its operation go to the error
// stream.
std::string awaitBuild(Context& context, const std::string& path, const Query& query);
// Shows the build's output until the build has ended. The log is kept by the server, so after a broken connection it is
// read again from its start and what was shown is skipped.
void followBuildLog(Context& context, const std::string& path, const Query& query, std::ostream& out);
// The output so far.
void showBuildLog(Context& context, const std::string& path, const Query& query, std::ostream& out);

}  // namespace cloister::cli
