#include "sandbox/launcher/joiner.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "sandbox/base/files.h"
#include "sandbox/base/process.h"
#include "sandbox/base/seqpacket.h"
#include "sandbox/launcher/report_pipe.h"

namespace cloister::launcher {
namespace {

constexpr std::string_view kStage = "join";

// A message's descriptors: the child's pipe, the report's pipe, then the groups.
constexpr std::size_t kPipes = 2;

void work(const seqpacket::Message& message) {
  if (message.descriptors.size() <= kPipes) return;
  const int proceed = message.descriptors[0].get();
  const int report = message.descriptors[1].get();
  for (std::size_t i = kPipes; i < message.descriptors.size(); ++i) {
    if (auto wrote = files::writeAll(message.descriptors[i].get(), message.bytes); !wrote) {
      return sendReport(report, Error{std::string(kStage), "write", "cgroup.procs", wrote.error().code});
    }
  }
  (void)files::writeAll(proceed, {&kJoined, 1});
}

[[noreturn]] void serve(int socket) {
  constexpr int kSocket = 3;
  ::prctl(PR_SET_NAME, "joiner", 0, 0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::dup2(socket, kSocket) < 0 || !process::closeFrom(kSocket + 1) || !process::setCapabilities({})) ::_exit(1);
  for (;;) {
    auto message = seqpacket::receive(kSocket);
    if (!message || message->bytes.empty()) ::_exit(0);
    work(*message);
  }
}

}  // namespace

Status Joiner::start() {
  auto ends = seqpacket::pair();
  if (!ends) return ends.error();
  auto child = process::cloneProcess(0, -1);
  if (!child) return child.error();
  if (child->pid == 0) serve(ends->second.get());
  socket_ = std::move(ends->first);
  return {};
}

Status Joiner::join(pid_t child, const std::vector<UniqueFd>& groups, int proceed, int report) {
  if (groups.empty()) return files::writeAll(proceed, {&kJoined, 1});
  std::vector<int> descriptors = {proceed, report};
  for (const UniqueFd& group : groups) descriptors.push_back(group.get());
  const std::string pid = std::to_string(child);
  if (socket_ && seqpacket::send(socket_.get(), pid, descriptors)) return {};
  if (auto started = start(); !started) return started;
  return seqpacket::send(socket_.get(), pid, descriptors);
}

}  // namespace cloister::launcher
