// Exec: a process of the container that the launcher makes. See containers.h.
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>

#include "sandbox/base/files.h"
#include "sandbox/base/process.h"
#include "sandbox/base/seqpacket.h"
#include "sandbox/launcher/child.h"
#include "sandbox/launcher/containers.h"
#include "sandbox/launcher/report_pipe.h"
#include "sandbox/launcher/requests.h"

namespace cloister::launcher {
namespace {

constexpr std::string_view kStage = "exec";
constexpr std::uint64_t kOpenFiles = 4096;
constexpr std::chrono::seconds kPatience{30};

bool ready(int descriptor) {
  pollfd watched{descriptor, POLLIN, 0};
  return ::poll(&watched, 1, 0) == 1;
}

// The process id that this namespace knows for a pidfd; 0 when it has ended.
std::uint32_t pidBehind(int pidfd) {
  const auto info = files::read("/proc/self/fdinfo/" + std::to_string(pidfd));
  constexpr std::string_view kKey = "\nPid:\t";
  const auto at = info ? info->find(kKey) : std::string::npos;
  std::uint32_t pid = 0;
  if (at != std::string::npos) std::from_chars(info->data() + at + kKey.size(), info->data() + info->size(), pid);
  return pid;
}

class Executing final : public Pending {
 public:
  Executing(UniqueFd child, UniqueFd report, UniqueFd handover)
      : child_(std::move(child)), report_(std::move(report)), handover_(std::move(handover)) {}

  [[nodiscard]] Wait wait() const override { return {report_.get(), POLLIN, deadline_}; }

  [[nodiscard]] std::optional<Answer> advance() override {
    if (!ready(report_.get())) {
      if (Clock::now() < deadline_) return std::nullopt;
      return abandon(Error{std::string(kStage), "wait", "child", ETIMEDOUT});
    }
    if (const Status started = readReport(report_.get()); !started) return abandon(started.error());
    // The child held the report's pipe until it had sent this.
    auto sibling = takeSibling();
    if (!sibling) return abandon(Error{std::string(kStage), "receive", "pidfd", EPROTO});
    Executed executed;
    executed.pid = pidBehind(sibling.get());
    Answer answer{encode(executed), {}};
    answer.descriptors.push_back(std::move(sibling));
    return answer;
  }

 private:
  UniqueFd takeSibling() {
    if (!ready(handover_.get())) return UniqueFd();
    auto message = seqpacket::receive(handover_.get());
    if (!message || message->descriptors.size() != 1) return UniqueFd();
    return std::move(message->descriptors.front());
  }

  Answer abandon(const Error& why) {
    (void)process::sendSignal(child_.get(), SIGKILL);
    if (const auto sibling = takeSibling(); sibling) (void)process::sendSignal(sibling.get(), SIGKILL);
    return answerOf(why);
  }

  UniqueFd child_;     // enters the namespaces and makes the sibling that becomes the command
  UniqueFd report_;    // end-of-file: the command's exec succeeded
  UniqueFd handover_;  // the sibling's pidfd
  Clock::time_point deadline_ = Clock::now() + kPatience;
};

}  // namespace

Outcome Containers::exec(const ExecRequest& request, const std::vector<UniqueFd>& descriptors) {
  if (auto good = check(request, descriptors.size()); !good) return answerOf(good);
  auto record = readRecord(request.instance);
  if (!record) return answerOf(record.error());
  auto target = openInit(record->tenant, request.instance);
  if (!target) return answerOf(target.error());
  auto group = parts_.groups->openInstance(record->tenant, request.instance);
  if (!group) return answerOf(group.error());
  auto tasks = parts_.groups->joinFiles(*group);
  if (!tasks) return answerOf(tasks.error());
  auto profile = profileOf(Confinement::exec, record->tenant);
  if (!profile) return answerOf(profile.error());
  auto report = makePipe();
  if (!report) return answerOf(report.error());
  auto handover = seqpacket::pair();
  if (!handover) return answerOf(handover.error());

  ChildPlan plan;
  plan.confinement = Confinement::exec;
  plan.owner = firstUid(record->tenant);
  plan.filter = &filters_.at(Confinement::exec).answered;
  plan.appArmorProfile = std::move(*profile);
  plan.argv = request.argv;
  plan.environment = request.environment;
  plan.workingDirectory = request.workingDirectory;
  plan.writes = request.writes;
  plan.writable = request.writable;
  plan.openFiles = kOpenFiles;
  plan.terminal = request.terminal;
  plan.standard = seqpacket::numbers(descriptors);
  plan.init = parts_.init.get();
  plan.report = report->write.get();
  plan.groups = seqpacket::numbers(*tasks);
  auto child = process::cloneProcess(0, group->unified());
  if (!child) return answerOf(child.error());
  if (child->pid == 0) runExec(plan, target->get(), handover->second.get());
  return std::unique_ptr<Pending>(
      std::make_unique<Executing>(std::move(child->pidfd), std::move(report->read), std::move(handover->first)));
}

}  // namespace cloister::launcher
